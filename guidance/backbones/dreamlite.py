"""DreamLite (ByteDance 2026): a small UNet on a picture twice as wide, whose right half is a picture to edit, or empty.

Its pixels read the prompt in layers of their own (`attn2`), so that energies run as on Stable Diffusion; boxes are
those of the left half. Schedules are rectified flow; the prompt is Qwen3-VL's on a chat template.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from diffusers.utils.torch_utils import randn_tensor
from PIL.Image import Image
from torch import Tensor

from guidance.backbones.base import Conditioning, seed_generators
from guidance.backbones.transformer import even_sigmas, pad_rows, repeat_negative, shift_by_pixels
from guidance.backbones.unet import UNetBackbone
from guidance.interfaces import PromptEmbeds, SchedulerMixin
from guidance.regions import Region


@dataclass(frozen=True, eq=False)
class DreamLiteBackbone(UNetBackbone):
    """A diffusers DreamLitePipeline that draws from text."""

    @property
    def is_xl(self) -> bool:
        return False

    @property
    def own_defaults(self) -> tuple[int, float]:
        return 30, 3.5

    def is_guided(self, negative_prompt: str | Sequence[str] | None, guidance_scale: float) -> bool:
        return guidance_scale != 1

    @torch.no_grad()
    def prepare_conditioning(
        self,
        prompts: Sequence[PromptEmbeds],
        negative_prompt: str | Sequence[str] | None,
        guidance_scale: float,
        size: tuple[int, int],
    ) -> Conditioning:
        """Both halves are padded to one length."""
        pipe: Any = self.pipe
        device, count = pipe._execution_device, len(prompts)
        rows = [prompt.embeddings.to(device) for prompt in prompts]
        guided = self.is_guided(negative_prompt, guidance_scale)
        if guided:
            negatives, kept = pipe.encode_prompt(
                mode="generate",
                prompts=repeat_negative(negative_prompt, count),
                device=device,
                dtype=rows[0].dtype,
                max_sequence_length=200,
            )
            rows += [row[keep.bool()][None] for row, keep in zip(negatives, kept, strict=True)]
        embeddings, mask = pad_rows(rows)
        mask = torch.ones(embeddings.shape[:2], device=device, dtype=torch.bool) if mask is None else mask
        height, width = size
        times = torch.tensor([[width, height]], device=device, dtype=embeddings.dtype).repeat(count, 1)
        added = {"mask": mask[:count].long(), "time_ids": times}
        if not guided:
            return Conditioning(embeddings, None, added)
        negative_added = {"mask": mask[count:].long(), "time_ids": times}
        return Conditioning(embeddings[:count], embeddings[count:], added, negative_added, guidance_scale)

    def make_scheduler(self, num_inference_steps: int, size: tuple[int, int] | None = None) -> SchedulerMixin:
        height, width = size or self.resolve_size(None, None)
        pixels = (height // self.pipe.vae_scale_factor) * (width // self.pipe.vae_scale_factor) // 4
        scheduler = type(self.pipe.scheduler).from_config(self.pipe.scheduler.config)
        mu = shift_by_pixels(scheduler, pixels, 1.16)
        scheduler.set_timesteps(sigmas=even_sigmas(num_inference_steps), mu=mu)
        return scheduler

    def prepare_latents(
        self, scheduler: SchedulerMixin, conditioning: Conditioning, seeds: Sequence[int], size: tuple[int, int]
    ) -> tuple[Tensor, dict[str, Any]]:
        factor = self.pipe.vae_scale_factor
        shape = (len(seeds), self.pipe.vae.config.latent_channels, size[0] // factor, size[1] // factor)
        device, dtype = self.pipe._execution_device, conditioning.positive.dtype
        return randn_tensor(shape, generator=seed_generators(seeds), device=device, dtype=dtype), {}

    def resolve_size(self, height: int | None, width: int | None) -> tuple[int, int]:
        own = self.pipe.default_sample_size * self.pipe.vae_scale_factor  # type: ignore[attr-defined]
        return super().resolve_size(height or own, width or own)

    def scale_inputs(self, scheduler: SchedulerMixin, latents: Tensor, timestep: Tensor | float) -> Tensor:
        return latents

    def predict_noise(
        self, scheduler: SchedulerMixin, latents: Tensor, timestep: Tensor | float, conditioning: Conditioning
    ) -> Tensor:
        return self.predict_in_one_pass(latents, timestep, conditioning)

    def predict_raw(
        self, inputs: Tensor, timestep: Tensor | float, embeddings: Tensor, added: dict[str, Tensor]
    ) -> Tensor:
        velocity: Tensor = self.unet(
            torch.cat([inputs, torch.zeros_like(inputs)], dim=3),
            timestep=torch.as_tensor(timestep, device=inputs.device).expand(len(inputs)).to(inputs.dtype),
            encoder_hidden_states=embeddings,
            encoder_attention_mask=added["mask"],
            added_cond_kwargs={"time_ids": added["time_ids"]},
            return_dict=False,
        )[0]
        return velocity[..., : inputs.shape[-1]]

    def map_regions(self, regions: Sequence[Region]) -> list[Region]:
        return [
            replace(region, box=(region.box[0] / 2, region.box[1], region.box[2] / 2, region.box[3]))
            for region in regions
        ]

    def map_aspect(self, size: tuple[int, int]) -> float:
        return 2 * size[1] / size[0]

    @torch.no_grad()
    def decode(self, latents: Tensor, generators: Any = None) -> list[Image]:
        vae = self.pipe.vae
        shift = getattr(vae.config, "shift_factor", 0.0) or 0.0
        pixels = vae.decode(latents / vae.config.scaling_factor + shift, return_dict=False)[0]
        images: list[Image] = self.pipe.image_processor.postprocess(pixels, output_type="pil")
        self.pipe.maybe_free_model_hooks()
        return images
