"""From a recording to a plan: listen -> embed -> match -> compose -> place.

A `Plan` says what will be drawn; `generation` and `animation` draw it. With setup="mono", or for a recording with one
channel, this is the AudioToken paper: one sound, no region, plain sampling.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiotoken.audio import as_recording, to_mono
from audiotoken.channels import find_stereo
from audiotoken.placeholder import PLACEHOLDER, check_count
from audiotoken.prompt import Prompt
from audiotoken.protocols import SoundPipeline
from audiotoken.stereo.joint_names import decide_names, name_together, price_twins
from audiotoken.stereo.labelled_scene import Label, Listening, compute_outline
from audiotoken.stereo.layouts import is_everywhere, make_layout, place_boxes
from audiotoken.stereo.named_sources import (
    add_heard_sources,
    add_named_sources,
    are_found,
    can_find_names,
)
from audiotoken.stereo.naming import classify_mixture, knows
from audiotoken.stereo.options import UNKNOWN, PlanOptions, check_choice
from audiotoken.stereo.words import (
    Word,
    compose_prompt,
    compute_similarity,
    find_source_words,
    match_words,
    name_words,
    score_subjects,
)
from guidance.layout import CANVAS, Layout
from guidance.regions import Region
from spatial.activity import find_active_spans
from spatial.matching import Match
from spatial.scene import MONO_DIRECTION, Array, Scene, Source
from spatial.windows import listen_at_length

Progress = Callable[[float], Any]  # (share done, 0 to 1)


@dataclass(frozen=True, eq=False)
class Plan:
    """What will be drawn, and why."""

    recording: Array  # (channels, frames) in [-1, 1]
    rate: int  # Hz
    scene: Scene
    heard: list[list[tuple[str, float]]]  # of each source: (label, score in [0, 1]), best first, as of `joint_names`
    known: list[bool]  # of each source: whether the prompt names it, or the encoder knows such sounds
    words: list[Word]  # of the prompt, that could be a source
    similarity: NDArray[np.float64]  # (sources, words) in [0, 1]
    matches: list[Match]
    prompt: Prompt
    regions: dict[int, Region]  # by the number of the source; sources without a box are missing
    notes: list[str]  # sentences: which sources have no place and why, and what else a reader should know
    seconds: dict[str, float]  # per stage
    names: dict[int, str] = field(default_factory=dict, kw_only=True)  # of sources that a person named

    @property
    def subjects(self) -> list[str]:
        """The nearest word for each source, for titles."""
        scores = map(score_subjects, self.heard)
        best = [max(each, key=lambda name: each[name], default="sound") for each in scores]
        matched = {pair.source: self.words[pair.token].text for pair in self.matches if pair.token is not None}
        return [matched.get(i, self.names.get(i, name)) for i, name in enumerate(best)]

    def outline(self, file: str = "") -> Listening:
        """The scene with its labels and the outline of the first two channels, as `audiotoken listen` has them."""
        pairs = zip(self.heard, self.known, strict=True)
        labels = tuple(Label(*each[0], known) if each else None for each, known in pairs)
        recording = self.recording[:2]
        return Listening(file, recording.shape[1] / self.rate, self.scene, labels, compute_outline(recording))

    def layout(
        self,
        canvas: tuple[int, int] = CANVAS,
        *,
        fov: float = 90.0,
        caption: str | None = None,
        setting: str = "",
    ) -> Layout:
        """What generators that read boxes are told: the boxes of the `regions`, their words, and a caption.

        canvas: width, height in pixels. fov: as in `plan`, for the paths of what moves. caption: None writes one, in a
        `setting` such as "in a meadow". Sources that the encoder does not know are left out, unless they have a region.
        """
        boxes = {i: region.box for i, region in self.regions.items()}
        words = [name if i in boxes or self.known[i] else None for i, name in enumerate(self.subjects)]
        return make_layout(self.scene, words, boxes, canvas=canvas, fov=fov, caption=caption, setting=setting)


def plan(
    recording: NDArray,
    rate: int,
    pipe: SoundPipeline,
    *,
    prompt: str | None = None,
    token: str | None = None,
    unmatched: str = "add",
    unknown: str = "omit",
    setup: str = "auto",
    spacing: float | None = None,
    max_sources: int = 4,
    fov: float = 90.0,
    progress: Progress | None = None,
) -> Plan:
    """Plan a picture of a recording, (frames,) or (channels, frames) at `rate` Hz; nothing is drawn.

    prompt: the text to draw; words that name a source are placed where it is heard, all others stay free. Sources that
    no word names fill the `<audio>` of the prompt, the loudest first; without one they are added to the prompt, or left
    out with unmatched="drop". token: "learned" or "label", as in `pipe.audio_prompts`; None: see
    `words.compose_prompt`. unknown: sounds that the encoder does not know are left out of the picture ("omit"), drawn
    as the nearest label without a box ("unplaced"), or in their place ("guess"); only "guess" adds them to a prompt,
    and a picture of them alone shows the loudest without a box. setup, spacing, max_sources: as in `spatial.listen`;
    "mono" ignores directions. fov: degrees across the picture. progress: called with the share of the listening that is
    done, 0 to 1, and again before each sound is classified; an exception in it ends the planning.
    """
    options = PlanOptions(prompt, token, unmatched, unknown, setup, spacing, max_sources, fov)
    return make_plan(recording, rate, pipe, options, progress=progress)


def find_sources(recording: Array, rate: int, options: PlanOptions, report_progress: Progress) -> Scene:
    """Listen for the sources and their directions; for more than two channels see `audiotoken.channels`."""
    if options.setup == "mono":
        signal = to_mono(recording)
        return Scene((Source(signal, MONO_DIRECTION, active=find_active_spans(signal, rate)),), rate, "mono")
    mix = find_stereo(recording)
    scene = listen_at_length(
        mix.apply(recording),
        rate,
        setup=mix.setup if mix.setup and options.setup == "auto" else options.setup,
        spacing=options.spacing,
        max_sources=options.max_sources,
        progress=report_progress,
    )
    return scene if mix.note is None else replace(scene, notes=(mix.note, *scene.notes))


def classify_sources(
    pipe: SoundPipeline, scene: Scene, report_progress: Progress
) -> tuple[list[list[tuple[str, float]]], list[bool]]:
    """(labels and scores of each source by itself, whether the encoder knows such sounds)."""
    heard = []
    for source in scene.sources:
        report_progress(1.0)
        heard.append(pipe.classify(source.signal, scene.rate))
    known = [
        not labels or knows(pipe, source.signal, scene.rate, labels[0][1], separated=len(scene.sources) > 1)
        for source, labels in zip(scene.sources, heard, strict=True)
    ]
    return heard, known


def match_by_similarity(scores: NDArray[np.float64], scene: Scene, words: Sequence[Word]) -> list[Match]:
    """Match sources and words, (sources, words) scores in [0, 1]; without words nothing is matched."""
    return match_words(scores) if words else []


def find_left_out(known: Sequence[bool], options: PlanOptions) -> list[int]:
    """The unknown sources that are not drawn; without a prompt at least one source is drawn, the first."""
    strange = [i for i, each in enumerate(known) if not each]
    if options.setup == "mono" or options.unknown == "guess" or (options.unknown == "unplaced" and not options.prompt):
        return []
    return strange[1:] if not options.prompt and len(strange) == len(known) else strange


def place_sources(
    planned: Plan, positions: dict[int, tuple[int, ...]], fov: float, unknown: str = "omit"
) -> tuple[dict[int, Region], list[str]]:
    """(regions of the sources that have a direction and a word, by their number; notes about the others).

    A source without positions is not drawn.
    """
    check_choice("unknown", unknown, UNKNOWN)
    scene, subjects, notes, placed = planned.scene, planned.subjects, [], []
    for i, source in enumerate(scene.sources):
        drawn = bool(positions.get(i))
        if not planned.known[i]:
            fate = "" if unknown == "guess" else "; it is drawn without a box" if drawn else "; it is left out"
            notes.append(f"Sound {i + 1} is not one that the encoder knows (nearest: {subjects[i]}){fate}.")
        if not drawn:
            continue
        if scene.setup == "mono":
            continue
        if is_everywhere(source):
            notes.append(f"The {subjects[i]} comes from everywhere, so it is drawn without a box.")
        elif planned.known[i] or unknown == "guess":
            placed.append(i)
    boxes = place_boxes(scene, placed, subjects, fov)
    return {i: Region(box, positions[i], subjects[i]) for i, box in boxes.items()}, notes


@dataclass(frozen=True)
class Stages:
    """The stages of `make_plan` that an experiment may replace."""

    find_sources: Callable[[Array, int, PlanOptions, Progress], Scene] = find_sources
    classify_sources: Callable[[Any, Scene, Progress], tuple[list[list[tuple[str, float]]], list[bool]]] = (
        classify_sources
    )
    match: Callable[[NDArray[np.float64], Scene, Sequence[Word]], list[Match]] = match_by_similarity


def make_plan(
    recording: NDArray,
    rate: int,
    pipe: SoundPipeline,
    options: PlanOptions,
    *,
    stages: Stages | None = None,
    progress: Progress | None = None,
) -> Plan:
    """Plan a picture with the given options, as `plan` does; `stages` replaces some of the stages."""
    stages, report_progress = stages or Stages(), progress or (lambda share: None)
    prompt, seconds = options.prompt, dict[str, float]()
    recording, rate = as_recording(recording, rate)
    with timed_stage("listen", seconds):
        scene = stages.find_sources(recording, rate, options, report_progress)
    with timed_stage("embed", seconds):
        heard, familiar = stages.classify_sources(pipe, scene, report_progress)
        mixture = classify_mixture(pipe.classify, scene) if len(heard) > 1 or prompt or can_find_names(pipe) else []
    with timed_stage("match", seconds):
        paired = _pair_words(pipe, scene, heard, familiar, options, stages)
        paired = _add_missing(pipe, paired, mixture, options, stages, report_progress)
        scene, words = paired.scene, paired.words
        named = name_words(words, paired.matches, paired.heard)
        heard, known = decide_names(paired.heard, mixture, paired.familiar, named, price_twins(scene))
        known = [each or i in named for i, each in enumerate(known)]
    with timed_stage("write", seconds):
        if options.setup == "mono" and prompt is not None:  # such a prompt has one <audio>; nothing is added to it
            check_count(prompt, prompt.count(PLACEHOLDER), len(heard))
        encoded, positions = compose_prompt(
            pipe,
            [source.signal for source in scene.sources],
            scene.rate,
            heard,
            prompt,
            words,
            paired.matches,
            options.unmatched,
            options.token,
            known,
            find_left_out(known, options),
        )
    draft = Plan(
        recording, rate, scene, heard, known, words, paired.similarity, paired.matches, encoded, {}, [], seconds
    )
    with timed_stage("place", seconds):
        regions, notes = place_sources(draft, positions, options.fov, options.unknown)
    return replace(draft, regions=regions, notes=[*scene.notes, *notes, *encoded.notes])


@dataclass(frozen=True, eq=False)
class _Paired:
    """A scene, its sources one by one, and the words of the prompt that they are."""

    scene: Scene
    heard: list[list[tuple[str, float]]]
    familiar: list[bool]
    words: list[Word]
    similarity: NDArray[np.float64]  # (sources, words)
    matches: list[Match]

    @property
    def named(self) -> list[list[tuple[str, float]]]:
        """The labels of the sources, decided together."""
        return name_together(self.heard, prices=price_twins(self.scene))

    @property
    def matched(self) -> int:
        """The number of words that have a source."""
        return sum(pair.source is not None and pair.token is not None for pair in self.matches)


def _pair_words(
    pipe: SoundPipeline,
    scene: Scene,
    heard: list[list[tuple[str, float]]],
    familiar: list[bool],
    options: PlanOptions,
    stages: Stages,
) -> _Paired:
    words = [] if options.setup == "mono" else find_source_words(options.prompt, heard)
    signals = [source.signal for source in scene.sources]
    similarity = compute_similarity(pipe, signals, scene.rate, heard, words)
    return _Paired(scene, heard, familiar, words, similarity, stages.match(similarity, scene, words))


def _add_missing(
    pipe: SoundPipeline,
    paired: _Paired,
    mixture: Sequence[tuple[str, float]],
    options: PlanOptions,
    stages: Stages,
    report_progress: Progress,
) -> _Paired:
    """The same with a source for each word of the prompt, or else each label of the recording, that has none.

    It is kept if more words have a source, or if each label is clearly heard in a signal of its own.
    """
    wanted: list[str] = []
    if paired.words:
        more = add_named_sources(
            pipe, paired.scene, paired.heard, paired.words, paired.matches, mixture, options.max_sources
        )
    else:
        more, wanted = add_heard_sources(pipe, paired.scene, paired.named, mixture, options.max_sources)
    if more is None:
        return paired
    again = _pair_words(pipe, more, *stages.classify_sources(pipe, more, report_progress), options, stages)
    if paired.words:
        return max(paired, again, key=lambda each: each.matched)  # the first if none is better
    return again if are_found(wanted, paired.named, again.named) else paired


@contextmanager
def timed_stage(name: str, seconds: dict[str, float]) -> Iterator[None]:
    """Context manager: write the time that the block takes to `seconds[name]`."""
    start = perf_counter()
    try:
        yield
    finally:
        seconds[name] = perf_counter() - start
