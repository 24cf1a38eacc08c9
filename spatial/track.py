"""Evidence over time -> paths of what moves.

What moves and what stays compete for the evidence (`spatial.joint`): so many that stay, or as many of which one moves,
or two. A path is believed only where it explains clearly more than a place in its stead, and than one place more,
for two that take turns look like one that moves.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial import joint
from spatial.evidence import Evidence
from spatial.maps import COUNT, grid
from spatial.scene import Array
from spatial.setups import Setup

BLOCK = 0.1  # seconds
FASTEST = 3  # places of the grid per block
FEWEST = 50, 8  # bins, blocks: with fewer nothing is followed
GAIN, BLUNT = 0.03, 0.3  # likelihood that a path must add to one of 1, more where all is blunt; a likelihood that is so
EXTENT = 0.3  # of the setup's limit, less than which nothing moves
MOVERS = 3  # at most


@dataclass(frozen=True, eq=False)
class Path:
    """One thing's way, and what speaks for its moving."""

    times: Array  # (blocks,) seconds
    azimuths: Array  # (blocks,) degrees
    share: float  # of all there is
    gain: float  # likelihood beside the best that stays

    @property
    def extent(self) -> float:
        """Degrees."""
        return float(np.ptp(self.azimuths))


def follow(
    evidence: Evidence, setup: Setup, count: int, *, certain: bool
) -> tuple[list[Path], list[tuple[float, float]]]:
    """What moves, and (azimuth, share) of what stays beside it, heaviest first; nothing at all where nothing moves.

    `count` there are together, of which some may be spurious unless `certain`.
    """
    if len(evidence) < FEWEST[0] or count < 1:
        return [], []
    bins = joint.gathered(evidence, setup, BLOCK)
    if bins.blocks < FEWEST[1]:
        return [], []
    still = joint.fit(bins, count, 0)
    best, before = still, max(still.likelihood, joint.fit(bins, count + 1, 0).likelihood)
    moving, more = 0, [_wandering(bins)]
    while moving < min(count, MOVERS):
        tried = joint.fit(bins, count - moving - 1, moving + 1, more)
        wide = [float(np.ptp(one)) > EXTENT * (COUNT - 1) / 2 for one in tried.components[count - moving - 1 :]]
        if not all(wide) or not _clearly(tried.likelihood, before):
            break
        best, before, moving = tried, tried.likelihood, moving + 1
    if not moving:
        return [], []
    fitted = best if certain else pruned(bins, best, count - moving)
    return _said(
        joint.polished(joint.gathered(evidence, setup, BLOCK, most=len(evidence)), fitted), setup, moving, still
    )


def _clearly(after: float, before: float) -> bool:
    return (after - before) * max(before, BLUNT) > GAIN


def pruned(bins: joint.Bins, fitted: joint.Fit, still: int) -> joint.Fit:
    """Without those that stay but hardly add to the likelihood."""
    while still:
        moving = len(fitted.components) - still
        fewer = joint.fit(bins, still - 1, moving, [np.asarray(one) for one in fitted.components[still:]])
        if _clearly(fitted.likelihood, fewer.likelihood):
            break
        fitted, still = fewer, still - 1
    return fitted


def _said(
    fitted: joint.Fit, setup: Setup, moving: int, still: joint.Fit
) -> tuple[list[Path], list[tuple[float, float]]]:
    times = ((np.arange(len(np.asarray(fitted.components[-1]))) + 0.5) * BLOCK).astype(np.float32)
    said = list(zip(fitted.components, fitted.shares.tolist(), strict=True))
    split = len(said) - moving
    gain = fitted.likelihood - still.likelihood
    paths = [Path(times, degrees(np.asarray(place), setup), share, gain) for place, share in said[split:]]
    fixed = [(float(degrees(np.asarray(place), setup)), share) for place, share in said[:split]]
    return sorted(paths, key=lambda one: -one.share), sorted(fixed, key=lambda one: -one[1])


def degrees(places: Array, setup: Setup) -> Array:
    """Places of the grid as azimuths."""
    return (grid(setup)[0] + places * 2 * setup.limit / (COUNT - 1)).astype(np.float32)


def _wandering(bins: joint.Bins) -> Array:
    """(blocks,) the way through the votes of short moments that collects the most, be it straight or not; a cubic."""
    votes = bins.density / (bins.density.sum(axis=1, keepdims=True) + 0.5 * COUNT)
    seen = np.zeros((bins.blocks, COUNT))
    np.add.at(seen, bins.block, bins.weight[:, None] * votes)
    near = seen + np.pad(seen, ((0, 0), (1, 0)))[:, :-1] + np.pad(seen, ((0, 0), (0, 1)))[:, 1:]
    way = viterbi(near, FASTEST, 0.02 * float(near.max()))
    rows = np.arange(bins.blocks)
    smooth = np.polynomial.Polynomial.fit(rows, way, 3, w=near[rows, way] + 1e-9)
    return np.clip(smooth(rows), 0, COUNT - 1).astype(np.float32)


def viterbi(score: NDArray[np.float64], fastest: int, cost: float) -> NDArray[np.int64]:
    """(blocks,) places with the largest sum of scores, no more than `fastest` places from one to the next."""
    steps = np.arange(-fastest, fastest + 1)
    total = score[0].copy()
    back = np.zeros(score.shape, np.int64)
    for t in range(1, len(score)):
        padded = np.pad(total, fastest, constant_values=-np.inf)
        moved = np.stack([padded[fastest + s : fastest + s + len(total)] - cost * abs(s) for s in steps])
        choice = moved.argmax(axis=0)
        back[t] = np.arange(len(total)) + steps[choice]
        total = moved.max(axis=0) + score[t]
    path = np.empty(len(score), np.int64)
    path[-1] = int(total.argmax())
    for t in range(len(score) - 1, 0, -1):
        path[t - 1] = back[t, path[t]]
    return path
