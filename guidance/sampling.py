"""The one denoising loop."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from guidance.backbones import Backbone, GuidanceError, level
from guidance.refine import METHODS, Guidance, Note, steering
from guidance.regions import Region

Regions = Sequence[Region] | Sequence[Sequence[Region]]


@dataclass(frozen=True, eq=False)
class Sample:
    """Pictures, and how they came about."""

    images: list[Any]  # PIL, one a prompt
    trace: list[Note]  # one a step; empty without regions
    latents: Tensor  # (batch, channels, h, w), those that were decoded
    maps: dict[str, Tensor] = field(default_factory=dict)

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
    energy: str | Guidance = "ours",
    steps: int | None = None,
    guidance_scale: float | None = None,
    seed: int | Sequence[int] = 0,
    negative_prompt: str | Sequence[str] | None = None,
    height: int | None = None,
    width: int | None = None,
    callback: Callable[[int, Tensor], None] | None = None,
) -> Sample:
    """Draw a prompt with its words where the regions say."""
    backbone = Backbone.of(backbone)
    prompts = list(prompt) if isinstance(prompt, list | tuple) else [prompt]
    own_steps, own_scale = backbone.defaults
    size = backbone.size(height, width)
    scale = own_scale if guidance_scale is None else guidance_scale
    condition = backbone.condition(prompts, negative_prompt, scale, size)
    rows = _rows(regions, len(prompts))
    seeds = [seed] * len(prompts) if isinstance(seed, int) else list(seed)
    scheduler = backbone.scheduler(own_steps if steps is None else steps)
    latents, extra = backbone.start(scheduler, condition, seeds, size)
    guidance = METHODS[energy] if isinstance(energy, str) and energy != "none" else energy
    steered: Any = nullcontext(None)
    if any(rows) and isinstance(guidance, Guidance):
        steered = steering(backbone, condition, rows, guidance, size[1] / size[0])
    with steered as steer:
        for i, t in enumerate(scheduler.timesteps):
            if steer is None:
                noise = backbone.noise(scheduler, latents, t, condition)
                latents = scheduler.step(noise, t, latents, **extra, return_dict=False)[0]
            else:
                at = level(scheduler, i, t)
                latents = steer.refine(latents, at, scheduler)
                noise = steer.noise(latents, at, scheduler)
                latents = scheduler.step(noise, t, latents, **extra, return_dict=False)[0]
                latents = steer.move(latents, at)
            if callback is not None:
                callback(i, latents)
        trace = steer.notes if steer else []
    return Sample(backbone.decode(latents, extra.get("generator")), trace, latents)


def _rows(regions: Regions, count: int) -> list[list[Region]]:
    if all(isinstance(region, Region) for region in regions):
        return [list(regions)] * count  # type: ignore[arg-type]
    if len(regions) != count:
        raise GuidanceError(f"Got regions for {len(regions)} prompts, want them for {count}; give one list each.")
    return [list(each) for each in regions]  # type: ignore[arg-type]
