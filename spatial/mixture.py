"""How much sound comes from each direction: a sparse mixture over a grid of azimuths, by expectation-maximisation.

Each bin was made by one direction, or by none (diffuse). A direction's bins scatter around its steering vector as an
angular central Gaussian (Tyler 1987) of several widths at once, which are found with the rest: dry recordings are
sharp, rooms blunt. What one direction explains, its side lobes need not: that is how phantoms go away.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial.scene import Array

WIDTHS = np.array([0.5, 0.2, 0.08, 0.03, 0.01, 0.003, 0.001, 0.0003])
OCTAVE, OCTAVES = 8, 16  # steps in which misfits are rounded, from 2 ** -16 to 1
LEVELS = OCTAVE * OCTAVES + 1
MISFITS = np.concatenate([np.ldexp(1 + np.arange(OCTAVE) / OCTAVE, e) for e in range(-OCTAVES, 0)] + [[1.0]])
DENSITY = WIDTHS[:, None] * (1 + WIDTHS[:, None]) / (MISFITS + WIDTHS[:, None]) ** 2  # (widths, levels); uniform: 1


@dataclass(frozen=True, eq=False)
class Mixture:
    """What the bins are made of."""

    weights: Array  # (azimuths,) share of each
    diffuse: float  # share of none
    widths: Array  # (widths,) share of each width of `WIDTHS`
    likelihood: float  # mean log density of a bin beside uniform ones, weighted


def rounded(steering_distance: Array) -> NDArray[np.uint8]:
    """Misfits in [0, 1] -> places in `MISFITS`: a float's exponent and first bits are a logarithm already."""
    lowest = np.float32(MISFITS[0])
    bits = np.maximum(steering_distance, lowest).view(np.int32) - (lowest.view(np.int32) - (1 << 19))
    return (bits >> 20).astype(np.uint8)


def fit(places: NDArray[np.uint8], weight: Array, diffuse: Array, *, rounds: int = 30) -> Mixture:
    """`places` (bins, azimuths) of the misfits, `weight` (bins,), `diffuse` (bins,) density of no direction."""
    share = (weight / weight.sum()).astype(np.float32)
    count = places.shape[1]
    weights = np.full(count, 0.7 / count, np.float32)
    none, widths = np.float32(0.3), np.full(len(WIDTHS), 1 / len(WIDTHS))
    total = share
    for step in range(rounds):
        table = (widths @ DENSITY).astype(np.float32)
        density = table[places]
        total = density @ weights + none * diffuse
        pull = share / total
        if step % 3 == 0 or step == rounds - 1:
            widths = _widths(places, weights, pull, widths, table)
        weights = weights * (pull @ density)
        none = none * float(pull @ diffuse)
        weights, none = weights / (weights.sum() + none), none / (weights.sum() + none)
    return Mixture(weights, float(none), widths, float(share @ np.log(total)))


def _widths(places: NDArray[np.uint8], weights: Array, pull: Array, widths: Array, table: Array) -> Array:
    """The widths' shares: what each has in the bins, by the heaviest directions."""
    top = np.argsort(weights)[-12:]
    mass = (pull[:, None] * weights[top]) * table[places[:, top]]
    counts = np.bincount(places[:, top].ravel(), mass.ravel(), LEVELS)
    found = (widths[:, None] * DENSITY / table) @ counts
    return found / found.sum()
