"""A plan, or a recording -> pictures with everything where it is heard."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray
from PIL.Image import Image

from audiotoken.prompt import check_negative
from audiotoken.stereo.planning import Plan, _stage, plan
from audiotoken.stereo.words import TextSimilarity
from guidance.control import controlled
from guidance.regions import Region
from guidance.sampling import Sample, sample

OnStep = Callable[[int, int], Any]  # (steps done, all)
OnLatents = Callable[[int, Any], Any]  # (steps done, latents (pictures, channels, h, w))


@dataclass(frozen=True, eq=False)
class Result(Plan):
    """Everything a reader of one run will ask for."""

    sample: Sample
    seed: int
    energy: str  # how things were moved
    frames: list[list[Region]] = field(default_factory=list)  # of a film: where the regions are in each
    control: Image | None = None  # what a ControlNet was shown

    @property
    def images(self) -> list[Image]:
        """Picture i was drawn with seed + i; of a film, the frames."""
        return self.sample.images


def sound_to_image(
    recording: NDArray,
    rate: int,
    pipe: Any,
    *,
    seed: int = 0,
    count: int = 1,
    energy: str = "combined",
    on_step: OnStep | None = None,
    negative_prompt: str | None = None,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
    keep_maps: bool = False,
    control: Any = None,
    **planning: Any,
) -> Result:
    """Hear a recording, (frames,) or (channels, frames) at `rate` Hz, and draw what sounds where it sounds.

    pipe: an `AudioTokenPipeline`. `planning` as in `plan`; the rest as in `guidance.sample`: `count` pictures with
    seed, seed + 1, ...; energy is one of `guidance.METHODS`, or "none"; control as in `draw`. Raises SpatialError,
    PromptError, CheckpointError or GuidanceError for what cannot be drawn.
    """
    check_negative(negative_prompt)
    planned = plan(recording, rate, pipe, **planning)
    options: dict[str, Any] = {
        "negative_prompt": negative_prompt,
        "num_inference_steps": num_inference_steps,
        "guidance_scale": guidance_scale,
    }
    options |= {"energy": energy, "on_step": on_step, "keep_maps": keep_maps, "control": control}
    return draw(planned, pipe, seed=seed, count=count, **options)


def draw(
    planned: Plan,
    pipe: Any,
    *,
    seed: int = 0,
    count: int = 1,
    energy: str = "combined",
    on_step: OnStep | None = None,
    on_latents: OnLatents | None = None,
    control: Any = None,
    **sampling: Any,
) -> Result:
    """Draw a plan; `sampling` is that of `guidance.sample`. What `on_step` or `on_latents` raises ends it.

    control: a ControlNetModel that is shown the regions as a segmentation, see `guidance.control`.
    """
    seconds = dict(planned.seconds)
    backbone, shown, notes = _shown(planned, pipe, control)
    told = _counted(on_step, on_latents, sampling.get("num_inference_steps") or pipe.config.get("default_steps", 50))
    with _stage("sample", seconds):
        drawn = sample(
            backbone,
            [planned.prompt] * count,
            regions=list(planned.regions.values()),
            energy=energy,
            seed=[seed + i for i in range(count)],
            callback=told,
            **sampling,
        )
    found = vars(planned) | {"seconds": seconds, "notes": [*planned.notes, *notes]}
    return Result(**found, sample=drawn, seed=seed, energy=energy, control=shown)


def _shown(planned: Plan, pipe: Any, control: Any) -> tuple[Any, Image | None, list[str]]:
    """(what to sample from, what a ControlNet is shown, sentences)."""
    if control is None:
        return pipe, None, []
    if not planned.regions:
        return pipe, None, ["Nothing has a place: the ControlNet was shown nothing."]

    def nearest(word: str, classes: Sequence[str]) -> str:
        return classes[int(TextSimilarity(pipe, classes).of_words([word])[:, 0].argmax())]

    return controlled(pipe, control, list(planned.regions.values()), nearest=nearest)


def _counted(on_step: OnStep | None, on_latents: OnLatents | None, steps: int) -> Callable[[int, Any], None] | None:
    """As `guidance.sample` calls it; some schedulers take more steps than were asked for."""
    if on_step is None and on_latents is None:
        return None

    def told(step: int, latents: Any) -> None:
        if on_step is not None:
            on_step(min(step + 1, steps), steps)
        if on_latents is not None:
            on_latents(min(step + 1, steps), latents)

    return told
