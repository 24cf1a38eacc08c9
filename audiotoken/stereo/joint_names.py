"""The names of all sources of a scene, decided together.

A source that separation leaves much of its neighbour in is heard as the neighbour: one by one, both get the name of the
louder. Together, each source gets another name, unless both are clearly of a kind.

Conventions: labels are (label, score in [0, 1]), best first. *Evidence* is log-odds, ln(p / (1 - p)) of a score, so
that it adds up. Labels of one subject count as one name: "Bark" and "Dog" are both a dog.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from audiotoken.encoders.audioset import GENERIC_SUBJECTS, find_subject
from audiotoken.labels import LIKELY

Heard = Sequence[tuple[str, float]]

TWIN = 1.0  # log-odds against a second source of a kind, measured (docs/benchmarks-listening.md)
LARGEST = 30.0  # of log-odds
SUPPORT = 0.1  # score of a source from which a name that is likely in the whole recording is known


def to_evidence(score: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores in [0, 1] -> log-odds."""
    share = np.asarray(score, float)
    with np.errstate(divide="ignore"):
        return np.clip(np.log(share) - np.log1p(-share), -LARGEST, LARGEST)


def to_score(evidence: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-odds -> scores in [0, 1]."""
    return 1 / (1 + np.exp(-np.asarray(evidence, float)))


def name_together(heard: Sequence[Heard], fixed: Mapping[int, str] | None = None) -> list[list[tuple[str, float]]]:
    """The labels of each source, best first, with lower scores for names that are rather those of another source.

    The names are those of the best assignment, Kuhn (1955), in which each further source of a kind costs `TWIN`. fixed:
    names of sources that are known already, such as words of a prompt. A single source keeps its scores.
    """
    chosen: dict[int, str | None] = dict(fixed or {})
    free = [i for i in range(len(heard)) if i not in chosen]
    taken = [name for name in chosen.values() if name]
    chosen |= dict(zip(free, _assign_names([_score_names(heard[i]) for i in free], taken), strict=True))
    out = []
    for i, each in enumerate(heard):
        others = [name for other, name in chosen.items() if other != i]
        lowered = [(label, _lower(score, _name_of(label), chosen[i], others)) for label, score in each]
        out.append(sorted(lowered, key=lambda pair: -pair[1]))
    return out


def decide_names(
    heard: Sequence[Heard], mixture: Heard, familiar: Sequence[bool], fixed: Mapping[int, str] | None = None
) -> tuple[list[list[tuple[str, float]]], list[bool]]:
    """(labels of each source as `name_together` has them, whether each is known).

    mixture: the labels of the whole recording. familiar: whether each signal is of a kind that the encoder knows; of
    several sources, a name that source and recording support is known, too.
    """
    named, several = name_together(heard, fixed), len(heard) > 1
    known = [each or (several and is_supported(labels, mixture)) for each, labels in zip(familiar, named, strict=True)]
    return named, known


def is_supported(heard: Heard, mixture: Heard) -> bool:
    """Whether the first label of a source, even if it is faint there, is likely in the whole recording."""
    if not heard:
        return False
    label, score = heard[0]
    return score >= SUPPORT and dict(mixture).get(label, 0.0) >= LIKELY


def combine_channels(heard: Sequence[Heard]) -> list[tuple[str, float]]:
    """The labels of several channels as those of the whole: the best score of each."""
    best: dict[str, float] = {}
    for label, score in (pair for each in heard for pair in each):
        best[label] = max(score, best.get(label, 0.0))
    return sorted(best.items(), key=lambda pair: -pair[1])


def _assign_names(scores: Sequence[Mapping[str, float]], taken: Sequence[str]) -> list[str | None]:
    """A name for each source, given its scores of names, for the largest sum of evidence; None without any scores.

    The n-th use of a name costs n - 1 times `TWIN`; those already `taken` count.
    """
    names = list(dict.fromkeys(name for each in scores for name in each))
    if not names:
        return [None] * len(scores)
    evidence = np.array([[float(to_evidence(each.get(name, 0.0))) for name in names] for each in scores])
    uses = np.array([taken.count(name) for name in names])
    copies = np.concatenate([evidence - TWIN * (uses + use) for use in range(len(scores))], axis=1)
    columns = linear_sum_assignment(copies, maximize=True)[1]
    return [names[column % len(names)] if each else None for column, each in zip(columns, scores, strict=True)]


def _score_names(heard: Heard) -> dict[str, float]:
    """Each name with the best score of its labels."""
    scores: dict[str, float] = {}
    for label, score in heard:
        name = _name_of(label)
        if name is not None:
            scores[name] = max(score, scores.get(name, 0.0))
    return scores


def _lower(score: float, name: str | None, own: str | None, others: Sequence[str | None]) -> float:
    """The score of a name of which so many others are; the same bit by bit for a source's own and for free names."""
    count = 0 if name is None or name == own else others.count(name)
    return float(to_score(to_evidence(score) - TWIN * count)) if count else score


def _name_of(label: str) -> str | None:
    """The subject of a label; None for those that many sounds share ("Animal", "Echo")."""
    subject = find_subject(label)
    return None if subject in GENERIC_SUBJECTS else subject
