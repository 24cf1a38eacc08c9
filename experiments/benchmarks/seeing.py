"""Who looks at the pictures of a benchmark, and what is said of two things beside each other."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from audiotoken.mini.object_detector import detect, load_detector
from audiotoken.mini.things import WORDS
from experiments.benchmarks.cases import Case
from guidance.detect import load_detector as load_asked
from guidance.metrics import Detection, find_label, geneval, visor

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
        return look
    asked = load_asked(detector)

    def see(images: Sequence[Any], cases: Sequence[Case]) -> tuple[list[list[Any]], float]:
        seen = asked(images, [case.words for case in cases])
        best = [
            max(one.score for one in each if one.label == word) for each in seen for word in {x.label for x in each}
        ]
        return seen, sum(best) / max(len(best), 1)

    return see


def pairs_of(wanted: Sequence[Sequence[Any]], seen: Sequence[Sequence[Any]]) -> Pairs:
    """`wanted[picture]` are regions, `seen[picture]` detections: is the first left or right of the second, as asked?"""
    if not wanted or any(len(regions) != 2 for regions in wanted):
        return ALONE
    triples = []
    for (first, second), things in zip(wanted, seen, strict=True):
        side = "left" if first.centre[0] < second.centre[0] else "right"
        triples.append((find_label(first.label, things), find_label(second.label, things), side))
    one, other = visor(triples), geneval(triples)
    return Pairs(one.unconditional, one.conditional, other.two_object, other.position)


def shares_of(pairs: Pairs) -> list[float]:
    return [pairs.visor, pairs.visor_conditional, pairs.geneval_two, pairs.geneval_position]


def look(images: Sequence[Any], cases: Sequence[Case]) -> tuple[list[list[Any]], float]:
    """What the detector sees of the words in each picture, and how sure it is, in [0, 1]."""
    import numpy as np
    import torch

    arrays = np.stack([np.asarray(image, np.float32) for image in images])
    batch = torch.from_numpy(arrays).permute(0, 3, 1, 2) / 127.5 - 1
    seen: list[list[Any]] = []
    sure: list[float] = []
    found = detect(load_detector(), batch)
    with torch.no_grad():
        shares = load_detector()(batch).softmax(1)  # (batch, 25, 16, 16)
    for i, case in enumerate(cases):
        seen.append([])
        for kind in [WORDS.index(word) for word in case.words if found.present()[i, WORDS.index(word)]]:
            x, y = found.centre[i, kind].tolist()
            seen[-1].append(Detection(WORDS[kind], (x, y), _box(shares[i, kind]), found.area[i, kind].item() / 256))
            own = shares[i, kind][shares[i].argmax(0) == kind]
            sure.append(own.mean().item() if len(own) else 0.0)
    return seen, sum(sure) / max(len(sure), 1)


def _box(share: Any) -> tuple[float, float, float, float] | None:
    """Around all cells that show it more than half, (16, 16) -> box."""
    rows, columns = (share > 0.5).any(1).nonzero().flatten(), (share > 0.5).any(0).nonzero().flatten()
    if not len(rows):
        return None
    h, w = share.shape
    return int(columns[0]) / w, int(rows[0]) / h, int(columns[-1] + 1) / w, int(rows[-1] + 1) / h
