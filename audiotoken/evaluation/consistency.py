"""Is what is seen where it is heard? One measure for pictures and films of any origin.

Conventions: azimuths are degrees, positive right. Agreements are 1 (as heard), 0 (the other way round) or 0.5 where a
thing is not seen and so says nothing; chance is 0.5, and with the channels swapped every agreement a is 1 - a. The
score of a picture is the mean of its agreements of side and of order; a recording without directions scores 0.5. Things
of one word cannot be told apart: they are matched from left to right, and have neither side nor order.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from audiotoken.metrics import bootstrap_interval
from guidance.boxes import Box
from guidance.layout_metrics import compute_ltsim, compute_max_iou
from guidance.metrics import Detection
from spatial.camera import Camera
from spatial.scene import Source

AHEAD = 5.0  # degrees to each side within which a sound is on no side; as much must lie between two for an order
CHANCE = 0.5


@dataclass(frozen=True, eq=False)
class Heard:
    """A sound with a name and a direction, and where it would be drawn."""

    word: str
    source: Source
    box: Box


@dataclass(frozen=True)
class Frame:
    """What is seen at one time: of a picture, None."""

    seconds: float | None
    detections: tuple[Detection, ...]


@dataclass(frozen=True)
class ThingCheck:
    """One sound in one picture or film; means over its frames."""

    word: str
    heard: float  # degrees, in the middle frame
    seen: float | None  # degrees, mean over the frames in which it is seen
    found: float  # share of the frames in which it is seen
    side: float | None  # agreement; None if it is heard ahead in every frame, or one of several of its word
    degrees_off: float | None  # mean distance of the two azimuths where it is seen
    confidence: float  # of the detector, mean where it is seen, 0 to 1


@dataclass(frozen=True)
class Check:
    """One picture or film against one recording."""

    things: tuple[ThingCheck, ...]
    order: float | None  # agreement of the pairs of things; None without a pair to compare
    score: float  # 0.5 where there is nothing to compare
    max_iou: float  # of the boxes heard and seen, mean over the frames
    ltsim: float  # LTSim of the two layouts, exp(-1) to 1; mean over the frames

    @property
    def compares(self) -> bool:
        """Whether the recording has anything to compare, so that the score says something."""
        return self.order is not None or any(thing.side is not None for thing in self.things)


@dataclass(frozen=True)
class Interval:
    """A mean with its bootstrap interval at 95 %; nan without values."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Summary:
    """Means over pictures; a picture without a side, an order or a thing seen is left out of that mean."""

    pictures: int
    score: Interval
    side: Interval
    order: Interval
    degrees_off: Interval
    found: Interval
    max_iou: Interval
    ltsim: Interval


def check_picture(heard: Sequence[Heard], frames: Sequence[Frame], camera: Camera) -> Check:
    """Compare what is heard with the frames of one picture or film, at least one."""
    seen = [_assign(heard, frame) for frame in frames]
    things = tuple(_check_thing(each, frames, [row[i] for row in seen], camera) for i, each in enumerate(heard))
    several = {word for word, count in Counter(each.word for each in heard).items() if count > 1}
    things = tuple(replace(thing, side=None) if thing.word in several else thing for thing in things)
    orders = [
        _compare_order(heard[i], heard[j], frame.seconds, row[i], row[j])
        for frame, row in zip(frames, seen, strict=True)
        for i, j in combinations(range(len(heard)), 2)
        if not {heard[i].word, heard[j].word} & several
    ]
    order = _mean([each for each in orders if each is not None])
    sides = [thing.side for thing in things if thing.side is not None]
    score = _mean([each for each in (_mean(sides), order) if each is not None])
    layouts = [_compare_layouts(heard, frame, row, camera) for frame, row in zip(frames, seen, strict=True)]
    max_iou, ltsim = np.mean(layouts, axis=0).tolist()
    return Check(things, order, CHANCE if score is None else score, max_iou, ltsim)


