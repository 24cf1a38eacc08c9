"""Chroma (Lodestone Rock 2025): FLUX.1's sequence, text, then pixels, with classifier-free guidance.

The prompt is T5's alone. Its padding stays in the sequence; the pipeline tells the tokens and the first of the padding
from the rest by a mask, which it passes to attention as numbers, so that they are added to the logits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from guidance.backbones.flux import make_pixel_ids
from guidance.backbones.transformer import (
    TransformerBackbone,
    even_sigmas,
    expand_timestep,
    pack,
    shift_by_pixels,
    unpack,
)
from guidance.errors import GuidanceError
from guidance.interfaces import PromptEmbeds


@dataclass(frozen=True, eq=False)
class ChromaBackbone(TransformerBackbone):
    """A diffusers ChromaPipeline."""

    pipeline: ClassVar[str] = "ChromaPipeline"
    packs: ClassVar[bool] = True

    @property
    def own_defaults(self) -> tuple[int, float]:
        return 35, 5.0

    def join_prompts(self, prompts: Sequence[PromptEmbeds]) -> tuple[Tensor, dict[str, Tensor]]:
        positive, _ = super().join_prompts(prompts)
        return positive, {"mask": torch.cat([read_mask(prompt) for prompt in prompts]).to(positive.device)}

    def encode_negative(self, texts: list[str], tokens: int) -> tuple[Tensor, dict[str, Tensor]]:
        negative, _, mask, *_ = self.pipe.encode_prompt(
            texts, device=self.pipe._execution_device, do_classifier_free_guidance=False, max_sequence_length=tokens
        )
        return negative, {"mask": mask}

    def schedule_options(self, scheduler: Any, steps: int, pixels: int) -> dict[str, Any]:
        return {"sigmas": even_sigmas(steps), "mu": shift_by_pixels(scheduler, pixels)}

    def predict_raw(
        self, inputs: Tensor, timestep: Tensor | float, embeddings: Tensor, added: dict[str, Tensor]
    ) -> Tensor:
        h, w = inputs.shape[-2:]
        pixels = h // 2 * (w // 2)
        velocity: Tensor = self.denoiser(
            hidden_states=pack(inputs),
            timestep=expand_timestep(timestep, inputs) / 1000,
            encoder_hidden_states=embeddings,
            txt_ids=torch.zeros(embeddings.shape[1], 3).to(inputs),
            img_ids=make_pixel_ids(h // 2, w // 2).to(inputs),
            attention_mask=self.pipe._prepare_attention_mask(len(inputs), pixels, inputs.dtype, added["mask"]),
            return_dict=False,
        )[0]
        return unpack(velocity, h, w)


def read_mask(prompt: PromptEmbeds) -> Tensor:
    """(1, tokens), 1 where the denoiser attends; GuidanceError for a prompt without one."""
    mask: Tensor | None = getattr(prompt, "mask", None)
    if mask is None:
        raise GuidanceError("Got a prompt without a mask of its padding, expected .mask; encode it with the pipeline.")
    return mask
