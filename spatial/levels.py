"""Azimuths of dry panned sources that overlap in nearly all bins, by maximum likelihood.

A bin of K amplitude-panned sources is Gaussian with the covariance sum of p_k a_k a_k^T. Normalised by its loudness it
is an angular central Gaussian (Tyler 1987) of density det / (sum of p_k m_k)^2, where m_k is the steering distance of
source k alone and det = sum over pairs of p_i p_j sin^2. Neighbouring bins share their powers, which follow one of a
set of patterns (`power_patterns`); the share of each pattern is fitted with the azimuths. A bin of one source alone is
sharp, a bin of two lies on the chord between them, and sources spread wider than the bins require are unlikely.
"""

from itertools import product

import numpy as np
from jaxtyping import Float, Int, Shaped
from scipy.optimize import minimize

from spatial.evidence import HIGHEST, LOWEST, Evidence, onset_weights, steering_stokes, stft
from spatial.setups import Setup

TILE = 3  # times and frequencies that share their powers
MOST = 1200  # tiles that are used
POWERS = (1, 0.1, 1e-2, 1e-3, 1e-4)  # relative to the loudest
FLOOR = 1e-6  # of a steering distance: samples of 16 bits
CLEAR = 2e-3  # of the length of a Stokes vector that may be missing in a bin of one source
ALONE, SHARP = 20, 2.5  # bins within 0.15 degrees of an azimuth, and how much denser than around it, that confirm it
FARTHEST = 1.5  # degrees: larger moves make it worse more often than better
STEP = 2.0  # degrees: first step of the search


def refine_panned(
    evidence: Evidence, recording: Float[np.ndarray, "2 frames"], rate: int, setup: Setup, azimuths: list[float]
) -> list[float]:
    """Refine the azimuths of three dry panned sources, except those that sharp bins confirm.

    A source moves by less than `FARTHEST`; one that would move further keeps its azimuth, and the others are refined
    beside it. With another number of sources all are returned as they are.
    """
    start = np.array(azimuths, float)
    free = np.flatnonzero([not has_sharp_bins(evidence, setup, azimuth) for azimuth in azimuths])
    if len(start) != 3 or not len(free):
        return azimuths
    tiles, patterns = collect_tiles(recording, rate), power_patterns(len(start))
    while len(free):
        current = start.copy()
        for step in (STEP, 0.3 * STEP):
            weights = _fit_weights(_log_likelihoods(tiles, setup, current, patterns))
            current[free] = _maximise_likelihood(tiles, setup, current, free, patterns, weights, step)
        moves = np.abs(current - start)[free]
        if moves.max() < FARTHEST:
            return [float(azimuth) for azimuth in current]
        free = np.delete(free, moves.argmax())
    return [float(azimuth) for azimuth in start]


def _mean_likelihood(
    tiles: Float[np.ndarray, "tiles bins 2"],
    setup: Setup,
    azimuths: Float[np.ndarray, " sources"],
    patterns: Float[np.ndarray, "patterns sources"],
    weights: Float[np.ndarray, " patterns"],
) -> float:
    """Mean log density of a tile under patterns of those shares."""
    likelihoods = _log_likelihoods(tiles, setup, azimuths, patterns)
    top = likelihoods.max(axis=1)
    return float(np.mean(top + np.log(np.exp(likelihoods - top[:, None]) @ weights)))


def has_sharp_bins(evidence: Evidence, setup: Setup, azimuth: float) -> bool:
    """Whether many bins hold that azimuth alone, and few an azimuth close by."""
    clear = evidence.stokes[np.linalg.norm(evidence.stokes, axis=1) > 1 - CLEAR]
    grid = np.linspace(-setup.limit, setup.limit, 901, dtype=np.float32)
    known = steering_stokes(setup, grid, np.zeros(1, np.float32))[0]
    estimates = np.interp(np.arctan2(clear[:, 1], clear[:, 0]), np.arctan2(known[:, 1], known[:, 0]), grid)
    apart = np.abs(estimates - azimuth)
    here, around = int((apart < 0.15).sum()), int(((apart > 0.5) & (apart < 2)).sum())
    return here >= ALONE and (here + 1) / (around / 10 + 1) > SHARP


