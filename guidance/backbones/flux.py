"""FLUX.1 (Black Forest Labs 2024): text, then pixels, in double and in single blocks.

The prompt is T5's; CLIP gives pooled features only, so a word stands at one place. The guidance scale is an input of
the distilled "dev" model. With a negative prompt the scale is that of true classifier-free guidance instead, and the
distilled input is 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from guidance.backbones.sd3 import read_pooled
from guidance.backbones.transformer import TransformerBackbone, expand_timestep, pack, unpack
from guidance.interfaces import PromptEmbeds


@dataclass(frozen=True, eq=False)
class FluxBackbone(TransformerBackbone):
    """A diffusers FluxPipeline."""

    pipeline: ClassVar[str] = "FluxPipeline"
    packs: ClassVar[bool] = True

    @property
    def own_defaults(self) -> tuple[int, float]:
        return (28, 3.5) if self.denoiser.config.guidance_embeds else (4, 1.0)  # dev and schnell

    def is_guided(self, negative_prompt: str | Sequence[str] | None, guidance_scale: float) -> bool:
        return negative_prompt is not None and guidance_scale > 1

    def reads_scale(self, negative_prompt: str | Sequence[str] | None, guidance_scale: float) -> bool:
        return bool(self.denoiser.config.guidance_embeds) or self.is_guided(negative_prompt, guidance_scale)

    def join_prompts(self, prompts: Sequence[PromptEmbeds]) -> tuple[Tensor, dict[str, Tensor]]:
        positive, _ = super().join_prompts(prompts)
        return positive, {"pooled": torch.cat([read_pooled(prompt) for prompt in prompts]).to(positive.device)}

    def encode_negative(self, texts: list[str], tokens: int) -> tuple[Tensor, dict[str, Tensor]]:
        device = self.pipe._execution_device
        negative, pooled, _ = self.pipe.encode_prompt(texts, device=device, max_sequence_length=tokens)
        return negative, {"pooled": pooled}

    def embed_scale(self, count: int, scale: float) -> dict[str, Tensor]:
        embeds = self.denoiser.config.guidance_embeds
        return {"guidance": torch.full([count], scale, device=self.pipe._execution_device)} if embeds else {}

    def predict_raw(
        self, inputs: Tensor, timestep: Tensor | float, embeddings: Tensor, added: dict[str, Tensor]
    ) -> Tensor:
        h, w = inputs.shape[-2:]
        velocity: Tensor = self.denoiser(
            hidden_states=pack(inputs),
            timestep=expand_timestep(timestep, inputs) / 1000,
            guidance=added.get("guidance"),
            pooled_projections=added["pooled"],
            encoder_hidden_states=embeddings,
            txt_ids=torch.zeros(embeddings.shape[1], 3).to(inputs),
            img_ids=make_pixel_ids(h // 2, w // 2).to(inputs),
            return_dict=False,
        )[0]
        return unpack(velocity, h, w)


def make_pixel_ids(h: int, w: int) -> Tensor:
    """(h * w, 3): 0, row and column of each pixel of attention."""
    rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    return torch.stack([torch.zeros_like(rows), rows, columns], -1).flatten(0, 1)
