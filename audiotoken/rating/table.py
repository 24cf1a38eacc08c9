"""Answers -> per system and question: mean or share of yes, 95 % interval, how far raters agree."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from math import isnan, nan

import numpy as np

from audiotoken.rating.agreement import krippendorff_alpha
from audiotoken.rating.store import Answer
from audiotoken.rating.study import BELONGS, CANNOT_SAY
from audiotoken.tables import markdown_table

QUESTIONS = {BELONGS: "belongs to the sound, 1 to 5", "side": "on its side, share of yes"}
DRAWS = 2000  # enough that the ends of a 95 % interval move by about a fiftieth of its width
ALL = "all systems"
COLUMNS = ("system", "question", "mean", "low", "high", "answers", "cannot_say", "clips", "raters", "alpha")


@dataclass(frozen=True)
class Row:
    system: str
    question: str  # a key of QUESTIONS
    mean: float  # of 1 to 5, or of yes = 1 and no = 0
    low: float  # 95 % interval; nan where there is one clip and one rater
    high: float
    answers: int  # without those that could not be said
    cannot_say: int
    clips: int
    raters: int
    alpha: float  # ordinal of 1 to 5, nominal of yes and no; nan where it is not defined


def rows_of(answers: Sequence[Answer], seed: int = 0) -> list[Row]:
    """Question by question, the systems and then all of them together; questions nobody answered are left out."""
    rows = []
    for question in QUESTIONS:
        asked = [each for each in answers if (each.question == BELONGS) == (question == BELONGS)]
        systems = sorted({each.system for each in asked})
        for system in systems:
            rows.append(_row(system, question, [each for each in asked if each.system == system], seed))
        if len(systems) > 1:
            rows.append(_row(ALL, question, asked, seed))
    return rows


def _row(system: str, question: str, asked: Sequence[Answer], seed: int) -> Row:
    said = [each for each in asked if each.answer != CANNOT_SAY]
    values = [float(each.answer) if question == BELONGS else float(each.answer == "yes") for each in said]
    clips, raters = [each.clip for each in said], [each.rater for each in said]
    units: dict[tuple[str, str, str], list[float]] = {}
    for each, value in zip(said, values, strict=True):
        units.setdefault((each.clip, each.system, each.question), []).append(value)
    alpha = krippendorff_alpha(list(units.values()), "ordinal" if question == BELONGS else "nominal")
    mean = float(np.mean(values)) if values else nan
    low, high = interval(values, clips, raters, seed)
    counts = len(said), len(asked) - len(said), len(set(clips)), len(set(raters))
    return Row(system, question, mean, low, high, *counts, alpha)


def interval(
    values: Sequence[float], clips: Sequence[str], raters: Sequence[str], seed: int = 0, draws: int = DRAWS
) -> tuple[float, float]:
    """95 % percentile interval of the mean, clips and raters both drawn anew with replacement.

    The pigeonhole bootstrap of Owen (2007), The Annals of Applied Statistics 1(2): an answer counts as often as its
    clip was drawn times as often as its rater was. Where all answers are of one clip or of one rater, the interval
    speaks of the other alone; of one of each there is none, (nan, nan).
    """
    names, columns = np.unique(clips, return_inverse=True)
    people, places = np.unique(raters, return_inverse=True)
    if len(names) < 2 and len(people) < 2:
        return nan, nan
    sums, counts = np.zeros((2, len(people), len(names)))
    np.add.at(sums, (places, columns), values)
    np.add.at(counts, (places, columns), 1)
    chance = np.random.default_rng(seed)
    of_people = chance.multinomial(len(people), np.full(len(people), 1 / len(people)), draws)  # (draws, raters)
    of_clips = chance.multinomial(len(names), np.full(len(names), 1 / len(names)), draws)  # (draws, clips)
    drawn = ((of_people @ counts) * of_clips).sum(axis=1)
    total = ((of_people @ sums) * of_clips).sum(axis=1)
    low, high = np.percentile(total[drawn > 0] / drawn[drawn > 0], (2.5, 97.5))
    return float(low), float(high)


def as_csv(rows: Sequence[Row]) -> str:
    text = StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for row in rows:
        cells = [getattr(row, column) for column in COLUMNS]
        table.writerow(["" if _none(cell) else f"{cell:.4f}" if isinstance(cell, float) else cell for cell in cells])
    return text.getvalue()


def as_markdown(rows: Sequence[Row]) -> str:
    lines = ["# Ratings", ""]
    for question, title in QUESTIONS.items():
        if asked := [row for row in rows if row.question == question]:
            columns = [title, "mean", "95 %", "answers", "cannot say", "clips", "raters", "alpha"]
            lines += [markdown_table(columns, map(_cells, asked), "lr"), ""]
    return "\n".join([*lines, NOTE, ""])


def _cells(row: Row) -> list[object]:
    within = "" if isnan(row.low) else f"{row.low:.2f} to {row.high:.2f}"
    mean, alpha = ("" if isnan(each) else f"{each:.2f}" for each in (row.mean, row.alpha))
    return [row.system, mean, within, row.answers, row.cannot_say, row.clips, row.raters, alpha]


def _none(cell: object) -> bool:
    return isinstance(cell, float) and isnan(cell)


NOTE = (
    "95 %: percentile interval of a seeded bootstrap that draws clips and raters anew (Owen, 2007); of one rater it\n"
    "speaks of the clips alone. Alpha: Krippendorff's, ordinal for 1 to 5, nominal for yes and no; 1 is agreement,\n"
    "0 is chance; empty where nothing was rated twice or all answers are the same."
)
