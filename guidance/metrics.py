"""Is it there, and is it where it should be? Pure functions on what an independent eye saw.

Conventions: boxes (x0, y0, x1, y1) and centres (x, y) in [0, 1], origin top left; distances in widths of the picture;
scores are 0 to 1. What is not there is on no side, and its distance and overlap count as 1 and 0.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from guidance.regions import Box, Region


@dataclass(frozen=True)
class Detection:
    """A thing that was seen. `area` is the share of the picture that it covers; score in [0, 1], 1 where none is."""

    label: str
    centre: tuple[float, float]
    box: Box | None = None
    area: float = 0.0
    score: float = 1.0


@dataclass(frozen=True)
class Placed:
    """Of one region in one picture."""

    present: bool
    side: bool  # its centre is left or right of the middle, as the region's is
    near: bool  # its centre is within `reach` of the region's, along the width
    error: float  # distance of the centres along the width, 1 when absent
    iou: float  # of the boxes, 0 when absent


@dataclass(frozen=True)
class Scores:
    """Means over regions, `all_*` over pictures: every region of a picture."""

    present: float
    side: float
    near: float
    error: float
    iou: float
    all_present: float
    all_side: float
    all_near: float
    pictures: int


def find(label: str, seen: Sequence[Detection]) -> Detection | None:
    """The surest of that label, of those the largest; None when there is none."""
    named = [each for each in seen if each.label == label]
    return max(named, key=lambda each: (each.score, each.area), default=None)


def same_side(centre: tuple[float, float], target: tuple[float, float], middle: float = 0.5) -> bool:
    """Both left or both right of the middle; in the middle itself is on no side."""
    return (centre[0] - middle) * (target[0] - middle) > 0


def centre_error(centre: tuple[float, float], target: tuple[float, float]) -> float:
    """Distance along the width."""
    return abs(centre[0] - target[0])


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(wide, 0.0) * max(high, 0.0)
    union = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)) - both
    return both / union if union > 0 else 0.0


def place(regions: Sequence[Region], seen: Sequence[Detection], reach: float = 0.15) -> list[Placed]:
    """One `Placed` a region, found by its label."""
    placed = []
    for region in regions:
        thing = find(region.label, seen)
        if thing is None:
            placed.append(Placed(False, False, False, 1.0, 0.0))
            continue
        error = centre_error(thing.centre, region.centre)
        side = same_side(thing.centre, region.centre)
        placed.append(Placed(True, side, error <= reach, error, iou(thing.box, region.box) if thing.box else 0.0))
    return placed


def score(pictures: Sequence[Sequence[Placed]]) -> Scores:
    """Over pictures with one region or more each; of nothing, zeros and a warning."""
    each = [placed for picture in pictures for placed in picture]
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

    object_accuracy: float  # both things are there
    unconditional: float  # both are there and stand as asked
    conditional: float  # of those where both are there: stand as asked


RELATIONS = ("left", "right", "above", "below")


def related(a: tuple[float, float], b: tuple[float, float], relation: str) -> bool:
    """a is left of, right of, above or below b, by their centres."""
    if relation not in RELATIONS:
        raise ValueError(f"Got the relation {relation!r}, want one of {', '.join(RELATIONS)}; change it.")
    axis, sign = (0 if relation in ("left", "right") else 1), (1 if relation in ("left", "above") else -1)
    return sign * (b[axis] - a[axis]) > 0


def visor(pairs: Sequence[tuple[Detection | None, Detection | None, str]]) -> Visor:
    """One (first, second, relation) a picture, None for what is not there; of nothing, zeros and a warning."""
    if not pairs:
        warnings.warn("There is nothing to score: got no pair; all scores are 0.", stacklevel=2)
        return Visor(0.0, 0.0, 0.0)
    there = [(a, b, relation) for a, b, relation in pairs if a is not None and b is not None]
    right = sum(related(a.centre, b.centre, relation) for a, b, relation in there)
    return Visor(len(there) / len(pairs), right / len(pairs), right / len(there) if there else 0.0)


@dataclass(frozen=True)
class GenEval:
    """Two tasks of GenEval, Ghosh et al. (2023), arXiv 2310.11513."""

    two_object: float  # both things are there
    position: float  # both are there and clearly stand as asked


def geneval_relations(a: Box, b: Box, margin: float = 0.1) -> set[str]:
    """Which of `RELATIONS` box a is to box b, as GenEval's code decides it (`relative_position`, square pictures).

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
    """As `visor` takes them; what has no box stands nowhere. Of nothing, zeros and a warning."""
    if not pairs:
        warnings.warn("There is nothing to score: got no pair; all scores are 0.", stacklevel=2)
        return GenEval(0.0, 0.0)
    there = [(a.box, b.box, relation) for a, b, relation in pairs if a is not None and b is not None]
    right = sum(bool(a and b) and relation in geneval_relations(a, b) for a, b, relation in there)  # type: ignore[arg-type]
    return GenEval(len(there) / len(pairs), right / len(pairs))


def _mean(values: Sequence[float]) -> float:
    return math.fsum(float(value) for value in values) / len(values)
