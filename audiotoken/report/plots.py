"""The plots of the page: SVG whose colours are those of the page, so that they are read by day and by night."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from audiotoken.report.figure import ACCENT, FAINT, INK, _plain, _spectrogram
from audiotoken.report.html import Html, inlined
from audiotoken.report.listening_figure import COLOURS, GRID, _half_circle, _timeline, _waveform
from audiotoken.stereo.labelled_scene import Listening, compute_outline
from audiotoken.stereo.planning import Plan

LEFT = 0.12  # of the figures' width: what is left of the axes
NAMES = {INK: "--ink", FAINT: "--faint", GRID: "--grid", ACCENT: "--accent"}
NAMES |= {colour: f"--c{i}" for i, colour in enumerate(COLOURS) if colour != ACCENT}
CLEAR: dict[Any, Any] = {"axes.facecolor": "none", "figure.facecolor": "none", "text.color": INK}
TEXT: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "page", "font.size": 11}  # the page's own letters


def colour_of(source: int) -> str:
    """As CSS says it; the same in every part of the page."""
    return f"var({NAMES[COLOURS[source % len(COLOURS)]]})"


def waveform(planned: "Plan") -> Html:
    """Both channels over time, and the frequencies of their mean."""
    with _drawn((6.2, 4.4)) as figure:
        below = figure.add_axes((LEFT, 0.115, 0.98 - LEFT, 0.48))
        above = figure.add_axes((LEFT, 0.63, 0.98 - LEFT, 0.36))
        _waveform(above, _as_heard(planned))
        if planned.recording.any():
            _spectrogram(below, planned.recording, planned.rate)
            below.collections[0].set_rasterized(True)
        else:
            below.text(0.5, 0.5, "silence", transform=below.transAxes, ha="center", color=FAINT)
            below.set(xlabel="time, s", yticks=())
            _plain(below)
        return _inlined(figure, "wave", "Waveform of the channels over the spectrogram, with a common time axis")


def half_circle(planned: "Plan") -> Html:
    """Directions, how sure and how wide, seen from above."""
    with _drawn((5.2, 3.1)) as figure:
        _half_circle(figure.add_axes((0.14, -0.15, 0.72, 1.3), projection="polar"), _as_heard(planned))
        return _inlined(figure, "circle", "Half circle of directions seen from above; the numbers are in the list")


def timeline(planned: "Plan") -> Html:
    """Azimuth over time; left is up."""
    with _drawn((5.2, 3.1)) as figure:
        _timeline(figure.add_axes((0.17, 0.15, 0.81, 0.82)), _as_heard(planned))
        return _inlined(figure, "path", "Azimuth of each sound over time")


def energy(trace: Sequence[Any]) -> Html:
    """Before each guided step and after the last, a line a picture; the updates of each step below."""
    looked = [note for note in trace if note.before]
    steps = [note.step + 1 for note in looked]
    with _drawn((6.2, 2.8)) as figure:
        axes = figure.add_axes((LEFT, 0.26, 0.98 - LEFT, 0.7))
        for row in range(len(looked[0].before)):
            fell = [(note.before[row], note.after[row]) for note in looked]
            for step, pair in zip(steps, fell, strict=True):
                axes.plot([step, step + 0.5], pair, color=FAINT, linewidth=1)
            axes.plot(steps, [before for before, _ in fell], "o", color=ACCENT, markersize=5)
            axes.plot([step + 0.5 for step in steps], [after for _, after in fell], ".", color=FAINT)
        _steps_below(axes, looked, len(trace))
        return _inlined(figure, "energy", "Energy before and after the updates of each guided step")


def _steps_below(axes: Axes, looked: Sequence[Any], count: int) -> None:
    ticks = {note.step + 1: f"{note.step + 1}\n{_updates(note)}" for note in looked[:: max(1, len(looked) // 12)]}
    axes.set(xlim=(0.5, looked[-1].step + 2), xlabel=f"step of {count}, and updates in it", ylabel="energy")
    axes.set_ylim(bottom=0)
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    _plain(axes)


def _updates(note: Any) -> str:
    """Of the picture that had most."""
    return f"{max(note.updates, default=0)}×"


def _as_heard(planned: "Plan") -> Listening:
    """As `audiotoken.report.listening_figure` reads it; of more than two channels the first two."""
    recording = planned.recording[:2]
    seconds = recording.shape[1] / planned.rate
    return Listening("", seconds, planned.scene, (None,) * len(planned.scene.sources), compute_outline(recording))


@contextmanager
def _drawn(inches: tuple[float, float]) -> Iterator[Figure]:
    with matplotlib.rc_context(CLEAR | TEXT):
        yield Figure(figsize=inches, dpi=110)


def _inlined(figure: Figure, name: str, alt: str) -> Html:
    content = StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        FigureCanvasSVG(figure).print_svg(content, metadata={"Date": None})
    svg = content.getvalue()
    for colour, variable in NAMES.items():
        svg = svg.replace(colour, f"var({variable})")
    return inlined(svg, name, alt)
