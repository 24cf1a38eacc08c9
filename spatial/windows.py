"""A recording too long to be heard at once: listened to in overlapping windows whose sources are then joined.

Conventions: as in `spatial.scene`. A *block* is (channels, frames) of any length, in order and without gaps. Each
window speaks for its middle: half of an overlap is left to the neighbour. Memory does not grow with the length, but for
a few numbers of each window.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from spatial import listening
from spatial.errors import SpatialError
from spatial.scene import Array, Direction, Scene, Source
from spatial.setups import Setup, make_setup

WINDOW, OVERLAP = 20.0, 5.0  # seconds
SURVEY = 3  # windows that decide what kind of stereo it is
REACH = 15.0  # degrees: what is farther away is another source
DECIBEL = 0.25  # degrees that a decibel of difference counts, up to MOST
MOST = 20.0  # decibels
DRIFT = 12.0  # degrees between windows from which a source is said to have moved
PAUSE = 0.2  # seconds that end an event, as in `spatial.activity.active`

OnWindow = Callable[[float, Scene, Sequence[int], bool], None]


@dataclass
class Track:
    """One source through the windows in which it was found."""

    seen: list[tuple[float, float, float, Source]] = field(default_factory=list)  # window's start, its own from, to
    excerpt: Array = field(default_factory=lambda: np.zeros(0, np.float32))
    loudest: float = -np.inf

    def add(self, start: float, first: float, last: float, source: Source) -> None:
        """Keep the numbers of a source, and its signal if it is the loudest so far."""
        if source.level > self.loudest or not len(self.excerpt):
            self.loudest, self.excerpt = source.level, source.signal.copy()
        bare = replace(source, signal=np.zeros(0, np.float32), image=None)
        self.seen.append((start, first, last, bare))

    def azimuth_at(self, seconds: float) -> float:
        """Where it was last."""
        start, _, last, source = self.seen[-1]
        return source.azimuth_at(min(seconds, last) - start)


def listen_long(
    blocks: Iterable[Array],
    rate: int,
    *,
    setup: str | Setup = "auto",
    spacing: float | None = None,
    max_sources: int = 4,
    count: int | None = None,
    window: float = WINDOW,
    overlap: float = OVERLAP,
    on_window: OnWindow | None = None,
    on_end: Callable[[Sequence[int]], None] | None = None,
) -> Scene:
    """The scene of a recording that comes in blocks; `max_sources` and `count` are those of each window.

    The signal of a source is that of the window in which it was loudest. The kind of stereo is decided in the first
    windows that are not silent, and stays. `on_window` is told the start (seconds), the scene of each window, for each
    of its sources which source of the whole it is, counted in order of appearance, and whether there are more windows;
    `on_end` those numbers in the order in which the sources are returned. Raises SpatialError.
    """
    if not 0 <= 2 * overlap <= window or window <= 0:
        raise SpatialError(f"Got windows of {window:g} s with {overlap:g} s overlap, want at most half; change them.")
    pieces = windows(blocks, rate, window, overlap)
    options = {"max_sources": max_sources, "count": count}
    survey, kept = _survey(pieces, rate) if setup == "auto" else (None, [])
    stereo = survey[0] if survey else setup
    spacing = None if survey else spacing
    tracks: list[Track] = []
    notes: Counter[str] = Counter()
    for frame, piece, more in chain(kept, pieces):
        scene = _heard(piece, rate, setup=stereo, spacing=spacing, **options)
        start = frame / rate
        first = start + (overlap / 2 if frame else 0.0)
        last = start + piece.shape[1] / rate - (overlap / 2 if more else 0.0)
        order = join(tracks, scene.sources, start, first, last)
        notes.update(scene.notes)
        name, apart = scene.setup, scene.spacing
        if on_window:
            on_window(start, scene, order, more)
    sources = [_whole(track) for track in tracks]
    ranks = sorted(range(len(sources)), key=lambda number: -_loudness(sources[number]))
    if on_end:
        on_end(ranks)
    return Scene(
        tuple(sources[number] for number in ranks), rate, name, apart, survey[1] if survey else 1.0, tuple(notes)
    )


def windows(
    blocks: Iterable[Array], rate: int, window: float = WINDOW, overlap: float = OVERLAP
) -> Iterator[tuple[int, Array, bool]]:
    """(first frame, (channels, frames), whether there are more) of overlapping windows; SpatialError for no sound."""
    size, hop = round(window * rate), round((window - overlap) * rate)
    held: list[Array] = []
    start = frames = 0
    for block in blocks:
        held.append(block)
        frames += block.shape[1]
        while frames > size:  # one frame more: there is another window
            piece = np.concatenate(held, axis=1)
            yield start, piece[:, :size], True
            held, start, frames = [piece[:, hop:]], start + hop, frames - hop
    if not frames:
        raise SpatialError("Got no sound at all, want at least one block; check the file.")
    yield start, np.concatenate(held, axis=1), False


def _survey(pieces: Iterator[tuple[int, Array, bool]], rate: int) -> tuple[tuple[Setup, float] | None, list]:
    """What the first windows that are not silent agree on, with its confidence; and all that were taken."""
    kept, votes = [], []
    for piece in pieces:
        kept.append(piece)
        if not _silent(piece[1]):
            votes.append(listening.listen(piece[1], rate))
        if len(votes) == SURVEY or len(kept) == 4 * SURVEY:
            break
    return agreed(votes), kept


def agreed(votes: Sequence[Scene]) -> tuple[Setup, float] | None:
    """The setup with the most confidence, and how much that is of all; None when all are mono."""
    told: Counter[str] = Counter()
    for vote in votes:
        told[vote.setup] += vote.confidence  # type: ignore[assignment]
    del told["mono"]
    if not told:
        return None
    name, confidence = told.most_common(1)[0]
    apart = float(np.median([vote.spacing for vote in votes if vote.setup == name]))
    return make_setup(name, spacing=apart if name == "spaced" else None), confidence / len(votes)


def _silent(piece: Array) -> bool:
    return float(np.abs(piece).max(initial=0)) < listening.SILENT


def _heard(piece: Array, rate: int, **options) -> Scene:
    if not _silent(piece):
        return listening.listen(piece, rate, **options)
    stereo = options["setup"]
    name = stereo.name if isinstance(stereo, Setup) else "mono" if stereo == "auto" else stereo
    return Scene((), rate, name, stereo.spacing if isinstance(stereo, Setup) else options["spacing"] or 0.0)


def join(tracks: list[Track], sources: Sequence[Source], start: float, first: float, last: float) -> list[int]:
    """Add each source of a window to the track it goes on, or to a new one -> the tracks' numbers.

    `start` of the window, `first` and `last` second it speaks for. Hungarian method on the azimuths, Kuhn (1955).
    """
    costs = np.array([[_cost(track, source, start, first) for track in tracks] for source in sources])
    costs = costs.reshape(len(sources), len(tracks))
    far = np.isinf(costs)
    pairs = zip(*linear_sum_assignment(np.where(far, 1e6, costs)), strict=True)
    goes_on = {int(row): int(column) for row, column in pairs if not far[row, column]}
    order = []
    for number, source in enumerate(sources):
        if number not in goes_on:
            tracks.append(Track())
        order.append(goes_on.get(number, len(tracks) - 1))
        tracks[order[-1]].add(start, first, last, source)
    return order


def _cost(track: Track, source: Source, start: float, first: float) -> float:
    """Degrees between them where the windows meet, and what the levels differ; infinite when out of reach."""
    apart = abs(track.azimuth_at(first) - source.azimuth_at(first - start))
    if apart > REACH:
        return np.inf
    return apart + DECIBEL * min(abs(track.seen[-1][3].level - source.level), MOST)


def _whole(track: Track) -> Source:
    """One source of all that was seen of it."""
    found = [source for _, _, _, source in track.seen]
    active = [spans(*each) for each in track.seen]
    weights = np.array([max(sum(b - a for a, b in own), 1e-3) for own in active])
    places = [source.direction for source in found]
    azimuths, spreads = np.array([(place.azimuth, place.spread) for place in places]).T
    sure = np.average([place.confidence for place in places], weights=weights)
    levels = np.array([source.level for source in found])
    third = -(-len(found) // 3)
    drift = np.median(azimuths[-third:]) - np.median(azimuths[:third])  # one window gone wrong is no movement
    path = _path(track) if any(source.moves for source in found) or abs(drift) > DRIFT else ()
    direction = Direction(_median(azimuths, weights), _median(spreads, weights), float(sure))
    level = float(10 * np.log10(np.average(10 ** (levels / 10), weights=weights)))
    return Source(track.excerpt, direction, level, path, _merged(list(chain.from_iterable(active))))


def spans(start: float, first: float, last: float, source: Source) -> list[tuple[float, float]]:
    """(start, stop) of a window's source in seconds of the recording, cut to what the window speaks for."""
    own = [(max(start + a, first), min(start + b, last)) for a, b in source.active or ((0.0, np.inf),)]
    return [(a, b) for a, b in own if b > a]


def _path(track: Track) -> tuple[tuple[float, float], ...]:
    """(seconds, azimuth) through all windows; of one in which it stays, its middle."""
    points: list[tuple[float, float]] = []
    for start, first, last, source in track.seen:
        inner = [start + time for time, _ in source.path if first < start + time < last]
        times = [first, *inner, last] if source.moves else [(first + last) / 2]
        points += [(float(t), source.azimuth_at(t - start)) for t in times if not points or t > points[-1][0]]
    return tuple(points)


def _merged(active: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Spans in order, with short pauses bridged."""
    out: list[tuple[float, float]] = []
    for start, stop in sorted(active):
        if out and start - out[-1][1] <= PAUSE:
            out[-1] = (out[-1][0], max(stop, out[-1][1]))
        else:
            out.append((float(start), float(stop)))
    return tuple(out)


def _median(values: NDArray, weights: NDArray) -> float:
    """Weighted: half of the weight lies on either side."""
    order = np.argsort(values)
    share = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][np.searchsorted(share, 0.5)])


def _loudness(source: Source) -> float:
    """Energy: level and for how long."""
    return source.level + 10 * np.log10(max(sum(b - a for a, b in source.active), 1e-3))
