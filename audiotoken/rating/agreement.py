"""Krippendorff's alpha: how far raters agree beyond what chance would give."""

from collections.abc import Sequence
from math import nan
from typing import Literal

import numpy as np

Level = Literal["nominal", "ordinal", "interval"]


def krippendorff_alpha(units: Sequence[Sequence[float]], level: Level) -> float:
    """Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, section D: 1 - observed / expected disagreement.

    `units` holds the values of each rated item, any number of them. Items with fewer than two values carry no
    information and are left out. 1 is agreement, 0 is chance, below 0 is systematic disagreement; nan if nothing was
    rated twice or all values are the same, because chance would have agreed as well.
    """
    rated = [list(unit) for unit in units if len(unit) > 1]
    values, columns = np.unique(np.concatenate([[], *rated]), return_inverse=True)
    if len(values) < 2:
        return nan
    counts = np.zeros((len(rated), len(values)))  # (units, values)
    np.add.at(counts, (np.repeat(np.arange(len(rated)), [len(unit) for unit in rated]), columns), 1)
    weighted = counts / (counts.sum(axis=1) - 1)[:, None]  # by the number of values of each unit, less one
    coincidences = weighted.T @ counts - np.diag(weighted.sum(axis=0))  # (values, values)
    totals = counts.sum(axis=0)
    differences = _squared_differences(values, totals, level)  # (values, values)
    expected = np.outer(totals, totals) / (totals.sum() - 1)  # wrong on the diagonal, where the difference is 0
    return float(1 - (coincidences * differences).sum() / (expected * differences).sum())


def _squared_differences(values: np.ndarray, totals: np.ndarray, level: Level) -> np.ndarray:
    """Squared difference of each two values; on an ordinal scale, by how many values were given between them."""
    if level == "nominal":
        return 1 - np.eye(len(values))
    ranks = np.cumsum(totals) - totals / 2 if level == "ordinal" else values
    return np.subtract.outer(ranks, ranks) ** 2