def _assign(heard: Sequence[Heard], frame: Frame) -> list[Detection | None]:
    """The detection of each heard thing; several of one word, the surest ones, from left to right."""
    row: list[Detection | None] = [None] * len(heard)
    for word in dict.fromkeys(each.word for each in heard):
        wanted = [i for i, each in enumerate(heard) if each.word == word]
        wanted.sort(key=lambda i: _azimuth(heard[i], frame.seconds))
        surest = sorted((one for one in frame.detections if one.label == word), key=lambda one: -one.score)
        found = sorted(surest[: len(wanted)], key=lambda one: one.centre)
        for i, one in zip(wanted, found, strict=False):
            row[i] = one
    return row


def _check_thing(heard: Heard, frames: Sequence[Frame], seen: Sequence[Detection | None], camera: Camera) -> ThingCheck:
    azimuths = [_azimuth(heard, frame.seconds) for frame in frames]
    places = [None if one is None else camera.unproject(one.centre[0]) for one in seen]
    half = camera.fov / 2
    off = [abs(min(max(a, -half), half) - b) for a, b in zip(azimuths, places, strict=True) if b is not None]
    sides = [
        CHANCE if place is None or place == 0 else float(place * azimuth > 0)
        for azimuth, place in zip(azimuths, places, strict=True)
        if abs(azimuth) > AHEAD
    ]
    there = [place for place in places if place is not None]
    sure = [one.score for one in seen if one is not None]
    found = len(there) / len(frames)
    middle = azimuths[len(azimuths) // 2]
    return ThingCheck(heard.word, middle, _mean(there), found, _mean(sides), _mean(off), _mean(sure) or 0.0)


def _compare_order(
    a: Heard, b: Heard, seconds: float | None, seen_a: Detection | None, seen_b: Detection | None
) -> float | None:
    """Agreement of who is further left; None for two that are heard together."""
    apart = _azimuth(b, seconds) - _azimuth(a, seconds)
    if abs(apart) <= AHEAD:
        return None
    if seen_a is None or seen_b is None or seen_a.centre[0] == seen_b.centre[0]:
        return CHANCE
    return float((seen_b.centre[0] - seen_a.centre[0]) * apart > 0)


def _compare_layouts(
    heard: Sequence[Heard], frame: Frame, seen: Sequence[Detection | None], camera: Camera
) -> tuple[float, float]:
    boxes = [each.box for each in heard]
    if frame.seconds is not None:
        boxes = camera.boxes([each.source for each in heard], frame.seconds)
    first = [(each.word, box) for each, box in zip(heard, boxes, strict=True)]
    second = [(one.label, one.box) for one in seen if one is not None and one.box is not None]
    return compute_max_iou(first, second), compute_ltsim(first, second)


def _azimuth(heard: Heard, seconds: float | None) -> float:
    source = heard.source
    return source.direction.azimuth if seconds is None else source.azimuth_at(seconds)


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def summarize(checks: Sequence[Check], resamples: int = 1000) -> Summary:
    """Means over the pictures with something to compare, each with its bootstrap interval over pictures."""
    compared = [each for each in checks if each.compares]
    columns: dict[str, list[float | None]] = {
        "score": [each.score for each in compared],
        "side": [_mean([one.side for one in each.things if one.side is not None]) for each in compared],
        "order": [each.order for each in compared],
        "degrees_off": [
            _mean([one.degrees_off for one in each.things if one.degrees_off is not None]) for each in compared
        ],
        "found": [_mean([one.found for one in each.things]) for each in compared],
        "max_iou": [each.max_iou for each in compared],
        "ltsim": [each.ltsim for each in compared],
    }
    intervals = {
        name: _estimate([each for each in values if each is not None], resamples) for name, values in columns.items()
    }
    return Summary(pictures=len(compared), **intervals)


def _estimate(values: Sequence[float], resamples: int) -> Interval:
    if not values:
        return Interval(math.nan, math.nan, math.nan)
    return Interval(float(np.mean(values)), *bootstrap_interval(values, resamples=resamples))
