"""The plots of the page as SVG with the CSS colours of the page, for light and dark mode."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import StringIO
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from audiotoken.report.figure import ACCENT, FAINT, INK, draw_spectrogram, style_axes
from audiotoken.report.html import Html, inline_svg
from audiotoken.report.listening_figure import COLOURS, GRID, draw_half_circle, draw_timeline, draw_waveform
from audiotoken.stereo.labelled_scene import Listening
from audiotoken.stereo.planning import Plan
from guidance.trace import StepTrace

LEFT = 0.12  # left margin as a share of the figure's width
NAMES = {INK: "--ink", FAINT: "--faint", GRID: "--grid"}
NAMES |= {colour: f"--c{i}" for i, colour in enumerate(COLOURS)}  # the first is ACCENT
TRANSPARENT: dict[Any, Any] = {"axes.facecolor": "none", "figure.facecolor": "none", "text.color": INK}
TEXT: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "page",
    "font.size": 11,
}  # the page's fonts


def plot_waveform(planned: "Plan") -> Html:
    """The waveform of the channels over the spectrogram of their mean."""
    with _open_figure((6.2, 4.4)) as figure:
        below = figure.add_axes((LEFT, 0.115, 0.98 - LEFT, 0.48))
        above = figure.add_axes((LEFT, 0.63, 0.98 - LEFT, 0.36))
        draw_waveform(above, planned.outline())
        if planned.recording.any():
            draw_spectrogram(below, planned.recording, planned.rate)
            below.collections[0].set_rasterized(True)
        else:
            below.text(0.5, 0.5, "silence", transform=below.transAxes, ha="center", color=FAINT)
            below.set(xlabel="time, s", yticks=())
            style_axes(below)
        return _to_html(figure, "wave", "Waveform of the channels over the spectrogram, with a common time axis")


def plot_outline(listening: Listening) -> Html:
    """The waveform of the channels."""
    with _open_figure((6.2, 2.0)) as figure:
        axes = figure.add_axes((LEFT, 0.24, 0.98 - LEFT, 0.74))
        draw_waveform(axes, listening)
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("time, s")
        return _to_html(figure, "wave", "Waveform of the channels")


def plot_half_circle(listening: Listening) -> Html:
    """Directions with confidence and spread, seen from above."""
    with _open_figure((5.2, 3.1)) as figure:
        draw_half_circle(figure.add_axes((0.14, -0.15, 0.72, 1.3), projection="polar"), listening)
        return _to_html(figure, "circle", "Directions in a half circle, seen from above; the numbers are in the list")


def plot_timeline(listening: Listening) -> Html:
    """Azimuth over time; left is up."""
    with _open_figure((5.2, 3.1)) as figure:
        draw_timeline(figure.add_axes((0.17, 0.15, 0.81, 0.82)), listening)
        return _to_html(figure, "path", "Azimuth of each sound over time")


def plot_energy(trace: Sequence[StepTrace]) -> Html:
    """The energy before and after each guided step, a line for each picture, with the number of updates below."""
    guided = [step for step in trace if step.before]
    steps = [each.step + 1 for each in guided]
    with _open_figure((6.2, 2.8)) as figure:
        axes = figure.add_axes((LEFT, 0.26, 0.98 - LEFT, 0.7))
        for row in range(len(guided[0].before)):
            pairs = [(each.before[row], each.after[row]) for each in guided]
            for step, pair in zip(steps, pairs, strict=True):
                axes.plot([step, step + 0.5], pair, color=FAINT, linewidth=1)
            axes.plot(steps, [before for before, _ in pairs], "o", color=ACCENT, markersize=5)
            axes.plot([step + 0.5 for step in steps], [after for _, after in pairs], ".", color=FAINT)
        _label_steps(axes, guided, len(trace))
        return _to_html(figure, "energy", "Energy before and after the updates of each guided step")


def plot_losses(steps: Sequence[int], losses: Mapping[str, Sequence[float]]) -> Html:
    """Each loss over the steps, with its running mean over a fiftieth of the run."""
    wide = max(1, len(steps) // 50)
    rows = -(-len(losses) // 2)
    with _open_figure((6.2, 1.9 * rows)) as figure:
        figure.set_layout_engine("constrained")
        for axes, (name, values) in zip(figure.subplots(rows, 2, squeeze=False).flat, losses.items(), strict=False):
            axes.plot(steps, values, color=GRID, linewidth=1)
            axes.plot(steps[wide - 1 :], np.convolve(values, np.ones(wide) / wide, "valid"), color=ACCENT)
            axes.set_title(name, fontsize=10)
            axes.set_xlabel("step")
            style_axes(axes)
        for axes in figure.axes[len(losses) :]:
            axes.remove()
        return _to_html(figure, "losses", "Each loss over the steps of the training; the table has its numbers")


def _label_steps(axes: Axes, guided: Sequence[StepTrace], count: int) -> None:
    shown = guided[:: max(1, len(guided) // 12)]
    ticks = {each.step + 1: f"{each.step + 1}\n{_format_updates(each)}" for each in shown}
    axes.set(xlim=(0.5, guided[-1].step + 2), xlabel=f"step of {count}, with its updates below", ylabel="energy")
    axes.set_ylim(bottom=0)
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    style_axes(axes)


def _format_updates(step: StepTrace) -> str:
    """The number of updates, of the picture that had most."""
    return f"{max(step.updates, default=0)}×"


@contextmanager
def _open_figure(inches: tuple[float, float]) -> Iterator[Figure]:
    with matplotlib.rc_context(TRANSPARENT | TEXT):
        yield Figure(figsize=inches, dpi=110)


def _to_html(figure: Figure, name: str, alt: str) -> Html:
    content = StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        FigureCanvasSVG(figure).print_svg(content, metadata={"Date": None})
    svg = content.getvalue()
    for colour, variable in NAMES.items():
        svg = svg.replace(colour, f"var({variable})")
    return inline_svg(svg, name, alt)
