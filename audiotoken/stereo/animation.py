"""From a recording or a plan to a film: moving sources move, everything else stays where it is."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Generator

from audiotoken.protocols import SoundPipeline
from audiotoken.stereo.generation import (
    OnStep,
    Result,
    choose_method,
    describe_unread,
    list_rejected,
    make_result,
)
from audiotoken.stereo.options import DrawOptions, PlanOptions, resolve_seed
from audiotoken.stereo.planning import Plan, make_plan, timed_stage
from audiotoken.watching import watch_pictures
from guidance.frames import animate
from guidance.regions import Region
from spatial.camera import Camera
from spatial.shapes import find_shape

if TYPE_CHECKING:
    from guidance.energies import Energy
    from guidance.methods import Guidance, Regional


def sound_to_film(
    recording: NDArray,
    rate: int,
    pipe: SoundPipeline,
    *,
    frames: int = 12,
    trail: bool = False,
    prompt: str | None = None,
    negative_prompt: str | None = None,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
    height: int | None = None,
    width: int | None = None,
    seed: int = 0,
    generator: Generator | None = None,
    energy: "str | Guidance | Regional | Energy" = "auto",
    token: str | None = None,
    unmatched: str = "add",
    unknown: str = "omit",
    setup: str = "auto",
    spacing: float | None = None,
    max_sources: int = 4,
    fov: float = 90.0,
    keep_maps: bool = False,
    output_type: str = "pil",
    progress: Callable[[float], Any] | None = None,
    on_step: OnStep | None = None,
) -> Result:
    """Like `sound_to_image`, with one picture per frame: the noise and the words stay the same, the boxes move.

    The pictures of the `frames` are spread evenly over the recording. Those of a trail go from its start to its end,
    and a moving source is small enough to stand beside itself in all of them (see `films.draw_trail`).
    """
    planning = PlanOptions(prompt, token, unmatched, unknown, setup, spacing, max_sources, fov)
    drawing = DrawOptions(
        energy=energy,
        seed=resolve_seed(seed, generator),
        negative_prompt=negative_prompt,
        num_inference_steps=num_inference_steps,
        guidance_scale=guidance_scale,
        height=height,
        width=width,
        keep_maps=keep_maps,
        output_type=output_type,
    )
    made = make_plan(recording, rate, pipe, planning, progress=progress)
    return film_plan(made, pipe, drawing, frames=frames, trail=trail, fov=fov, on_step=on_step)


def film(
    planned: Plan,
    pipe: SoundPipeline,
    *,
    frames: int = 12,
    trail: bool = False,
    fov: float = 90.0,
    negative_prompt: str | None = None,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
    height: int | None = None,
    width: int | None = None,
    seed: int = 0,
    generator: Generator | None = None,
    energy: "str | Guidance | Regional | Energy" = "auto",
    keep_maps: bool = False,
    output_type: str = "pil",
    on_step: OnStep | None = None,
) -> Result:
    """Draw a plan as a film, as `sound_to_film` does; the options are those of `draw`."""
    options = DrawOptions(
        energy=energy,
        seed=resolve_seed(seed, generator),
        negative_prompt=negative_prompt,
        num_inference_steps=num_inference_steps,
        guidance_scale=guidance_scale,
        height=height,
        width=width,
        keep_maps=keep_maps,
        output_type=output_type,
    )
    return film_plan(planned, pipe, options, frames=frames, trail=trail, fov=fov, on_step=on_step)


def film_plan(
    planned: Plan,
    pipe: SoundPipeline,
    options: DrawOptions,
    *,
    frames: int = 12,
    trail: bool = False,
    fov: float = 90.0,
    on_step: OnStep | None = None,
) -> Result:
    """Draw a plan as a film with the given options, as `film` does; `options.count` is not used."""
    options = choose_method(pipe, options)
    length = planned.recording.shape[1] / planned.rate
    share = np.linspace(0, 1, frames) if trail else (np.arange(frames) + 0.5) / frames
    widest = 1 / frames if trail else 1.0
    rows = [_regions_at(planned, float(time), fov, widest) for time in share * length]
    seconds = dict(planned.seconds)
    with timed_stage("sample", seconds), watch_pictures(pipe) as rejected:
        drawn = animate(pipe, planned.prompt, regions=rows, seed=options.seed, callback=on_step, **options.sampling)
    moving = any(source.moves for source in planned.scene.sources)
    notes = [] if moving else ["No source moves, so all pictures are alike."]
    notes += [*describe_unread(pipe, options.negative_prompt, options.guidance_scale), *list_rejected(rejected)]
    return make_result(planned, drawn, options, seconds, notes, frames=rows)


def _regions_at(planned: Plan, time: float, fov: float, widest: float = 1.0) -> list[Region]:
    """The regions at a time, in seconds; the box of a moving source is at most `widest` wide and keeps its foot."""
    sources = [planned.scene.sources[i] for i in planned.regions]
    shapes = [find_shape(region.label) for region in planned.regions.values()]
    boxes = Camera(fov).boxes(sources, time, shapes=shapes)
    for i, (source, (x0, y0, x1, y1)) in enumerate(zip(sources, boxes, strict=True)):
        if source.moves and x1 - x0 > widest:
            left = min(max(Camera(fov).project(source.azimuth_at(time)) - widest / 2, 0.0), 1.0 - widest)
            boxes[i] = left, y1 - widest / (x1 - x0) * (y1 - y0), left + widest, y1
    return [replace(region, box=box) for region, box in zip(planned.regions.values(), boxes, strict=True)]
