"""What the evidence says of every azimuth, in several ways at once: the input of the network in `spatial.localise`.

One number per azimuth is not enough to tell a source from the flank of a louder one or from a reflection: a source
that is heard for a moment is high in the best moments and low in the mean, a side lobe is high in one band only, a
reflection is in every mean and in no sharp vote.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from spatial import mixture
from spatial.evidence import Evidence, diffuse_density, steering_distance
from spatial.scene import Array
from spatial.setups import NAMES, Setup

COUNT = 91  # azimuths, from limit to limit
BLOCK = 0.15  # seconds of the moments
EDGES = (0.0, 600.0, 1500.0, 4000.0)  # Hz, of the bands
POLARISED = 8  # power of a bin's coherence by which it counts
CHANNELS = 13 + 4 + len(NAMES)


def grid(setup: Setup, count: int = COUNT) -> Array:
    """(count,) azimuths, degrees."""
    return np.linspace(-setup.limit, setup.limit, count).astype(np.float32)


def maps(evidence: Evidence, setup: Setup) -> Array:
    """(CHANNELS, COUNT): shares of each azimuth, mostly as logarithms, and what is the same for all."""
    azimuths = grid(setup, 2 * COUNT - 1)
    places = mixture.rounded(steering_distance(evidence, setup, azimuths))
    length = np.linalg.norm(evidence.stokes, axis=1)
    weight = evidence.weight * length**POLARISED + 1e-12
    fitted = mixture.fit(places, weight, diffuse_density(evidence, setup), rounds=15)
    sharp, blunt = (_votes(places, width) for width in (0.01, 0.1))
    explained = _explained(places, fitted)
    weighted = weight[:, None] * sharp
    rows = [
        fitted.weights,
        (weight @ sharp) / weight.sum(),
        (weight @ blunt) / weight.sum(),
        (evidence.weight @ blunt) / evidence.weight.sum(),
        (weight @ explained) / weight.sum(),
        *_moments(evidence, weight, weighted, explained),
        *_bands(evidence, weight, weighted),
    ]
    local = np.log(_pooled(np.stack(rows)) + 1e-4)
    return np.concatenate([local, _same(evidence, setup, fitted, length)]).astype(np.float32)


def _votes(places: NDArray[np.uint8], width: float) -> Array:
    """(bins, azimuths): each bin's belief when every azimuth is as likely and as wide."""
    density = (width * (1 + width) / (mixture.MISFITS + width) ** 2).astype(np.float32)[places]
    return density / (density.sum(axis=1, keepdims=True) + 0.5 * places.shape[1])


def _explained(places: NDArray[np.uint8], fitted: mixture.Mixture) -> Array:
    """(bins, azimuths): each bin's belief given all the others, every azimuth having some chance."""
    weights = fitted.weights + 0.02 * fitted.weights.max() + 1e-6
    density = (fitted.widths @ mixture.DENSITY).astype(np.float32)[places] * weights
    return density / (density.sum(axis=1, keepdims=True) + fitted.diffuse + 1e-9)


def _moments(evidence: Evidence, weight: Array, weighted: Array, explained: Array) -> list[Array]:
    """The mean of the best moments, the best of all, and how often it was the first."""
    block = (evidence.times / BLOCK).astype(int)
    order = np.argsort(block, kind="stable")
    starts = np.flatnonzero(np.diff(block[order], prepend=-1))
    total = np.add.reduceat(weight[order], starts)[:, None]
    floor = 0.3 * total.max()
    out = []
    for each in (weighted, weight[:, None] * explained):
        share = _pooled(np.add.reduceat(each[order], starts, axis=0)) / (total + floor)
        ranked = np.sort(share, axis=0)[::-1]
        out += [ranked[: max(1, len(ranked) // 8)].mean(axis=0), ranked[0]]
    first = np.zeros_like(out[0])
    np.add.at(first, share.argmax(axis=1), (total / (total + floor))[:, 0])
    return [*(_unpooled(each) for each in out), _unpooled(first / len(share))]


def _bands(evidence: Evidence, weight: Array, weighted: Array) -> list[Array]:
    """The same votes by frequency."""
    edges = np.searchsorted(evidence.frequencies[evidence.index], EDGES)
    return [weighted[a:b].sum(axis=0) / (weight[a:b].sum() + 1e-3 * weight.sum()) for a, b in pairwise(edges)]


def _same(evidence: Evidence, setup: Setup, fitted: mixture.Mixture, length: Array) -> Array:
    """What holds for every azimuth: the kind of stereo, how diffuse and how sharp, and where the azimuth is."""
    where = grid(setup) / setup.limit
    share = evidence.weight / evidence.weight.sum()
    sharpness = float(fitted.widths @ np.log(mixture.WIDTHS)) / 4
    kind = [float(setup.name == name) for name in NAMES]
    numbers = [fitted.diffuse, float(share @ length**2), sharpness, *kind]
    return np.concatenate([np.abs(where)[None], np.repeat(np.array(numbers)[:, None], COUNT, axis=1)])


def _pooled(fine: Array) -> Array:
    """(rows, 2 COUNT - 1) -> (rows, COUNT): neighbours shared."""
    padded = np.pad(fine, ((0, 0), (1, 1)))
    return padded[:, 1:-1:2] + 0.5 * (padded[:, :-2:2] + padded[:, 2::2])


def _unpooled(row: Array) -> Array:
    """Such that pooling gives it back, nearly."""
    fine = np.zeros(2 * len(row) - 1, row.dtype)
    fine[::2] = row
    return fine


def vertex(values: NDArray, top: int) -> float:
    """Where the parabola through a peak and its neighbours is the highest, beside the peak."""
    if not 0 < top < len(values) - 1:
        return 0.0
    before, here, after = values[top - 1 : top + 2]
    bend = before - 2 * here + after
    return float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend < 0 else 0.0
