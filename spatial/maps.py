"""Feature maps over the azimuth and over time: the input of the network in `spatial.localisation`.

One number per azimuth cannot tell a source from the flank of a louder one or from a reflection. Several can: a source
that sounds briefly is high in some blocks and low in the mean, a side lobe is high in one band only, and a reflection
is in every mean but in no sharp vote.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int, UInt8
from scipy.sparse import csr_array

from spatial import mixture
from spatial.evidence import Evidence, diffuse_density, steering_distance
from spatial.setups import NAMES, Setup

COUNT = 91  # azimuths, from limit to limit
BLOCK = 0.25  # seconds
EDGES = (0.0, 600.0, 1500.0, 4000.0, 1e9)  # Hz, of the bands
COHERENCE_POWER = 8  # exponent of a bin's coherence (the length of its Stokes vector) in its weight
BINS_PER_SECOND = 800  # that are used
EARLY_POWER = 3  # exponent of a bin's onset in the weight of the maps that see the direct sound almost alone
LOCAL, NUMBERS = 18, 4 + len(NAMES)  # maps that differ between azimuths, and numbers that do not
MAPS = LOCAL + 1 + NUMBERS
TIMED = 6  # maps for each block of time


@dataclass(frozen=True, eq=False)
class Maps:
    """What the network sees of a recording under the assumption of one setup."""

    overall: Float[np.ndarray, "maps azimuths"]  # (MAPS, COUNT)
    timed: Float[np.ndarray, "timed blocks azimuths"]  # (TIMED, blocks, COUNT)


def azimuth_grid(setup: Setup, count: int = COUNT) -> Float[np.ndarray, " {count}"]:
    """Azimuths in degrees, evenly from the left limit to the right one."""
    return np.linspace(-setup.limit, setup.limit, count).astype(np.float32)


def compute_maps(evidence: Evidence, setup: Setup) -> Maps:
    """Shares of each azimuth, mostly as logarithms, and numbers that are the same for all azimuths."""
    seconds = float(evidence.times.max())
    evidence = evidence.thin_out(max(1000, round(BINS_PER_SECOND * seconds)))
    levels = mixture.quantise(steering_distance(evidence, setup, azimuth_grid(setup, 2 * COUNT - 1)))
    length = np.linalg.norm(evidence.stokes, axis=1)
    weight = (evidence.weight * length**COHERENCE_POWER + 1e-12).astype(np.float32)
    fitted = mixture.fit(levels, weight, diffuse_density(evidence, setup), rounds=10)
    sharp, blunt = (_votes(levels, width) for width in (0.01, 0.1))
    posterior = _posterior(levels, fitted)
    band = np.searchsorted(EDGES[1:-1], evidence.frequencies[evidence.index], side="right")
    rows = [
        fitted.weights,
        (weight @ sharp) / weight.sum(),
        (weight @ blunt) / weight.sum(),
        (evidence.weight @ blunt) / evidence.weight.sum(),
        (weight @ posterior) / weight.sum(),
        *_band_maps(band, weight, sharp),
        *_early_maps(evidence, length, sharp, blunt, posterior),
    ]
    timed = _timed_maps(evidence, weight, band, sharp, blunt, posterior)
    local = np.concatenate([np.log(_pool(np.stack(rows)) + 1e-4), _ranked_maps(timed)])
    overall = np.concatenate([local, _constant_maps(evidence, setup, fitted, length)])
    return Maps(overall.astype(np.float32), timed.astype(np.float32))


def _votes(levels: UInt8[np.ndarray, "bins azimuths"], width: float) -> Float[np.ndarray, "bins azimuths"]:
    """Each bin's posterior when all azimuths are equally likely and equally wide."""
    density = (width * (1 + width) / (mixture.DISTANCES + width) ** 2).astype(np.float32)[levels]
    return density / (density.sum(axis=1, keepdims=True) + np.float32(0.5 * levels.shape[1]))


def _posterior(
    levels: UInt8[np.ndarray, "bins azimuths"], fitted: mixture.Mixture
) -> Float[np.ndarray, "bins azimuths"]:
    """Each bin's posterior under the mixture, with a small prior for every azimuth."""
    weights = (fitted.weights + 0.02 * fitted.weights.max() + 1e-6).astype(np.float32)
    density = (fitted.widths @ mixture.DENSITY).astype(np.float32)[levels] * weights
    return density / (density.sum(axis=1, keepdims=True) + np.float32(fitted.diffuse + 1e-9))


