"""An experiment as CSV, Markdown and LaTeX tables."""

import csv
import io
from pathlib import Path

from audiotoken.tables import markdown_table
from audiotoken.writing import write_bytes
from experiments.ablations.results import Experiment, Row, compare_rows, format_value, format_variant

UNITS = {"cpu_per_picture": "s", "cpu_per_scene": "s", "angle": "°", "si_sdr": "dB", "si_sdr_improvement": "dB"}


def write_tables(one: Experiment, folder: Path) -> None:
    for suffix, text in (("csv", format_csv(one)), ("md", format_markdown(one) + "\n"), ("tex", format_latex(one))):
        write_bytes(text.encode(), folder / f"{one.name}.{suffix}")


def format_markdown(one: Experiment, figures: list[str] | None = None) -> str:
    """One line for each variant: mean and interval of each figure; after the first its difference to the baseline."""
    names = figures or one.figures
    minus = [f"{names[0]} minus {format_variant(one.baseline)}"] if one.baseline and names else []
    head = [*list_columns(one), "seeds", *names[:1], *minus, *names[1:]]
    rows = []
    for row in one.rows:
        values = [format_cell(row, name) for name in names]
        values[1:1] = [_format_difference(one, row, names[0])] if minus else []
        cells = [*map(format_value, row.variant.values()), str(len(row.runs)), *values]
        rows.append(([] if row.variant else ["as it is"]) + cells)
    return markdown_table(head, rows)


def format_csv(one: Experiment) -> str:
    """One line for each variant and figure, with the value of each seed."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    more = ["minus baseline", "minus low", "minus high"] if one.baseline else []
    writer.writerow([*list_columns(one), "figure", "seeds", "mean", "low", "high", "of each seed", *more])
    for row in one.rows:
        for name in one.figures:
            if name in row.figures:
                each = " ".join(f"{value:.6g}" for value in row.each[name])
                variant = [*map(format_value, row.variant.values())] or ["as it is"]
                numbers = [f"{v:.6g}" for v in row.figures[name]]
                minus = [f"{v:.6g}" for v in compare_rows(row, one.baseline, name)] if one.baseline else []
                writer.writerow([*variant, name, len(row.runs), *numbers, each, *minus])
    return out.getvalue()


def format_latex(one: Experiment) -> str:
    """A tabular for booktabs."""
    head = [*list_columns(one), *one.figures]
    lines = [
        f"% {one.title}",
        rf"\begin{{tabular}}{{{'l' * len(list_columns(one))}{'r' * len(one.figures)}}}",
        r"\toprule",
    ]
    lines += [" & ".join(map(_escape_latex, head)) + r" \\", r"\midrule"]
    for row in one.rows:
        variant = [*map(format_value, row.variant.values())] or ["as it is"]
        cells = [_escape_latex(value) for value in variant] + [
            _escape_latex(format_cell(row, name)) for name in one.figures
        ]
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def format_number(value: float, sign: str = "") -> str:
    """sign: "+" also signs numbers that are not negative."""
    return f"{value:{sign}.3f}" if abs(value) < 10 else f"{value:{sign}.1f}"


def list_columns(one: Experiment) -> list[str]:
    return one.varies or ["variant"]


def format_cell(row: Row, name: str) -> str:
    return _format_interval(row.figures[name], name) if name in row.figures else ""


def _format_difference(one: Experiment, row: Row, name: str) -> str:
    """The paired difference from the baseline; 0 for the baseline itself."""
    if row is one.baseline or one.baseline is None:
        return "0"
    return _format_interval(compare_rows(row, one.baseline, name), name, sign="+")


def _format_interval(values: tuple[float, float, float], name: str, sign: str = "") -> str:
    """The mean with its unit, and the interval unless it is empty."""
    if values[0] != values[0]:
        return "nan"
    mean, low, high = (format_number(value, sign) for value in values)
    unit = f" {UNITS[name]}" if name in UNITS else ""
    return f"{mean}{unit}" if values[1] == values[2] else f"{mean}{unit} ({low} to {high})"


def _escape_latex(text: str) -> str:
    table = {each: f"\\{each}" for each in "_%&#$"} | {"°": r"$^\circ$"}
    return "".join(table.get(letter, letter) for letter in text)
