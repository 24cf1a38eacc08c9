"""The denoising loop."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from diffusers.utils.torch_utils import randn_tensor
from PIL.Image import Image
from torch import Tensor

from guidance.backbones import Backbone, Conditioning, UNetBackbone
from guidance.energies import Energy
from guidance.errors import GuidanceError
from guidance.interfaces import PromptEmbeds, SchedulerMixin
from guidance.methods import COMBINED, METHODS, Guidance, Method, Regional
from guidance.noise_levels import get_noise_level
from guidance.regional import RegionalAttention, attend
from guidance.regions import Region
from guidance.steering import Steering, steer
from guidance.trace import StepTrace

Regions = Sequence[Region] | Sequence[Sequence[Region]]


@dataclass(frozen=True, eq=False)
class Sample:
    """Pictures, and how they came about."""

    images: list[Image]  # one per prompt
    trace: list[StepTrace]  # one per step; empty without regions
    latents: Tensor  # (batch, channels, h, w), as decoded
    # with keep_maps, each time an energy was computed: [time][row] (regions, h, w), the mean attention of their words
    maps: list[list[Tensor]] = field(default_factory=list)

    @property
    def image(self) -> Image:
        """The first picture."""
        return self.images[0]


@torch.no_grad()
def sample(
    backbone: Any,
    prompt: PromptEmbeds | Sequence[PromptEmbeds],
    *,
    regions: Regions = (),
    energy: str | Method | Energy | None = None,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
    seed: int | Sequence[int] = 0,
    negative_prompt: str | Sequence[str] | None = None,
    height: int | None = None,
    width: int | None = None,
    callback: Callable[[int, Tensor], Tensor | None] | None = None,
    change_noise: Callable[[Tensor], Tensor] | None = None,
    keep_maps: bool = False,
) -> Sample:
    """Draw prompts with their words in the given regions; without regions, what the pipeline draws, bit for bit.

    backbone: a diffusers pipeline of a supported family, see `guidance.backbones`, or a `Backbone`. prompt: an object
    with `.embeddings` (1, tokens, width), and `.pooled` for XL, SD3 and FLUX.1; a list draws one picture for each, as
    the rows of one batch. regions: those of every prompt, or a list for each prompt; a row does not depend on the
    others. energy: "none", one of `METHODS`, a `Guidance`, a `Regional`, or a function (maps, regions, aspect) ->
    scalar, lowered with the schedule of "combined"; None is the family's own method: "combined" for a UNet, "regional"
    for a transformer. seed: one for all prompts, or one for each. num_inference_steps, guidance_scale, height and width
    (pixels): the model's own by default. callback: called after each step with (step, latents); it may return the
    latents to continue with. change_noise: takes noise, (prompts, channels, h, w), and returns what to use in its
    place: to begin with, and in each step of a stochastic scheduler that can be given noise. keep_maps: keep the
    attention of each region's words in `Sample.maps`.

    Raises GuidanceError for a model that is not supported, an unknown energy or one that the model has no layers for,
    fewer than one step, a size that the VAE cannot make, numbers of seeds or lists of regions other than that of the
    prompts, a region whose positions are not in its prompt, and latents that became NaN or infinite.
    """
    backbone = Backbone.from_pipe(backbone)
    prompts: list[PromptEmbeds] = [prompt] if isinstance(prompt, PromptEmbeds) else list(prompt)
    rows, method = _regions_per_prompt(regions, prompts), _resolve_method(energy, backbone)
    size = backbone.resolve_size(height, width)
    num_inference_steps, guidance_scale = _resolve_defaults(backbone, num_inference_steps, guidance_scale)
    conditioning = backbone.prepare_conditioning(prompts, negative_prompt, guidance_scale, size)
    scheduler = backbone.make_scheduler(num_inference_steps, size)
    seeds = _seed_per_prompt(seed, len(prompts))
    latents, step_options = backbone.prepare_latents(scheduler, conditioning, seeds, size)
    latents = latents if change_noise is None else change_noise(latents)
    with _guide(backbone, conditioning, rows, method, size, keep_maps) as steering:
        latents = denoise(backbone, scheduler, latents, conditioning, steering, step_options, callback, change_noise)
        if steering is not None:
            steering.finish()
    if not latents.isfinite().all():
        raise GuidanceError(
            "Got latents that are not finite, expected numbers; draw in float32, with fewer steps or a lower "
            "guidance_scale."
        )
    images = backbone.decode(latents, step_options.get("generator"))
    return Sample(images, steering.trace if steering else [], latents, steering.maps if steering else [])


def denoise(
    backbone: Backbone,
    scheduler: SchedulerMixin,
    latents: Tensor,
    conditioning: Conditioning,
    steering: Steering | RegionalAttention | None = None,
    step_options: Mapping[str, Any] | None = None,
    callback: Callable[[int, Tensor], Tensor | None] | None = None,
    change_noise: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """All steps of the scheduler. No value is read from the device, so that no step waits for it."""
    times = scheduler.timesteps.to(latents.device)  # for the denoiser; the scheduler computes on the CPU
    options = step_options or {}
    generators = options.get("generator")
    change = change_noise if generators is not None and _takes_noise(scheduler) else None
    for i, t in enumerate(scheduler.timesteps):
        if change is not None:
            drawn = randn_tensor(latents.shape, generators, latents.device, torch.float32)
            options = {**options, "generator": None, "variance_noise": change(drawn)}
        if steering is None:
            noise = backbone.predict_noise(scheduler, latents, times[i], conditioning)
            latents = scheduler.step(noise, t, latents, **options, return_dict=False)[0]
        else:
            level = get_noise_level(scheduler, i, times[i])
            latents = steering.update_before_step(latents, level, scheduler)
            noise = steering.predict_noise(latents, level, scheduler)
            latents = scheduler.step(noise, t, latents, **options, return_dict=False)[0]
            latents = steering.update_after_step(latents, level, get_noise_level(scheduler, i + 1))
        changed = callback(i, latents) if callback is not None else None
        latents = latents if changed is None else changed
    return latents


def _takes_noise(scheduler: SchedulerMixin) -> bool:
    """Whether a step can be given the noise that it adds; other schedulers draw it themselves."""
    return "variance_noise" in inspect.signature(scheduler.step).parameters


def _guide(
    backbone: Backbone,
    conditioning: Conditioning,
    rows: Sequence[Sequence[Region]],
    method: Method | None,
    size: tuple[int, int],
    keep_maps: bool,
) -> AbstractContextManager[Steering | RegionalAttention | None]:
    """What moves or masks at each step; None without regions or a method."""
    if not any(rows) or method is None:
        return nullcontext(None)
    if isinstance(method, Regional):
        return attend(backbone, conditioning, rows, method, size)
    mapped = [backbone.map_regions(row) for row in rows]
    return steer(UNetBackbone.from_pipe(backbone), conditioning, mapped, method, backbone.map_aspect(size), keep_maps)


def _resolve_method(energy: str | Method | Energy | None, backbone: Backbone) -> Method | None:
    """The method; None for "none". GuidanceError for one that is not known or that the family cannot run."""
    energy = backbone.default_method if energy is None else energy
    if isinstance(energy, str) and energy != "none" and energy not in METHODS:
        expected = f"one of none, {', '.join(METHODS)}, a Guidance, a Regional or a function"
        raise GuidanceError(f"Got energy={energy!r}, expected {expected}; change it.")
    if isinstance(energy, str):
        method = METHODS.get(energy)
    else:
        method = energy if isinstance(energy, Method) else replace(COMBINED, energy=energy)
    if isinstance(method, Guidance) and not backbone.has_cross_attention:
        name = f"energy={energy!r}" if isinstance(energy, str) else "an energy"
        raise GuidanceError(
            f'Got {name} for a pipeline {type(backbone.pipe).__name__}, expected "regional" or "none": energies read '
            "cross-attention layers, which only UNets have; change it."
        )
    return method


def _resolve_defaults(backbone: Backbone, steps: int | None, scale: float | None) -> tuple[int, float]:
    """Number of steps and guidance scale: those given, or the model's own."""
    own_steps, own_scale = backbone.defaults
    if steps is not None and steps < 1:
        raise GuidanceError(f"Got num_inference_steps={steps}, expected at least 1; 20 to 50 are usual.")
    return own_steps if steps is None else steps, own_scale if scale is None else scale


def _seed_per_prompt(seed: int | Sequence[int], count: int) -> list[int]:
    seeds = [seed] * count if isinstance(seed, int) else list(seed)
    if len(seeds) != count:
        raise GuidanceError(
            f"Got {len(seeds)} seeds for {count} prompts, expected as many; give one seed, or one for each prompt."
        )
    return seeds


def _regions_per_prompt(regions: Regions, prompts: Sequence[PromptEmbeds]) -> list[list[Region]]:
    if all(isinstance(region, Region) for region in regions):
        rows: list[list[Region]] = [list(regions)] * len(prompts)  # type: ignore[arg-type]
    elif len(regions) == len(prompts):
        rows = [list(each) for each in regions]  # type: ignore[arg-type]
    else:
        raise GuidanceError(
            f"Got regions for {len(regions)} prompts, expected them for {len(prompts)}; give one list for each prompt."
        )
    for prompt, row in zip(prompts, rows, strict=True):
        tokens = prompt.embeddings.shape[1]
        if too_far := [at for region in row for at in region.positions if at >= tokens]:
            raise GuidanceError(
                f"Got a region of token {too_far[0]}, expected positions below {tokens}, the length of the prompt; "
                "count from 0."
            )
    return rows
