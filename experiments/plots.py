"""One figure of one listening: the waveform, the half circle of directions, and azimuth over time."""

from textwrap import shorten
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from experiments.listening_text import say_azimuth
from experiments.report import FAINT, INK, _plain, _rendered
from spatial.scene import Source

if TYPE_CHECKING:
    from experiments.listening import Label, Listening

COLOURS = ("#c2410c", "#1d6fb8", "#3f8f3a", "#8b4fb0", "#b8860b", "#0f8b8d", "#a83a6b", "#5b6470")
LOBE = 4.0  # degrees at least, either side: narrower is not seen
TICKS = (-90, -60, -30, 0, 30, 60, 90)


def draw_listening(heard: "Listening") -> Image.Image:
    """(1320, 780) pixels."""
    figure = Figure(figsize=(11, 6.5), dpi=120, facecolor="white")
    figure.text(0.06, 0.95, _title(heard), fontsize=15, color=INK, weight="bold", parse_math=False)
    figure.text(0.06, 0.91, _subtitle(heard), fontsize=10, color=FAINT, parse_math=False)
    _waveform(figure.add_axes((0.06, 0.63, 0.42, 0.22)), heard)
    _timeline(figure.add_axes((0.06, 0.09, 0.42, 0.44)), heard)
    _half_circle(figure.add_axes((0.53, 0.36, 0.44, 0.52), projection="polar"), heard)
    _legend(figure, heard)
    return _rendered(figure)


def _title(heard: "Listening") -> str:
    number = len(heard.scene.sources)
    counted = {0: "no source", 1: "one source"}.get(number, f"{number} sources")
    return f"{shorten(heard.file.replace(chr(92), '/').rsplit('/', 1)[-1], 60)}: {counted}"


def _subtitle(heard: "Listening") -> str:
    scene = heard.scene
    between = f", {100 * scene.spacing:.0f} cm" if scene.setup == "spaced" else ""
    return f"heard as {scene.setup}{between} (sure {scene.confidence:.2f})   ·   {heard.seconds:.1f} s"


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
    """Azimuth to the right, as it is heard; time downwards would be usual in neither field, so it runs right."""
    for number, source in enumerate(heard.scene.sources):
        colour, spread = COLOURS[number % len(COLOURS)], max(source.direction.spread, 1.0)
        for start, stop in source.active or ((0.0, heard.seconds),):
            times, azimuths = _along(source, start, stop)
            axes.fill_between(times, azimuths - spread, azimuths + spread, color=colour, alpha=0.18, linewidth=0)
            axes.plot(times, azimuths, color=colour, linewidth=2.5, solid_capstyle="butt")
    limit = 45 if heard.scene.setup == "panned" else 90
    axes.axhline(0, color=FAINT, linewidth=0.8, linestyle=(0, (2, 3)), zorder=0)
    axes.set(xlim=(0, heard.seconds), ylim=(limit, -limit), xlabel="time, s")
    axes.set_yticks([tick for tick in (*TICKS, -45, 45) if abs(tick) <= limit and (limit == 90) == (tick % 30 == 0)])
    axes.set_yticks([-45, -30, -15, 0, 15, 30, 45] if limit == 45 else list(TICKS))
    axes.yaxis.set_major_formatter(lambda azimuth, _: say_azimuth(azimuth))
    _plain(axes)


def _along(source: Source, start: float, stop: float) -> tuple[np.ndarray, np.ndarray]:
    """Times and azimuths from start to stop, with the bends between."""
    bends = [time for time, _ in source.path if start < time < stop]
    times = np.array([start, *bends, stop])
    return times, np.array([source.azimuth_at(time) for time in times])


def _half_circle(axes: Axes, heard: "Listening") -> None:
    """Seen from above, ahead is up: a lobe as long as it is sure and as wide as its spread."""
    axes.set(theta_zero_location="N", theta_direction=-1, thetamin=-90, thetamax=90, ylim=(0, 1.0))  # type: ignore[call-arg]
    axes.set_xticks(np.deg2rad(TICKS), [say_azimuth(tick) for tick in TICKS])
    axes.set_yticks([0.5, 1.0], ["", ""])
    axes.grid(color="#d5d8dd", linewidth=0.8)
    axes.tick_params(colors=FAINT, labelsize=9)
    axes.spines["polar"].set_color(FAINT)
    for number, source in enumerate(heard.scene.sources):
        colour, sure = COLOURS[number % len(COLOURS)], max(source.direction.confidence, 0.08)
        azimuth, spread = np.deg2rad(source.direction.azimuth), np.deg2rad(max(source.direction.spread, LOBE))
        axes.bar(azimuth, sure, width=2 * spread, color=colour, alpha=0.3, linewidth=0)
        axes.plot([azimuth, azimuth], [0, sure], color=colour, linewidth=2.5)
        axes.plot([azimuth], [sure], "o", color=colour, markersize=9)
        if source.moves:
            turns = np.deg2rad([a for _, a in source.path])
            axes.plot(turns, np.full(len(turns), 0.92), color=colour, linewidth=1.5)
            axes.plot(turns[-1:], [0.92], marker=(3, 0, 0), color=colour, markersize=8)


def _legend(figure: Figure, heard: "Listening") -> None:
    for number, (source, label) in enumerate(zip(heard.scene.sources, heard.labels, strict=True)):
        y = 0.30 - 0.05 * number
        figure.text(0.55, y, "●", fontsize=13, color=COLOURS[number % len(COLOURS)], va="center")
        figure.text(0.575, y, _caption(source, label), fontsize=11, color=INK, va="center", parse_math=False)


def _caption(source: Source, label: "Label | None") -> str:
    where = say_azimuth(source.direction.azimuth)
    if source.moves:
        where = f"{say_azimuth(source.path[0][1])} → {say_azimuth(source.path[-1][1])}"
    return "   ".join([where, *([str(label)] if label else []), f"sure {source.direction.confidence:.2f}"])
