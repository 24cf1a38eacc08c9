"""What the transformer families share: one sequence of text and pixels, flow matching, latents drawn as one batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers.utils.torch_utils import randn_tensor
from PIL.Image import Image
from torch import Tensor

from guidance.backbones.base import OR_LAYOUT, Backbone, Conditioning, JointSequence, seed_generators
from guidance.errors import GuidanceError
from guidance.interfaces import PromptEmbeds, SchedulerMixin


@dataclass(frozen=True, eq=False)
class TransformerBackbone(Backbone):
    """A diffusers pipeline whose denoiser is a transformer over patches of 2 x 2 latents."""

    pipeline: ClassVar[str]  # the diffusers pipeline of the family that draws from text alone
    packs: ClassVar[bool] = False  # whether the denoiser reads 2 x 2 latents as the channels of one

    def check(self) -> None:
        """GuidanceError for pipelines with this transformer that also read pictures, or read the text otherwise."""
        names = [kind.__name__ for kind in type(self.pipe).__mro__]
        if self.pipeline not in names:
            raise GuidanceError(
                f"Got the pipeline {names[0]}, expected {self.pipeline}, which has the same transformer and draws from "
                f"text alone; use that{OR_LAYOUT}."
            )

    @property
    def denoiser(self) -> Any:
        return self.pipe.transformer

    @property
    def patch(self) -> int:
        """Latents along one side of a pixel of attention."""
        return 2

    @property
    def latent_channels(self) -> int:
        """Channels of the latents that the scheduler steps."""
        return int(self.denoiser.config.in_channels) // (self.patch**2 if self.packs else 1)

    @property
    def own_side(self) -> int:
        """Latents along one side of the model's own pictures."""
        return int(self.pipe.default_sample_size)

    @torch.no_grad()
    def prepare_conditioning(
        self,
        prompts: Sequence[PromptEmbeds],
        negative_prompt: str | Sequence[str] | None,
        guidance_scale: float,
        size: tuple[int, int],
    ) -> Conditioning:
        guided = self.is_guided(negative_prompt, guidance_scale)
        scale = self.embed_scale(len(prompts), 1.0 if guided else guidance_scale)
        positive, added = self.join_prompts(prompts)
        if not guided:
            return Conditioning(positive, None, added | scale)
        negatives = repeat_negative(negative_prompt, len(prompts))
        negative, negative_added = self.encode_negative(negatives, positive.shape[1])
        return Conditioning(positive, negative, added | scale, negative_added | scale, guidance_scale)

    def join_prompts(self, prompts: Sequence[PromptEmbeds]) -> tuple[Tensor, dict[str, Tensor]]:
        """(embeddings (batch, tokens, width), what the denoiser reads beside them)."""
        return pad_prompts([prompt.embeddings.to(self.pipe._execution_device) for prompt in prompts])

    def encode_negative(self, texts: list[str], tokens: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The same of negative prompts; `tokens`: the length of the prompts."""
        raise NotImplementedError

    def embed_scale(self, count: int, scale: float) -> dict[str, Tensor]:
        """What a model that was distilled from classifier-free guidance reads of its scale, of `count` rows."""
        return {}

    def resolve_size(self, height: int | None, width: int | None) -> tuple[int, int]:
        factor = self.pipe.vae_scale_factor * self.patch
        own = self.own_side * self.pipe.vae_scale_factor
        size = height or own, width or own
        if size[0] % factor or size[1] % factor:
            raise GuidanceError(
                f"Got height={size[0]} and width={size[1]}, expected multiples of {factor}; change them."
            )
        return size

    def count_pixels(self, size: tuple[int, int]) -> int:
        factor = self.pipe.vae_scale_factor * self.patch
        return (size[0] // factor) * (size[1] // factor)

    def make_scheduler(self, num_inference_steps: int, size: tuple[int, int] | None = None) -> SchedulerMixin:
        pixels = self.count_pixels(size or self.resolve_size(None, None))
        scheduler = type(self.pipe.scheduler).from_config(self.pipe.scheduler.config)
        options = self.schedule_options(scheduler, num_inference_steps, pixels)
        scheduler.set_timesteps(**options)
        scheduler.set_begin_index(0)
        return scheduler

    def schedule_options(self, scheduler: Any, steps: int, pixels: int) -> dict[str, Any]:
        """Keyword arguments of `set_timesteps`: even noise levels, shifted by the number of pixels."""
        own = getattr(scheduler.config, "use_flow_sigmas", False)
        levels = {"num_inference_steps": steps} if own else {"sigmas": even_sigmas(steps)}
        return levels | {"mu": self.shift(scheduler, steps, pixels)}

    def shift(self, scheduler: Any, steps: int, pixels: int) -> float:
        """mu, the shift of the noise levels."""
        return shift_by_pixels(scheduler, pixels)

    def prepare_latents(
        self, scheduler: SchedulerMixin, conditioning: Conditioning, seeds: Sequence[int], size: tuple[int, int]
    ) -> tuple[Tensor, dict[str, Any]]:
        shape = self.latent_shape(len(seeds), size)
        device, dtype = self.pipe._execution_device, self.latent_dtype(conditioning)
        return randn_tensor(shape, generator=seed_generators(seeds), device=device, dtype=dtype), {}

    def latent_shape(self, batch: int, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """(batch, channels, h, w)"""
        factor = self.pipe.vae_scale_factor
        return batch, self.latent_channels, size[0] // factor, size[1] // factor

    def latent_dtype(self, conditioning: Conditioning) -> torch.dtype:
        return conditioning.positive.dtype

    def predict_noise(
        self, scheduler: SchedulerMixin, latents: Tensor, timestep: Tensor | float, conditioning: Conditioning
    ) -> Tensor:
        conditional = self.predict_raw(latents, timestep, conditioning.positive, conditioning.added)
        if conditioning.negative is None:
            return conditional
        unconditional = self.predict_raw(latents, timestep, conditioning.negative, conditioning.negative_added)
        return self.combine(conditional, unconditional, conditioning.guidance_scale)

    def attention_layers(self) -> Iterator[tuple[str, Any, str]]:
        for name, module in self.denoiser.named_modules():
            if name.endswith(".attn") and getattr(module, "processor", None) is not None:
                yield name, module, "joint"

    def locate(self, conditioning: Conditioning, pixels: int) -> JointSequence:
        """Text, then pixels, as in most families."""
        tokens = conditioning.positive.shape[1]
        return JointSequence(text=0, pixels=tokens, length=tokens + pixels)

    @torch.no_grad()
    def decode(self, latents: Tensor, generators: Any = None) -> list[Image]:
        pixels = self.decode_latents(latents)
        images: list[Image] = self.pipe.image_processor.postprocess(pixels, output_type="pil")
        self.pipe.maybe_free_model_hooks()  # of CPU offload
        return images

    def standardize(self, latents: Tensor) -> Tensor:
        """Latents as the VAE samples them -> those that the scheduler steps, of about unit variance."""
        config = self.pipe.vae.config
        return (latents - (config.shift_factor or 0.0)) * config.scaling_factor

    def patchify(self, latents: Tensor) -> Tensor:
        """The VAE's (batch, channels, h, w) in the shape of the latents that the scheduler steps."""
        return latents

    def decode_latents(self, latents: Tensor) -> Tensor:
        """(batch, 3, height, width) in [-1, 1]."""
        vae = self.pipe.vae
        latents = latents / vae.config.scaling_factor + vae.config.shift_factor
        pixels: Tensor = vae.decode(latents.to(vae.device), return_dict=False)[0]
        return pixels


def even_sigmas(steps: int) -> np.ndarray:
    """(steps,) noise levels from 1 down to 1 / steps, as the pipelines pass them."""
    return np.linspace(1.0, 1 / steps, steps)


def shift_by_pixels(scheduler: Any, pixels: int, most: float = 1.15) -> float:
    """mu: more noise for more pixels (Esser et al. 2024, arXiv 2403.03206, sec. 5.3.2), as in diffusers.

    A straight line through `base_shift` at `base_image_seq_len` and `max_shift` at `max_image_seq_len`.
    """
    config = scheduler.config
    low, high = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    least, most = config.get("base_shift", 0.5), config.get("max_shift", most)
    slope = (most - least) / (high - low)
    return float(pixels * slope + (least - slope * low))


def repeat_negative(negative_prompt: str | Sequence[str] | None, count: int) -> list[str]:
    """One negative prompt for each row; empty ones where none is given."""
    if negative_prompt is None or isinstance(negative_prompt, str):
        return [negative_prompt or ""] * count
    return list(negative_prompt)


def pad_rows(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
    """[(1, tokens, width)] -> (batch, tokens, width) padded with zeros, and which are tokens (None: all)."""
    lengths = torch.tensor([row.shape[1] for row in rows])
    longest = int(lengths.max())
    batch = torch.cat([torch.nn.functional.pad(row, (0, 0, 0, longest - row.shape[1])) for row in rows])
    mask = torch.arange(longest)[None] < lengths[:, None]  # (batch, tokens)
    return batch, None if bool(mask.all()) else mask.to(batch.device)


def pad_prompts(rows: Sequence[Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """`pad_rows` as (embeddings, {"mask": which are tokens} or nothing if all are)."""
    batch, mask = pad_rows(rows)
    return batch, {} if mask is None else {"mask": mask}


def expand_timestep(timestep: Tensor | float, latents: Tensor) -> Tensor:
    """(batch,) of the latents' dtype, in [0, 1000]."""
    return torch.as_tensor(timestep, device=latents.device).expand(len(latents)).to(latents.dtype)


def pack(latents: Tensor) -> Tensor:
    """(batch, channels, h, w) -> (batch, h / 2 * w / 2, 4 * channels): patches of 2 x 2, row by row."""
    patches = latents.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))  # (batch, channels, h / 2, 2, w / 2, 2)
    return patches.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


def unpack(patches: Tensor, h: int, w: int) -> Tensor:
    """The inverse of `pack`: (batch, channels, h, w)."""
    grid = patches.unflatten(1, (h // 2, w // 2)).unflatten(3, (-1, 2, 2))
    return grid.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)
