"""Boxes in a picture, and their checks; nothing heavy is imported here.

Conventions: a box is (x0, y0, x1, y1) in [0, 1], origin top left, with a width and a height.
"""

import math
from typing import Any

from guidance.errors import RegionError

Box = tuple[float, float, float, float]  # x0, y0, x1, y1 in [0, 1], origin top left


def check_box(box: Any) -> Box:
    """The box as a tuple of floats; RegionError unless it lies in the picture and has a width and a height."""
    try:
        edges = tuple(float(edge) for edge in box)
    except (TypeError, ValueError, OverflowError):
        raise RegionError(
            f"Got the box {box!r}, expected four numbers x0, y0, x1, y1 from 0 to 1; convert them."
        ) from None
    if len(edges) != 4 or not all(math.isfinite(edge) and 0 <= edge <= 1 for edge in edges):
        raise RegionError(f"Got the box {edges}, expected four numbers x0, y0, x1, y1 from 0 to 1; clip it first.")
    x0, y0, x1, y1 = edges
    if x0 >= x1 or y0 >= y1:
        raise RegionError(f"Got the box {edges}, expected x0 < x1 and y0 < y1; give it a width and a height.")
    return x0, y0, x1, y1


def find_centre(box: Box) -> tuple[float, float]:
    """x, y in [0, 1]."""
    x0, y0, x1, y1 = box
    return (x0 + x1) / 2, (y0 + y1) / 2


def mirror_box(box: Box) -> Box:
    """The same box with left and right exchanged."""
    x0, y0, x1, y1 = box
    return 1 - x1, y0, 1 - x0, y1


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes; 0 for empty ones."""
    both, union, _ = _compute_areas(a, b)
    return both / union if union > 0 else 0.0


def generalized_iou(a: Box, b: Box) -> float:
    """GIoU, Rezatofighi et al. (2019), eq. 2, in (-1, 1]: below 0 for boxes that are far apart."""
    both, union, hull = _compute_areas(a, b)
    return both / union - (hull - union) / hull if union > 0 else -1.0


def _compute_areas(a: Box, b: Box) -> tuple[float, float, float]:
    """Of the intersection, the union and the smallest box around both."""
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(wide, 0.0) * max(high, 0.0)
    union = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)) - both
    return both, union, (max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1]))
