"""Answers -> for each system and question: mean or share of yes, 95 % interval, agreement of raters."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from math import isnan, nan

import numpy as np

from audiotoken.metrics import bootstrap_interval
from audiotoken.rating.agreement import krippendorff_alpha
from audiotoken.rating.store import Answer
from audiotoken.rating.study import BELONGS, CANNOT_SAY, ORDER, SIDE
from audiotoken.tables import markdown_table

QUESTIONS = {
    BELONGS: "belongs to the sound, 1 to 5",
    "side": "on its side, share of yes",
    ORDER: "in their order, share of yes",
}
SHORT = {BELONGS: "belongs (1 to 5)", "side": "side (%)", ORDER: "order (%)"}  # heads of the summary
DRAWS = 2000  # enough that the ends of a 95 % interval vary by about a fiftieth of its width
ALL = "all systems"
COLUMNS = ("system", "question", "mean", "low", "high", "answers", "cannot_say", "clips", "raters", "alpha")


@dataclass(frozen=True)
class Row:
    """The result of one question for one system, or for all."""

    system: str
    question: str  # a key of QUESTIONS
    mean: float  # of 1 to 5, or of yes = 1 and no = 0
    low: float  # 95 % interval; nan for a single clip and rater
    high: float
    answers: int  # without "cannot say"
    cannot_say: int
    clips: int
    raters: int
    alpha: float  # ordinal for 1 to 5, nominal for yes and no; nan if undefined


def compute_rows(answers: Sequence[Answer], seed: int = 0) -> list[Row]:
    """For each question the systems, then all of them together; questions without answers are left out."""
    rows = []
    for question in QUESTIONS:
        group = [each for each in answers if _kind_of(each.question) == question]
        systems = sorted({each.system for each in group})
        for system in systems:
            rows.append(_compute_row(system, question, [each for each in group if each.system == system], seed))
        if len(systems) > 1:
            rows.append(_compute_row(ALL, question, group, seed))
    return rows


def _kind_of(question: str) -> str:
    return "side" if question.startswith(SIDE) else question


def _compute_row(system: str, question: str, answers: Sequence[Answer], seed: int) -> Row:
    valid = [each for each in answers if each.answer != CANNOT_SAY]
    values = [float(each.answer) if question == BELONGS else float(each.answer == "yes") for each in valid]
    clips, raters = [each.clip for each in valid], [each.rater for each in valid]
    units: dict[tuple[str, str, str], list[float]] = {}
    for each, value in zip(valid, values, strict=True):
        units.setdefault((each.clip, each.system, each.question), []).append(value)
    alpha = krippendorff_alpha(list(units.values()), "ordinal" if question == BELONGS else "nominal")
    mean = float(np.mean(values)) if values else nan
    counts = len(valid), len(answers) - len(valid), len(set(clips)), len(set(raters))
    low = high = nan
    if max(counts[2:]) > 1:
        low, high = bootstrap_interval(values, clips, raters, resamples=DRAWS, seed=seed)
    return Row(system, question, mean, low, high, *counts, alpha)


def format_csv(rows: Sequence[Row]) -> str:
    """CSV with a line for each row; empty cells for what is undefined."""
    text = StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows([_format_cell(getattr(row, column)) for column in COLUMNS] for row in rows)
    return text.getvalue()


def _format_cell(cell: str | int | float) -> str | int:
    if not isinstance(cell, float):
        return cell
    return "" if isnan(cell) else f"{cell:.4f}"


def format_markdown(rows: Sequence[Row]) -> str:
    """A Markdown table for each question, and a note on what its columns mean."""
    lines = ["# Ratings", ""]
    for question, title in QUESTIONS.items():
        if group := [row for row in rows if row.question == question]:
            columns = [title, "mean", "95 %", "answers", "cannot say", "clips", "raters", "alpha"]
            lines += [markdown_table(columns, map(_list_cells, group), "lr"), ""]
    return "\n".join([*lines, NOTE, ""])


def format_latex(rows: Sequence[Row]) -> str:
    """A line for each system and a column for each question, mean +- half of the 95 % interval, as papers print it."""
    asked = [question for question in QUESTIONS if any(row.question == question for row in rows)]
    systems = list(dict.fromkeys(row.system for row in rows if row.system != ALL))
    found = {(row.system, row.question): row for row in rows}
    lines = [f"\\begin{{tabular}}{{l{'c' * len(asked)}}}", "\\toprule"]
    lines += [" & ".join(["system", *(_escape_latex(SHORT[question]) for question in asked)]) + " \\\\", "\\midrule"]
    for system in systems:
        cells = [_format_latex_cell(found.get((system, question))) for question in asked]
        lines.append(" & ".join([_escape_latex(system), *cells]) + " \\\\")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", ""])


def _format_latex_cell(row: Row | None) -> str:
    """ "3.67 $\\pm$ 0.41"; shares of yes in percent; empty without answers."""
    if row is None or isnan(row.mean):
        return ""
    scale, digits = (1, 2) if row.question == BELONGS else (100, 1)
    mean = f"{scale * row.mean:.{digits}f}"
    return mean if isnan(row.low) else f"{mean} $\\pm$ {scale * (row.high - row.low) / 2:.{digits}f}"


def _escape_latex(text: str) -> str:
    words = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return re.sub(r"[#$%&_{}\\~^]", lambda found: words.get(found[0], f"\\{found[0]}"), text)


def _list_cells(row: Row) -> list[object]:
    interval = "" if isnan(row.low) else f"{row.low:.2f} to {row.high:.2f}"
    mean, alpha = ("" if isnan(each) else f"{each:.2f}" for each in (row.mean, row.alpha))
    return [row.system, mean, interval, row.answers, row.cannot_say, row.clips, row.raters, alpha]


NOTE = (
    "95 %: percentile interval of a seeded bootstrap that resamples clips and raters (Owen, 2007); with one rater it\n"
    "covers the variation of clips alone. Alpha: Krippendorff's, ordinal for 1 to 5, nominal for yes and no; 1 is\n"
    "agreement, 0 is chance; empty if nothing was rated twice or all answers are the same."
)
