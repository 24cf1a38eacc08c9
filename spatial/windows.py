"""Long recordings: overlapping windows are analysed one by one and their sources joined.

Conventions: as in `spatial.scene`. A *block* is (channels, frames) of any length, in order and without gaps. Each
window counts for its middle part: half of each overlap is left to the neighbour. Memory does not grow with the length,
except for a few numbers of each window.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment

from spatial import listening
from spatial.errors import SpatialError
from spatial.scene import Direction, Scene, Source
from spatial.setups import Setup, make_setup

WINDOW, OVERLAP = 20.0, 5.0  # seconds
SURVEY = 3  # windows that decide on the setup
REACH = 15.0  # degrees: a source further away is another one
DECIBEL = 0.25  # degrees that a decibel of difference counts, up to MOST
MOST = 20.0  # decibels
DRIFT = 12.0  # degrees between windows above which a source counts as moving
PAUSE = 0.2  # seconds that end a span, as in `spatial.activity`

Block = Float[np.ndarray, "channels _"]
OnWindow = Callable[[float, Scene, Sequence[int], bool], None]
Piece = tuple[int, Block, bool]  # first frame, the window, whether there are more


@dataclass
class Track:
    """One source through the windows in which it was found."""

    seen: list[tuple[float, float, float, Source]] = field(default_factory=list)  # window's start, its own from, to
    excerpt: Float[np.ndarray, " _"] = field(default_factory=lambda: np.zeros(0, np.float32))
    loudest: float = -np.inf

    def add(self, start: float, first: float, last: float, source: Source) -> None:
        """Add the numbers of a source, and keep its signal if it is the loudest so far."""
        if source.level > self.loudest or not len(self.excerpt):
            self.loudest, self.excerpt = source.level, source.signal.copy()
        bare = replace(source, signal=np.zeros(0, np.float32), image=None)
        self.seen.append((start, first, last, bare))

    def azimuth_at(self, seconds: float) -> float:
        """Azimuth in its last window."""
        start, _, last, source = self.seen[-1]
        return source.azimuth_at(min(seconds, last) - start)


def listen_long(
    blocks: Iterable[Block],
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

    The signal of a source is that of the window in which it was loudest. The first windows that are not silent decide
    on the setup of all. `on_window` receives the start (seconds) and the scene of each window, the number of each of
    its sources in the whole recording, counted in order of appearance, and whether there are more windows; `on_end`
    receives those numbers in the order in which the sources are returned. Raises SpatialError for invalid input.
    """
    if not 0 <= 2 * overlap <= window or window <= 0:
        raise SpatialError(
            f"Got windows of {window:g} s with an overlap of {overlap:g} s, expected at most half; change them."
        )
    pieces = split_windows(blocks, rate, window, overlap)
    survey, surveyed = _survey_setup(pieces, rate) if setup == "auto" else (None, [])
    stereo = survey[0] if survey else setup
    spacing = None if survey else spacing
    tracks: list[Track] = []
    notes: Counter[str] = Counter()
    for frame, piece, more in chain(surveyed, pieces):
        scene = _listen_to_window(piece, rate, setup=stereo, spacing=spacing, max_sources=max_sources, count=count)
        start = frame / rate
        first = start + (overlap / 2 if frame else 0.0)
        last = start + piece.shape[1] / rate - (overlap / 2 if more else 0.0)
        order = join_tracks(tracks, scene.sources, start, first, last)
        notes.update(scene.notes)
        name, apart = scene.setup, scene.spacing
        if on_window:
            on_window(start, scene, order, more)
    sources = [_merge_track(track) for track in tracks]
    ranks = sorted(range(len(sources)), key=lambda number: -_energy(sources[number]))
    if on_end:
        on_end(ranks)
    ranked = tuple(sources[number] for number in ranks)
    return Scene(ranked, rate, name, apart, survey[1] if survey else 1.0, tuple(notes))


def split_windows(
    blocks: Iterable[Block], rate: int, window: float = WINDOW, overlap: float = OVERLAP
) -> Iterator[Piece]:
    """(first frame, (channels, frames), whether there are more) of overlapping windows; SpatialError without blocks."""
    size, hop = round(window * rate), round((window - overlap) * rate)
    held: list[np.ndarray] = []
    start = frames = 0
    for block in blocks:
        held.append(block)
        frames += block.shape[1]
        while frames > size:  # one frame more: there is another window
            piece = np.concatenate(held, axis=1)
            yield start, piece[:, :size], True
            held, start, frames = [piece[:, hop:]], start + hop, frames - hop
    if not frames:
        raise SpatialError("Got no sound at all, expected at least one block; check the file.")
    yield start, np.concatenate(held, axis=1), False


