"""Scores of DCASE 2025 task 3 (arXiv 2507.12042), and ours beside them.

In each frame the events of a class are paired with the estimated ones so that the sum of the errors is the smallest
(Hungarian method). A pair is a hit within 20 degrees, otherwise a miss of place. F of a class is hits over hits, misses
of place, and half of the events left over on either side; its mean over the classes is F20. Errors of direction are of
all pairs, however far apart; localisation recall is the share of events that have a pair.

The task also asks for a distance within 100 % of the true one. Two channels do not tell it: `limit` leaves it out, or
holds a guess against it (any guess below twice the true distance passes). The baseline's script, as read, drops the
last annotated frame of a file and all after it; here every frame counts.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from experiments.benchmarks.real_data import CLASSES, HOP, Row
from spatial import metrics

NEAR = 20.0  # degrees
APART = 10.0  # degrees between two sources whose order counts
PAUSE = 2  # frames: a longer pause ends an event

Numbers = NDArray[np.float64]


def _zeros() -> Numbers:
    return np.zeros(len(CLASSES))


@dataclass(frozen=True, eq=False)
class Counts:
    """Sums over frames, one for each class; they add up."""

    hits: Numbers = field(default_factory=_zeros)  # pairs within the limits
    misplaced: Numbers = field(default_factory=_zeros)  # pairs beyond them
    missed: Numbers = field(default_factory=_zeros)  # true events without a pair
    extra: Numbers = field(default_factory=_zeros)  # estimated events without a pair
    error: Numbers = field(default_factory=_zeros)  # degrees, of all pairs

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))

    @property
    def pairs(self) -> Numbers:
        return self.hits + self.misplaced

    @property
    def f20(self) -> float:
        """Mean over the classes that occur, 0 to 1; nan without any."""
        whole = self.pairs + (self.missed + self.extra) / 2
        return _mean(self.hits, whole)

    @property
    def direction_error(self) -> float:
        """Degrees, mean over the classes that have pairs; nan without any."""
        return _mean(self.error, self.pairs)

    @property
    def recall(self) -> float:
        """Localisation recall, mean over the classes of true events, 0 to 1; nan without any."""
        return _mean(self.pairs, self.pairs + self.missed)


def _mean(part: Numbers, whole: Numbers) -> float:
    occurs = whole > 0
    return float(np.mean(part[occurs] / whole[occurs])) if occurs.any() else float("nan")


def count_frames(truth: Iterable[Row], guess: Iterable[Row], *, limit: float = np.inf) -> Counts:
    """Counts of one clip; `limit`: of the relative error of the distance, 1 in the task."""
    counts, true, estimated = Counts(), _by_frame(truth), _by_frame(guess)
    for key in true.keys() | estimated.keys():
        kind, here, there = key[1], true.get(key, []), estimated.get(key, [])
        errors = np.abs(np.subtract.outer([row.azimuth for row in here], [row.azimuth for row in there]))
        rows, columns = linear_sum_assignment(errors.reshape(len(here), len(there)))
        for row, column in zip(rows, columns, strict=True):
            far = limit < np.inf and not _is_near(here[row].distance, there[column].distance, limit)
            side = counts.misplaced if errors[row, column] > NEAR or far else counts.hits
            side[kind] += 1
            counts.error[kind] += errors[row, column]
        counts.missed[kind] += len(here) - len(rows)
        counts.extra[kind] += len(there) - len(rows)
    return counts


def ignore_classes(rows: Iterable[Row]) -> list[Row]:
    """The same rows as if all were of one class: where and when, but not what."""
    return [Row(row.frame, 0, row.source + 100 * row.kind, row.azimuth, row.distance) for row in rows]


def _is_near(true: float, estimated: float, limit: float) -> bool:
    return abs(true - estimated) <= limit * true


def _by_frame(rows: Iterable[Row]) -> dict[tuple[int, int], list[Row]]:
    out: dict[tuple[int, int], list[Row]] = defaultdict(list)
    for row in rows:
        out[row.frame, row.kind].append(row)
    return out


@dataclass(frozen=True)
class ClipScore:
    """Of one clip; lists are to be pooled over clips."""

    side: list[bool]  # of each true source: found on its side
    order: list[bool]  # of each two true sources apart: both found, in their order
    counted: bool  # the right number
    onset: list[float]  # seconds, of each event of a source that was found
    offset: list[float]
    events: int  # number of true events


def score_clip(truth: Sequence[Row], guess: Sequence[Row]) -> ClipScore:
    """Side, order, number and ends of the sources of a clip, whatever they are called.

    A true source is whoever makes events of one class; the sets number all that is no person 0, so a second event of a
    class and number in one frame is of another source. The place of a source is its mean azimuth; sources are paired as
    `spatial.metrics` does it.
    """
    true, estimated = _by_source(truth), _by_source(guess)
    places, guesses = ([_mean_azimuth(rows) for rows in each] for each in (true, estimated))
    partner = {t: e for t, e, _ in metrics.pair(places, guesses)}
    side = [i in partner and metrics.side(places[i]) == metrics.side(guesses[partner[i]]) for i in range(len(places))]
    order = [
        i in partner and j in partner and (places[i] < places[j]) == (guesses[partner[i]] < guesses[partner[j]])
        for i, j in combinations(range(len(places)), 2)
        if abs(places[i] - places[j]) > APART
    ]
    ends = [end for t, e in partner.items() for end in _compare_ends(true[t], estimated[e])]
    onset, offset = ([abs(end[i]) for end in ends] for i in range(2))
    events = sum(len(find_events(rows)) for rows in true)
    return ClipScore(side, order, len(places) == len(guesses), onset, offset, events)


def find_events(rows: Sequence[Row]) -> list[tuple[float, float]]:
    """(start, stop) in seconds of the events of one source; pauses of up to 0.2 s are bridged."""
    frames = np.unique([row.frame for row in rows])
    breaks = np.flatnonzero(np.diff(frames) > 1 + PAUSE)
    starts, stops = frames[np.append(0, breaks + 1)], frames[np.append(breaks, len(frames) - 1)] + 1
    return [(float(HOP * a), float(HOP * b)) for a, b in zip(starts, stops, strict=True)]


def _compare_ends(true: Sequence[Row], estimated: Sequence[Row]) -> list[tuple[float, float]]:
    """(error of the onset, of the offset) in seconds of each true event that an estimated one overlaps."""
    found, out = find_events(estimated), []
    for start, stop in find_events(true):
        overlap, best = max((min(stop, b) - max(start, a), (a, b)) for a, b in found)
        if overlap > 0:
            out.append((best[0] - start, best[1] - stop))
    return out


def _by_source(rows: Iterable[Row]) -> list[list[Row]]:
    out: dict[tuple[int, int, int], list[Row]] = defaultdict(list)
    seen: Counter[tuple[int, int, int]] = Counter()
    for row in rows:
        event = row.frame, row.kind, row.source
        out[row.kind, row.source, seen[event]].append(row)
        seen[event] += 1
    return list(out.values())


def _mean_azimuth(rows: Sequence[Row]) -> float:
    return float(np.mean([row.azimuth for row in rows]))
