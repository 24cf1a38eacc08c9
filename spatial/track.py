"""Evidence over time -> trajectories of moving sources.

Moving and fixed sources compete for the evidence (`spatial.joint`): all fixed, or as many of which one moves, or two,
and so on. A trajectory is accepted only where it explains the evidence clearly better than a fixed source in its place,
than one fixed source more, because two sources that take turns look like one that moves, and than the fixed sources
that the network found. What is heard on a trajectory only while its source passes is that source.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from spatial import joint
from spatial.evidence import Evidence
from spatial.maps import COUNT, azimuth_grid
from spatial.setups import Setup

BLOCK = 0.1  # seconds
FASTEST = 3  # grid steps per block
FEWEST = 50, 8  # bins, blocks: fewer are not tracked
GAIN, BLUNT = 0.03, 0.3  # likelihood that a path must add to one of 1, more to a lower one; the lowest that counts
EXTENT = 0.3  # of the setup's limit: least extent of a trajectory where it sounds
MOVERS = 3  # at most
BESIDE = 7.0  # grid steps between a trajectory and another source that may be the same, as in `spatial.localisation`
PASSING = 0.45, 1.6  # share of a fixed source's sound while the trajectory passes, and over the time that this takes


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The path of a moving source, and the support for it."""

    times: Float[np.ndarray, " blocks"]  # seconds
    azimuths: Float[np.ndarray, " blocks"]  # degrees
    share: float  # of all components
    gain: float  # likelihood beyond that of fixed sources

    @property
    def extent(self) -> float:
        """Degrees."""
        return float(np.ptp(self.azimuths))


def track_sources(
    evidence: Evidence, setup: Setup, count: int, *, certain: bool, azimuths: Sequence[float] = ()
) -> tuple[list[Trajectory], list[tuple[float, float]]]:
    """Moving sources, and (azimuth, share) of the fixed ones beside them, heaviest first; both empty if none moves.

    `count` is the number of both together; unless `certain`, some of them may be spurious. `azimuths`: where fixed
    sources are if none moves.
    """
    if len(evidence) < FEWEST[0] or count < 1:
        return [], []
    bins = joint.select_bins(evidence, setup, BLOCK)
    if bins.blocks < FEWEST[1]:
        return [], []
    still = joint.fit(bins, count, 0)
    best, before = still, max(still.likelihood, joint.fit(bins, count + 1, 0).likelihood)
    if azimuths:
        before = max(before, joint.fit_shares(bins, [to_position(one, setup) for one in azimuths])[1])
    moving, more = 0, [_find_free_path(bins)]
    while moving < min(count, MOVERS):
        trial = joint.fit(bins, count - moving - 1, moving + 1, more)
        wide = [extent > EXTENT * (COUNT - 1) / 2 for extent in measure_extents(bins, trial)]
        if not all(wide) or not _is_clear_gain(trial.likelihood, before):
            break
        best, before, moving = trial, trial.likelihood, moving + 1
    if not moving:
        return [], []
    fitted = best
    if not certain:
        fitted = prune_fixed(bins, drop_passers(bins, join_paths(bins, best, moving), moving), count - moving)
        moving = sum(np.ndim(one) > 0 for one in fitted.components)
    polished = joint.polish_paths(joint.select_bins(evidence, setup, BLOCK, most=len(evidence)), fitted)
    return _to_sources(polished, setup, moving, still)


def measure_extents(bins: joint.Bins, fitted: joint.Fit) -> list[float]:
    """Grid steps that each trajectory crosses while it sounds, but for the outer twentieths of its sound."""
    parts = joint.assign_blocks(bins, fitted.components)
    out = []
    for path, part in zip(fitted.components, parts, strict=True):
        if np.ndim(path):
            order = np.argsort(path)
            share = np.cumsum(part[order]) / (part.sum() + 1e-12)
            ends = np.searchsorted(share, [0.05, 0.95]).clip(0, bins.blocks - 1)
            out.append(float(np.ptp(np.asarray(path)[order][ends])))
    return out


def _is_clear_gain(after: float, before: float) -> bool:
    return (after - before) * max(before, BLUNT) > GAIN


