"""Distances between two sets of pictures that are honest for few pictures, on features of any image model.

Conventions as in `audiotoken.metrics`: features are (pictures, width). FID is biased upwards for few pictures; the
kernel distance is not, and precision and recall say in which way two sets differ.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics.pairwise import euclidean_distances, polynomial_kernel

from audiotoken.errors import MetricError
from audiotoken.metrics import Array, validate


class PrecisionRecall(NamedTuple):
    """Shares in [0, 1]."""

    precision: float  # of generated pictures that look like real ones
    recall: float  # of real pictures that the generator can draw


def kernel_distance(a: ArrayLike, b: ArrayLike) -> float:
    """KID, Bińkowski et al. (2018), arXiv 1801.01401, eq. 4: the unbiased squared MMD with the kernel (x.y / d + 1)^3.

    0 on average for two samples of one distribution, so it may be below 0; not bounded above. Over all pictures at
    once, not averaged over blocks.
    """
    first, second = _pair(a, b, least=2)
    (m, _), (n, _) = first.shape, second.shape
    own, other, both = (polynomial_kernel(*pair) for pair in ((first, first), (second, second), (first, second)))
    within = (own.sum() - np.trace(own)) / (m * (m - 1)) + (other.sum() - np.trace(other)) / (n * (n - 1))
    return float(within - 2 * both.mean())


def precision_recall(generated: ArrayLike, real: ArrayLike, neighbours: int = 3) -> PrecisionRecall:
    """Kynkäänniemi et al. (2019), arXiv 1904.06991, eq. 1 and 2.

    The region of a set is the union of balls around its pictures that reach their k-th nearest neighbour; precision is
    the share of generated pictures in the region of the real ones, recall the reverse. Compare sets of one size only.
    """
    drawn, true = _pair(generated, real, least=neighbours + 1)
    return PrecisionRecall(_covered(drawn, true, neighbours), _covered(true, drawn, neighbours))


def _covered(points: Array, region: Array, neighbours: int) -> float:
    """Share of `points` within the k-th nearest neighbour's distance of any point of `region`."""
    radii = np.sort(euclidean_distances(region), axis=1)[:, neighbours]  # column 0 is the point itself
    return float((euclidean_distances(points, region) <= radii).any(axis=1).mean())


def _pair(a: ArrayLike, b: ArrayLike, least: int) -> tuple[Array, Array]:
    first, second = validate("features", a), validate("features", b)
    if first.shape[1] != second.shape[1] or min(len(first), len(second)) < least:
        raise MetricError(
            f"Got features {first.shape} and {second.shape}, expected two of (pictures, width) with one width and at "
            f"least {least} rows; add pictures."
        )
    return first, second
