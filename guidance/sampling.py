"""The one denoising loop."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from guidance.backbones import Backbone
from guidance.energies import Energy
from guidance.errors import GuidanceError
from guidance.levels import level
from guidance.methods import METHODS, Guidance
from guidance.refine import StepTrace, steering
from guidance.regions import Region

Regions = Sequence[Region] | Sequence[Sequence[Region]]


@dataclass(frozen=True, eq=False)
class Sample:
    """Pictures, and how they came about."""

    images: list[Any]  # PIL, one a prompt
    trace: list[StepTrace]  # one a step; empty without regions
    latents: Tensor  # (batch, channels, h, w), those that were decoded
    maps: list[list[Tensor]] = field(default_factory=list)  # if asked: [look][row] (regions, h, w) of attention

    @property
    def image(self) -> Any:
        """The first."""
        return self.images[0]


@torch.no_grad()
def sample(
    backbone: Any,
    prompt: Any,
    *,
    regions: Regions = (),
    energy: str | Guidance | Energy = "combined",
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
    seed: int | Sequence[int] = 0,
    negative_prompt: str | Sequence[str] | None = None,
    height: int | None = None,
    width: int | None = None,
    callback: Callable[[int, Tensor], Tensor | None] | None = None,
    keep_maps: bool = False,
) -> Sample:
    """Draw a prompt with its words where the regions say; without regions, what the pipeline draws, bit for bit.

    backbone: a diffusers pipeline of Stable Diffusion 1, 2 or XL, or a `Backbone`. prompt: what has `.embeddings`
    (1, tokens, width) and for XL `.pooled`; or a list, one picture each. regions: of the prompt, or a list for each
    prompt; rows do not touch each other. energy: "none", one of `METHODS`, a `Guidance`, or a function
    (maps, regions, aspect) -> scalar, lowered as `combined_energy` is. seed: for all or one a prompt.
    num_inference_steps, guidance_scale, height and width (pixels): the model's own by default. callback(step, latents)
    is called after each step and may return other latents to go on with. keep_maps: the Sample holds what the words of
    each region got of the attention. GuidanceError for what cannot be drawn.
    """
    backbone = Backbone.of(backbone)
    prompts = list(prompt) if isinstance(prompt, list | tuple) else [prompt]
    rows, guidance = _rows(regions, prompts), _guidance(energy)
    size, steps, scale = backbone.size(height, width), *_own(backbone, num_inference_steps, guidance_scale)
    condition = backbone.condition(prompts, negative_prompt, scale, size)
    scheduler = backbone.scheduler(steps)
    latents, extra = backbone.start(scheduler, condition, _seeds(seed, len(prompts)), size)
    steered: Any = nullcontext(None)
    if any(rows) and guidance is not None:
        steered = steering(backbone, condition, rows, guidance, size[1] / size[0], keep_maps)
    with steered as steer:
        for i, t in enumerate(scheduler.timesteps):
            if steer is None:
                noise = backbone.predict_noise(scheduler, latents, t, condition)
                latents = scheduler.step(noise, t, latents, **extra, return_dict=False)[0]
            else:
                now = level(scheduler, i, t)
                latents = steer.refine(latents, now, scheduler)
                noise = steer.predict_noise(latents, now, scheduler)
                latents = scheduler.step(noise, t, latents, **extra, return_dict=False)[0]
                latents = steer.move(latents, now, level(scheduler, i + 1))
            changed = callback(i, latents) if callback is not None else None
            latents = latents if changed is None else changed
    if not latents.isfinite().all():
        raise GuidanceError(
            "The picture came out as no numbers; draw in float32, with a lower guidance scale or steps."
        )
    images = backbone.decode(latents, extra.get("generator"))
    return Sample(images, steer.notes if steer else [], latents, steer.kept if steer else [])


def _guidance(energy: str | Guidance | Energy) -> Guidance | None:
    if isinstance(energy, Guidance):
        return energy
    if not isinstance(energy, str):
        return replace(METHODS["combined"], energy=energy)
    if energy != "none" and energy not in METHODS:
        raise GuidanceError(f"Got energy={energy!r}, want one of none, {', '.join(METHODS)}, or a Guidance; change it.")
    return METHODS.get(energy)


def _own(backbone: Backbone, steps: int | None, scale: float | None) -> tuple[int, float]:
    """Those given, or the model's own."""
    own_steps, own_scale = backbone.defaults
    if steps is not None and steps < 1:
        raise GuidanceError(f"Got {steps} steps, want at least 1 step; 20 to 50 are usual.")
    return own_steps if steps is None else steps, own_scale if scale is None else scale


def _seeds(seed: int | Sequence[int], count: int) -> list[int]:
    seeds = [seed] * count if isinstance(seed, int) else list(seed)
    if len(seeds) != count:
        raise GuidanceError(f"Got {len(seeds)} seeds for {count} prompts; give one seed, or one for each prompt.")
    return seeds


def _rows(regions: Regions, prompts: Sequence[Any]) -> list[list[Region]]:
    """The regions of each prompt."""
    if all(isinstance(region, Region) for region in regions):
        rows: list[list[Region]] = [list(regions)] * len(prompts)  # type: ignore[arg-type]
    elif len(regions) == len(prompts):
        rows = [list(each) for each in regions]  # type: ignore[arg-type]
    else:
        raise GuidanceError(
            f"Got regions for {len(regions)} prompts, want them for {len(prompts)}; give one list each."
        )
    for prompt, row in zip(prompts, rows, strict=True):
        tokens = prompt.embeddings.shape[1]
        if far := [at for region in row for at in region.positions if at >= tokens]:
            raise GuidanceError(f"Got a region of token {far[0]}, but the prompt holds {tokens}; count from 0.")
    return rows