def _timed_maps(
    evidence: Evidence,
    weight: Float[np.ndarray, " bins"],
    band: Int[np.ndarray, " bins"],
    sharp: Float[np.ndarray, "bins fine"],
    blunt: Float[np.ndarray, "bins fine"],
    posterior: Float[np.ndarray, "bins fine"],
) -> Float[np.ndarray, "timed blocks azimuths"]:
    """For each block, logarithms of: sharp votes in a low, middle and high band, blunt votes, posterior; its weight."""
    block = (evidence.times / BLOCK).astype(int)
    blocks = int(block.max()) + 1
    third = np.array([0, 1, 1, 2])[band]
    by_band = _sum_rows(third * blocks + block, weight, sharp, 3 * blocks).reshape(3, blocks, -1)
    both = np.concatenate([blunt, posterior], axis=1)
    whole = _sum_rows(block, weight, both, blocks).reshape(blocks, 2, -1).transpose(1, 0, 2)
    total = np.bincount(block, weight, blocks)
    floor = 0.1 * np.quantile(total, 0.9) + 1e-12
    shares = np.concatenate([3 * by_band, whole]) / (total + floor)[:, None]
    local = np.stack([np.log(_pool(each) + 1e-3) for each in shares])
    loudness = np.log(total / (total.max() + 1e-12) + 1e-3)
    return np.concatenate([local, np.repeat(loudness[:, None], COUNT, axis=1)[None]])


def _sum_rows(
    group: Int[np.ndarray, " bins"],
    weight: Float[np.ndarray, " bins"],
    values: Float[np.ndarray, "bins azimuths"],
    groups: int,
) -> Float[np.ndarray, "groups azimuths"]:
    """Weighted sums of the rows of each group."""
    chosen = csr_array((weight, (group, np.arange(len(group)))), shape=(groups, len(group)))
    return chosen @ values


def _ranked_maps(timed: Float[np.ndarray, "timed blocks azimuths"]) -> Float[np.ndarray, "4 azimuths"]:
    """The mean of the best eighth of the blocks and the best block, of the summed sharp votes and of the posterior."""
    sharp = np.log(np.exp(timed[:3]).mean(axis=0))
    out = []
    for each in (sharp, timed[4]):
        ranked = np.sort(each, axis=0)[::-1]
        out += [ranked[: max(1, len(ranked) // 8)].mean(axis=0), ranked[0]]
    return np.stack(out)


def _band_maps(
    band: Int[np.ndarray, " bins"], weight: Float[np.ndarray, " bins"], sharp: Float[np.ndarray, "bins azimuths"]
) -> list[Float[np.ndarray, " azimuths"]]:
    """The sharp votes of each frequency band."""
    edges = np.searchsorted(band, np.arange(len(EDGES)))  # bins are sorted by frequency
    return [weight[a:b] @ sharp[a:b] / (weight[a:b].sum() + 1e-3 * weight.sum()) for a, b in pairwise(edges)]


def _early_maps(
    evidence: Evidence,
    length: Float[np.ndarray, " bins"],
    sharp: Float[np.ndarray, "bins azimuths"],
    blunt: Float[np.ndarray, "bins azimuths"],
    posterior: Float[np.ndarray, "bins azimuths"],
) -> list[Float[np.ndarray, " azimuths"]]:
    """Of bins weighted by their onset: sharp, blunt and posterior votes, those of all bins, and sharp low ones."""
    early = evidence.weight * evidence.onset**EARLY_POWER
    weight = (early * length**COHERENCE_POWER + 1e-12).astype(np.float32)
    low = weight * (evidence.frequencies[evidence.index] < EDGES[2])
    votes = [(weight, sharp), (weight, blunt), (weight, posterior), (early, blunt), (low, sharp)]
    return [each @ values / (each.sum() + 1e-12) for each, values in votes]


def _constant_maps(
    evidence: Evidence, setup: Setup, fitted: mixture.Mixture, length: Float[np.ndarray, " bins"]
) -> Float[np.ndarray, "maps azimuths"]:
    """Distance from ahead; the same for all azimuths: diffuseness, coherence, sharpness, spacing, setup."""
    position = azimuth_grid(setup) / setup.limit
    share = evidence.weight / evidence.weight.sum()
    sharpness = float(fitted.widths @ np.log(mixture.WIDTHS)) / 4
    one_hot = [float(setup.name == name) for name in NAMES]
    spacing = float(np.log(setup.spacing / 0.5)) if setup.name == "spaced" else 0.0
    numbers = [fitted.diffuse, float(share @ length**2), sharpness, spacing, *one_hot]
    return np.concatenate([np.abs(position)[None], np.repeat(np.array(numbers)[:, None], COUNT, axis=1)])


def _pool(fine: Float[np.ndarray, "rows fine"]) -> Float[np.ndarray, "rows azimuths"]:
    """(rows, 2 COUNT - 1) -> (rows, COUNT): each odd azimuth is shared between its neighbours."""
    padded = np.pad(fine, ((0, 0), (1, 1)))
    return padded[:, 1:-1:2] + np.float32(0.5) * (padded[:, :-2:2] + padded[:, 2::2])
