"""A plan, or a recording -> a film: what is heard to move moves, the rest stays."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiotoken.prompt import check_negative
from audiotoken.stereo.generation import OnStep, Result
from audiotoken.stereo.planning import Plan, _stage, plan
from guidance import animate
from guidance.regions import Region
from spatial.camera import Camera


def sound_to_film(
    recording: NDArray,
    rate: int,
    pipe: Any,
    *,
    frames: int = 12,
    trail: bool = False,
    seed: int = 0,
    energy: str = "combined",
    fov: float = 90.0,
    on_step: OnStep | None = None,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
    negative_prompt: str | None = None,
    keep_maps: bool = False,
    **planning: Any,
) -> Result:
    """As `sound_to_image`, one picture a frame: what moves moves; the noise, the words and so the world stay.

    `frames` pictures are spread evenly over the recording; of a trail they go from its start to its end, and what moves
    is small enough to stand beside itself in all of them (see `films.trail`).
    """
    check_negative(negative_prompt)
    planned = plan(recording, rate, pipe, fov=fov, **planning)
    options: dict[str, Any] = {
        "negative_prompt": negative_prompt,
        "num_inference_steps": num_inference_steps,
        "guidance_scale": guidance_scale,
    }
    options |= {"frames": frames, "trail": trail, "fov": fov, "on_step": on_step, "keep_maps": keep_maps}
    return film(planned, pipe, seed=seed, energy=energy, **options)


def film(
    planned: Plan,
    pipe: Any,
    *,
    frames: int = 12,
    trail: bool = False,
    fov: float = 90.0,
    seed: int = 0,
    energy: str = "combined",
    on_step: OnStep | None = None,
    **sampling: Any,
) -> Result:
    """Draw a plan as a film, as `sound_to_film` does; `sampling` is that of `guidance.sample`."""
    length = planned.recording.shape[1] / planned.rate
    share = np.linspace(0, 1, frames) if trail else (np.arange(frames) + 0.5) / frames
    rows = [_at(planned, float(time), fov, 1 / frames if trail else 1.0) for time in share * length]
    seconds = dict(planned.seconds)
    with _stage("sample", seconds):
        drawn = animate(pipe, planned.prompt, regions=rows, energy=energy, seed=seed, callback=on_step, **sampling)
    still = not any(source.moves for source in planned.scene.sources)
    notes = [*planned.notes, *["Nothing was heard to move: all pictures are alike."] * still]
    found = vars(planned) | {"seconds": seconds, "notes": notes}
    return Result(**found, sample=drawn, seed=seed, energy=energy, frames=rows)


def _at(planned: Plan, time: float, fov: float, widest: float = 1.0) -> list[Region]:
    """The regions at that time, in seconds; what moves is at most so wide, and stays on its foot."""
    sources = [planned.scene.sources[i] for i in planned.regions]
    boxes = list(Camera(fov).boxes(sources, time))
    for i, (source, (x0, y0, x1, y1)) in enumerate(zip(sources, boxes, strict=True)):
        if source.moves and x1 - x0 > widest:
            left = min(max(Camera(fov).across(source.azimuth_at(time)) - widest / 2, 0.0), 1.0 - widest)
            boxes[i] = left, y1 - widest / (x1 - x0) * (y1 - y0), left + widest, y1
    return [replace(region, box=box) for region, box in zip(planned.regions.values(), boxes, strict=True)]
