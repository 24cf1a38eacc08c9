"""Detectors that look at the pictures of a benchmark, and scores of two things in relation to each other."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from PIL.Image import Image

from audiotoken.evaluation.seeing import see_with_confidence
from experiments.benchmarks.cases import Case
from guidance.detect import load_detector as load_open_vocabulary
from guidance.metrics import Detection, find_label, geneval, visor
from guidance.regions import Region

# (pictures, cases) -> (detections of each picture, mean confidence in [0, 1])
Detect = Callable[[Sequence[Image], Sequence[Case]], tuple[list[list[Detection]], float]]


@dataclass(frozen=True)
class PairScores:
    """Of pictures with two things, shares from 0 to 1; nan for pictures with one thing."""

    visor: float  # both present and in the requested relation: VISOR, unconditional
    visor_conditional: float  # the same, of the pictures in which both are present
    geneval_two: float  # both present: GenEval's two objects
    geneval_position: float  # both present and clearly in the requested relation


PAIR_COLUMNS = ("VISOR %", "VISOR cond. %", "GenEval two %", "GenEval position %")
NO_PAIRS = PairScores(math.nan, math.nan, math.nan, math.nan)


def load_detect(detector: str) -> Detect:
    """ "mini" detects the mini checkpoint's painted things; others are folders or hub ids (see `guidance.detect`)."""
    if detector == "mini":
        return detect_painted
    open_vocabulary = load_open_vocabulary(detector)

    def detect_words(images: Sequence[Image], cases: Sequence[Case]) -> tuple[list[list[Detection]], float]:
        detections = open_vocabulary(images, [case.words for case in cases])
        best = [
            max(one.score for one in each if one.label == word)
            for each in detections
            for word in {one.label for one in each}
        ]
        return detections, sum(best) / max(len(best), 1)

    return detect_words


def score_pairs(wanted: Sequence[Sequence[Region]], detections: Sequence[Sequence[Detection]]) -> PairScores:
    """Is the first thing left or right of the second, as in the regions `wanted[picture]`?"""
    if not wanted or any(len(regions) != 2 for regions in wanted):
        return NO_PAIRS
    triples = []
    for (first, second), things in zip(wanted, detections, strict=True):
        side = "left" if first.centre[0] < second.centre[0] else "right"
        triples.append((find_label(first.label, things), find_label(second.label, things), side))
    one, other = visor(triples), geneval(triples)
    return PairScores(one.unconditional, one.conditional, other.two_object, other.position)


def list_pair_shares(pairs: PairScores) -> list[float]:
    return [pairs.visor, pairs.visor_conditional, pairs.geneval_two, pairs.geneval_position]


def detect_painted(images: Sequence[Image], cases: Sequence[Case]) -> tuple[list[list[Detection]], float]:
    """Detections of each case's words by the mini checkpoint's detector, and its mean confidence in [0, 1]."""
    seen = see_with_confidence(images, [case.words for case in cases])
    confidences = [confidence for _, each in seen for confidence in each]
    detections = [[replace(one, score=1.0) for one in each] for each, _ in seen]
    return detections, sum(confidences) / max(len(confidences), 1)
