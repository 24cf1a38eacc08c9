"""Who looks at the pictures of a benchmark, and what is said of two things beside each other."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Eyes = Callable[[Sequence[Any], Sequence[Any]], tuple[list[list[Any]], float]]  # (pictures, cases) -> what, how sure


@dataclass(frozen=True)
class Pairs:
    """Of pictures with two things, shares of 0 to 1; not a number where there is one."""

    visor: float  # both there, and as asked: VISOR, unconditional
    visor_conditional: float  # of those where both are there
    geneval_two: float  # both there: GenEval's two objects
    geneval_position: float  # both there, and clearly as asked


PAIRS = ("VISOR %", "VISOR cond. %", "GenEval two %", "GenEval position %")
ALONE = Pairs(math.nan, math.nan, math.nan, math.nan)


def eyes_of(detector: str) -> Eyes:
    """ "mini", who knows painted pictures; or of a folder or hub id of OWLv2 or Grounding DINO (`guidance.detect`)."""
    if detector == "mini":
        from experiments.benchmarks.placement import look

        return look
    from guidance.detect import load_detector

    asked = load_detector(detector)

    def see(images: Sequence[Any], cases: Sequence[Any]) -> tuple[list[list[Any]], float]:
        seen = asked(images, [case.words for case in cases])
        best = [
            max(one.score for one in each if one.label == word) for each in seen for word in {x.label for x in each}
        ]
        return seen, sum(best) / max(len(best), 1)

    return see


def pairs_of(wanted: Sequence[Sequence[Any]], seen: Sequence[Sequence[Any]]) -> Pairs:
    """`wanted[picture]` are regions, `seen[picture]` detections: is the first left or right of the second, as asked?"""
    from guidance.metrics import find, geneval, visor

    if not wanted or any(len(regions) != 2 for regions in wanted):
        return ALONE
    triples = []
    for (first, second), things in zip(wanted, seen, strict=True):
        side = "left" if first.centre[0] < second.centre[0] else "right"
        triples.append((find(first.label, things), find(second.label, things), side))
    one, other = visor(triples), geneval(triples)
    return Pairs(one.unconditional, one.conditional, other.two_object, other.position)


def shares_of(pairs: Pairs) -> list[float]:
    return [pairs.visor, pairs.visor_conditional, pairs.geneval_two, pairs.geneval_position]
