"""Which source is which word: one-to-one, and either may stay alone.

Conventions: *similarity* is (sources, tokens), finite, larger = more alike. Staying alone is worth `threshold` to a
source: no pair lies below it, and a strong pair is not given up for two weak ones.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

from spatial.errors import SpatialError

LARGEST = 1e300  # sums of what is below are numbers too
_EQUAL = 1e-9  # sums that differ by less than this part of the largest score are a tie
_PAIR = 1e-7  # the same of what a pair is worth in itself, so that one at the threshold is made


@dataclass(frozen=True)
class Match:
    """A source and its token, or one of them alone."""

    source: int | None  # None: a token that nothing in the recording sounds like
    token: int | None  # None: a source that no word stands for
    score: float  # similarity of the two; of one alone the best it had with any, 0 where there was none
    tied: bool = False  # another assignment, as good, pairs it differently


def match(similarity: ArrayLike, *, threshold: float) -> list[Match]:
    """Hungarian assignment, Kuhn (1955), with "no match" on both sides: the sources in order, then the tokens left.

    Maximises the sum of similarity - threshold over the pairs made. Raises SpatialError for what is no finite matrix.
    """
    scores = _checked(similarity, threshold)
    above = scores - threshold
    worth = np.where(above >= 0, above / (np.abs(above).max(initial=0) or 1.0) + _PAIR, 0.0)  # (sources, tokens)
    pairs = _assign(worth)
    of_token = {token: source for source, token in pairs.items()}
    found = []
    for source, row in enumerate(scores):
        token = pairs.get(source)
        score = row.max(initial=-np.inf) if token is None else row[token]
        found.append(Match(source, token, _finite(score), _tied(worth, source, token)))
    for token, column in enumerate(scores.T):
        if token not in of_token:
            found.append(Match(None, token, _finite(column.max(initial=-np.inf)), _tied(worth.T, token, None)))
    return found


def _assign(worth: NDArray) -> dict[int, int]:
    """{source: token} of the pairs that are worth something, the largest sum."""
    rows, columns = linear_sum_assignment(worth, maximize=True)
    return {int(row): int(column) for row, column in zip(rows, columns, strict=True) if worth[row, column] > 0}


def _total(worth: NDArray) -> float:
    return float(worth[linear_sum_assignment(worth, maximize=True)].sum())


def _tied(worth: NDArray, row: int, column: int | None) -> bool:
    """Whether the best sum is reached as well without this pair, or, of a row alone, with it paired."""
    changed, forced = worth.copy(), 0.0
    if column is None:
        forced = 2.0 * min(worth.shape)  # more than all others together, so that it is paired if it can be
        changed[row, worth[row] > 0] += forced
        if not (worth[row] > 0).any():
            return False
    else:
        changed[row, column] = 0.0
    return abs(_total(changed) - forced - _total(worth)) <= _EQUAL * min(worth.shape)


def _finite(score: float) -> float:
    return float(score) if np.isfinite(score) else 0.0


def _checked(similarity: ArrayLike, threshold: float) -> NDArray[np.float64]:
    scores = np.asarray(similarity, dtype=np.float64)
    if scores.ndim != 2:
        raise SpatialError(f"Got a similarity of shape {scores.shape}, want (sources, tokens); give one row a source.")
    for bad, values in (("threshold", threshold), ("similarity", scores)):
        if not (np.abs(values) < LARGEST).all():
            raise SpatialError(f"Got a {bad} that is not finite, want numbers; look for silence or a division by 0.")
    return scores
