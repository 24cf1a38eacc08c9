"""Feature maps over the azimuth: the input of the network in `spatial.localisation`.

One number per azimuth cannot tell a source from the flank of a louder one or from a reflection. Several can: a source
that sounds briefly is high in the best blocks and low in the mean, a side lobe is high in one band only, and a
reflection is in every mean but in no sharp vote.
"""

from itertools import pairwise

import numpy as np
from jaxtyping import Float, UInt8

from spatial import mixture
from spatial.evidence import Evidence, diffuse_density, steering_distance
from spatial.setups import NAMES, Setup

COUNT = 91  # azimuths, from limit to limit
BLOCK = 0.15  # seconds
EDGES = (0.0, 600.0, 1500.0, 4000.0)  # Hz, of the bands
COHERENCE_POWER = 8  # exponent of a bin's coherence (the length of its Stokes vector) in its weight
MAPS = 13 + 4 + len(NAMES)


def azimuth_grid(setup: Setup, count: int = COUNT) -> Float[np.ndarray, " {count}"]:
    """Azimuths in degrees, evenly from the left limit to the right one."""
    return np.linspace(-setup.limit, setup.limit, count).astype(np.float32)


def compute_maps(evidence: Evidence, setup: Setup) -> Float[np.ndarray, "maps azimuths"]:
    """(MAPS, COUNT): shares of each azimuth, mostly as logarithms, and numbers that are the same for all azimuths."""
    azimuths = azimuth_grid(setup, 2 * COUNT - 1)
    levels = mixture.quantise(steering_distance(evidence, setup, azimuths))
    length = np.linalg.norm(evidence.stokes, axis=1)
    weight = evidence.weight * length**COHERENCE_POWER + 1e-12
    fitted = mixture.fit(levels, weight, diffuse_density(evidence, setup), rounds=15)
    sharp, blunt = (_votes(levels, width) for width in (0.01, 0.1))
    posterior = _posterior(levels, fitted)
    weighted = weight[:, None] * sharp
    rows = [
        fitted.weights,
        (weight @ sharp) / weight.sum(),
        (weight @ blunt) / weight.sum(),
        (evidence.weight @ blunt) / evidence.weight.sum(),
        (weight @ posterior) / weight.sum(),
        *_block_maps(evidence, weight, weighted, posterior),
        *_band_maps(evidence, weight, weighted),
    ]
    local = np.log(_pool(np.stack(rows)) + 1e-4)
    return np.concatenate([local, _constant_maps(evidence, setup, fitted, length)]).astype(np.float32)


def _votes(levels: UInt8[np.ndarray, "bins azimuths"], width: float) -> Float[np.ndarray, "bins azimuths"]:
    """Each bin's posterior when all azimuths are equally likely and equally wide."""
    density = (width * (1 + width) / (mixture.DISTANCES + width) ** 2).astype(np.float32)[levels]
    return density / (density.sum(axis=1, keepdims=True) + 0.5 * levels.shape[1])


def _posterior(
    levels: UInt8[np.ndarray, "bins azimuths"], fitted: mixture.Mixture
) -> Float[np.ndarray, "bins azimuths"]:
    """Each bin's posterior under the mixture, with a small prior for every azimuth."""
    weights = fitted.weights + 0.02 * fitted.weights.max() + 1e-6
    density = (fitted.widths @ mixture.DENSITY).astype(np.float32)[levels] * weights
    return density / (density.sum(axis=1, keepdims=True) + fitted.diffuse + 1e-9)


def _block_maps(
    evidence: Evidence,
    weight: Float[np.ndarray, " bins"],
    weighted: Float[np.ndarray, "bins azimuths"],
    posterior: Float[np.ndarray, "bins azimuths"],
) -> list[Float[np.ndarray, " azimuths"]]:
    """By blocks of time: the mean of the best blocks, the best block, and how often an azimuth was the first."""
    block = (evidence.times / BLOCK).astype(int)
    order = np.argsort(block, kind="stable")
    starts = np.flatnonzero(np.diff(block[order], prepend=-1))
    total = np.add.reduceat(weight[order], starts)[:, None]
    floor = 0.3 * total.max()
    out = []
    for each in (weighted, weight[:, None] * posterior):
        share = _pool(np.add.reduceat(each[order], starts, axis=0)) / (total + floor)
        ranked = np.sort(share, axis=0)[::-1]
        out += [ranked[: max(1, len(ranked) // 8)].mean(axis=0), ranked[0]]
    first = np.zeros_like(out[0])
    np.add.at(first, share.argmax(axis=1), (total / (total + floor))[:, 0])
    return [*(_unpool(each) for each in out), _unpool(first / len(share))]


def _band_maps(
    evidence: Evidence, weight: Float[np.ndarray, " bins"], weighted: Float[np.ndarray, "bins azimuths"]
) -> list[Float[np.ndarray, " azimuths"]]:
    """The sharp votes of each frequency band."""
    edges = np.searchsorted(evidence.frequencies[evidence.index], EDGES)
    return [weighted[a:b].sum(axis=0) / (weight[a:b].sum() + 1e-3 * weight.sum()) for a, b in pairwise(edges)]


def _constant_maps(
    evidence: Evidence, setup: Setup, fitted: mixture.Mixture, length: Float[np.ndarray, " bins"]
) -> Float[np.ndarray, "maps azimuths"]:
    """The distance of the azimuth from ahead, and, the same for all azimuths: the setup, diffuseness and sharpness."""
    position = azimuth_grid(setup) / setup.limit
    share = evidence.weight / evidence.weight.sum()
    sharpness = float(fitted.widths @ np.log(mixture.WIDTHS)) / 4
    one_hot = [float(setup.name == name) for name in NAMES]
    numbers = [fitted.diffuse, float(share @ length**2), sharpness, *one_hot]
    return np.concatenate([np.abs(position)[None], np.repeat(np.array(numbers)[:, None], COUNT, axis=1)])


def _pool(fine: Float[np.ndarray, "rows fine"]) -> Float[np.ndarray, "rows azimuths"]:
    """(rows, 2 COUNT - 1) -> (rows, COUNT): each odd azimuth is shared between its neighbours."""
    padded = np.pad(fine, ((0, 0), (1, 1)))
    return padded[:, 1:-1:2] + 0.5 * (padded[:, :-2:2] + padded[:, 2::2])


def _unpool(row: Float[np.ndarray, " azimuths"]) -> Float[np.ndarray, " fine"]:
    """A row that `_pool` turns back into the same, nearly."""
    fine = np.zeros(2 * len(row) - 1, row.dtype)
    fine[::2] = row
    return fine
