"""The road from a recording to a picture with everything where it is heard, read aloud.

listen -> embed -> match -> write -> place: a `Plan`, which nothing was drawn of yet; sample: a `Result`.
With setup="mono", or of a recording with one channel, it is the paper's: one sound, no region, plain sampling.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from audiotoken.audio import as_recording, to_mono
from audiotoken.prompt import PLACEHOLDER, Prompt, check_count, check_negative
from experiments.naming import knows
from experiments.words import Word, matched, similarity, subject_words, subjects_of, written
from guidance.regions import Region
from guidance.sampling import Sample, sample
from spatial.camera import Camera
from spatial.listen import listen
from spatial.match import Match
from spatial.scene import Array, Direction, Scene, Source

UNMATCHED = ("add", "drop")
UNKNOWN = ("guess", "unplaced")
WIDE = 20.0  # degrees of spread from which a sound is everywhere; what has a place stays below 9

OnStep = Callable[[int, int], Any]  # (steps done, all)
OnLatents = Callable[[int, Any], Any]  # (steps done, latents (pictures, channels, h, w))


@dataclass(frozen=True, eq=False)
class Plan:
    """What will be drawn, and why."""

    recording: Array  # (channels, frames) in [-1, 1]
    rate: int  # Hz
    scene: Scene
    heard: list[list[tuple[str, float]]]  # of each source: (label, score in [0, 1]), best first
    known: list[bool]  # of each source: is it a sound that the encoder knows
    words: list[Word]  # of the prompt, that could be a source
    similarity: NDArray[np.float64]  # (sources, words) in [0, 1]
    matches: list[Match]
    prompt: Prompt
    regions: dict[int, Region]  # by the number of the source; none for what has no place
    notes: list[str]  # sentences: what has no place and why, and what else should be known
    seconds: dict[str, float]  # per stage

    @property
    def subjects(self) -> list[str]:
        """Of each source: the nearest word, for titles."""
        best = [max(named, key=lambda name: named[name], default="sound") for named in map(subjects_of, self.heard)]
        spoken = {pair.source: self.words[pair.token].text for pair in self.matches if pair.token is not None}
        return [spoken.get(i, name) for i, name in enumerate(best)]


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
    parts: Any,
    *,
    seed: int = 0,
    count: int = 1,
    energy: str = "ours",
    on_step: OnStep | None = None,
    negative_prompt: str | None = None,
    steps: int | None = None,
    guidance_scale: float | None = None,
    keep_maps: bool = False,
    control: Any = None,
    **planning: Any,
) -> Result:
    """Hear a recording, (frames,) or (channels, frames) at `rate` Hz, and draw what sounds where it sounds.

    parts: an `AudioTokenPipeline`. `planning` as in `plan`; the rest as in `guidance.sample`: `count` pictures with
    seed, seed + 1, ...; energy is one of `guidance.METHODS`, or "none"; control as in `draw`. Raises SpatialError,
    PromptError, CheckpointError or GuidanceError for what cannot be drawn.
    """
    check_negative(negative_prompt)
    planned = plan(recording, rate, parts, **planning)
    options: dict[str, Any] = {"negative_prompt": negative_prompt, "steps": steps, "guidance_scale": guidance_scale}
    options |= {"energy": energy, "on_step": on_step, "keep_maps": keep_maps, "control": control}
    return draw(planned, parts, seed=seed, count=count, **options)


def plan(
    recording: NDArray,
    rate: int,
    parts: Any,
    *,
    prompt: str | None = None,
    token: str | None = None,
    unmatched: str = "add",
    unknown: str = "guess",
    setup: str = "auto",
    spacing: float | None = None,
    max_sources: int = 4,
    fov: float = 90.0,
    progress: Callable[[float], Any] | None = None,
) -> Plan:
    """Everything but the drawing.

    prompt: words to draw; those that name what is heard are placed, others stay free; a source that no word names fills
    an `<audio>` of it, the loudest first, or is added to it, or with unmatched="drop" left out. token: "learned" or
    "label", as in `parts.sounds`; None: see `words.written`. unknown: what is none of the sounds the encoder knows is
    drawn as its nearest "guess" or "unplaced". setup, spacing, max_sources as in `spatial.listen`; "mono" does not
    listen for places. fov: degrees across the picture. progress: told the share of the listening that is done, 0 to 1,
    and again before each sound is recognised; what it raises ends it.
    """
    told = progress or (lambda share: None)
    seconds: dict[str, float] = {}
    recording, rate = as_recording(recording, rate)
    with _stage("listen", seconds):
        scene = _listened(recording, rate, setup, spacing, max_sources, told)
    signals = [source.signal for source in scene.sources]
    with _stage("embed", seconds):
        heard = []
        for signal in signals:
            told(1.0)
            heard.append(parts.hear(signal, rate))
        known = [not each or knows(parts, signals[i], rate, each[0][1]) for i, each in enumerate(heard)]
    with _stage("match", seconds):
        words = subject_words(prompt, [label for each in heard for label in subjects_of(each)]) if prompt else []
        words = [] if setup == "mono" else words
        scores = similarity(parts, signals, rate, heard, words)
        matches = matched(scores) if words else []
    with _stage("write", seconds):
        if setup == "mono" and prompt is not None:  # nothing is added to a prompt that keeps no place
            check_count(prompt, prompt.count(PLACEHOLDER), len(signals))
        read, positions = written(parts, signals, rate, heard, prompt, words, matches, unmatched, token)
    draft = Plan(recording, rate, scene, heard, known, words, scores, matches, read, {}, [], seconds)
    with _stage("place", seconds):
        regions, notes = placed(draft, positions, fov, unknown)
    return replace(draft, regions=regions, notes=[*scene.notes, *notes])


def draw(
    planned: Plan,
    parts: Any,
    *,
    seed: int = 0,
    count: int = 1,
    energy: str = "ours",
    on_step: OnStep | None = None,
    on_latents: OnLatents | None = None,
    control: Any = None,
    **sampling: Any,
) -> Result:
    """Draw a plan; `sampling` is that of `guidance.sample`. What `on_step` or `on_latents` raises ends it.

    control: a ControlNetModel that is shown the regions as a segmentation, see `guidance.control`.
    """
    seconds = dict(planned.seconds)
    backbone, shown, notes = _shown(planned, parts, control)
    told = _counted(on_step, on_latents, sampling.get("steps") or parts.config.get("default_steps", 50))
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


def sound_to_film(
    recording: NDArray,
    rate: int,
    parts: Any,
    *,
    frames: int = 12,
    trail: bool = False,
    seed: int = 0,
    energy: str = "ours",
    fov: float = 90.0,
    on_step: OnStep | None = None,
    steps: int | None = None,
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
    planned = plan(recording, rate, parts, fov=fov, **planning)
    options: dict[str, Any] = {"negative_prompt": negative_prompt, "steps": steps, "guidance_scale": guidance_scale}
    options |= {"frames": frames, "trail": trail, "fov": fov, "on_step": on_step, "keep_maps": keep_maps}
    return film(planned, parts, seed=seed, energy=energy, **options)


def film(
    planned: Plan,
    parts: Any,
    *,
    frames: int = 12,
    trail: bool = False,
    fov: float = 90.0,
    seed: int = 0,
    energy: str = "ours",
    on_step: OnStep | None = None,
    **sampling: Any,
) -> Result:
    """Draw a plan as a film, as `sound_to_film` does; `sampling` is that of `guidance.sample`."""
    from guidance import animate

    length = planned.recording.shape[1] / planned.rate
    share = np.linspace(0, 1, frames) if trail else (np.arange(frames) + 0.5) / frames
    rows = [_at(planned, float(time), fov, 1 / frames if trail else 1.0) for time in share * length]
    seconds = dict(planned.seconds)
    with _stage("sample", seconds):
        drawn = animate(parts, planned.prompt, regions=rows, energy=energy, seed=seed, callback=on_step, **sampling)
    still = not any(source.moves for source in planned.scene.sources)
    notes = [*planned.notes, *["Nothing was heard to move: all pictures are alike."] * still]
    found = vars(planned) | {"seconds": seconds, "notes": notes}
    return Result(**found, sample=drawn, seed=seed, energy=energy, frames=rows)


def placed(
    planned: Plan, positions: dict[int, tuple[int, ...]], fov: float, unknown: str = "guess"
) -> tuple[dict[int, Region], list[str]]:
    """Regions of the sources that have a side and a word, by their number, and sentences about the others."""
    scene, subjects, notes, sided = planned.scene, planned.subjects, [], []
    for i, source in enumerate(scene.sources):
        if not positions.get(i):
            continue
        if not planned.known[i]:
            free = "; it is drawn without a place" if unknown == "unplaced" else ""
            notes.append(f"Sound {i + 1} is none that is known (nearest: {subjects[i]}){free}.")
        if scene.setup == "mono":
            continue
        if source.direction.spread > WIDE:
            notes.append(f"The {subjects[i]} comes from everywhere: it is drawn without a place.")
        elif planned.known[i] or unknown == "guess":
            sided.append(i)
    boxes = Camera(fov).boxes([scene.sources[i] for i in sided])
    return {i: Region(box, positions[i], subjects[i]) for i, box in zip(sided, boxes, strict=True)}, notes


def _shown(planned: Plan, parts: Any, control: Any) -> tuple[Any, Image | None, list[str]]:
    """(what to sample from, what a ControlNet is shown, sentences)."""
    if control is None:
        return parts, None, []
    if not planned.regions:
        return parts, None, ["Nothing has a place: the ControlNet was shown nothing."]
    from experiments.words import Meaning
    from guidance.control import controlled

    def nearest(word: str, classes: Sequence[str]) -> str:
        return classes[int(Meaning(parts, classes).of_words([word])[:, 0].argmax())]

    return controlled(parts, control, list(planned.regions.values()), nearest=nearest)


def _at(planned: Plan, time: float, fov: float, widest: float = 1.0) -> list[Region]:
    """The regions at that time, in seconds; what moves is at most so wide, and stays on its foot."""
    sources = [planned.scene.sources[i] for i in planned.regions]
    boxes = list(Camera(fov).boxes(sources, time))
    for i, (source, (x0, y0, x1, y1)) in enumerate(zip(sources, boxes, strict=True)):
        if source.moves and x1 - x0 > widest:
            left = min(max(Camera(fov).across(source.azimuth_at(time)) - widest / 2, 0.0), 1.0 - widest)
            boxes[i] = left, y1 - widest / (x1 - x0) * (y1 - y0), left + widest, y1
    return [replace(region, box=box) for region, box in zip(planned.regions.values(), boxes, strict=True)]


def _listened(
    recording: Array, rate: int, setup: str, spacing: float | None, max_sources: int, told: Callable[[float], Any]
) -> Scene:
    """Who is where; of more than two channels the first two are left and right."""
    if setup == "mono":
        return Scene((Source(to_mono(recording), Direction(0.0, 45.0, 0.0)),), rate, "mono")
    scene = listen(recording[:2], rate, setup=setup, spacing=spacing, max_sources=max_sources, progress=told)
    if len(recording) <= 2:
        return scene
    said = f"The recording has {len(recording)} channels: the first two were taken for left and right."
    return replace(scene, notes=(said, *scene.notes))


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


@contextmanager
def _stage(name: str, seconds: dict[str, float]) -> Iterator[None]:
    start = perf_counter()
    yield
    seconds[name] = perf_counter() - start
