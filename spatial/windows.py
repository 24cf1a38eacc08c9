"""Long recordings: overlapping windows are analysed one by one and their sources joined.

Conventions: as in `spatial.scene`. A *block* is (channels, frames) of any length, in order and without gaps. Each
window counts for its middle part: half of each overlap is left to the neighbour. Memory does not grow with the length,
except for a few numbers of each window.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Unpack

import numpy as np
from jaxtyping import Float

from spatial import listening
from spatial.errors import SpatialError
from spatial.identity import Track, is_doubtful, join_tracks, merge_track, total_energy
from spatial.listening import ListenOptions
from spatial.scene import Scene
from spatial.setups import Setup, make_setup

LONG = 30.0  # seconds; longer recordings are heard in windows
WINDOW, OVERLAP = 20.0, 5.0  # seconds
SURVEY = 3  # windows that decide on the setup

Block = Float[np.ndarray, "channels _"]
OnWindow = Callable[[float, Scene, Sequence[int], bool], None]
Piece = tuple[int, Block, bool]  # first frame, the window, whether there are more


def listen_long(
    blocks: Iterable[Block],
    rate: int,
    *,
    window: float = WINDOW,
    overlap: float = OVERLAP,
    on_window: OnWindow | None = None,
    on_end: Callable[[Sequence[int]], None] | None = None,
    **options: Unpack[ListenOptions],
) -> Scene:
    """The scene of a recording that comes in blocks; `options` as of `listen`, numbers of sources for each window.

    The signal of a source is that of the window in which it was loudest. The first windows that are not silent decide
    on the setup of all. `on_window` receives the start (seconds) and the scene of each window, the number of each of
    its sources in the whole recording, counted in order of appearance, and whether there are more windows; `on_end`
    receives those numbers in the order in which the sources are returned; those of doubtful sources are missing.
    Raises SpatialError for invalid input.
    """
    if not 0 <= 2 * overlap <= window or window <= 0:
        raise SpatialError(
            f"Got windows of {window:g} s with an overlap of {overlap:g} s, expected at most half; change them."
        )
    pieces = split_windows(blocks, rate, window, overlap)
    survey, surveyed = _survey_setup(pieces, rate) if options.get("setup", "auto") == "auto" else (None, [])
    if survey:
        options |= {"setup": survey[0], "spacing": None}
    tracks: list[Track] = []
    notes: Counter[str] = Counter()
    heard = 0
    for frame, piece, more in chain(surveyed, pieces):
        scene = _listen_to_window(piece, rate, options)
        start = frame / rate
        first = start + (overlap / 2 if frame else 0.0)
        last = start + piece.shape[1] / rate - (overlap / 2 if more else 0.0)
        order = join_tracks(tracks, scene.sources, start, first, last, rate)
        notes.update(scene.notes)
        heard += bool(scene.sources)
        kind, apart = scene.setup, scene.spacing
        if on_window:
            on_window(start, scene, order, more)
    sources = [merge_track(track) for track in tracks]
    certain = [number for number in range(len(sources)) if not is_doubtful(tracks[number], sources[number], heard)]
    ranks = sorted(certain, key=lambda number: -total_energy(sources[number]))
    if on_end:
        on_end(ranks)
    ranked = tuple(sources[number] for number in ranks)
    return Scene(ranked, rate, kind, apart, survey[1] if survey else 1.0, tuple(notes))


def listen_at_length(
    recording: Float[np.ndarray, "*channels frames"],
    rate: int,
    *,
    progress: Callable[[float], None] | None = None,
    **options: Unpack[ListenOptions],
) -> Scene:
    """`listening.listen`, and in windows for a recording longer than `LONG`: the scene of a recording of any length.

    Sources that were heard in windows have an excerpt as their signal, and no image.
    """
    frames, report_progress = np.shape(recording)[-1], progress or (lambda share: None)
    if frames <= LONG * rate:
        return listening.listen(recording, rate, progress=progress, **options)

    def blocks() -> Iterator[Block]:
        for start in range(0, frames, rate):
            report_progress(start / frames)
            yield np.atleast_2d(recording)[:, start : start + rate]

    scene = listen_long(blocks(), rate, **options)
    report_progress(1.0)
    return scene


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


def _listen_to_window(piece: Block, rate: int, options: ListenOptions) -> Scene:
    if not _is_silent(piece):
        return listening.listen(piece, rate, **options)
    setup = options.get("setup", "auto")
    if isinstance(setup, Setup):
        return Scene((), rate, setup.name, setup.spacing)
    return Scene((), rate, "mono" if setup == "auto" else setup, options.get("spacing") or 0.0)
