"""One figure of one listening: the waveform, azimuth over time, and the half circle of directions, seen from above."""

from textwrap import shorten
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from audiotoken.report.figure import FAINT, INK, _plain, _rendered
from audiotoken.report.listening_text import say_azimuth, say_kind, say_spans
from audiotoken.stereo.labelled_scene import Label, Listening
from spatial.scene import Source

COLOURS = ("#c2410c", "#1d6fb8", "#3f8f3a", "#8b4fb0", "#b8860b", "#0f8b8d", "#a83a6b", "#5b6470")
GRID = "#dfe2e6"
LEFT, WIDE = 0.085, 0.42  # of the figure's width: the panels over time
LOBE = 4.0  # degrees at least, either side: narrower is not seen
ARC = 0.93  # of the radius: where paths are drawn
WRITTEN = 5  # sources that have a caption; more would run off the figure


def draw_listening(heard: "Listening") -> Image.Image:
    """(1320, 780) pixels."""
    figure = Figure(figsize=(11, 6.5), dpi=120, facecolor="white")
    figure.text(LEFT, 0.935, _title(heard), fontsize=15, color=INK, weight="bold", parse_math=False)
    figure.text(LEFT, 0.895, _subtitle(heard), fontsize=10, color=FAINT, parse_math=False)
    _waveform(figure.add_axes((LEFT, 0.66, WIDE, 0.2)), heard)
    _timeline(figure.add_axes((LEFT, 0.09, WIDE, 0.53)), heard)
    _half_circle(figure.add_axes((0.585, 0.18, 0.35, 0.86), projection="polar"), heard)
    _captions(figure, heard)
    return _rendered(figure)


def _title(heard: "Listening") -> str:
    number = len(heard.scene.sources)
    counted = {0: "no source", 1: "one source"}.get(number, f"{number} sources")
    return f"{shorten(heard.file.replace(chr(92), '/').rsplit('/', 1)[-1], 60)}: {counted}"


def _subtitle(heard: "Listening") -> str:
    notes = f"   ·   {shorten(heard.scene.notes[0], 70)}" if heard.scene.notes else ""
    return f"{say_kind(heard.scene)}, sure {heard.scene.confidence:.2f}   ·   {heard.seconds:.1f} s{notes}"


def _waveform(axes: Axes, heard: "Listening") -> None:
    """Left above right, each scaled to the louder of both."""
    peak = max(float(np.abs(heard.outline).max(initial=0)), 1e-9)
    channels = len(heard.outline)
    seconds = np.linspace(0, heard.seconds, heard.outline.shape[1])
    for row, channel in enumerate(heard.outline / peak):
        middle = channels - 1 - row
        axes.fill_between(seconds, middle + 0.48 * channel[:, 0], middle + 0.48 * channel[:, 1], color=INK, linewidth=0)
    axes.set(xlim=(0, heard.seconds), ylim=(-0.55, channels - 0.45))
    axes.set_yticks(range(channels), ["right", "left"] if channels == 2 else ["mono"])
    axes.tick_params(labelbottom=False)
    _plain(axes)


def _timeline(axes: Axes, heard: "Listening") -> None:
    """Left is up, as in the waveform above; lines where a source sounds, bands as wide as it spreads."""
    panned = heard.scene.setup == "panned"
    limit, ticks = (45, (-45, -30, -15, 0, 15, 30, 45)) if panned else (90, (-90, -60, -30, 0, 30, 60, 90))
    for tick in ticks:
        axes.axhline(tick, color=GRID, linewidth=0.8, zorder=0)
    for number, source in enumerate(heard.scene.sources):
        colour, spread = COLOURS[number % len(COLOURS)], max(source.direction.spread, 1.5)
        for start, stop in source.active or ((0.0, heard.seconds),):
            times, azimuths = _along(source, start, stop)
            axes.fill_between(times, azimuths - spread, azimuths + spread, color=colour, alpha=0.22, linewidth=0)
            axes.plot(times, azimuths, color=colour, linewidth=2.5, solid_capstyle="butt")
        times, azimuths = _along(source, 0.0, heard.seconds)
        axes.plot(times, azimuths, color=colour, linewidth=0.8, linestyle=(0, (1, 3)))
    axes.set(xlim=(0, heard.seconds), ylim=(limit * 1.06, -limit * 1.06), xlabel="time, s")
    axes.set_yticks(ticks, [say_azimuth(tick) for tick in ticks])
    _plain(axes)


