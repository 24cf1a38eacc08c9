"""Apply what a person changed on the page to a plan.

Conventions: azimuths are degrees, positive right; a size is that of a source's box, the root of its area, as a share of
the picture's height.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from audiotoken.encoders.audioset import list_forms
from audiotoken.errors import OptionError
from audiotoken.report.listening_text import format_azimuth
from audiotoken.stereo.layouts import WIDE
from audiotoken.stereo.planning import Plan
from audiotoken.stereo.words import compose_prompt, compute_similarity, find_source_words, match_words
from guidance.regions import Region
from spatial.camera import LEVELS, SIZES, Camera
from spatial.matching import Match
from spatial.scene import Source
from spatial.shapes import find_shape

if TYPE_CHECKING:
    from audiotoken.pipeline import AudioTokenPipeline

PLACED, ANYWHERE, OUT = MODES = ("placed", "anywhere", "out")  # in its box, without a box, left out
LONGEST_NAME = 60  # letters
AUTO, OWN = "auto", "own"  # drawn as the matched word, or as its own sound; otherwise a word's index


@dataclass(frozen=True)
class Placement:
    """How one source is drawn."""

    azimuth: float
    size: float  # within `spatial.camera.SIZES` unless changed by hand
    mode: str = PLACED
    word: str = AUTO
    name: str = ""  # what a person calls it; empty: as it was recognised

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise OptionError(f"Got mode={self.mode!r}, expected one of {', '.join(MODES)}; change it.")
        if not (abs(self.azimuth) <= 90 and 0 < self.size <= 1):
            got = f"Got azimuth={self.azimuth:g}, size={self.size:g}"
            raise OptionError(f"{got}, expected -90 to 90 degrees and a size above 0, at most 1; change them.")


def default_placements(planned: Plan) -> list[Placement]:
    """Placements as heard: diffuse sources, and all of a mono recording, have mode `ANYWHERE`.

    Unknown sources beside known ones are `OUT`, as in `stereo.plan`.
    """
    return [_default_placement(planned, i) for i in range(len(planned.scene.sources))]


def _default_placement(planned: Plan, i: int) -> Placement:
    source = planned.scene.sources[i]
    anywhere = planned.scene.setup == "mono" or source.direction.spread > WIDE
    mode = OUT if not planned.known[i] and any(planned.known) else ANYWHERE if anywhere else PLACED
    return Placement(source.direction.azimuth, float(np.interp(source.level, LEVELS, SIZES)), mode)


def move_source(source: Source, heard: Placement, placement: Placement) -> Source:
    """The source at its new azimuth and size, its path shifted with it; what did not change stays as heard."""
    shift = placement.azimuth - heard.azimuth
    path = tuple((time, float(np.clip(azimuth + shift, -90, 90))) for time, azimuth in source.path)
    spread = source.direction.spread
    if placement.mode == PLACED and (spread > WIDE or placement.size != heard.size):
        spread = 0.0  # the size chosen by hand holds
    level = source.level if placement.size == heard.size else float(np.interp(placement.size, SIZES, LEVELS))
    direction = replace(source.direction, azimuth=placement.azimuth, spread=spread)
    return replace(source, direction=direction, level=level, path=path)


def compute_boxes(
    planned: Plan, placements: Sequence[Placement], fov: float
) -> dict[int, tuple[float, float, float, float]]:
    """The box of each source whose mode is `PLACED`, by the number of the source."""
    placed = [i for i, placement in enumerate(placements) if placement.mode == PLACED]
    sources, names = _move_sources(planned, placements), planned.subjects
    shapes = [find_shape(names[i]) for i in placed]
    return dict(zip(placed, Camera(fov).boxes([sources[i] for i in placed], shapes=shapes), strict=True))


def match_prompt(planned: Plan, pipe: "AudioTokenPipeline", prompt: str | None) -> Plan:
    """The plan of the same recording, matched with the words of another prompt."""
    prompt = prompt or None
    words = find_source_words(prompt, planned.heard)
    signals = [source.signal for source in planned.scene.sources]
    scores = compute_similarity(pipe, signals, planned.rate, planned.heard, words)
    return replace(planned, words=words, similarity=scores, matches=match_words(scores) if words else [])


def apply_edits(
    planned: Plan,
    pipe: "AudioTokenPipeline",
    placements: Sequence[Placement],
    *,
    prompt: str | None,
    fov: float = 90.0,
    token: str | None = None,
) -> Plan:
    """The plan to draw; `planned` must be matched with this prompt. Raises OptionError if nothing can be drawn."""
    changes = describe_changes(planned, placements)
    planned, placements = name_sources(planned, placements), choose_named_words(planned, placements)
    kept = [i for i, placement in enumerate(placements) if placement.mode != OUT]
    if not kept and not prompt:
        raise OptionError("Every sound is left out and there is no prompt; include a sound, or write a prompt.")
    matches = apply_word_choices(planned, placements)
    signals = [planned.scene.sources[i].signal for i in kept]
    kept_matches = [replace(pair, source=kept.index(pair.source)) for pair in matches if pair.source in kept]
    heard = [planned.heard[i] for i in kept]
    known = [planned.known[i] for i in kept]
    names = {at: planned.names[i] for at, i in enumerate(kept) if i in planned.names}
    encoded, at = compose_prompt(
        pipe,
        signals,
        planned.rate,
        heard,
        prompt or None,
        planned.words,
        kept_matches,
        "add",
        token,
        known,
        names=names,
    )
    positions = {kept[i]: where for i, where in at.items()}
    scene = replace(planned.scene, sources=_move_sources(planned, placements))
    edited = replace(planned, matches=matches, prompt=encoded, scene=scene)
    boxes = {i: box for i, box in compute_boxes(planned, placements, fov).items() if positions.get(i)}
    regions = {i: Region(box, positions[i], edited.subjects[i]) for i, box in boxes.items()}
    return replace(edited, regions=regions, notes=[*planned.notes, *changes, *encoded.notes])


def clean_name(text: str) -> str:
    """What a person typed as a name that can stand in a prompt: words without signs, at most `LONGEST_NAME` letters."""
    return " ".join(re.sub(r"[^\w\s'-]", " ", text).split())[:LONGEST_NAME].strip()


def name_sources(planned: Plan, placements: Sequence[Placement]) -> Plan:
    """The plan with the names that a person gave; a source with a name is known."""
    names = {i: placement.name for i, placement in enumerate(placements) if placement.name}
    heard = [[(names[i], 1.0)] if i in names else each for i, each in enumerate(planned.heard)]
    known = [known or i in names for i, known in enumerate(planned.known)]
    return replace(planned, heard=heard, known=known, names=names)


def choose_named_words(planned: Plan, placements: Sequence[Placement]) -> list[Placement]:
    """A source with a name is drawn as this word of the prompt, or is added to it, unless a person chose another."""
    texts, chosen = [word.text for word in planned.words], list(placements)
    taken = {placement.word for placement in placements}
    for i, placement in enumerate(placements):
        if not placement.name or placement.word != AUTO:
            continue
        wanted = {placement.name.lower(), placement.name.lower().split()[-1]}
        free = (str(j) for j, text in enumerate(texts) if wanted & list_forms(text.lower()) and str(j) not in taken)
        chosen[i] = replace(placement, word=next(free, OWN))
        taken.add(chosen[i].word)
    return chosen


def apply_word_choices(planned: Plan, placements: Sequence[Placement]) -> list[Match]:
    """The matches with the words chosen by hand; a word that is taken so is no longer its automatic source's."""
    chosen = {i: each.word for i, each in enumerate(placements) if each.word != AUTO and each.mode != OUT}
    taken = [int(word) for word in chosen.values() if word != OWN]
    if any(not 0 <= word < len(planned.words) for word in taken):
        raise OptionError("A chosen word is no longer in the prompt; choose again what each sound is drawn as.")
    if twice := [word for word in taken if taken.count(word) > 1]:
        text = planned.words[twice[0]].text
        raise OptionError(f'Got "{text}" for more than one sound; choose a different word for each sound.')
    out = {i for i, placement in enumerate(placements) if placement.mode == OUT}
    matches = []
    for pair in planned.matches:
        if pair.source is None or pair.source in chosen:
            continue
        free = pair.token is None or pair.token in taken or pair.source in out
        matches.append(replace(pair, token=None) if free else pair)
    for i, word in chosen.items():
        token = None if word == OWN else int(word)
        matches.append(Match(i, token, 0.0 if token is None else float(planned.similarity[i, token])))
    used = {pair.token for pair in matches}
    words = [Match(None, j, float(planned.similarity[:, j].max(initial=0))) for j in range(len(planned.words))]
    return sorted(matches, key=lambda pair: pair.source or 0) + [pair for pair in words if pair.token not in used]


def describe_changes(planned: Plan, placements: Sequence[Placement]) -> list[str]:
    """A sentence for each change that a person made, for the report."""
    changes = []
    for subject, heard, placement in zip(planned.subjects, default_placements(planned), placements, strict=True):
        if placement.mode == OUT:
            changes.append(f"By hand: the {subject} was left out.")
            continue
        if placement.name:
            changes.append(f"By hand: the {subject} was named {placement.name}.")
        if placement.mode != heard.mode:
            box = "with a box" if placement.mode == PLACED else "without a box"
            changes.append(f"By hand: the {subject} was drawn {box}.")
        if placement.azimuth != heard.azimuth:
            way = f"from {format_azimuth(heard.azimuth)} to {format_azimuth(placement.azimuth)}"
            changes.append(f"By hand: the {subject} was moved {way}.")
        if placement.size != heard.size:
            share = f"{100 * placement.size:.0f} % of the picture's size"
            changes.append(f"By hand: the box of the {subject} was set to {share}.")
    return changes


def _move_sources(planned: Plan, placements: Sequence[Placement]) -> tuple[Source, ...]:
    triples = zip(planned.scene.sources, default_placements(planned), placements, strict=True)
    return tuple(move_source(source, heard, placement) for source, heard, placement in triples)
