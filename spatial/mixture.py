"""How much sound comes from each direction: a sparse mixture over a grid of azimuths, by expectation-maximisation.

Each bin comes from one direction, or from none (diffuse sound). The bins of a direction scatter around its steering
vector as an angular central Gaussian (Tyler 1987). Each direction has several widths at once, whose shares are fitted
too: dry recordings are sharp, reverberant ones blunt. A direction explains its side lobes, so that no other direction
need do so: this removes phantom sources.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

WIDTHS = np.array([0.5, 0.2, 0.08, 0.03, 0.01, 0.003, 0.001, 0.0003])
OCTAVE, OCTAVES = 8, 16  # steering distances are quantised in steps of 1/8 octave, from 2 ** -16 to 1
LEVELS = OCTAVE * OCTAVES + 1
DISTANCES = np.concatenate([np.ldexp(1 + np.arange(OCTAVE) / OCTAVE, e) for e in range(-OCTAVES, 0)] + [[1.0]])
DENSITY = WIDTHS[:, None] * (1 + WIDTHS[:, None]) / (DISTANCES + WIDTHS[:, None]) ** 2  # (widths, levels); uniform: 1


@dataclass(frozen=True, eq=False)
class Mixture:
    """The fitted mixture."""

    weights: Float[np.ndarray, " azimuths"]  # share of each direction
    diffuse: float  # share of no direction
    widths: Float[np.ndarray, " widths"]  # share of each width of `WIDTHS`
    likelihood: float  # weighted mean log density of a bin, relative to a uniform density


def quantise(distances: Float[np.ndarray, "bins azimuths"]) -> UInt8[np.ndarray, "bins azimuths"]:
    """Steering distances in [0, 1] -> indices into `DISTANCES`, by a float32's exponent and first mantissa bits."""
    lowest = np.float32(DISTANCES[0])
    bits = np.maximum(distances, lowest).view(np.int32) - (lowest.view(np.int32) - (1 << 19))
    return (bits >> 20).astype(np.uint8)


def fit(
    levels: UInt8[np.ndarray, "bins azimuths"],
    weight: Float[np.ndarray, " bins"],
    diffuse: Float[np.ndarray, " bins"],
    *,
    rounds: int = 30,
) -> Mixture:
    """Fit the mixture to quantised steering distances, weights of the bins, and their density in diffuse sound."""
    share = (weight / weight.sum()).astype(np.float32)
    count = levels.shape[1]
    weights = np.full(count, 0.7 / count, np.float32)
    none, widths = np.float32(0.3), np.full(len(WIDTHS), 1 / len(WIDTHS))
    table = (widths @ DENSITY).astype(np.float32)
    density, total = table[levels], share
    for step in range(rounds):
        total = density @ weights + none * diffuse
        pull = share / total
        changed = step % 3 == 0 or step == rounds - 1
        if changed:
            widths = _fit_widths(levels, weights, pull, widths, table)
        weights = weights * (pull @ density)
        none = none * float(pull @ diffuse)
        weights, none = weights / (weights.sum() + none), none / (weights.sum() + none)
        if changed and step < rounds - 1:
            table = (widths @ DENSITY).astype(np.float32)
            np.take(table, levels, out=density)
    return Mixture(weights, float(none), widths, float(share @ np.log(total)))


def _fit_widths(
    levels: UInt8[np.ndarray, "bins azimuths"],
    weights: Float[np.ndarray, " azimuths"],
    pull: Float[np.ndarray, " bins"],
    widths: Float[np.ndarray, " widths"],
    table: Float[np.ndarray, " levels"],
) -> Float[np.ndarray, " widths"]:
    """One step for the widths' shares, by the bins of the heaviest directions."""
    top = np.argsort(weights)[-12:]
    mass = (pull[:, None] * weights[top]) * table[levels[:, top]]
    counts = np.bincount(levels[:, top].ravel(), mass.ravel(), LEVELS)
    shares = (widths[:, None] * DENSITY / table) @ counts
    return shares / shares.sum()
