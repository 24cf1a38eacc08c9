"""One figure of one listening result: waveform, azimuth over time, and directions seen from above."""

from textwrap import shorten
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from audiotoken.report.figure import FAINT, INK, render_figure, style_axes
from audiotoken.report.listening_text import format_azimuth, format_setup, format_spans
from audiotoken.stereo.labelled_scene import Label, Listening
from spatial.scene import Source

COLOURS = ("#c2410c", "#1d6fb8", "#3f8f3a", "#8b4fb0", "#b8860b", "#0f8b8d", "#a83a6b", "#5b6470")
GRID = "#dfe2e6"
LEFT, WIDTH = 0.085, 0.42  # of the panels over time, as shares of the figure's width
MIN_LOBE = 4.0  # degrees to each side: narrower is not visible
ARC = 0.93  # radius of paths
CAPTIONS = 5  # maximum; more would run off the figure


def css_colour(source: int) -> str:
    """A CSS variable, the same for a source everywhere; the style sheets have its values in light and dark mode."""
    return f"var(--c{source % len(COLOURS)})"


def draw_listening(listening: "Listening") -> Image.Image:
    """(1320, 780) pixels."""
    figure = Figure(figsize=(11, 6.5), dpi=120, facecolor="white")
    figure.text(LEFT, 0.935, format_title(listening), fontsize=15, color=INK, weight="bold", parse_math=False)
    figure.text(LEFT, 0.895, _format_subtitle(listening), fontsize=10, color=FAINT, parse_math=False)
    draw_waveform(figure.add_axes((LEFT, 0.66, WIDTH, 0.2)), listening)
    draw_timeline(figure.add_axes((LEFT, 0.09, WIDTH, 0.53)), listening)
    draw_half_circle(figure.add_axes((0.585, 0.18, 0.35, 0.86), projection="polar"), listening)
    _write_captions(figure, listening)
    return render_figure(figure)


def format_title(listening: "Listening") -> str:
    """The name of the file, shortened, and the number of its sources."""
    number = len(listening.scene.sources)
    sources = {0: "no source", 1: "one source"}.get(number, f"{number} sources")
    name = listening.file.encode("utf-8", "backslashreplace").decode()  # no font has half characters
    return f"{shorten(name.replace(chr(92), '/').rsplit('/', 1)[-1], 60)}: {sources}"


def _format_subtitle(listening: "Listening") -> str:
    notes = f"   ·   {shorten(listening.scene.notes[0], 70)}" if listening.scene.notes else ""
    setup = f"{format_setup(listening.scene)}, confidence {listening.scene.confidence:.2f}"
    return f"{setup}   ·   {listening.seconds:.1f} s{notes}"


def draw_waveform(axes: Axes, listening: "Listening") -> None:
    """Left above right, on one scale."""
    peak = max(float(np.abs(listening.outline).max(initial=0)), 1e-9)
    channels = len(listening.outline)
    seconds = np.linspace(0, listening.seconds, listening.outline.shape[1])
    for row, channel in enumerate(listening.outline / peak):
        middle = channels - 1 - row
        axes.fill_between(seconds, middle + 0.48 * channel[:, 0], middle + 0.48 * channel[:, 1], color=INK, linewidth=0)
    axes.set(xlim=(0, listening.seconds), ylim=(-0.55, channels - 0.45))
    axes.set_yticks(range(channels), ["right", "left"] if channels == 2 else ["mono"])
    axes.tick_params(labelbottom=False)
    style_axes(axes)


def draw_timeline(axes: Axes, listening: "Listening") -> None:
    """Left is up, as in the waveform; lines where a source is active, bands as wide as its spread."""
    panned = listening.scene.setup == "panned"
    limit, ticks = (45, (-45, -30, -15, 0, 15, 30, 45)) if panned else (90, (-90, -60, -30, 0, 30, 60, 90))
    for tick in ticks:
        axes.axhline(tick, color=GRID, linewidth=0.8, zorder=0)
    for number, source in enumerate(listening.scene.sources):
        colour, spread = COLOURS[number % len(COLOURS)], max(source.direction.spread, 1.5)
        for start, stop in source.active or ((0.0, listening.seconds),):
            times, azimuths = _sample_path(source, start, stop)
            axes.fill_between(times, azimuths - spread, azimuths + spread, color=colour, alpha=0.22, linewidth=0)
            axes.plot(times, azimuths, color=colour, linewidth=2.5, solid_capstyle="butt")
        times, azimuths = _sample_path(source, 0.0, listening.seconds)
        axes.plot(times, azimuths, color=colour, linewidth=0.8, linestyle=(0, (1, 3)))
    axes.set(xlim=(0, listening.seconds), ylim=(limit * 1.06, -limit * 1.06), xlabel="time, s")
    axes.set_yticks(ticks, [format_azimuth(tick) for tick in ticks])
    style_axes(axes)


