"""The names of all sources of a scene, decided together.

A source that separation leaves much of its neighbour in is heard as the neighbour: one by one, both get the name of the
louder. Together, each source gets another name, unless both are clearly of a kind. They are more likely one sound heard
twice the more they come and go together.

Conventions: labels are (label, score in [0, 1]), best first. *Evidence* is log-odds, ln(p / (1 - p)) of a score, so
that it adds up. Labels of one subject count as one name: "Bark" and "Dog" are both a dog.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from audiotoken.encoders.audioset import GENERIC_SUBJECTS, find_subject
from audiotoken.labels import LIKELY
from spatial.comodulation import measure_comodulation
from spatial.scene import Scene

Heard = Sequence[tuple[str, float]]

TWIN = 1.0  # log-odds against a second source of a kind, measured (docs/benchmarks-pictures.md)
TOGETHER = 3.0  # how much more if both signals come and go as one; in proportion of those that do so less, or in turn
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


def price_twins(scene: Scene) -> list[float] | None:
    """Log-odds against each source as a second one of a kind; None unless all signals are of the same moments."""
    sources = scene.sources
    lengths = {len(source.signal) for source in sources}
    if len(sources) < 2 or len(lengths) > 1 or any(source.image is None for source in sources):
        return None
    together = measure_comodulation(np.stack([source.signal for source in sources]), scene.rate)
    np.fill_diagonal(together, -1.0)
    return [float(price) for price in (TWIN + TOGETHER * together.max(axis=1)).clip(min=0)]


def name_together(
    heard: Sequence[Heard], fixed: Mapping[int, str] | None = None, prices: Sequence[float] | None = None
) -> list[list[tuple[str, float]]]:
    """The labels of each source, best first, with lower scores for names that are rather those of another source.

    The names are those of the best assignment, Kuhn (1955), in which each further source of a kind costs its price, as
    of `price_twins`, by default `TWIN`. fixed: names of sources that are known already, such as words of a prompt. A
    single source keeps its scores.
    """
    costs = [TWIN] * len(heard) if prices is None else list(prices)
    chosen: dict[int, str | None] = dict(fixed or {})
    free = [i for i in range(len(heard)) if i not in chosen]
    taken = [name for name in chosen.values() if name]
    names = _assign_names([_score_names(heard[i]) for i in free], taken, [costs[i] for i in free])
    chosen |= dict(zip(free, names, strict=True))
    out = []
    for i, each in enumerate(heard):
        others = [name for other, name in chosen.items() if other != i]
        lowered = [(label, _lower(score, _name_of(label), chosen[i], others, costs[i])) for label, score in each]
        out.append(sorted(lowered, key=lambda pair: -pair[1]))
    return out


def decide_names(
    heard: Sequence[Heard],
    mixture: Heard,
    familiar: Sequence[bool],
    fixed: Mapping[int, str] | None = None,
    prices: Sequence[float] | None = None,
) -> tuple[list[list[tuple[str, float]]], list[bool]]:
    """(labels of each source as `name_together` has them, whether each is known).

    mixture: the labels of the whole recording. familiar: whether each signal is of a kind that the encoder knows; of
    several sources, a name that source and recording support is known, too.
    """
    named, several = name_together(heard, fixed, prices), len(heard) > 1
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


def _assign_names(
    scores: Sequence[Mapping[str, float]], taken: Sequence[str], costs: Sequence[float]
) -> list[str | None]:
    """A name for each source, given its scores of names, for the largest sum of evidence; None without any scores.

    The n-th use of a name costs a source n - 1 times its cost; those already `taken` count.
    """
    names = list(dict.fromkeys(name for each in scores for name in each))
    if not names:
        return [None] * len(scores)
    evidence = np.array([[float(to_evidence(each.get(name, 0.0))) for name in names] for each in scores])
    uses = np.array([taken.count(name) for name in names])
    price = np.array(costs)[:, None]
    copies = np.concatenate([evidence - price * (uses + use) for use in range(len(scores))], axis=1)
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


def _lower(score: float, name: str | None, own: str | None, others: Sequence[str | None], cost: float) -> float:
    """The score of a name of which so many others are; the same bit by bit for a source's own and for free names."""
    count = 0 if name is None or name == own else others.count(name)
    return float(to_score(to_evidence(score) - cost * count)) if count else score


def _name_of(label: str) -> str | None:
    """The subject of a label; None for those that many sounds share ("Animal", "Echo")."""
    subject = find_subject(label)
    return None if subject in GENERIC_SUBJECTS else subject
