"""Match sources to words: one-to-one, and either may stay unmatched.

Conventions: *similarity* is (sources, tokens), finite, larger = more alike. A source left unmatched is worth
`threshold`: no pair lies below it, and a strong pair is not given up for two weak ones.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment

from spatial.errors import SpatialError

LARGEST = 1e300  # sums of smaller numbers are finite
_EQUAL = 1e-9  # sums that differ by less than this share of the largest score are a tie
_PAIR = 1e-7  # worth of a pair in itself, as such a share, so that a pair at the threshold is made

Matrix = Float[np.ndarray, "sources tokens"]


@dataclass(frozen=True)
class Match:
    """A source and its token, or one of them unmatched."""

    source: int | None  # None: a token without a source
    token: int | None  # None: a source without a token
    score: float  # similarity of the two; for an unmatched one its largest similarity, 0 where there was none
    tied: bool = False  # another, equally good assignment pairs it differently


def match(similarity: ArrayLike, *, threshold: float) -> list[Match]:
    """Hungarian assignment, Kuhn (1955), with "no match" on both sides: the sources in order, then the tokens left.

    Maximises the sum of similarity - threshold over the pairs. Raises SpatialError for a similarity that is no finite
    matrix.
    """
    scores = _validate(similarity, threshold)
    above = scores - threshold
    worth = np.where(above >= 0, above / (np.abs(above).max(initial=0) or 1.0) + _PAIR, 0.0)  # (sources, tokens)
    pairs = _assign(worth)
    source_of = {token: source for source, token in pairs.items()}
    matches = []
    for source, row in enumerate(scores):
        token = pairs.get(source)
        score = row.max(initial=-np.inf) if token is None else row[token]
        matches.append(Match(source, token, _finite_or_zero(score), _is_tied(worth, source, token)))
    for token, column in enumerate(scores.T):
        if token not in source_of:
            score = column.max(initial=-np.inf)
            matches.append(Match(None, token, _finite_or_zero(score), _is_tied(worth.T, token, None)))
    return matches


def _assign(worth: Matrix) -> dict[int, int]:
    """{source: token} of the pairs with a positive worth, whose sum is the largest."""
    rows, columns = linear_sum_assignment(worth, maximize=True)
    return {int(row): int(column) for row, column in zip(rows, columns, strict=True) if worth[row, column] > 0}


def _best_total(worth: Matrix) -> float:
    return float(worth[linear_sum_assignment(worth, maximize=True)].sum())


def _is_tied(worth: Float[np.ndarray, "rows columns"], row: int, column: int | None) -> bool:
    """Whether the best total is also reached without this pair, or, for an unmatched row, with the row matched."""
    changed, forced = worth.copy(), 0.0
    if column is None:
        forced = 2.0 * min(worth.shape)  # more than all others together, so that the row is matched if possible
        changed[row, worth[row] > 0] += forced
        if not (worth[row] > 0).any():
            return False
    else:
        changed[row, column] = 0.0
    return abs(_best_total(changed) - forced - _best_total(worth)) <= _EQUAL * min(worth.shape)


def _finite_or_zero(score: float) -> float:
    return float(score) if np.isfinite(score) else 0.0


def _validate(similarity: ArrayLike, threshold: float) -> Matrix:
    scores = np.asarray(similarity, dtype=np.float64)
    if scores.ndim != 2:
        raise SpatialError(
            f"Got a similarity of shape {scores.shape}, expected (sources, tokens); give one row for each source."
        )
    for name, values in (("threshold", threshold), ("similarity", scores)):
        if not (np.abs(values) < LARGEST).all():
            raise SpatialError(
                f"Got a {name} that is not finite, expected numbers; look for silence or a division by zero."
            )
    return scores
