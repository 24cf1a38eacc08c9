"""What the verdicts of the strict judge add up to, and the tables of it; shares are in [0, 1]."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audiotoken.mini.strict_judge import SPOILT_AT_MOST, Verdict
from audiotoken.tables import markdown_table
from experiments.benchmarks.cases import Case


@dataclass(frozen=True)
class WordRow:
    """The pictures of one word; shares in [0, 1]."""

    word: str
    lenient: float
    strict: float
    one: float
    spoilt: float  # of pictures that show something spoilt


@dataclass(frozen=True)
class PairShares:
    """Of pictures of two placed things."""

    sides: float  # both are found whole, each on its side
    doubled: float  # more than one of a word is found
    spoilt: float  # something spoilt is in the picture


def score_word(word: str, named: Sequence[str], verdicts: Sequence[Verdict]) -> WordRow:
    """named: what the lenient detector says of each picture."""
    return WordRow(
        word,
        lenient=mean_share([name == word for name in named]),
        strict=mean_share([verdict.accepts(word) for verdict in verdicts]),
        one=mean_share([verdict.is_one(word) for verdict in verdicts]),
        spoilt=mean_share([verdict.spoilt > SPOILT_AT_MOST for verdict in verdicts]),
    )


def score_pairs(cases: Sequence[Case], verdicts: Sequence[Verdict]) -> PairShares:
    """Shares of the pictures of `cases`."""
    judged = list(zip(cases, verdicts, strict=True))
    return PairShares(
        sides=mean_share([is_on_sides(case, verdict) for case, verdict in judged]),
        doubled=mean_share([any(verdict.count(word) > 1 for word in case.words) for case, verdict in judged]),
        spoilt=mean_share([verdict.spoilt > SPOILT_AT_MOST for _, verdict in judged]),
    )


def is_on_sides(case: Case, verdict: Verdict) -> bool:
    """Every word is found, its most certain thing left or right of the middle as it is heard."""
    things = [verdict.find(word) for word in case.words]
    return all(
        thing is not None and (thing.centre[0] - 0.5) * azimuth > 0
        for thing, azimuth in zip(things, case.azimuths, strict=True)
    )


def format_figures(figures: dict[str, Any]) -> str:
    """Markdown tables of the parts that were measured, in percent."""
    tables = []
    if words := [WordRow(**row) for row in figures.get("words", [])]:
        names = ("lenient", "strict", "one", "spoilt")
        mean = WordRow("mean", *(mean_share([getattr(row, name) for row in words]) for name in names))
        head = ["word", "lenient %", "strict %", "one thing %", "something spoilt %"]
        tables.append(markdown_table(head, [format_word(row) for row in (*words, mean)]))
    if compared := figures.get("set"):
        cells = [f"{compared['kid']:.4f}", _percent(compared["precision"]), _percent(compared["recall"])]
        tables.append(markdown_table(["KID (CLIP-mini)", "precision %", "recall %"], [cells]))
    if shares := figures.get("backdrops"):
        rows = [
            [name, _percent(share)] for name, share in (*shares.items(), ("mean", mean_share(list(shares.values()))))
        ]
        tables.append(markdown_table(["backdrop", "named right %"], rows))
    if pairs := figures.get("pairs"):
        head = ["pairs placed with", "pictures", "both whole and on their sides %", "doubled %", "something spoilt %"]
        cells = [_percent(pairs[name]) for name in ("sides", "doubled", "spoilt")]
        tables.append(markdown_table(head, [[pairs["method"], str(pairs["pictures"]), *cells]]))
    return "\n\n".join(tables)


def format_word(row: WordRow) -> list[str]:
    return [row.word, *(_percent(share) for share in (row.lenient, row.strict, row.one, row.spoilt))]


def mean_share(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