def _sample_path(source: Source, start: float, stop: float) -> tuple[np.ndarray, np.ndarray]:
    """Times and azimuths of a source from start to stop, with the corners of its path."""
    bends = [time for time, _ in source.path if start < time < stop]
    times = np.array([start, *bends, stop])
    return times, np.array([source.azimuth_at(time) for time in times])


def draw_half_circle(axes: Any, listening: "Listening") -> None:
    """View from above: a lobe is as long as its confidence and as wide as its spread; an arrow follows a path."""
    panned = listening.scene.setup == "panned"
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
        text = format_azimuth(tick) if tick in (ticks[0], 0, ticks[-1]) else f"{abs(tick):g}°"
        axes.text(np.deg2rad(tick), 1.05, text, ha=side, va="center", fontsize=9, color=FAINT)
    for number, source in enumerate(listening.scene.sources):
        _draw_lobe(axes, source, COLOURS[number % len(COLOURS)])


def _draw_lobe(axes: Any, source: Source, colour: str) -> None:
    confidence = float(np.clip(source.direction.confidence, 0.08, 1.0))
    azimuth, spread = np.deg2rad(source.direction.azimuth), np.deg2rad(max(source.direction.spread, MIN_LOBE))
    if source.moves:
        turns = np.deg2rad([azimuth for _, azimuth in source.path])
        axes.fill_between(turns, 0, confidence, color=colour, alpha=0.12, linewidth=0)
        axes.plot(turns, np.full(len(turns), ARC), color=colour, linewidth=2.5)
        before = turns[-1] - 0.12 * np.sign(turns[-1] - turns[0])
        arrow = {"arrowstyle": "-|>", "color": colour, "lw": 2.5, "mutation_scale": 20, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", xy=(turns[-1], ARC), xytext=(before, ARC), arrowprops=arrow)
        return
    axes.bar(azimuth, confidence, width=2 * spread, color=colour, alpha=0.3, linewidth=0)
    axes.plot([azimuth, azimuth], [0, confidence], color=colour, linewidth=2.5)
    axes.plot([azimuth], [confidence], "o", color=colour, markersize=9, clip_on=False)


def _write_captions(figure: Figure, listening: "Listening") -> None:
    for number, (source, label) in enumerate(zip(listening.scene.sources, listening.labels, strict=True)):
        y = 0.33 - 0.062 * number
        if number == CAPTIONS:
            figure.text(0.6, y + 0.02, f"and {len(listening.labels) - CAPTIONS} more", fontsize=10, color=FAINT)
            return
        what, where = _format_caption(source, label)
        figure.text(0.572, y, "●", fontsize=14, color=COLOURS[number % len(COLOURS)], va="center")
        figure.text(0.6, y, what, fontsize=12, color=INK, va="center", parse_math=False)
        figure.text(0.6, y - 0.026, where, fontsize=9, color=FAINT, va="center", parse_math=False)


def _format_caption(source: Source, label: "Label | None") -> tuple[str, str]:
    """Direction and label in large letters, the rest in small ones."""
    direction = source.direction
    where = format_azimuth(direction.azimuth)
    if source.moves:
        where = f"{format_azimuth(source.path[0][1])} → {format_azimuth(source.path[-1][1])}"
    large = [where, *([str(label)] if label else [])]
    small = [f"confidence {direction.confidence:.2f}"]
    small += [f"±{direction.spread:.0f}°"] if direction.spread else []
    small += [f"{source.level:.0f} dB"] if source.level else []
    small += [format_spans(source.active)] if source.active else []
    return "   ".join(large), " · ".join(small)
