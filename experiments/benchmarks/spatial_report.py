"""Results of the spatial benchmark as a Markdown table, as CSV and as a chart."""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from audiotoken.tables import markdown_table
from audiotoken.writing import write_bytes
from experiments.benchmarks.spatial_conditions import format_conditions
from experiments.benchmarks.spatial_goals import GOALS, Goal
from experiments.benchmarks.spatial_score import COUNT_GIVEN, SYSTEMS, Scored, score
from experiments.benchmarks.training_report import _processor

COLOURS = {"listen": "#c2410c", "listen-setup": "#e89b72"}
OTHER = "#b9bec7"
Line = dict[str, Any]


def write_report(scenes: Path, folder: Path) -> str:
    """Score every prediction file in `folder` and write table.md, rows.csv and chart.png; returns the table."""
    scored = {path.stem: score(scenes, path) for path in sorted(folder.glob("*.json"))}
    lines, systems = make_table(scored), list_systems(scored)
    text = to_markdown(lines, systems, describe_run(scenes, scored))
    if by_condition := format_conditions(scored):
        text += (
            f"\n`listen` by setup and room (direction, side, count and separation of fixed sources):\n\n{by_condition}"
        )
    write_bytes(text.encode(), folder / "table.md")
    write_bytes(to_csv(lines, systems).encode(), folder / "rows.csv")
    plot_chart(lines, systems, folder / "chart.png")
    return f"{text}\nWrote table.md, rows.csv, chart.png and the predictions to {folder}."


def list_systems(scored: Mapping[str, Sequence[Scored]]) -> list[str]:
    """The systems that ran, in the benchmark's order."""
    names = {name.removesuffix(COUNT_GIVEN) for name in scored}
    return [name for name in SYSTEMS if name in names]


def make_table(scored: Mapping[str, Sequence[Scored]]) -> list[Line]:
    """A line for each goal: the value of each system, run as the goal requires; None where it has no answer."""
    lines = []
    for goal in GOALS:
        values = {}
        for system in list_systems(scored):
            name = system + COUNT_GIVEN if goal.count_given or system not in scored else system
            blind = "SI-SDR" not in goal.name and "seconds" not in goal.name and system not in scored
            values[system] = None if blind else goal.value(scored.get(name, ()))
        lines.append({"goal": goal, **values})
    return lines


def describe_run(scenes: Path, scored: Mapping[str, Sequence[Scored]]) -> list[str]:
    most = max((len(each) for each in scored.values()), default=0)
    return [
        f"- scenes: {most} of {scenes.name}",
        f"- date: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"- machine: {_processor()}",
        "- \\*: the number of sources was given; all but `listen` were given the setup and its spacing",
    ]


def to_markdown(lines: Sequence[Line], systems: Sequence[str], facts: Sequence[str]) -> str:
    rows = []
    for line in lines:
        goal: Goal = line["goal"]
        cells = [_format_value(line[system], goal) for system in systems]
        rows.append([_format_name(goal), *cells, f"{goal.must:g}", f"{goal.stretch:g}"])
    return "\n".join([*facts, "", markdown_table(["", *systems, "must", "stretch"], rows, "lr"), ""])


def to_csv(lines: Sequence[Line], systems: Sequence[str]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["goal", "count given", *systems, "must", "stretch"])
    for line in lines:
        goal: Goal = line["goal"]
        values = ["" if line[system] is None else f"{line[system]:.6g}" for system in systems]
        writer.writerow([goal.name, int(goal.count_given), *values, goal.must, goal.stretch])
    return stream.getvalue()


def plot_chart(lines: Sequence[Line], systems: Sequence[str], path: Path) -> None:
    """A small panel for each goal, a bar for each system, and lines at the two goals."""
    figure = Figure(figsize=(13, 11), dpi=110, facecolor="white", layout="constrained")
    panels = figure.subplots(6, 3).ravel()
    for axes, line in zip(panels, lines, strict=False):
        _plot_panel(axes, line, systems)
    for axes in panels[len(lines) :]:
        axes.set_axis_off()
    figure.suptitle(
        "Localisation and separation: solid line must, dotted line stretch, * number of sources given", fontsize=12
    )
    FigureCanvasAgg(figure).print_png(str(path))


def _plot_panel(axes: Axes, line: Line, systems: Sequence[str]) -> None:
    goal: Goal = line["goal"]
    present = [system for system in systems if line[system] is not None]
    for place, system in enumerate(present):
        axes.barh(place, line[system], color=COLOURS.get(system, OTHER), height=0.75)
        axes.annotate(f" {_format_value(line[system], goal)}", (max(line[system], 0), place), va="center", fontsize=8)
    for value, style in ((goal.must, "-"), (goal.stretch, ":")):
        if value is not None:
            axes.axvline(value, color="#22252b", linewidth=1, linestyle=style)
    axes.set_yticks(range(len(present)), present, fontsize=8)
    axes.invert_yaxis()
    axes.tick_params(axis="x", labelsize=8)
    axes.set_title(
        _format_name(goal).replace("\\", "") + (" (lower is better)" if goal.lower_is_better else ""),
        loc="left",
        fontsize=9,
    )
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _format_name(goal: Goal) -> str:
    return goal.name + " \\*" * goal.count_given


def _format_value(value: float | None, goal: Goal) -> str:
    return "" if value is None else f"{value:.{goal.digits}f}"
