"""Which source of one window is which of the windows before, and what one source is through all of them.

A source of one window is that of an earlier one if it continues where that one was, or if it is where that one mostly
is, or if it moves and sounds the same; and, in all three, unless its timbre is that of another thing.

Conventions: as in `spatial.windows`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment
from scipy.signal import welch

from spatial.scene import Direction, Source

REACH = 15.0  # degrees: a source further away is another one, unless it moves
ELSEWHERE = 12.0  # degrees that it counts if one that moves appears elsewhere, as when a car drives by again
DECIBEL = 0.25  # degrees that a decibel of difference counts, up to MOST
MOST = 20.0  # decibels
ALIKE, UNLIKE = 5.0, 14.0  # decibels between two timbres that may be one moving source, and that are two sources
DRIFT = 12.0  # degrees between windows above which a source counts as moving
JITTER = 1.5  # how many times the usual difference between neighbouring windows a drift must be
RARE, SURE = 0.2, 0.6  # share of windows with sound in which a source is rare; confidence from which it is kept if so
PAUSE = 0.2  # seconds that end a span, as in `spatial.activity`
BANDS = np.geomspace(100, 8000, 20)  # Hz: edges of the bands of a timbre
QUIETEST = -40.0  # dB below the loudest band at which a band no longer counts

Timbre = Float[np.ndarray, " bands"]  # dB of each band below the loudest one


@dataclass
class Track:
    """One source through the windows in which it was found."""

    seen: list[tuple[float, float, float, Source]] = field(default_factory=list)  # window's start, its own from, to
    timbres: list[Timbre] = field(default_factory=list)
    excerpt: Float[np.ndarray, " _"] = field(default_factory=lambda: np.zeros(0, np.float32))
    loudest: float = -np.inf

    def add(self, start: float, first: float, last: float, source: Source, timbre: Timbre | None) -> None:
        """Add the numbers of a source, and keep its signal if it is the loudest so far."""
        if source.level > self.loudest or not len(self.excerpt):
            self.loudest, self.excerpt = source.level, source.signal.copy()
        bare = replace(source, signal=np.zeros(0, np.float32), image=None)
        self.seen.append((start, first, last, bare))
        self.timbres += [] if timbre is None else [timbre]

    def azimuth_at(self, seconds: float) -> float:
        """Azimuth in its last window."""
        start, _, last, source = self.seen[-1]
        return source.azimuth_at(min(seconds, last) - start)

    @property
    def place(self) -> float:
        """Azimuth at which it mostly is."""
        return float(np.median([source.direction.azimuth for *_, source in self.seen]))

    @property
    def moves(self) -> bool:
        """Whether it moves in half of its windows or more."""
        return 2 * sum(source.moves for *_, source in self.seen) >= len(self.seen)

    def differs(self, timbre: Timbre | None) -> float:
        """Decibels between its mean timbre and another; 0 if either is unknown."""
        if timbre is None or not self.timbres:
            return 0.0
        return float(np.sqrt(np.mean((np.mean(self.timbres, axis=0) - timbre) ** 2)))


def join_tracks(
    tracks: list[Track],
    sources: Sequence[Source],
    start: float,
    first: float,
    last: float,
    rate: int,
) -> list[int]:
    """Add each source of a window to the track that it continues, or to a new one -> the tracks' numbers.

    `start` of the window, `first` and `last` second it counts for. Hungarian method on the azimuths and timbres, Kuhn
    (1955).
    """
    known = [(source, measure_timbre(source, rate)) for source in sources]
    costs = np.array([[_cost(track, *each, start, first) for track in tracks] for each in known])
    costs = costs.reshape(len(sources), len(tracks))
    far = np.isinf(costs)
    pairs = zip(*linear_sum_assignment(np.where(far, 1e6, costs)), strict=True)
    continues = {int(row): int(column) for row, column in pairs if not far[row, column]}
    order = []
    for number, each in enumerate(known):
        if number not in continues:
            tracks.append(Track())
        order.append(continues.get(number, len(tracks) - 1))
        tracks[order[-1]].add(start, first, last, *each)
    return order


def measure_timbre(source: Source, rate: int) -> Timbre | None:
    """The mean spectrum of a source while it is active, in bands; None if it is too short or silent."""
    spans = [source.signal[round(a * rate) : round(b * rate)] for a, b in source.active] or [source.signal]
    signal = np.concatenate(spans)
    if len(signal) < 0.1 * rate:
        return None
    frequencies, power = welch(signal.astype(float), rate, nperseg=min(len(signal), 2048))
    edges = np.searchsorted(frequencies, BANDS[rate / 2 > BANDS])
    sums = np.append(0, np.cumsum(power))
    level = 10 * np.log10((sums[edges[1:]] - sums[edges[:-1]]) / np.maximum(np.diff(edges), 1) + 1e-20)
    if level.max(initial=-200) < -150:
        return None
    return np.maximum(level - level.max(), QUIETEST).astype(np.float32)


def _cost(track: Track, source: Source, timbre: Timbre | None, start: float, first: float) -> float:
    """Degrees between the two, and what the difference of their levels and timbres counts; infinite for two sources."""
    unlike = track.differs(timbre)
    ends = abs(track.azimuth_at(first) - source.azimuth_at(first - start))
    moving = source.moves or track.moves
    apart = ends if moving else min(ends, abs(track.place - source.direction.azimuth))
    if apart > REACH and unlike < ALIKE and timbre is not None and track.timbres and moving:
        apart = ELSEWHERE
    if apart > REACH or unlike > UNLIKE:
        return np.inf
    return apart + unlike + DECIBEL * min(abs(track.seen[-1][3].level - source.level), MOST)


def is_doubtful(track: Track, source: Source, windows: int) -> bool:
    """Whether a source was found in few of that many windows with sound, and not surely."""
    return len(track.seen) <= RARE * windows and source.direction.confidence < SURE


def merge_track(track: Track) -> Source:
    """One source from all windows of a track."""
    sources = [source for _, _, _, source in track.seen]
    active = [clip_spans(*each) for each in track.seen]
    weights = np.array([max(sum(b - a for a, b in own), 1e-3) for own in active])
    directions = [source.direction for source in sources]
    azimuths, spreads = np.array([(one.azimuth, one.spread) for one in directions]).T
    confidence = np.average([one.confidence for one in directions], weights=weights)
    levels = np.array([source.level for source in sources])
    moving = weights @ [source.moves for source in sources] > 0.5 * weights.sum()
    path = _merge_path(track) if moving or _drifts(azimuths) else ()
    if not moving and not path:
        weights = weights * [1e-3 if source.moves else 1.0 for source in sources]
    direction = Direction(_weighted_median(azimuths, weights), _weighted_median(spreads, weights), float(confidence))
    level = float(10 * np.log10(np.average(10 ** (levels / 10), weights=weights)))
    return Source(track.excerpt, direction, level, path, _merge_spans(list(chain.from_iterable(active))))


def _drifts(azimuths: Float[np.ndarray, " windows"]) -> bool:
    """Whether a source ends elsewhere than it began, by more than it wavers between neighbouring windows."""
    third = -(-len(azimuths) // 3)
    drift = abs(np.median(azimuths[-third:]) - np.median(azimuths[:third]))  # one wrong window is no movement
    wavers = np.median(np.abs(np.diff(azimuths))) if len(azimuths) > 3 else 0.0
    return bool(drift > DRIFT and drift > JITTER * wavers)


def clip_spans(start: float, first: float, last: float, source: Source) -> list[tuple[float, float]]:
    """(start, stop) of a window's source in seconds of the recording, clipped to the part the window counts for."""
    own = [(max(start + a, first), min(start + b, last)) for a, b in source.active or ((0.0, np.inf),)]
    return [(a, b) for a, b in own if b > a]


