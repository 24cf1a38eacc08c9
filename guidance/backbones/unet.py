"""Stable Diffusion 1, 2 and XL: a UNet whose pixels read the prompt in layers of their own (`attn2`).

XL also takes the picture's size and a pooled output. Rows under classifier-free guidance are unconditional first.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from PIL.Image import Image
from torch import Tensor

from guidance.attention import cross_attention_layers
from guidance.backbones.base import Backbone, Conditioning, seed_generators
from guidance.errors import GuidanceError
from guidance.interfaces import DiffusionPipelineLike, PromptEmbeds, SchedulerMixin, UNet2DConditionModel
from guidance.short_pass import end_after

SHORTENED = ("UNet2DConditionModel",)
EARLY = 2  # layers of a block whose maps say enough of where a word will be


@dataclass(frozen=True, eq=False)
class UNetBackbone(Backbone):
    """A diffusers StableDiffusionPipeline or StableDiffusionXLPipeline."""

    pipe: DiffusionPipelineLike

    default_method: ClassVar[str] = "combined"
    own_boost: ClassVar[float] = 10.0  # tuned on the mini checkpoint (experiments/benchmarks/placement.py)
    has_cross_attention: ClassVar[bool] = True

    def check(self) -> None:
        if self.unet.config.time_cond_proj_dim is not None:
            raise GuidanceError(
                "Got a UNet that takes the guidance scale as an input (LCM), which is not supported; use another model."
            )
        if self.unet.config.encoder_hid_dim_type is not None:
            raise GuidanceError(
                "Got a UNet that also reads pictures (IP-Adapter), which is not supported; unload the adapter."
            )

    @property
    def denoiser(self) -> UNet2DConditionModel:
        return self.unet

    @property
    def unet(self) -> UNet2DConditionModel:
        return self.pipe.unet

    @property
    def is_xl(self) -> bool:
        return hasattr(self.pipe, "text_encoder_2")

    @property
    def own_defaults(self) -> tuple[int, float]:
        return 50, 5.0 if self.is_xl else 7.5

    @cached_property
    def cross_attention_layers(self) -> tuple[str, ...]:
        return cross_attention_layers(self.unet)

    def select_layers(self, which: str | Sequence[str]) -> tuple[str, ...]:
        """Names of cross-attention layers, by a keyword or by their own names.

        "published" selects the mid block and the first upward block with cross-attention (Chen et al. 2023), "first"
        that upward block alone, "last" the first layer of the last upward block, "down" the last downward block with
        cross-attention, "early" the first two layers of each of the last two of these (a half and a quarter of the
        resolution of Stable Diffusion's latents; XL has up to 20 in a block, where 1 has two), "all" every layer. "own"
        are those whose names begin with one of the words of the model's `guidance_layers`, such as "up_blocks.1
        up_blocks.2", and "early" where the model has none.
        """
        if not isinstance(which, str):
            return tuple(which)
        names = self.cross_attention_layers
        if which == "own":
            own = tuple(f"{name}." for name in (self.pipe.config.get("guidance_layers") or "").split())
            found = tuple(name for name in names if name.startswith(own)) if own else ()
            return found or self.select_layers("early")
        blocks = list(dict.fromkeys(_block_name(name) for name in names))
        up = [block for block in blocks if block.startswith("up")]
        if which == "all":
            return names
        if which == "last":
            return tuple(name for name in names if _block_name(name) == up[-1])[:1]
        down = [block for block in blocks if block.startswith("down")]
        if which == "early":
            of_blocks = ([name for name in names if _block_name(name) == block] for block in down[-2:])
            return tuple(name for layers in of_blocks for name in layers[:EARLY])
        known = {"published": [up[0], "mid_block"], "first": up[:1], "down": down[-1:]}
        if which not in known:
            expected = f"{', '.join(known)}, early, last, own, all, or names of layers"
            raise GuidanceError(f"Got the layers {which!r}, expected {expected}; change it.")
        return tuple(name for name in names if _block_name(name) in known[which])

    @torch.no_grad()
    def prepare_conditioning(
        self,
        prompts: Sequence[PromptEmbeds],
        negative_prompt: str | Sequence[str] | None,
        guidance_scale: float,
        size: tuple[int, int],
    ) -> Conditioning:
        embeddings = torch.cat([prompt.embeddings for prompt in prompts])
        count, guided = len(embeddings), self.is_guided(negative_prompt, guidance_scale)
        negatives = [negative_prompt] * count if isinstance(negative_prompt, str) else negative_prompt
        device = self.pipe._execution_device
        if not self.is_xl:
            positive, negative = self.pipe.encode_prompt(None, device, 1, guided, negatives, prompt_embeds=embeddings)
            return Conditioning(positive, negative if guided else None, guidance_scale=guidance_scale)
        positive, negative, pooled, negative_pooled = self.pipe.encode_prompt(
            None,
            device=device,
            do_classifier_free_guidance=guided,
            negative_prompt=negatives,
            prompt_embeds=embeddings,
            pooled_prompt_embeds=torch.cat([prompt.pooled for prompt in prompts]),  # type: ignore[attr-defined]  # XL's
        )
        time_ids = self._time_ids(size, positive.dtype, pooled.shape[-1]).to(device).repeat(count, 1)
        added = {"text_embeds": pooled.to(device), "time_ids": time_ids}
        if not guided:
            return Conditioning(positive.to(device), None, added, guidance_scale=guidance_scale)
        negative_added = {"text_embeds": negative_pooled.to(device), "time_ids": time_ids}
        return Conditioning(positive.to(device), negative.to(device), added, negative_added, guidance_scale)

    def _time_ids(self, size: tuple[int, int], dtype: torch.dtype, width: int) -> Tensor:
        """(1, 6): original size, crop and target size; the picture is as large as it is drawn, and not cropped."""
        pipe: Any = self.pipe  # an XL pipeline, which has more than the others
        projection = width if pipe.text_encoder_2 is None else pipe.text_encoder_2.config.projection_dim
        return pipe._get_add_time_ids(size, (0, 0), size, dtype, text_encoder_projection_dim=projection)

    def make_scheduler(self, num_inference_steps: int, size: tuple[int, int] | None = None) -> SchedulerMixin:
        scheduler = type(self.pipe.scheduler).from_config(self.pipe.scheduler.config)
        scheduler.set_timesteps(num_inference_steps)
        scheduler.scale_model_input(torch.zeros(()), scheduler.timesteps[0])  # some look for the first step only here
        return scheduler

    def prepare_latents(
        self, scheduler: SchedulerMixin, conditioning: Conditioning, seeds: Sequence[int], size: tuple[int, int]
    ) -> tuple[Tensor, dict[str, Any]]:
        generators = seed_generators(seeds)
        pipe: Any = self.pipe  # whose scheduler is replaced, because `prepare_latents` reads its initial scale
        own, pipe.scheduler = pipe.scheduler, scheduler
        try:
            latents = self.pipe.prepare_latents(
                len(seeds),
                self.unet.config.in_channels,
                *size,
                conditioning.positive.dtype,
                self.pipe._execution_device,
                generators,
                None,
            )
            return latents, self.pipe.prepare_extra_step_kwargs(generators, 0.0)
        finally:
            pipe.scheduler = own

    def resolve_size(self, height: int | None, width: int | None) -> tuple[int, int]:
        side = self.unet.config.sample_size
        own = (side, side) if isinstance(side, int) else tuple(side)
        factor = self.pipe.vae_scale_factor
        size = height or own[0] * factor, width or own[1] * factor
        if size[0] % factor or size[1] % factor:
            raise GuidanceError(
                f"Got height={size[0]} and width={size[1]}, expected multiples of {factor}; change them."
            )
        return size

    def predict_noise(
        self, scheduler: SchedulerMixin, latents: Tensor, timestep: Tensor | float, conditioning: Conditioning
    ) -> Tensor:
        if conditioning.negative is None:
            inputs = scheduler.scale_model_input(latents, timestep)
            return self.predict_raw(inputs, timestep, conditioning.positive, conditioning.added)
        inputs = scheduler.scale_model_input(torch.cat([latents] * 2), timestep)
        embeddings = torch.cat([conditioning.negative, conditioning.positive])
        added = {k: torch.cat([conditioning.negative_added[k], v]) for k, v in conditioning.added.items()}
        unconditional, conditional = self.predict_raw(inputs, timestep, embeddings, added).chunk(2)
        return unconditional + conditioning.guidance_scale * (conditional - unconditional)

    def predict_raw(
        self, inputs: Tensor, timestep: Tensor | float, embeddings: Tensor, added: dict[str, Tensor]
    ) -> Tensor:
        return self.unet(
            inputs,
            timestep,
            encoder_hidden_states=embeddings,
            added_cond_kwargs=added or None,
            return_dict=False,
        )[0]

    def end_after(self, layer: str) -> AbstractContextManager[None]:
        """Context manager: `predict_raw` ends soon after this layer, where the family can, and its result is of no use.

        A pass that also reads another network's output, or of another kind of UNet, runs to its end.
        """
        plain = type(self).predict_raw is UNetBackbone.predict_raw and type(self.unet).__name__ in SHORTENED
        return end_after(self.unet, layer) if plain else nullcontext()

    def scale_inputs(self, scheduler: SchedulerMixin, latents: Tensor, timestep: Tensor | float) -> Tensor:
        scaled: Tensor = scheduler.scale_model_input(latents, timestep)
        return scaled

    def attention_layers(self) -> Iterator[tuple[str, Any, str]]:
        for name, module in self.unet.named_modules():
            if name.endswith((".attn1", ".attn2")) and getattr(module, "processor", None) is not None:
                yield name, module, "cross" if name.endswith("2") else "self"

    @torch.no_grad()
    def decode(self, latents: Tensor, generators: Any = None) -> list[Image]:
        """Decode latents to pictures, with the pipeline's safety checker or watermark."""
        images = self._decode_xl(latents) if self.is_xl else decode_checked(self.pipe, latents, generators)
        self.pipe.maybe_free_model_hooks()  # of CPU offload
        return images

    def _decode_xl(self, latents: Tensor) -> list[Image]:
        """XL's VAE overflows in float16 and decodes in float32; its latents may have their own mean and deviation."""
        pipe: Any = self.pipe  # an XL pipeline, which has more than the others
        vae = pipe.vae
        upcast = vae.dtype == torch.float16 and vae.config.force_upcast
        if upcast:
            vae.to(dtype=torch.float32)
        latents = latents.to(vae.dtype)
        mean, std = (getattr(vae.config, name, None) for name in ("latents_mean", "latents_std"))
        if mean is not None and std is not None:
            shape = (1, -1, 1, 1)
            latents = latents * torch.tensor(std).view(shape).to(latents) / vae.config.scaling_factor
            latents = latents + torch.tensor(mean).view(shape).to(latents)
        else:
            latents = latents / vae.config.scaling_factor
        pixels = vae.decode(latents, return_dict=False)[0]
        if upcast:
            vae.to(dtype=torch.float16)
        if getattr(pipe, "watermark", None) is not None:
            pixels = pipe.watermark.apply_watermark(pixels)
        return pipe.image_processor.postprocess(pixels, output_type="pil")


def decode_checked(pipe: Any, latents: Tensor, generators: Any = None) -> list[Image]:
    """Decode latents with a pipeline of Stable Diffusion 1 or 2; pictures that its safety checker rejects are black."""
    vae = pipe.vae
    pixels = vae.decode(latents / vae.config.scaling_factor, return_dict=False, generator=generators)[0]
    pixels, rejected = pipe.run_safety_checker(pixels, pixels.device, latents.dtype)
    denormalise = [True] * len(pixels) if rejected is None else [not each for each in rejected]
    return pipe.image_processor.postprocess(pixels, output_type="pil", do_denormalize=denormalise)


def _block_name(layer: str) -> str:
    """ "up_blocks.1" of "up_blocks.1.attentions.0..."."""
    parts = layer.split(".")
    return parts[0] if parts[0] == "mid_block" else ".".join(parts[:2])
