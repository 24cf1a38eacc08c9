"""Panned, dry sources that overlap nearly everywhere: their azimuths by maximum likelihood.

A bin of K amplitude-panned sources is Gaussian with the covariance sum of p_k a_k a_k^T. Its loudness aside it is an
angular central Gaussian (Tyler 1987), of density det / (sum of p_k m_k)^2, where m_k is the steering distance of
source k alone and det = sum over pairs of p_i p_j sin^2. Neighbouring bins share their powers, which are one of
`powers`, each with a share of its own, found with the azimuths: a bin that one source has alone is sharp, one that two
share lies on their chord, and a hull that is larger than need be is unlikely.
"""

from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from spatial.evidence import HIGHEST, LOWEST, Evidence, onset, sphere, stft
from spatial.scene import Array
from spatial.setups import Setup

TILE = 3  # moments and frequencies that share their powers
MOST = 1200  # tiles that are asked
POWERS = (1, 0.1, 1e-2, 1e-3, 1e-4)  # beside the loudest's
FLOOR = 1e-6  # of a steering_distance: samples of 16 bits
CLEAR = 2e-3  # of a bin's length on the sphere that it may lack and still be one source's
ALONE, SHARP = 20, 2.5  # bins within 0.15 degrees of an azimuth, and how much denser than around it, that prove it
STEP = 2.0  # degrees, with which the search begins


def refine_panned(evidence: Evidence, recording: Array, rate: int, setup: Setup, azimuths: list[float]) -> list[float]:
    """The azimuths of three panned dry sources, what sharp bins prove kept; of other counts as they came."""
    places = np.array(azimuths, float)
    free = np.flatnonzero([not proven(evidence, setup, azimuth) for azimuth in azimuths])
    if len(places) != 3 or not len(free):
        return azimuths
    points, shares = tiles(recording, rate), powers(len(places))
    for step in (STEP, 0.3 * STEP):
        weights = _weights(_likelihoods(points, setup, places, shares))
        places[free] = _searched(points, setup, places, free, shares, weights, step)
    return [float(azimuth) for azimuth in places]


def proven(evidence: Evidence, setup: Setup, azimuth: float) -> bool:
    """Whether many bins are this azimuth's alone, and few its neighbours'."""
    clear = evidence.stokes[np.linalg.norm(evidence.stokes, axis=1) > 1 - CLEAR]
    grid = np.linspace(-setup.limit, setup.limit, 901, dtype=np.float32)
    known = sphere(setup, grid, np.zeros(1, np.float32))[0]
    found = np.interp(np.arctan2(clear[:, 1], clear[:, 0]), np.arctan2(known[:, 1], known[:, 0]), grid)
    apart = np.abs(found - azimuth)
    here, around = int((apart < 0.15).sum()), int(((apart > 0.5) & (apart < 2)).sum())
    return here >= ALONE and (here + 1) / (around / 10 + 1) > SHARP


def tiles(recording: Array, rate: int, most: int = MOST) -> Array:
    """(tiles, bins, 2): (LL - RR, 2 Re LR*) over the trace of single bins, where much begins to sound."""
    spectra, times, frequencies = stft(recording, rate, overlap=2)
    left, right = spectra[:, :, (frequencies >= LOWEST) & (frequencies <= HIGHEST)]
    power = np.abs(left) ** 2, np.abs(right) ** 2
    trace = power[0] + power[1] + 1e-20
    weight = onset(trace, times) * np.where(trace > 1e-6 * trace.max(), trace**0.15, 0)
    heavy = _tiled(weight).sum(axis=1)
    kept = np.sort(np.argsort(heavy, kind="stable")[-most:])
    return np.stack([_tiled(x / trace)[kept] for x in (power[0] - power[1], 2 * (left * right.conj()).real)], axis=-1)


def powers(count: int) -> Array:
    """(nodes, sources): powers that sources may have in a tile, sum 1."""
    found = np.array([node for node in product(POWERS, repeat=count) if max(node) == 1], np.float32)
    return found / found.sum(axis=1, keepdims=True)


def _tiled(plane: NDArray) -> NDArray:
    """(times, frequencies) -> (tiles, bins)."""
    rows, columns = plane.shape[0] // TILE, plane.shape[1] // TILE
    cut = plane[: rows * TILE, : columns * TILE].reshape(rows, TILE, columns, TILE)
    return cut.transpose(0, 2, 1, 3).reshape(rows * columns, TILE * TILE)


def _likelihoods(points: Array, setup: Setup, azimuths: NDArray, shares: Array) -> Array:
    """(tiles, nodes) log density."""
    count, bins = len(azimuths), points.shape[1]
    places = sphere(setup, azimuths, np.zeros(1, np.float32))[0, :, :2]
    misfits = np.maximum((1 - points.reshape(-1, 2) @ places.T) / 2, FLOOR)
    spread = (misfits @ shares.T).reshape(-1, bins, len(shares)).prod(axis=1)
    apart = (1 - places @ places.T) / 2
    pairs = [(i, j) for i in range(count) for j in range(i)]
    determinant = sum(shares[:, i] * shares[:, j] * apart[i, j] for i, j in pairs) + 1e-8
    return -2 * np.log(spread + 1e-37) + bins * np.log(determinant)


def _weights(likelihoods: Array, rounds: int = 5) -> Array:
    """(nodes,) how common each is, by expectation-maximisation."""
    density = np.exp(likelihoods - likelihoods.max(axis=1, keepdims=True))
    weights = np.full(density.shape[1], 1 / density.shape[1])
    for _ in range(rounds):
        belief = density * weights
        weights = (belief / belief.sum(axis=1, keepdims=True)).mean(axis=0) + 1e-4
        weights /= weights.sum()
    return weights


def _searched(
    points: Array, setup: Setup, places: NDArray, free: NDArray, shares: Array, weights: Array, step: float
) -> NDArray:
    """The free azimuths of the greatest likelihood, by the simplex of Nelder and Mead (1965)."""
    limit = setup.limit

    def loss(x: NDArray) -> float:
        tried = places.copy()
        tried[free] = x.clip(-limit, limit)
        found = _likelihoods(points, setup, tried, shares)
        top = found.max(axis=1)
        likely = float(np.mean(top + np.log(np.exp(found - top[:, None]) @ weights)))
        return float(np.square(np.maximum(np.abs(x) - limit, 0)).sum()) - likely

    start = places[free]
    inward = np.where(start > limit - 5, -step, step)
    options = {"initial_simplex": np.vstack([start, start + np.diag(inward)]), "maxfev": 30, "xatol": 0.02}
    return minimize(loss, start, method="Nelder-Mead", options=options).x.clip(-limit, limit)