def _merge_path(track: Track) -> tuple[tuple[float, float], ...]:
    """(seconds, azimuth) through all windows; a window in which the source stays gives one point, in its middle."""
    points: list[tuple[float, float]] = []
    for start, first, last, source in track.seen:
        inner = [start + time for time, _ in source.path if first < start + time < last]
        times = [first, *inner, last] if source.moves else [(first + last) / 2]
        points += [(float(t), source.azimuth_at(t - start)) for t in times if not points or t > points[-1][0]]
    return tuple(points)


def _merge_spans(active: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Spans in order, with short pauses bridged."""
    out: list[tuple[float, float]] = []
    for start, stop in sorted(active):
        if out and start - out[-1][1] <= PAUSE:
            out[-1] = (out[-1][0], max(stop, out[-1][1]))
        else:
            out.append((float(start), float(stop)))
    return tuple(out)


def _weighted_median(values: Float[np.ndarray, " windows"], weights: Float[np.ndarray, " windows"]) -> float:
    """Half of the weight lies on either side."""
    order = np.argsort(values)
    share = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][np.searchsorted(share, 0.5)])


def total_energy(source: Source) -> float:
    """Level plus duration, in dB."""
    return source.level + 10 * np.log10(max(sum(b - a for a, b in source.active), 1e-3))
