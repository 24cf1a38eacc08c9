"""How alike two layouts are: figures that papers on layouts state. Pure functions.

Conventions: a thing is (word, box), a layout a sequence of them. Scores are symmetric and at most 1, which equal
layouts have, two empty ones too.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment, linprog

from guidance.boxes import Box, generalized_iou, iou

Thing = tuple[str, Box]


def compute_max_iou(first: Sequence[Thing], second: Sequence[Thing]) -> float:
    """MaxIoU of two layouts, Kikuchi et al. (2021), arXiv 2108.00871: things of one word are matched for most overlap.

    The mean intersection over union, 0 to 1, over the things of the larger layout, so that what is missing, or more
    than was asked for, counts as 0. The published figure is defined for layouts of the same words, where this is equal
    to it; between collections of layouts it also matches the layouts, which are paired here.
    """
    most = max(len(first), len(second))
    if not most:
        return 1.0
    overlaps = _compare(first, second, iou) * _same_words(first, second)
    rows, columns = linear_sum_assignment(-overlaps)
    return float(overlaps[rows, columns].sum() / most)


def compute_ltsim(first: Sequence[Thing], second: Sequence[Thing]) -> float:
    """LTSim, Otani et al. (2024), arXiv 2407.12356: exp(-cost) of the cheapest transport of one layout onto the other.

    The cost of two things is the mean of (1 - GIoU) / 2 and of whether their words differ, 0 or 1; each thing of a
    layout has the same share of its mass. If only one layout is empty the cost is 1. So scores are exp(-1) to 1.
    """
    if not first or not second:
        return math.exp(-float(len(first) != len(second)))
    costs = (1 - _compare(first, second, generalized_iou)) / 4 + (1 - _same_words(first, second)) / 2
    rows, columns = costs.shape
    sums = np.zeros((rows + columns, rows * columns))
    for i in range(rows):
        sums[i, i * columns : (i + 1) * columns] = 1
    for j in range(columns):
        sums[rows + j, j::columns] = 1
    weights = np.concatenate([np.full(rows, 1 / rows), np.full(columns, 1 / columns)])
    return math.exp(-max(0.0, linprog(costs.ravel(), A_eq=sums, b_eq=weights).fun))


def _compare(
    first: Sequence[Thing], second: Sequence[Thing], measure: Callable[[Box, Box], float]
) -> NDArray[np.float64]:
    table = [[measure(a, b) for _, b in second] for _, a in first]
    return np.array(table, float).reshape(len(first), len(second))


def _same_words(first: Sequence[Thing], second: Sequence[Thing]) -> NDArray[np.float64]:
    return np.array([[float(a == b) for b, _ in second] for a, _ in first]).reshape(len(first), len(second))
