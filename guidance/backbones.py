"""Stable Diffusion 1, 2 and XL behind one meaning; every foreign quirk lives here and nowhere else.

A `Backbone` wraps a diffusers pipeline that is passed in (or a subclass, such as one with ears) and leaves nothing on
it. Quirks: what a prompt is (XL is told the picture's size and a pooled output besides), the order of rows under
classifier-free guidance (without the prompt first), what a scheduler's latents are scaled by, how they are decoded.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor

from guidance.attention import cross_attention_layers
from guidance.errors import GuidanceError


class PromptEmbeds(Protocol):
    """What a prompt has to have; `pooled` (1, features) may be None except for XL."""

    @property
    def embeddings(self) -> Tensor: ...  # (1, tokens, width)


@dataclass(frozen=True, eq=False)
class Condition:
    """What the denoiser is told, rows in the order of the prompts; `negative` is None without guidance scale."""

    positive: Tensor  # (batch, tokens, width)
    negative: Tensor | None
    added: dict[str, Tensor] = field(default_factory=dict)  # XL: (batch, ...)
    negative_added: dict[str, Tensor] = field(default_factory=dict)
    scale: float = 1.0


@dataclass(frozen=True, eq=False)
class Backbone:
    """A diffusers StableDiffusionPipeline or StableDiffusionXLPipeline."""

    pipe: Any

    @classmethod
    def of(cls, pipe: Any) -> "Backbone":
        """`pipe` is a pipeline, or already a backbone."""
        if isinstance(pipe, cls):
            return pipe
        if getattr(pipe, "unet", None) is None or not hasattr(pipe.unet, "attn_processors"):
            raise GuidanceError(f"Got a {type(pipe).__name__}, want a pipeline with a UNet; Stable Diffusion 1, 2, XL.")
        if pipe.unet.config.time_cond_proj_dim is not None:
            raise GuidanceError("The UNet is told the guidance scale (LCM), which is not supported; use another one.")
        if pipe.unet.config.encoder_hid_dim_type is not None:
            raise GuidanceError("The UNet reads pictures too (IP-Adapter), which is not supported; unload the adapter.")
        return cls(pipe)

    @property
    def unet(self) -> Any:
        return self.pipe.unet

    @property
    def is_xl(self) -> bool:
        return hasattr(self.pipe, "text_encoder_2")

    @property
    def defaults(self) -> tuple[int, float]:
        """Steps and guidance scale that the checkpoint was tuned for."""
        config = self.pipe.config
        return config.get("default_steps", 50), config.get("default_guidance", 5.0 if self.is_xl else 7.5)

    @cached_property
    def cross_layers(self) -> tuple[str, ...]:
        return cross_attention_layers(self.unet)

    def layers(self, which: str | Sequence[str]) -> tuple[str, ...]:
        """Names of layers, or names as they are.

        "published" is the mid block and the first upward block that attends (Chen et al. 2023), "first" that upward
        block alone, "last" the first layer of the last such block, "down" the last downward block that attends,
        "early" the last two of these (half and a quarter as fine as all of Stable Diffusion 1's), "all" all.
        """
        if not isinstance(which, str):
            return tuple(which)
        blocks = list(dict.fromkeys(_block(name) for name in self.cross_layers))
        up = [block for block in blocks if block.startswith("up")]
        if which == "all":
            return self.cross_layers
        if which == "last":
            return tuple(name for name in self.cross_layers if _block(name) == up[-1])[:1]
        down = [block for block in blocks if block.startswith("down")]
        known = {"published": [up[0], "mid_block"], "first": up[:1], "down": down[-1:], "early": down[-2:]}
        if which not in known:
            raise GuidanceError(f"Got the layers {which!r}, want {', '.join(known)}, last, all, or names; change it.")
        chosen = known[which]
        return tuple(name for name in self.cross_layers if _block(name) in chosen)

    @torch.no_grad()
    def condition(
        self, prompts: Sequence[Any], negative: str | Sequence[str] | None, scale: float, size: tuple[int, int]
    ) -> Condition:
        """Prompts (with `.embeddings`, and `.pooled` for XL) and what to avoid, as the denoiser is told them.

        `size` is (height, width) of the picture in pixels.
        """
        embeddings = torch.cat([prompt.embeddings for prompt in prompts])
        count, guided = len(embeddings), scale > 1
        avoid = [negative] * count if isinstance(negative, str) else negative
        device = self.pipe._execution_device
        if not self.is_xl:
            positive, blank = self.pipe.encode_prompt(None, device, 1, guided, avoid, prompt_embeds=embeddings)
            return Condition(positive, blank if guided else None, scale=scale)
        positive, blank, pooled, blank_pooled = self.pipe.encode_prompt(
            None,
            device=device,
            do_classifier_free_guidance=guided,
            negative_prompt=avoid,
            prompt_embeds=embeddings,
            pooled_prompt_embeds=torch.cat([prompt.pooled for prompt in prompts]),
        )
        times = self._time_ids(size, positive.dtype, pooled.shape[-1]).to(device).repeat(count, 1)
        added = {"text_embeds": pooled.to(device), "time_ids": times}
        if not guided:
            return Condition(positive.to(device), None, added, scale=scale)
        avoided = {"text_embeds": blank_pooled.to(device), "time_ids": times}
        return Condition(positive.to(device), blank.to(device), added, avoided, scale)

    def _time_ids(self, size: tuple[int, int], dtype: Any, width: int) -> Tensor:
        """(1, 6): as large as it is, uncropped."""
        projected = width if self.pipe.text_encoder_2 is None else self.pipe.text_encoder_2.config.projection_dim
        return self.pipe._get_add_time_ids(size, (0, 0), size, dtype, text_encoder_projection_dim=projected)

    def scheduler(self, steps: int) -> Any:
        """A fresh one with its timesteps set; the pipeline's own keeps its state."""
        scheduler = type(self.pipe.scheduler).from_config(self.pipe.scheduler.config)
        scheduler.set_timesteps(steps, device=self.pipe._execution_device)
        return scheduler

    def start(self, scheduler: Any, condition: Condition, seeds: Sequence[int], size: tuple[int, int]) -> Any:
        """(latents (batch, channels, h, w), generators): drawn on the CPU, so that every device draws the same."""
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        held, self.pipe.scheduler = self.pipe.scheduler, scheduler  # `prepare_latents` asks it for the first scale
        try:
            latents = self.pipe.prepare_latents(
                len(seeds),
                self.unet.config.in_channels,
                *size,
                condition.positive.dtype,
                self.pipe._execution_device,
                generators,
                None,
            )
            return latents, self.pipe.prepare_extra_step_kwargs(generators, 0.0)
        finally:
            self.pipe.scheduler = held

    def size(self, height: int | None, width: int | None) -> tuple[int, int]:
        """(height, width) in pixels, the model's own where not given."""
        side = self.unet.config.sample_size
        own = (side, side) if isinstance(side, int) else tuple(side)
        factor = self.pipe.vae_scale_factor
        size = height or own[0] * factor, width or own[1] * factor
        if size[0] % factor or size[1] % factor:
            raise GuidanceError(f"Got a picture of {size[0]} x {size[1]}, want multiples of {factor}; change it.")
        return size

    def predict_noise(self, scheduler: Any, latents: Tensor, timestep: Any, condition: Condition) -> Tensor:
        """What the denoiser says, with classifier-free guidance (Ho & Salimans 2022), as diffusers computes it."""
        if condition.negative is None:
            inputs = scheduler.scale_model_input(latents, timestep)
            return self.predict_raw(inputs, timestep, condition.positive, condition.added)
        inputs = scheduler.scale_model_input(torch.cat([latents] * 2), timestep)
        both = torch.cat([condition.negative, condition.positive])
        added = {k: torch.cat([condition.negative_added[k], v]) for k, v in condition.added.items()}
        without, told = self.predict_raw(inputs, timestep, both, added).chunk(2)
        return without + condition.scale * (told - without)

    def predict_raw(self, inputs: Tensor, timestep: Any, embeddings: Tensor, added: dict[str, Tensor]) -> Tensor:
        """One forward of the denoiser; `inputs` are scaled already."""
        return self.unet(
            inputs,
            timestep,
            encoder_hidden_states=embeddings,
            added_cond_kwargs=added or None,
            return_dict=False,
        )[0]

    @torch.no_grad()
    def decode(self, latents: Tensor, generators: Any = None) -> list[Any]:
        """Latents -> pictures, checked and marked as the pipeline does."""
        images = self._decode_xl(latents) if self.is_xl else self._decode(latents, generators)
        self.pipe.maybe_free_model_hooks()  # of CPU offload
        return images

    def _decode(self, latents: Tensor, generators: Any) -> list[Any]:
        vae, pipe = self.pipe.vae, self.pipe
        pixels = vae.decode(latents / vae.config.scaling_factor, return_dict=False, generator=generators)[0]
        pixels, bad = pipe.run_safety_checker(pixels, pixels.device, latents.dtype)
        fine = [True] * len(pixels) if bad is None else [not each for each in bad]
        return pipe.image_processor.postprocess(pixels, output_type="pil", do_denormalize=fine)

    def _decode_xl(self, latents: Tensor) -> list[Any]:
        """Its VAE overflows in float16 and is widened for the time being; it may have means of its own."""
        vae, pipe = self.pipe.vae, self.pipe
        widened = vae.dtype == torch.float16 and vae.config.force_upcast
        if widened:
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
        if widened:
            vae.to(dtype=torch.float16)
        if getattr(pipe, "watermark", None) is not None:
            pixels = pipe.watermark.apply_watermark(pixels)
        return pipe.image_processor.postprocess(pixels, output_type="pil")


def _block(layer: str) -> str:
    """ "up_blocks.1" of "up_blocks.1.attentions.0..."."""
    parts = layer.split(".")
    return parts[0] if parts[0] == "mid_block" else ".".join(parts[:2])
