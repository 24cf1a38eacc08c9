"""FLUX.2 dev and Klein (Black Forest Labs 2025, 2026): text, then pixels; latents are patches already.

The prompt is what a language model makes of a chat template at three of its layers, padded to one length: Mistral in
dev, Qwen3 in Klein. In dev the guidance scale is an input of the model, and there is no negative prompt; the
step-distilled Klein models ignore the scale.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from diffusers.pipelines.flux2.pipeline_flux2_klein import compute_empirical_mu
from torch import Tensor

from guidance.backbones.transformer import TransformerBackbone, expand_timestep


@dataclass(frozen=True, eq=False)
class Flux2Backbone(TransformerBackbone):
    """A diffusers Flux2KleinPipeline, or the Flux2Pipeline of dev."""

    pipeline: ClassVar[str] = "Flux2KleinPipeline"

    def check(self) -> None:
        if not self._is_dev:
            super().check()

    @property
    def _is_dev(self) -> bool:
        return any(kind.__name__ == "Flux2Pipeline" for kind in type(self.pipe).__mro__)

    @property
    def _is_step_distilled(self) -> bool:
        return bool(self.pipe.config.get("is_distilled"))

    @property
    def own_defaults(self) -> tuple[int, float]:
        return (4, 1.0) if self._is_step_distilled else (50, 4.0)

    def is_guided(self, negative_prompt: str | Sequence[str] | None, guidance_scale: float) -> bool:
        return guidance_scale > 1 and not self._is_dev and not self._is_step_distilled

    def reads_scale(self, negative_prompt: str | Sequence[str] | None, guidance_scale: float) -> bool:
        return not self._is_step_distilled

    def encode_negative(self, texts: list[str], tokens: int) -> tuple[Tensor, dict[str, Tensor]]:
        device = self.pipe._execution_device
        negative, _ = self.pipe.encode_prompt(texts, device=device, max_sequence_length=tokens)
        return negative, {}

    def embed_scale(self, count: int, scale: float) -> dict[str, Tensor]:
        if not self._is_dev:
            return {}
        return {"guidance": torch.full([count], scale, dtype=torch.float32, device=self.pipe._execution_device)}

    def shift(self, scheduler: Any, steps: int, pixels: int) -> float:
        return float(compute_empirical_mu(image_seq_len=pixels, num_steps=steps))

    def latent_shape(self, batch: int, size: tuple[int, int]) -> tuple[int, int, int, int]:
        factor = 2 * self.pipe.vae_scale_factor
        return batch, self.latent_channels, size[0] // factor, size[1] // factor

    def predict_raw(
        self, inputs: Tensor, timestep: Tensor | float, embeddings: Tensor, added: dict[str, Tensor]
    ) -> Tensor:
        h, w = inputs.shape[-2:]
        velocity: Tensor = self.denoiser(
            hidden_states=inputs.flatten(2).transpose(1, 2).to(self.denoiser.dtype),
            timestep=expand_timestep(timestep, inputs) / 1000,
            guidance=added.get("guidance"),
            encoder_hidden_states=embeddings,
            txt_ids=self.pipe._prepare_text_ids(embeddings).to(inputs.device),
            img_ids=self.pipe._prepare_latent_ids(inputs).to(inputs.device),
            return_dict=False,
        )[0]
        return velocity.transpose(1, 2).unflatten(2, (h, w))

    def standardize(self, latents: Tensor) -> Tensor:
        mean, deviation = self._statistics(latents)
        return (self.patchify(latents) - mean) / deviation

    def patchify(self, latents: Tensor) -> Tensor:
        patches: Tensor = self.pipe._patchify_latents(latents)
        return patches

    def _statistics(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """(mean, standard deviation) of the VAE's batch norm, each (1, channels, 1, 1)."""
        vae = self.pipe.vae
        variance = vae.bn.running_var.view(1, -1, 1, 1) + vae.config.batch_norm_eps
        return vae.bn.running_mean.view(1, -1, 1, 1).to(latents), variance.sqrt().to(latents)

    def decode_latents(self, latents: Tensor) -> Tensor:
        vae = self.pipe.vae
        mean, deviation = self._statistics(latents)
        latents = latents * deviation + mean
        pixels: Tensor = vae.decode(self.pipe._unpatchify_latents(latents).to(vae.device), return_dict=False)[0]
        return pixels
