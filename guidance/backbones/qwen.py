"""Qwen-Image (Wu et al. 2025, arXiv 2508.02324): text, then pixels; prompts of a batch differ in length.

The prompt is the last layer of Qwen2.5-VL on a chat template, whose first 34 tokens are dropped: positions count from
there. The processors refuse an attention mask. Predictions under classifier-free guidance keep the norm of the
conditional one, for each pixel.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from guidance.backbones.transformer import (
    TransformerBackbone,
    even_sigmas,
    expand_timestep,
    pack,
    shift_by_pixels,
    unpack,
)


@dataclass(frozen=True, eq=False)
class QwenImageBackbone(TransformerBackbone):
    """A diffusers QwenImagePipeline."""

    pipeline: ClassVar[str] = "QwenImagePipeline"
    packs: ClassVar[bool] = True

    @property
    def own_defaults(self) -> tuple[int, float]:
        return 50, 4.0

    def encode_negative(self, texts: list[str], tokens: int) -> tuple[Tensor, dict[str, Tensor]]:
        spaces = [text or " " for text in texts]
        negative, mask = self.pipe.encode_prompt(spaces, device=self.pipe._execution_device)
        return negative, {} if mask is None else {"mask": mask}

    def schedule_options(self, scheduler: Any, steps: int, pixels: int) -> dict[str, Any]:
        return {"sigmas": even_sigmas(steps), "mu": shift_by_pixels(scheduler, pixels)}

    def predict_raw(
        self, inputs: Tensor, timestep: Tensor | float, embeddings: Tensor, added: dict[str, Tensor]
    ) -> Tensor:
        h, w = inputs.shape[-2:]
        velocity: Tensor = self.denoiser(
            hidden_states=pack(inputs),
            timestep=expand_timestep(timestep, inputs) / 1000,
            encoder_hidden_states=embeddings,
            encoder_hidden_states_mask=added.get("mask"),
            img_shapes=[[(1, h // 2, w // 2)]] * len(inputs),
            return_dict=False,
        )[0]
        return unpack(velocity, h, w)

    def combine(self, conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
        h, w = conditional.shape[-2:]
        conditional, unconditional = pack(conditional), pack(unconditional)
        combined = unconditional + scale * (conditional - unconditional)
        norms = [torch.norm(each, dim=-1, keepdim=True) for each in (conditional, combined)]
        return unpack(combined * (norms[0] / norms[1]), h, w)

    def standardize(self, latents: Tensor) -> Tensor:
        config = self.pipe.vae.config
        mean, std = (
            torch.tensor(each).view(1, -1, 1, 1).to(latents) for each in (config.latents_mean, config.latents_std)
        )
        return (latents - mean) / std

    def decode_latents(self, latents: Tensor) -> Tensor:
        vae = self.pipe.vae
        latents = latents[:, :, None].to(vae.dtype)  # one frame
        mean, std = (
            torch.tensor(each).view(1, -1, 1, 1, 1).to(latents.device, latents.dtype)
            for each in (vae.config.latents_mean, vae.config.latents_std)
        )
        latents = latents / (1.0 / std) + mean  # divided by the inverse, as the pipeline does
        pixels: Tensor = vae.decode(latents, return_dict=False)[0][:, :, 0]
        return pixels
