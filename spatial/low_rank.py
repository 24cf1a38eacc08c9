"""Powers of few patterns: each source is a sum of spectra, each with its loudness over time.

In a room every frequency has its own covariances, and by itself takes one source for the other here and there. What a
source's frequencies have in common over time ties them: multichannel non-negative matrix factorisation, Ozerov and
Fevotte (2010), by the multiplicative updates of Sawada et al. (2013).

Conventions: as in `spatial.local_gaussian`. A power (times, frequencies) is *loudness* (times, rank) @ *patterns*
(rank, frequencies).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from spatial.local_gaussian import (
    Covariances,
    Plane,
    Powers,
    Spectra,
    measure_floor,
    trace_product,
    update_covariances,
    whiten,
)

QUIETEST = 1e-4  # of a pattern's mean loudness: what is zero stays zero, and denormal numbers are slow


@dataclass(frozen=True, eq=False)
class Factors:
    """One source's power."""

    loudness: Float[np.ndarray, "times rank"]
    patterns: Float[np.ndarray, "rank frequencies"]

    def power(self) -> Plane:
        return self.loudness @ self.patterns


def refine(
    spectra: Spectra, powers: Powers, covariances: Covariances, rank: int, rounds: int
) -> tuple[Powers, Covariances]:
    """(powers of that rank, covariances) of the largest likelihood near those given.

    Covariances are updated in every other round.
    """
    floor = measure_floor(spectra)
    factors = [factorise(power, rank, floor) for power in powers]
    powers, fitted = powers.copy(), covariances
    for step in range(rounds):
        white = whiten(spectra, powers, fitted, floor)
        left, right = white.spectra
        received = np.abs(left) ** 2, np.abs(right) ** 2, left * right.conj()
        for k, R in enumerate(fitted):
            a, b = trace_product(R, *received), trace_product(R, white.q, white.p, -white.c)
            factors[k] = _update_factors(factors[k], a, b, floor)
            powers[k] = factors[k].power() + np.float32(floor)
        if step % 2:
            fitted = update_covariances(spectra, powers, fitted)
    return powers, fitted


def factorise(power: Plane, rank: int, floor: float, rounds: int = 10) -> Factors:
    """The factors of smallest Itakura-Saito divergence, Fevotte et al. (2009), from a fixed random start."""
    random, (times, frequencies) = np.random.default_rng(0), power.shape
    start = [0.5 + random.random(shape, np.float32) for shape in ((times, rank), (rank, frequencies))]
    factors = Factors(start[0], start[1] * np.float32(power.mean() / rank))
    for _ in range(rounds):
        expected = factors.power() + np.float32(floor)
        factors = _update_factors(factors, power / expected**2, 1 / expected, floor)
    return factors


def _update_factors(factors: Factors, received: Plane, expected: Plane, floor: float) -> Factors:
    """Sawada et al. (2013), eq. 42 and 43: tr(R S^-1 X X^H S^-1) and tr(R S^-1) at each bin -> the factors."""
    loudness, patterns = factors.loudness, factors.patterns
    tiny = np.float32(1e-30)
    loudness = loudness * np.sqrt((received @ patterns.T) / (expected @ patterns.T + tiny))
    patterns = patterns * np.sqrt((loudness.T @ received) / (loudness.T @ expected + tiny))
    mean = loudness.mean(axis=0) + tiny
    return Factors(np.maximum(loudness / mean, QUIETEST), np.maximum(patterns * mean[:, None], np.float32(floor)))