def join_paths(bins: joint.Bins, fitted: joint.Fit, moving: int) -> joint.Fit:
    """The fit without trajectories that another one, of a larger share, follows while they sound."""
    parts = joint.assign_blocks(bins, fitted.components)
    split = len(fitted.components) - moving
    kept: list[int] = []
    for index in sorted(range(split, split + moving), key=lambda one: -fitted.shares[one]):
        path, sound = np.asarray(fitted.components[index]), parts[index] / (parts[index].sum() + 1e-12)
        if all(sound @ np.abs(path - fitted.components[other]) > BESIDE for other in kept):
            kept.append(index)
    return joint.select_components(bins, fitted, [*range(split), *sorted(kept)])


def drop_passers(bins: joint.Bins, fitted: joint.Fit, moving: int) -> joint.Fit:
    """The fit without fixed components that are heard while a trajectory passes them, and hardly at other times."""
    parts = joint.assign_blocks(bins, fitted.components)
    paths = [np.asarray(one) for one in fitted.components if np.ndim(one)]
    kept = []
    for index, component in enumerate(fitted.components):
        near = (
            np.zeros(bins.blocks) if np.ndim(component) else np.any([np.abs(p - component) < BESIDE for p in paths], 0)
        )
        share = parts[index] @ near / (parts[index].sum() + 1e-12)
        if np.ndim(component) or share < max(PASSING[0], PASSING[1] * near.mean()):
            kept.append(index)
    return joint.select_components(bins, fitted, kept)


def prune_fixed(bins: joint.Bins, fitted: joint.Fit, still: int) -> joint.Fit:
    """The fit without fixed components that hardly add to its likelihood."""
    still = min(still, sum(not np.ndim(one) for one in fitted.components))
    while still:
        moving = len(fitted.components) - still
        fewer = joint.fit(bins, still - 1, moving, [np.asarray(one) for one in fitted.components[still:]])
        if _is_clear_gain(fitted.likelihood, fewer.likelihood):
            break
        fitted, still = fewer, still - 1
    return fitted


def _to_sources(
    fitted: joint.Fit, setup: Setup, moving: int, still: joint.Fit
) -> tuple[list[Trajectory], list[tuple[float, float]]]:
    times = ((np.arange(len(np.asarray(fitted.components[-1]))) + 0.5) * BLOCK).astype(np.float32)
    components = list(zip(fitted.components, fitted.shares.tolist(), strict=True))
    split = len(components) - moving
    gain = fitted.likelihood - still.likelihood
    trajectories = [
        Trajectory(times, to_degrees(np.asarray(path), setup), share, gain) for path, share in components[split:]
    ]
    fixed = [(float(to_degrees(np.asarray(position), setup)), share) for position, share in components[:split]]
    return sorted(trajectories, key=lambda one: -one.share), sorted(fixed, key=lambda one: -one[1])


def to_degrees(positions: Float[np.ndarray, "*blocks"], setup: Setup) -> Float[np.ndarray, "*blocks"]:
    """Positions on the grid as azimuths."""
    return np.asarray(azimuth_grid(setup)[0] + positions * 2 * setup.limit / (COUNT - 1), np.float32)


def to_position(azimuth: float, setup: Setup) -> float:
    """An azimuth as a position on the grid."""
    return float((azimuth - azimuth_grid(setup)[0]) * (COUNT - 1) / (2 * setup.limit))


def _find_free_path(bins: joint.Bins) -> joint.Path:
    """A path of any shape that collects the most votes of short blocks, smoothed by a cubic."""
    votes = bins.density / (bins.density.sum(axis=1, keepdims=True) + 0.5 * COUNT)
    score = np.zeros((bins.blocks, COUNT))
    np.add.at(score, bins.block, bins.weight[:, None] * votes)
    near = score + np.pad(score, ((0, 0), (1, 0)))[:, :-1] + np.pad(score, ((0, 0), (0, 1)))[:, 1:]
    path = viterbi(near, FASTEST, 0.02 * float(near.max()))
    rows = np.arange(bins.blocks)
    cubic = np.polynomial.Polynomial.fit(rows, path, 3, w=near[rows, path] + 1e-9)
    return np.clip(cubic(rows), 0, COUNT - 1).astype(np.float32)


def viterbi(score: Float[np.ndarray, "blocks azimuths"], fastest: int, cost: float) -> Int[np.ndarray, " blocks"]:
    """Positions with the largest sum of scores, at most `fastest` grid steps from one block to the next."""
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
