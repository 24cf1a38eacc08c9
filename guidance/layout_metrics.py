"""How alike two layouts are: figures that papers on layouts state. Pure functions.

Conventions: a thing is (word, box), a layout a sequence of them; scores are 0 to 1, 1 for equal layouts, 1 for two
empty ones and 0 where only one is empty.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment, linprog

from guidance.boxes import Box, generalized_iou, iou

Thing = tuple[str, Box]


def compute_max_iou(first: Sequence[Thing], second: Sequence[Thing]) -> float:
    """MaxIoU of Kikuchi et al. (2021), arXiv 2108.00871: things of one word are matched for the largest overlap.

    The mean of intersection over union over the things of the larger layout, so that what is missing, or more than was
    asked for, counts as 0; for layouts of the same words it is the published one.
    """
    most = max(len(first), len(second))
    if not most:
        return 1.0
    overlaps = _compare(first, second, iou) * _same_words(first, second)
    rows, columns = linear_sum_assignment(-overlaps)
    return float(overlaps[rows, columns].sum() / most)


def compute_transport_similarity(first: Sequence[Thing], second: Sequence[Thing]) -> float:
    """exp(-cost) of moving one layout onto the other, after LTSim, Otani et al. (2024), arXiv 2407.12356.

    The cost of two things is (1 - GIoU) / 2, and 1 more if their words differ; each thing of a layout weighs the same.
    Written from the idea, not checked against the authors' figures.
    """
    if not first or not second:
        return float(len(first) == len(second))
    costs = (1 - _compare(first, second, generalized_iou)) / 2 + 1 - _same_words(first, second)
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
