"""The road from a recording to a picture with everything where it is heard, read aloud.

listen -> embed -> match -> write -> place: a `Plan`, which nothing was drawn of yet; sample: a `Result`.
With setup="mono", or of a recording with one channel, it is the paper's: one sound, no region, plain sampling.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiotoken.audio import as_recording, to_mono
from audiotoken.placeholder import PLACEHOLDER
from audiotoken.prompt import Prompt, check_count
from audiotoken.stereo.naming import knows
from audiotoken.stereo.words import Word, compose_prompt, match_words, similarity, subject_words, subjects_of
from guidance.regions import Region
from spatial.camera import Camera
from spatial.listening import listen
from spatial.matching import Match
from spatial.scene import Array, Direction, Scene, Source

UNMATCHED = ("add", "drop")
UNKNOWN = ("guess", "unplaced")
WIDE = 20.0  # degrees of spread from which a sound is everywhere; what has a place stays below 9


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


def plan(
    recording: NDArray,
    rate: int,
    pipe: Any,
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
    "label", as in `pipe.audio_prompts`; None: see `words.compose_prompt`. unknown: what is none of the sounds the
    encoder knows is drawn as its nearest "guess" or "unplaced". setup, spacing, max_sources as in `spatial.listen`;
    "mono" does not listen for places. fov: degrees across the picture. progress: told the share of the listening that
    is done, 0 to 1, and again before each sound is recognised; what it raises ends it.
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
            heard.append(pipe.classify(signal, rate))
        known = [not each or knows(pipe, signals[i], rate, each[0][1]) for i, each in enumerate(heard)]
    with _stage("match", seconds):
        words = subject_words(prompt, [label for each in heard for label in subjects_of(each)]) if prompt else []
        words = [] if setup == "mono" else words
        scores = similarity(pipe, signals, rate, heard, words)
        matches = match_words(scores) if words else []
    with _stage("write", seconds):
        if setup == "mono" and prompt is not None:  # nothing is added to a prompt that keeps no place
            check_count(prompt, prompt.count(PLACEHOLDER), len(signals))
        read, positions = compose_prompt(pipe, signals, rate, heard, prompt, words, matches, unmatched, token)
    draft = Plan(recording, rate, scene, heard, known, words, scores, matches, read, {}, [], seconds)
    with _stage("place", seconds):
        regions, notes = place_sources(draft, positions, fov, unknown)
    return replace(draft, regions=regions, notes=[*scene.notes, *notes])


def place_sources(
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


@contextmanager
def _stage(name: str, seconds: dict[str, float]) -> Iterator[None]:
    start = perf_counter()
    yield
    seconds[name] = perf_counter() - start
