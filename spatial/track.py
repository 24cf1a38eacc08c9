"""Evidence over time -> paths of what moves.

A path is found through the votes of short moments by the Viterbi algorithm (who moves cannot jump), then smoothed by a
polynomial, for what passes by does so steadily. It is believed only where it explains clearly more of the moments than
any place that stays, and more than any two that take turns.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spatial import mixture
from spatial.evidence import Evidence, misfit
from spatial.maps import COUNT, POLARISED, grid
from spatial.scene import Array
from spatial.setups import Setup

BLOCK = 0.1  # seconds
FASTEST = 3  # places of the grid per block
WIDTH = 0.03  # misfit that counts as near
NEAR = 3  # places either side that belong to a path
DEGREE = 3  # of the polynomial
ROUNDS = 3
FEWEST = 50  # bins
TURNS, GAIN, EXTENT = 1.15, 1.3, 0.3  # of `Path`, the extent beside the setup's limit: what has all of them moves
FAR = 0.7  # extent of what moves even if it is little heard on its way
SHARE, REST = 0.095, 0.25  # of all votes, and of those left, below which it may be chance
SHADOW = 0.55  # of a path's share: what moves beside it with less is its flank
STILL = 0.055, 0.085, 0.2  # share, best moments and how often of what stays beside it
BESIDE = 0.35  # share of the first of those that the next has
FLANK = 8  # places either side of what stays that are its flanks


@dataclass(frozen=True, eq=False)
class Path:
    """One thing's way, and what speaks for its moving."""

    times: Array  # (blocks,) seconds
    azimuths: Array  # (blocks,) degrees
    gain: float  # votes along it beside those of the best place that stays
    turns: float  # the same beside the best two places that take turns
    extent: float  # degrees
    share: float = 0.0  # of all votes


def votes(evidence: Evidence, setup: Setup) -> tuple[Array, NDArray[np.float64]]:
    """Seconds (blocks,), and votes (blocks, COUNT) in [0, 1]; none where there is too little to follow."""
    if len(evidence) < FEWEST:
        return np.zeros(0, np.float32), np.zeros((0, COUNT))
    places = mixture.rounded(misfit(evidence, setup, grid(setup)))
    density = (WIDTH * (1 + WIDTH) / (mixture.MISFITS + WIDTH) ** 2).astype(np.float32)[places]
    belief = density / (density.sum(axis=1, keepdims=True) + 0.5 * COUNT)
    weight = evidence.weight * np.linalg.norm(evidence.stokes, axis=1) ** POLARISED
    block = (evidence.times / BLOCK).astype(int)
    count = int(block.max()) + 1
    sums = np.zeros((count, COUNT))
    order = np.argsort(block, kind="stable")
    starts = np.flatnonzero(np.diff(block[order], prepend=-1))
    sums[block[order][starts]] = np.add.reduceat((weight[:, None] * belief)[order], starts, axis=0)
    total = np.bincount(block, weight, count)
    floor = 0.3 * np.quantile(total, 0.9) + 1e-12
    return ((np.arange(count) + 0.5) * BLOCK).astype(np.float32), sums / (total + floor)[:, None]


def best(times: Array, seen: NDArray[np.float64], setup: Setup) -> Path | None:
    """The way that collects the most votes, smoothed; None where there is nothing to follow."""
    if len(times) < 8 or seen.sum() < 1e-6:
        return None
    near = _pooled(seen, 1)
    raw = viterbi(near, FASTEST, 0.02 * near.max())
    strength = near[np.arange(len(raw)), raw] ** 2
    spread = np.polynomial.Polynomial.fit(times, raw, min(DEGREE, len(times) // 4), w=np.sqrt(strength + 1e-9))
    smooth = np.clip(spread(times), 0, COUNT - 1)
    along = _along(_pooled(seen, 2), smooth)
    fixed = _pooled(seen, 2)
    still = fixed.sum(axis=0)
    pairs = np.maximum(fixed[:, :, None], fixed[:, None]).sum(axis=0) if len(times) < 400 else still[None]
    heard = strength > 0.1 * strength.max()
    extent = float(np.ptp(smooth[heard])) * 2 * setup.limit / (COUNT - 1)
    azimuths = grid(setup)[0] + smooth * 2 * setup.limit / (COUNT - 1)
    return Path(times, azimuths.astype(np.float32), along / still.max(), along / pairs.max(), extent)


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


def _pooled(seen: NDArray[np.float64], near: int) -> NDArray[np.float64]:
    """Votes with those of the neighbours."""
    padded = np.pad(seen, ((0, 0), (near, near)))
    return np.sum([padded[:, i : i + seen.shape[1]] for i in range(2 * near + 1)], axis=0)


def _along(seen: NDArray[np.float64], path: NDArray[np.float64]) -> float:
    rows = np.arange(len(path))
    low = np.minimum(path.astype(int), seen.shape[1] - 2)
    part = path - low
    return float((seen[rows, low] * (1 - part) + seen[rows, low + 1] * part).sum())


def follow(times: Array, seen: NDArray[np.float64], setup: Setup, most: int) -> list[Path]:
    """What moves by `votes`, at most `most`: the best ways, one after the other, each leaving the rest to the next."""
    total = seen.sum()
    out: list[Path] = []
    for turn in range(ROUNDS):
        path = best(times, seen, setup)
        if path is None or len(out) == most:
            break
        near = np.abs(np.arange(COUNT) - places(path, setup)[:, None]) <= NEAR + 1
        share = float(seen[near].sum() / total)
        first = turn == 0 or seen[near].sum() > REST * seen.sum()
        shadow = any(share < SHADOW * other.share for other in out)
        if _moves(path, share, first, setup) and not shadow:
            out.append(replace(path, share=share))
        if path.extent < EXTENT * setup.limit:
            near = np.abs(np.arange(COUNT) - places(path, setup)[:, None]) <= FLANK
        seen = np.where(near, 0, seen)
    return out


def _moves(path: Path, share: float, first: bool, setup: Setup) -> bool:
    wide = path.extent / setup.limit
    clear = path.turns > TURNS and path.gain > GAIN and wide > EXTENT
    far = first and wide > FAR and path.gain > 1.0
    return share > SHARE and (clear or far)


def beside(seen: NDArray[np.float64], setup: Setup, paths: list[Path], most: int) -> list[tuple[float, float]]:
    """(azimuth, share of all votes) of what stays while those paths are gone, heaviest first."""
    total = seen.sum()
    for path in paths:
        seen = np.where(np.abs(np.arange(COUNT) - places(path, setup)[:, None]) <= NEAR + 1, 0, seen)
    out: list[tuple[float, float]] = []
    while len(out) < most:
        pooled = _pooled(seen, 2)
        top = int(pooled.sum(axis=0).argmax())
        here = pooled[:, top]
        share = float(here.sum() / total)
        heard = share, float(np.sort(here)[-5:].mean()), float(np.mean(here > 0.05))
        if any(a < b for a, b in zip(heard, STILL, strict=True)) or (out and share < BESIDE * out[0][1]):
            break
        out.append((float(grid(setup)[top]), share))
        seen[:, max(0, top - FLANK) : top + FLANK + 1] = 0
    return out


def places(path: Path, setup: Setup) -> NDArray[np.float64]:
    """(blocks,) where a path is on the grid."""
    return (path.azimuths / setup.limit + 1) * (COUNT - 1) / 2
