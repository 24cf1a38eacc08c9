"""An experiment as a plot: figures side by side, a dot and an interval for each variant, faint dots for the seeds."""

from pathlib import Path
from typing import Any

from experiments.ablations.results import Experiment, Row, format_value, format_variant

INK, FAINT = "#22252b", "#8a8f98"
COLOURS = ("#c2410c", "#1d4ed8", "#15803d", "#7e22ce", "#a16207", "#0f766e")
HEIGHT, WIDTH = 2.6, 3.4  # inches of a figure


def write_plot(one: Experiment, path: Path) -> None:
    """Plot the figures in `shown`, else the first three; without any figure, write nothing."""
    names = [name for name in one.shown if name in one.figures] or one.figures[:3]
    if not names or not one.rows:
        return
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH * len(names) + 0.4, HEIGHT), dpi=100, layout="constrained", facecolor="white")
    axes = figure.subplots(1, len(names), squeeze=False)[0]
    for each, name in zip(axes, names, strict=True):
        _panel(each, one, name)
    figure.savefig(path)


def _panel(axes: Any, one: Experiment, name: str) -> None:
    """One figure; where two options vary, the first is along the axis, the second in colour."""
    first, second = [*one.varies, "", ""][:2]
    two = len(one.varies) == 2
    places = list(dict.fromkeys(format_value(row.variant[first]) if two else format_variant(row) for row in one.rows))
    hues = list(dict.fromkeys(format_value(row.variant[second]) for row in one.rows)) if two else [""]
    for row in one.rows:
        hue = hues.index(format_value(row.variant[second])) if two else 0
        at = places.index(format_value(row.variant[first]) if two else format_variant(row)) + 0.16 * (
            hue - (len(hues) - 1) / 2
        )
        _dot(axes, row, name, at, COLOURS[hue % len(COLOURS)])
    axes.set_title(name, fontsize=10, color=INK, loc="left")
    axes.set_xticks(range(len(places)), places, fontsize=8, rotation=30 if max(map(len, places)) > 8 else 0)
    axes.set_xlim(-0.5, len(places) - 0.5)
    axes.tick_params(colors=INK, labelsize=8, length=3)
    axes.set_xlabel(first if two else ", ".join(one.varies), fontsize=8, color=FAINT)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if "loss" not in name and axes.get_ylim()[0] > -0.5:
        axes.set_ylim(bottom=0)  # a ratio is seen as one
    if two:
        for hue, text in enumerate(hues):
            axes.plot([], [], "o", ms=4, color=COLOURS[hue % len(COLOURS)], label=f"{second} {text}")
        axes.legend(fontsize=7, frameon=False)


def _dot(axes: Any, row: Row, name: str, at: float, colour: str) -> None:
    if name not in row.figures:
        return
    mean, low, high = row.figures[name]
    axes.plot([at] * len(row.each[name]), row.each[name], "o", ms=3, color=FAINT, alpha=0.6)
    axes.plot([at, at], [low, high], color=colour, lw=1.5)
    axes.plot([at], [mean], "o", ms=5, color=colour)
