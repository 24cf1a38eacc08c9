"""An experiment as CSV, Markdown and LaTeX; nothing is typed by hand."""

import csv
import io
from pathlib import Path

from experiments.generate import write_bytes
from experiments.results import Experiment, Row, shown

UNITS = {"cpu_per_picture": "s", "cpu_per_scene": "s", "angle": "°", "si_sdr": "dB", "si_sdr_improvement": "dB"}


def write_tables(one: Experiment, folder: Path) -> None:
    for suffix, text in (("csv", as_csv(one)), ("md", markdown(one) + "\n"), ("tex", latex(one))):
        write_bytes(text.encode(), folder / f"{one.name}.{suffix}")


def markdown(one: Experiment, figures: list[str] | None = None) -> str:
    """A line a variant: mean and interval of each figure."""
    names = figures or one.figures
    head = [*_columns(one), "seeds", *names]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in one.rows:
        cells = [*map(shown, row.variant.values()), str(len(row.runs)), *(_cell(row, name) for name in names)]
        lines.append("| " + " | ".join(([] if row.variant else ["as it is"]) + cells) + " |")
    return "\n".join(lines)


def as_csv(one: Experiment) -> str:
    """A line for each variant and figure, with the number of each seed."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*_columns(one), "figure", "seeds", "mean", "low", "high", "of each seed"])
    for row in one.rows:
        for name in one.figures:
            if name in row.figures:
                each = " ".join(f"{value:.6g}" for value in row.each[name])
                variant = [*map(shown, row.variant.values())] or ["as it is"]
                writer.writerow([*variant, name, len(row.runs), *(f"{v:.6g}" for v in row.figures[name]), each])
    return out.getvalue()


def latex(one: Experiment) -> str:
    """A tabular for booktabs."""
    head = [*_columns(one), *one.figures]
    lines = [f"% {one.asks}", rf"\begin{{tabular}}{{{'l' * len(_columns(one))}{'r' * len(one.figures)}}}", r"\toprule"]
    lines += [" & ".join(map(_escaped, head)) + r" \\", r"\midrule"]
    for row in one.rows:
        variant = [*map(shown, row.variant.values())] or ["as it is"]
        cells = [_escaped(value) for value in variant] + [_escaped(_cell(row, name)) for name in one.figures]
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def _columns(one: Experiment) -> list[str]:
    return one.varies or ["variant"]


def _cell(row: Row, name: str) -> str:
    if name not in row.figures:
        return ""
    mean, low, high = row.figures[name]
    if mean != mean:
        return "nan"
    unit = f" {UNITS[name]}" if name in UNITS else ""
    return f"{number(mean)}{unit}" if low == high else f"{number(mean)}{unit} ({number(low)} to {number(high)})"


def _escaped(text: str) -> str:
    table = {each: f"\\{each}" for each in "_%&#$"} | {"°": r"$^\circ$"}
    return "".join(table.get(letter, letter) for letter in text)