def _survey_setup(pieces: Iterator[Piece], rate: int) -> tuple[tuple[Setup, float] | None, list[Piece]]:
    """(the setup on which the first windows agree that are not silent, with its confidence; all windows consumed)."""
    consumed, votes = [], []
    for piece in pieces:
        consumed.append(piece)
        if not _is_silent(piece[1]):
            votes.append(listening.listen(piece[1], rate))
        if len(votes) == SURVEY or len(consumed) == 4 * SURVEY:
            break
    return vote_setup(votes), consumed


def vote_setup(votes: Sequence[Scene]) -> tuple[Setup, float] | None:
    """(the setup with the most confidence, its share of all votes); None when all are mono."""
    totals: Counter[str] = Counter()
    for vote in votes:
        totals[vote.setup] += vote.confidence  # type: ignore[assignment]
    del totals["mono"]
    if not totals:
        return None
    name, confidence = totals.most_common(1)[0]
    apart = float(np.median([vote.spacing for vote in votes if vote.setup == name]))
    return make_setup(name, spacing=apart if name == "spaced" else None), confidence / len(votes)


def _is_silent(piece: Block) -> bool:
    return float(np.abs(piece).max(initial=0)) < listening.SILENCE_PEAK


def _listen_to_window(
    piece: Block, rate: int, *, setup: str | Setup, spacing: float | None, max_sources: int, count: int | None
) -> Scene:
    if not _is_silent(piece):
        return listening.listen(piece, rate, setup=setup, spacing=spacing, max_sources=max_sources, count=count)
    if isinstance(setup, Setup):
        return Scene((), rate, setup.name, setup.spacing)
    return Scene((), rate, "mono" if setup == "auto" else setup, spacing or 0.0)


def join_tracks(tracks: list[Track], sources: Sequence[Source], start: float, first: float, last: float) -> list[int]:
    """Add each source of a window to the track that it continues, or to a new one -> the tracks' numbers.

    `start` of the window, `first` and `last` second it counts for. Hungarian method on the azimuths, Kuhn (1955).
    """
    costs = np.array([[_cost(track, source, start, first) for track in tracks] for source in sources])
    costs = costs.reshape(len(sources), len(tracks))
    far = np.isinf(costs)
    pairs = zip(*linear_sum_assignment(np.where(far, 1e6, costs)), strict=True)
    continues = {int(row): int(column) for row, column in pairs if not far[row, column]}
    order = []
    for number, source in enumerate(sources):
        if number not in continues:
            tracks.append(Track())
        order.append(continues.get(number, len(tracks) - 1))
        tracks[order[-1]].add(start, first, last, source)
    return order


def _cost(track: Track, source: Source, start: float, first: float) -> float:
    """Degrees between the two where the windows meet, plus the difference of levels; infinite when out of reach."""
    apart = abs(track.azimuth_at(first) - source.azimuth_at(first - start))
    if apart > REACH:
        return np.inf
    return apart + DECIBEL * min(abs(track.seen[-1][3].level - source.level), MOST)


def _merge_track(track: Track) -> Source:
    """One source from all windows of a track."""
    sources = [source for _, _, _, source in track.seen]
    active = [clip_spans(*each) for each in track.seen]
    weights = np.array([max(sum(b - a for a, b in own), 1e-3) for own in active])
    directions = [source.direction for source in sources]
    azimuths, spreads = np.array([(one.azimuth, one.spread) for one in directions]).T
    confidence = np.average([one.confidence for one in directions], weights=weights)
    levels = np.array([source.level for source in sources])
    third = -(-len(sources) // 3)
    drift = np.median(azimuths[-third:]) - np.median(azimuths[:third])  # one wrong window is no movement
    path = _merge_path(track) if any(source.moves for source in sources) or abs(drift) > DRIFT else ()
    direction = Direction(_weighted_median(azimuths, weights), _weighted_median(spreads, weights), float(confidence))
    level = float(10 * np.log10(np.average(10 ** (levels / 10), weights=weights)))
    return Source(track.excerpt, direction, level, path, _merge_spans(list(chain.from_iterable(active))))


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


def _energy(source: Source) -> float:
    """Level plus duration, in dB."""
    return source.level + 10 * np.log10(max(sum(b - a for a, b in source.active), 1e-3))
