"""Z-Image (Tongyi Lab 2025, arXiv 2511.22699): one stream of pixels, then text, each padded to a multiple of 32.

The prompt is the penultimate layer of Qwen3 on a chat template, without padding, so that prompts of a batch differ in
length. Before they meet, two blocks refine the pixels and two the text. Time runs from 0 (noise) to 1, the prediction
has the opposite sign, latents are float32, and the guidance scale counts from 0: 0 is none.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from guidance.backbones.base import Conditioning, JointSequence
from guidance.backbones.transformer import TransformerBackbone, pad_prompts, shift_by_pixels
from guidance.interfaces import SchedulerMixin

KINDS = {"noise_refiner": "self", "context_refiner": "text"}
MULTIPLE = 32  # of pixels and of tokens


@dataclass(frozen=True, eq=False)
class ZImageBackbone(TransformerBackbone):
    """A diffusers ZImagePipeline."""

    pipeline: ClassVar[str] = "ZImagePipeline"

    @property
    def own_defaults(self) -> tuple[int, float]:
        return 50, 5.0

    @property
    def own_side(self) -> int:
        return 1024 // int(self.pipe.vae_scale_factor)

    def is_guided(self, negative_prompt: str | Sequence[str] | None, guidance_scale: float) -> bool:
        return guidance_scale > 0

    def encode_negative(self, texts: list[str], tokens: int) -> tuple[Tensor, dict[str, Tensor]]:
        device = self.pipe._execution_device
        rows, _ = self.pipe.encode_prompt(texts, device=device, do_classifier_free_guidance=False)
        return pad_prompts([row[None] for row in rows])

    def schedule_options(self, scheduler: Any, steps: int, pixels: int) -> dict[str, Any]:
        return {
            "sigmas": torch.linspace(1.0, 1 / steps, steps).tolist(),
            "mu": shift_by_pixels(scheduler, pixels),
        }

    def latent_dtype(self, conditioning: Conditioning) -> torch.dtype:
        return torch.float32

    def predict_noise(
        self, scheduler: SchedulerMixin, latents: Tensor, timestep: Tensor | float, conditioning: Conditioning
    ) -> Tensor:
        """Both halves in one pass, the prompt's first."""
        texts = unpad_rows(conditioning.positive, conditioning.added)
        if conditioning.negative is None:
            return self._predict(latents, timestep, texts)
        texts += unpad_rows(conditioning.negative, conditioning.negative_added)
        conditional, unconditional = self._predict(latents.repeat(2, 1, 1, 1), timestep, texts).chunk(2)
        return self.combine(conditional, unconditional, conditioning.guidance_scale)

    def predict_raw(
        self, inputs: Tensor, timestep: Tensor | float, embeddings: Tensor, added: dict[str, Tensor]
    ) -> Tensor:
        return self._predict(inputs, timestep, unpad_rows(embeddings, added))

    def _predict(self, inputs: Tensor, timestep: Tensor | float, texts: list[Tensor]) -> Tensor:
        times = (1000 - torch.as_tensor(timestep, device=inputs.device).expand(len(inputs))) / 1000
        frames = list(inputs.to(self.denoiser.dtype).unsqueeze(2).unbind(0))
        outputs = self.denoiser(frames, times, texts, return_dict=False)[0]
        return -torch.stack([output.float() for output in outputs]).squeeze(2)

    def combine(self, conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
        return conditional + scale * (conditional - unconditional)

    def attention_layers(self) -> Iterator[tuple[str, Any, str]]:
        for name, module in self.denoiser.named_modules():
            if name.endswith(".attention"):
                yield name, module, KINDS.get(name.split(".")[0], "joint")

    def locate(self, conditioning: Conditioning, pixels: int) -> JointSequence:
        start, tokens = (-(-count // MULTIPLE) * MULTIPLE for count in (pixels, conditioning.positive.shape[1]))
        return JointSequence(text=start, pixels=0, length=start + tokens)

    def decode_latents(self, latents: Tensor) -> Tensor:
        return super().decode_latents(latents.to(self.pipe.vae.dtype))


def unpad_rows(embeddings: Tensor, added: dict[str, Tensor]) -> list[Tensor]:
    """(batch, tokens, width) -> [(tokens, width)] without padding."""
    mask = added.get("mask")
    return list(embeddings) if mask is None else [row[keep] for row, keep in zip(embeddings, mask, strict=True)]
