"""A plan, and what a person changed in it -> the plan that is painted.

Conventions: azimuths are degrees, positive right; a size is the height of a thing's box, as a part of the picture's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from audiotoken.errors import OptionError
from audiotoken.report.listening_text import say_azimuth
from audiotoken.stereo.planning import WIDE, Plan
from audiotoken.stereo.words import compose_prompt, compute_similarity, find_source_words, match_words
from guidance.regions import Region
from spatial.camera import LEVELS, SIZES, Camera
from spatial.matching import Match
from spatial.scene import Source

PLACED, ANYWHERE, OUT = MODES = ("placed", "anywhere", "out")
AUTO, OWN = (
    "auto",
    "own",
)  # what a source is drawn as: the word it was matched with, or its own sound; or a word's number


@dataclass(frozen=True)
class Place:
    """What is decided about one source."""

    azimuth: float
    size: float  # of the picture's height, within `spatial.camera.SIZES`
    mode: str = PLACED
    word: str = AUTO

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise OptionError(f"Got mode={self.mode!r}, want one of {', '.join(MODES)}; change it.")
        if not (abs(self.azimuth) <= 90 and 0 < self.size <= 1):
            got = f"Got azimuth={self.azimuth:g}, size={self.size:g}"
            raise OptionError(f"{got}, want -90 to 90 degrees and a part of 1; change them.")


def places_of(planned: Plan) -> list[Place]:
    """As it was heard: what comes from everywhere, and all of a mono recording, has no place."""
    return [_place_of(planned, source) for source in planned.scene.sources]


def _place_of(planned: Plan, source: Source) -> Place:
    nowhere = planned.scene.setup == "mono" or source.direction.spread > WIDE
    size = float(np.interp(source.level, LEVELS, SIZES))
    return Place(source.direction.azimuth, size, ANYWHERE if nowhere else PLACED)


def moved(source: Source, heard: Place, place: Place) -> Source:
    """The source where and as large as it was put; a path goes along. What was not touched stays as it was heard."""
    shift = place.azimuth - heard.azimuth
    path = tuple((time, float(np.clip(azimuth + shift, -90, 90))) for time, azimuth in source.path)
    spread = source.direction.spread
    if place.mode == PLACED and (spread > WIDE or place.size != heard.size):
        spread = 0.0  # a person says how large it is
    level = source.level if place.size == heard.size else float(np.interp(place.size, SIZES, LEVELS))
    direction = replace(source.direction, azimuth=place.azimuth, spread=spread)
    return replace(source, direction=direction, level=level, path=path)


def boxes(planned: Plan, places: Sequence[Place], fov: float) -> dict[int, tuple[float, float, float, float]]:
    """Of the sources that have a place, by their number: where each will be."""
    at = [i for i, place in enumerate(places) if place.mode == PLACED]
    sources = _moved(planned, places)
    return dict(zip(at, Camera(fov).boxes([sources[i] for i in at]), strict=True))


def reread(planned: Plan, pipe: Any, prompt: str | None) -> Plan:
    """The same recording, matched with the words of another prompt."""
    prompt = prompt or None
    words = find_source_words(prompt, planned.heard)
    signals = [source.signal for source in planned.scene.sources]
    scores = compute_similarity(pipe, signals, planned.rate, planned.heard, words)
    return replace(planned, words=words, similarity=scores, matches=match_words(scores) if words else [])


def edited(
    planned: Plan,
    pipe: Any,
    places: Sequence[Place],
    *,
    prompt: str | None,
    fov: float = 90.0,
    token: str | None = None,
) -> Plan:
    """What will be painted: `planned` is matched with this prompt already. OptionError for what cannot be painted."""
    kept = [i for i, place in enumerate(places) if place.mode != OUT]
    if not kept and not prompt:
        raise OptionError("Every sound is left out and there is no prompt; take a sound in, or write a prompt.")
    pairs = chosen(planned, places)
    signals = [planned.scene.sources[i].signal for i in kept]
    own = [replace(pair, source=kept.index(pair.source)) for pair in pairs if pair.source in kept]
    heard = [planned.heard[i] for i in kept]
    read, at = compose_prompt(pipe, signals, planned.rate, heard, prompt or None, planned.words, own, "add", token)
    positions = {kept[i]: where for i, where in at.items()}
    drawn = replace(planned, matches=pairs, prompt=read, scene=replace(planned.scene, sources=_moved(planned, places)))
    seen = {i: box for i, box in boxes(planned, places, fov).items() if positions.get(i)}
    regions = {i: Region(box, positions[i], drawn.subjects[i]) for i, box in seen.items()}
    return replace(drawn, regions=regions, notes=[*planned.notes, *changes(planned, places)])


def chosen(planned: Plan, places: Sequence[Place]) -> list[Match]:
    """The matches, with those that a person made instead; a word taken by hand is free of its automatic source."""
    by_hand = {i: place.word for i, place in enumerate(places) if place.word != AUTO and place.mode != OUT}
    taken = [int(word) for word in by_hand.values() if word != OWN]
    if any(not 0 <= word < len(planned.words) for word in taken):
        raise OptionError("A chosen word is no longer in the prompt; choose again what each sound is painted as.")
    if twice := [word for word in taken if taken.count(word) > 1]:
        text = planned.words[twice[0]].text
        raise OptionError(f'Got "{text}" for more than one sound; give each sound a word of its own.')
    out = {i for i, place in enumerate(places) if place.mode == OUT}
    pairs = []
    for pair in planned.matches:
        if pair.source is None or pair.source in by_hand:
            continue
        free = pair.token is None or pair.token in taken or pair.source in out
        pairs.append(replace(pair, token=None) if free else pair)
    for i, word in by_hand.items():
        token = None if word == OWN else int(word)
        pairs.append(Match(i, token, 0.0 if token is None else float(planned.similarity[i, token])))
    used = {pair.token for pair in pairs}
    alone = [Match(None, j, float(planned.similarity[:, j].max(initial=0))) for j in range(len(planned.words))]
    return sorted(pairs, key=lambda pair: pair.source or 0) + [pair for pair in alone if pair.token not in used]


def changes(planned: Plan, places: Sequence[Place]) -> list[str]:
    """Sentences about what a person changed, for the report."""
    said = []
    for subject, heard, place in zip(planned.subjects, places_of(planned), places, strict=True):
        if place.mode == OUT:
            said.append(f"By hand: the {subject} was left out.")
            continue
        if place.mode != heard.mode:
            where = "given a place" if place.mode == PLACED else "drawn without a place"
            said.append(f"By hand: the {subject} was {where}.")
        if place.azimuth != heard.azimuth:
            way = f"from {say_azimuth(heard.azimuth)} to {say_azimuth(place.azimuth)}"
            said.append(f"By hand: the {subject} was moved {way}.")
        if place.size != heard.size:
            said.append(f"By hand: the {subject} was made {100 * place.size:.0f} % of the picture high.")
    return said


def _moved(planned: Plan, places: Sequence[Place]) -> tuple[Source, ...]:
    each = zip(planned.scene.sources, places_of(planned), places, strict=True)
    return tuple(moved(source, heard, place) for source, heard, place in each)
