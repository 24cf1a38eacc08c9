"""Is a thing present, and is it where it should be? Pure functions of what an independent detector found.

Conventions: boxes (x0, y0, x1, y1) and centres (x, y) in [0, 1], origin top left; distances in widths of the picture;
scores are 0 to 1. An absent thing is on no side, its distance counts as 1 and its overlap as 0.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from guidance.boxes import Box, iou
from guidance.errors import GuidanceError
from guidance.regions import Region


@dataclass(frozen=True)
class Detection:
    """A detected thing. `area` is the share of the picture that it covers; score in [0, 1], 1 if there is none."""

    label: str
    centre: tuple[float, float]
    box: Box | None = None
    area: float = 0.0
    score: float = 1.0


@dataclass(frozen=True)
class Placement:
    """Whether the thing of one region is in one picture, and how far from the region."""

    present: bool
    side: bool  # its centre is left or right of the middle, as the region's is
    near: bool  # its centre is within `reach` of the region's, along the width
    error: float  # distance of the centres along the width, 1 when absent
    iou: float  # of the boxes, 0 when absent


@dataclass(frozen=True)
class Scores:
    """Means over regions; `all_*` are shares of pictures in which it holds for every region."""

    present: float
    side: float
    near: float
    error: float
    iou: float
    all_present: float
    all_side: float
    all_near: float
    pictures: int


def find_label(label: str, detections: Sequence[Detection]) -> Detection | None:
    """The detection of that label with the highest score, the largest of equals; None if there is none."""
    matching = [each for each in detections if each.label == label]
    return max(matching, key=lambda each: (each.score, each.area), default=None)


def is_same_side(centre: tuple[float, float], target: tuple[float, float], middle: float = 0.5) -> bool:
    """Both are left or both are right of the middle; the middle itself is on no side."""
    return (centre[0] - middle) * (target[0] - middle) > 0


def centre_error(centre: tuple[float, float], target: tuple[float, float]) -> float:
    """Distance along the width of the picture."""
    return abs(centre[0] - target[0])


def measure_placement(
    regions: Sequence[Region], detections: Sequence[Detection], reach: float = 0.15
) -> list[Placement]:
    """One `Placement` per region; its thing is found by its label."""
    placements = []
    for region in regions:
        thing = find_label(region.label, detections)
        if thing is None:
            placements.append(Placement(False, False, False, 1.0, 0.0))
            continue
        error = centre_error(thing.centre, region.centre)
        side = is_same_side(thing.centre, region.centre)
        overlap = iou(thing.box, region.box) if thing.box else 0.0
        placements.append(Placement(True, side, error <= reach, error, overlap))
    return placements


def average_placements(pictures: Sequence[Sequence[Placement]]) -> Scores:
    """Scores over pictures with at least one region each; zeros and a warning if there are none."""
    each = [placement for picture in pictures for placement in picture]
    if not each:
        warnings.warn("There is nothing to score: got no picture with a region; all scores are 0.", stacklevel=2)
        return Scores(0, 0, 0, 0, 0, 0, 0, 0, 0)
    means = {name: _mean([getattr(p, name) for p in each]) for name in ("present", "side", "near", "error", "iou")}
    whole = {
        f"all_{n}": _mean([all(getattr(p, n) for p in pic) for pic in pictures]) for n in ("present", "side", "near")
    }
    return Scores(**means, **whole, pictures=len(pictures))


@dataclass(frozen=True)
class Visor:
    """VISOR, Gokhale et al. (2022), arXiv 2212.10015."""

    object_accuracy: float  # both things are present
    unconditional: float  # both are present and in the requested relation
    conditional: float  # the same, of the pictures in which both are present


RELATIONS = ("left", "right", "above", "below")


def is_related(a: tuple[float, float], b: tuple[float, float], relation: str) -> bool:
    """Whether a is left of, right of, above or below b, by their centres. GuidanceError for another relation."""
    if relation not in RELATIONS:
        raise GuidanceError(f"Got the relation {relation!r}, expected one of {', '.join(RELATIONS)}; change it.")
    axis, sign = (0 if relation in ("left", "right") else 1), (1 if relation in ("left", "above") else -1)
    return sign * (b[axis] - a[axis]) > 0


def visor(pairs: Sequence[tuple[Detection | None, Detection | None, str]]) -> Visor:
    """One (first, second, relation) per picture, None for absent things; zeros and a warning if there are none."""
    if not pairs:
        warnings.warn("There is nothing to score: got no pairs; all scores are 0.", stacklevel=2)
        return Visor(0.0, 0.0, 0.0)
    present = [(a, b, relation) for a, b, relation in pairs if a is not None and b is not None]
    right = sum(is_related(a.centre, b.centre, relation) for a, b, relation in present)
    return Visor(len(present) / len(pairs), right / len(pairs), right / len(present) if present else 0.0)


@dataclass(frozen=True)
class GenEval:
    """Two tasks of GenEval, Ghosh et al. (2023), arXiv 2310.11513."""

    two_object: float  # both things are present
    position: float  # both are present and clearly in the requested relation


def geneval_relations(a: Box, b: Box, margin: float = 0.1) -> set[str]:
    """Which `RELATIONS` hold from box a to box b, as GenEval's code decides (`relative_position`, square pictures).

    Per axis, the offset of the centres beyond `margin` of both sizes, over the distance of the centres: above 0.5.
    """
    offset = [(a[i] + a[i + 2] - b[i] - b[i + 2]) / 2 for i in (0, 1)]
    sizes = [a[i + 2] - a[i] + b[i + 2] - b[i] for i in (0, 1)]
    distance = math.hypot(*offset)
    beyond = [max(abs(far) - margin * size, 0.0) for far, size in zip(offset, sizes, strict=True)]
    clear = [distance > 0 and each / distance > 0.5 for each in beyond]
    names = ("left" if offset[0] < 0 else "right", "above" if offset[1] < 0 else "below")
    return {name for name, sure in zip(names, clear, strict=True) if sure}


def geneval(pairs: Sequence[tuple[Detection | None, Detection | None, str]]) -> GenEval:
    """Takes the same triples as `visor`; a detection without a box is in no relation. Zeros and a warning if empty."""
    if not pairs:
        warnings.warn("There is nothing to score: got no pairs; all scores are 0.", stacklevel=2)
        return GenEval(0.0, 0.0)
    present = [(a.box, b.box, relation) for a, b, relation in pairs if a is not None and b is not None]
    right = sum(bool(a and b) and relation in geneval_relations(a, b) for a, b, relation in present)  # type: ignore[arg-type]
    return GenEval(len(present) / len(pairs), right / len(pairs))


def _mean(values: Sequence[float]) -> float:
    return math.fsum(float(value) for value in values) / len(values)
