"""What the spatial benchmark found, as a Markdown table, as CSV and as a chart."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audiotoken.tables import markdown_table
from audiotoken.writing import write_bytes
from experiments.benchmarks.spatial_conditions import conditions
from experiments.benchmarks.spatial_goals import GOALS, Goal
from experiments.benchmarks.spatial_score import SYSTEMS, TOLD, Scored, score
from experiments.benchmarks.training_report import _processor

COLOURS = {"listen": "#c2410c", "listen-setup": "#e89b72"}
OTHER = "#b9bec7"
Line = dict[str, Any]


def write_report(scenes: Path, folder: Path) -> str:
    """Score every prediction file in `folder`, write table.md, rows.csv and chart.png -> the table."""
    scored = {path.stem: score(scenes, path) for path in sorted(folder.glob("*.json"))}
    lines, systems = table(scored), systems_of(scored)
    shown = to_markdown(lines, systems, facts(scenes, scored))
    if each := conditions(scored):
        shown += f"\nOurs, by setup and room (direction, side, count and separation of what stays):\n\n{each}"
    write_bytes(shown.encode(), folder / "table.md")
    write_bytes(to_csv(lines, systems).encode(), folder / "rows.csv")
    chart(lines, systems, folder / "chart.png")
    return f"{shown}\nwritten table.md, rows.csv, chart.png and the predictions into {folder}"


def systems_of(scored: Mapping[str, Sequence[Scored]]) -> list[str]:
    """Ours first, then as the benchmark lists them."""
    names = {name.removesuffix(TOLD) for name in scored}
    return [name for name in SYSTEMS if name in names]


def table(scored: Mapping[str, Sequence[Scored]]) -> list[Line]:
    """A line for each goal: what each system reaches, asked as the goal wants it; None where it says nothing of it."""
    lines = []
    for goal in GOALS:
        reached = {}
        for system in systems_of(scored):
            name = system + TOLD if goal.told or system not in scored else system
            blind = "SI-SDR" not in goal.name and "seconds" not in goal.name and system not in scored
            reached[system] = None if blind else goal.value(scored.get(name, ()))
        lines.append({"goal": goal, **reached})
    return lines


def facts(scenes: Path, scored: Mapping[str, Sequence[Scored]]) -> list[str]:
    from datetime import UTC, datetime

    most = max((len(each) for each in scored.values()), default=0)
    return [
        f"- scenes: {most} of {scenes.name}",
        f"- date: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"- machine: {_processor()}",
        "- \\*: the number of sources was told; all but `ours` were told the setup and its spacing",
    ]


def to_markdown(lines: Sequence[Line], systems: Sequence[str], known: Sequence[str]) -> str:
    rows = []
    for line in lines:
        goal: Goal = line["goal"]
        cells = [_said(line[system], goal) for system in systems]
        rows.append([_name(goal), *cells, f"{goal.must:g}", f"{goal.stretch:g}"])
    return "\n".join([*known, "", markdown_table(["", *systems, "must", "stretch"], rows, "lr"), ""])


def to_csv(lines: Sequence[Line], systems: Sequence[str]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["goal", "count told", *systems, "must", "stretch"])
    for line in lines:
        goal: Goal = line["goal"]
        values = ["" if line[system] is None else f"{line[system]:.6g}" for system in systems]
        writer.writerow([goal.name, int(goal.told), *values, goal.must, goal.stretch])
    return stream.getvalue()


def chart(lines: Sequence[Line], systems: Sequence[str], path: Path) -> None:
    """A small panel for each goal, a bar for each system; lines where it must and might be."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 11), dpi=110, facecolor="white", layout="constrained")
    panels = figure.subplots(6, 3).ravel()
    for axes, line in zip(panels, lines, strict=False):
        _panel(axes, line, systems)
    for axes in panels[len(lines) :]:
        axes.set_axis_off()
    figure.suptitle("Who is where: solid line must, dotted stretch, * the number of sources told", fontsize=12)
    FigureCanvasAgg(figure).print_png(str(path))


def _panel(axes: Any, line: Line, systems: Sequence[str]) -> None:
    goal: Goal = line["goal"]
    shown = [system for system in systems if line[system] is not None]
    for place, system in enumerate(shown):
        axes.barh(place, line[system], color=COLOURS.get(system, OTHER), height=0.75)
        axes.annotate(f" {_said(line[system], goal)}", (max(line[system], 0), place), va="center", fontsize=8)
    for value, style in ((goal.must, "-"), (goal.stretch, ":")):
        axes.axvline(value, color="#22252b", linewidth=1, linestyle=style)
    axes.set_yticks(range(len(shown)), shown, fontsize=8)
    axes.invert_yaxis()
    axes.tick_params(axis="x", labelsize=8)
    axes.set_title(_name(goal).replace("\\", "") + (" (less is better)" if goal.low else ""), loc="left", fontsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _name(goal: Goal) -> str:
    return goal.name + " \\*" * goal.told


def _said(value: float | None, goal: Goal) -> str:
    return "" if value is None else f"{value:.{goal.digits}f}"