def _along(source: Source, start: float, stop: float) -> tuple[np.ndarray, np.ndarray]:
    """Times and azimuths from start to stop, with the bends between."""
    bends = [time for time, _ in source.path if start < time < stop]
    times = np.array([start, *bends, stop])
    return times, np.array([source.azimuth_at(time) for time in times])


def _half_circle(axes: Any, heard: "Listening") -> None:
    """Seen from above, ahead is up: a lobe as long as it is sure and as wide as its spread; an arrow along a path."""
    panned = heard.scene.setup == "panned"
    ticks = (-45, -22.5, 0, 22.5, 45) if panned else (-90, -60, -30, 0, 30, 60, 90)
    axes.set_theta_zero_location("N")
    axes.set_theta_direction(-1)
    axes.set(thetamin=ticks[0], thetamax=ticks[-1], ylim=(0, 1.0))
    axes.set_xticks(np.deg2rad(ticks), ["" for _ in ticks])
    axes.set_yticks([0.5, 1.0], ["", ""])
    axes.grid(color=GRID, linewidth=0.8)
    for spine in axes.spines.values():
        spine.set_color(GRID)
    for tick in ticks:
        side = "center" if abs(tick) < 10 else "left" if tick > 0 else "right"
        said = say_azimuth(tick) if tick in (ticks[0], 0, ticks[-1]) else f"{abs(tick):g}°"
        axes.text(np.deg2rad(tick), 1.05, said, ha=side, va="center", fontsize=9, color=FAINT)
    for number, source in enumerate(heard.scene.sources):
        _lobe(axes, source, COLOURS[number % len(COLOURS)])


def _lobe(axes: Any, source: Source, colour: str) -> None:
    sure = float(np.clip(source.direction.confidence, 0.08, 1.0))
    azimuth, spread = np.deg2rad(source.direction.azimuth), np.deg2rad(max(source.direction.spread, LOBE))
    if source.moves:
        turns = np.deg2rad([azimuth for _, azimuth in source.path])
        axes.fill_between(turns, 0, sure, color=colour, alpha=0.12, linewidth=0)
        axes.plot(turns, np.full(len(turns), ARC), color=colour, linewidth=2.5)
        before = turns[-1] - 0.12 * np.sign(turns[-1] - turns[0])
        arrow = {"arrowstyle": "-|>", "color": colour, "lw": 2.5, "mutation_scale": 20, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", xy=(turns[-1], ARC), xytext=(before, ARC), arrowprops=arrow)
        return
    axes.bar(azimuth, sure, width=2 * spread, color=colour, alpha=0.3, linewidth=0)
    axes.plot([azimuth, azimuth], [0, sure], color=colour, linewidth=2.5)
    axes.plot([azimuth], [sure], "o", color=colour, markersize=9, clip_on=False)


def _captions(figure: Figure, heard: "Listening") -> None:
    for number, (source, label) in enumerate(zip(heard.scene.sources, heard.labels, strict=True)):
        y = 0.33 - 0.062 * number
        if number == WRITTEN:
            figure.text(0.6, y + 0.02, f"and {len(heard.labels) - WRITTEN} more", fontsize=10, color=FAINT)
            return
        what, where = _caption(source, label)
        figure.text(0.572, y, "●", fontsize=14, color=COLOURS[number % len(COLOURS)], va="center")
        figure.text(0.6, y, what, fontsize=12, color=INK, va="center", parse_math=False)
        figure.text(0.6, y - 0.026, where, fontsize=9, color=FAINT, va="center", parse_math=False)


def _caption(source: Source, label: "Label | None") -> tuple[str, str]:
    """What or where in large letters, the rest in small ones."""
    direction = source.direction
    where = say_azimuth(direction.azimuth)
    if source.moves:
        where = f"{say_azimuth(source.path[0][1])} → {say_azimuth(source.path[-1][1])}"
    large = [where, *([str(label)] if label else [])]
    small = [f"sure {direction.confidence:.2f}"]
    small += [f"±{direction.spread:.0f}°"] if direction.spread else []
    small += [f"{source.level:.0f} dB"] if source.level else []
    small += [say_spans(source.active)] if source.active else []
    return "   ".join(large), " · ".join(small)