def collect_tiles(
    recording: Float[np.ndarray, "2 frames"], rate: int, most: int = MOST
) -> Float[np.ndarray, "tiles bins 2"]:
    """(LL - RR, 2 Re LR*) over the trace of single bins, in the tiles with the strongest onsets."""
    spectra, times, frequencies = stft(recording, rate, overlap=2)
    left, right = spectra[:, :, (frequencies >= LOWEST) & (frequencies <= HIGHEST)]
    power = np.abs(left) ** 2, np.abs(right) ** 2
    trace = power[0] + power[1] + 1e-20
    weight = onset_weights(trace, times) * np.where(trace > 1e-6 * trace.max(), trace**0.15, 0)
    heavy = _cut_into_tiles(weight).sum(axis=1)
    chosen = np.sort(np.argsort(heavy, kind="stable")[-most:])
    values = power[0] - power[1], 2 * (left * right.conj()).real
    return np.stack([_cut_into_tiles(x / trace)[chosen] for x in values], axis=-1)


def power_patterns(count: int) -> Float[np.ndarray, "patterns sources"]:
    """Powers, sum 1, that `count` sources may have in a tile."""
    patterns = np.array([powers for powers in product(POWERS, repeat=count) if max(powers) == 1], np.float32)
    return patterns / patterns.sum(axis=1, keepdims=True)


def _cut_into_tiles(plane: Shaped[np.ndarray, "times frequencies"]) -> Shaped[np.ndarray, "tiles bins"]:
    rows, columns = plane.shape[0] // TILE, plane.shape[1] // TILE
    cut = plane[: rows * TILE, : columns * TILE].reshape(rows, TILE, columns, TILE)
    return cut.transpose(0, 2, 1, 3).reshape(rows * columns, TILE * TILE)


def _log_likelihoods(
    tiles: Float[np.ndarray, "tiles bins 2"],
    setup: Setup,
    azimuths: Float[np.ndarray, " sources"],
    patterns: Float[np.ndarray, "patterns sources"],
) -> Float[np.ndarray, "tiles patterns"]:
    """Log density of each tile under each pattern of powers."""
    count, bins = len(azimuths), tiles.shape[1]
    points = steering_stokes(setup, azimuths, np.zeros(1, np.float32))[0, :, :2]
    distances = np.maximum((1 - tiles.reshape(-1, 2) @ points.T) / 2, FLOOR)
    spread = (distances @ patterns.T).reshape(-1, bins, len(patterns)).prod(axis=1)
    apart = (1 - points @ points.T) / 2
    pairs = [(i, j) for i in range(count) for j in range(i)]
    determinant = sum(patterns[:, i] * patterns[:, j] * apart[i, j] for i, j in pairs) + 1e-8
    return -2 * np.log(spread + 1e-37) + bins * np.log(determinant)


def _fit_weights(likelihoods: Float[np.ndarray, "tiles patterns"], rounds: int = 5) -> Float[np.ndarray, " patterns"]:
    """The share of each pattern, by expectation-maximisation."""
    density = np.exp(likelihoods - likelihoods.max(axis=1, keepdims=True))
    weights = np.full(density.shape[1], 1 / density.shape[1])
    for _ in range(rounds):
        posterior = density * weights
        weights = (posterior / posterior.sum(axis=1, keepdims=True)).mean(axis=0) + 1e-4
        weights /= weights.sum()
    return weights


def _maximise_likelihood(
    tiles: Float[np.ndarray, "tiles bins 2"],
    setup: Setup,
    azimuths: Float[np.ndarray, " sources"],
    free: Int[np.ndarray, " free"],
    patterns: Float[np.ndarray, "patterns sources"],
    weights: Float[np.ndarray, " patterns"],
    step: float,
) -> Float[np.ndarray, " free"]:
    """The free azimuths of the largest likelihood, by the simplex of Nelder and Mead (1965)."""
    limit = setup.limit

    def cost(x: Float[np.ndarray, " free"]) -> float:
        trial = azimuths.copy()
        trial[free] = x.clip(-limit, limit)
        outside = float(np.square(np.maximum(np.abs(x) - limit, 0)).sum())
        return outside - _mean_likelihood(tiles, setup, trial, patterns, weights)

    start = azimuths[free]
    inward = np.where(start > limit - 5, -step, step)
    options = {"initial_simplex": np.vstack([start, start + np.diag(inward)]), "maxfev": 30, "xatol": 0.02}
    return minimize(cost, start, method="Nelder-Mead", options=options).x.clip(-limit, limit)
