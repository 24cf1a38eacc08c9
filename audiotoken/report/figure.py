"""One figure of one result: what was recorded, what was heard, what was drawn."""

import warnings
from io import BytesIO
from math import ceil
from textwrap import shorten
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from PIL import Image

from audiotoken.audio import to_mono
from audiotoken.labels import LIKELY, format_labels
from audiotoken.stereo.generation import Result

INK, FAINT, ACCENT = "#22252b", "#8a8f98", "#c2410c"
TICKS = (50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000)  # Hz
ON_WHITE = {"facecolor": "white", "edgecolor": "none", "pad": 1}
LEFT = 0.1  # of the figure's width
SHOWN = 6  # labels
SHORTEST = 8  # frames; less has no spectrum to speak of


def draw_report(result: "Result") -> Image.Image:
    """Spectrogram and scores on the left, the pictures on the right, prompt and seed above."""
    figure = Figure(figsize=(12, 6.2), dpi=120, facecolor="white")
    halves = figure.add_gridspec(1, 2, width_ratios=(6.2, 5), left=LEFT, right=0.98, top=0.82, bottom=0.09)
    sound = halves[0].subgridspec(2, 1, height_ratios=(3, 2), hspace=0.45)
    said, heard = (
        f"“{shorten(result.prompt.text, 90)}”",
        f"heard: {format_labels(result.heard[0])}   ·   {_seeds(result)}",
    )
    figure.text(LEFT, 0.93, said, fontsize=17, color=INK, weight="bold", parse_math=False)  # "$" is a dollar
    figure.text(LEFT, 0.88, heard, fontsize=11, color=FAINT, parse_math=False)
    _spectrogram(figure.add_subplot(sound[0]), result.recording, result.rate)
    _bars(figure.add_subplot(sound[1]), result.heard[0])
    picture = figure.add_subplot(halves[1])
    picture.imshow(contact_sheet([_enlarged(image) for image in result.images], gap=12))
    picture.set_anchor("N")
    picture.set_axis_off()
    return _rendered(figure)


def contact_sheet(images: list[Image.Image], gap: int = 4, columns: int | None = None) -> Image.Image:
    """Pictures of one size in rows, nearly square unless `columns` says otherwise, white between them."""
    columns = columns or ceil(len(images) ** 0.5)
    rows = ceil(len(images) / columns)
    width, height = images[0].size
    sheet = Image.new("RGB", (columns * (width + gap) - gap, rows * (height + gap) - gap), "white")
    for i, image in enumerate(images):
        sheet.paste(image, (i % columns * (width + gap), i // columns * (height + gap)))
    return sheet


def spectrogram(signal: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(frames,) -> seconds (columns,), Hz (rows,), dB below the loudest (rows, columns)."""
    from scipy.signal import ShortTimeFFT
    from scipy.signal.windows import hann

    signal = np.pad(signal, (0, max(0, SHORTEST - len(signal))))
    size = min(max(round(0.045 * rate), SHORTEST), len(signal))  # 45 ms: rows 22 Hz apart
    transform = ShortTimeFFT(hann(size), hop=max(size // 4, len(signal) // 1000), fs=rate)
    power = transform.spectrogram(signal)  # (rows, columns)
    decibels = 10 * np.log10(np.maximum(power, 1e-12 * power.max()) / power.max())
    return transform.t(len(signal)), transform.f, decibels


def _enlarged(image: Image.Image, least: int = 600) -> Image.Image:
    """Smooth, and before it stands beside others, so that edges stay edges."""
    factor = max(1.0, least / min(image.size))
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS)


def _spectrogram(axes: Axes, recording: np.ndarray, rate: int) -> None:
    signal = to_mono(recording)
    seconds, hertz, decibels = spectrogram(signal, rate)
    axes.pcolormesh(seconds, hertz[1:], decibels[1:], vmin=-70, vmax=0, cmap="magma", shading="nearest")
    axes.set(xlim=(0, len(signal) / rate), ylim=(max(50, hertz[1]), rate / 2), xlabel="time, s", ylabel="frequency, Hz")
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(FixedLocator([tick for tick in TICKS if tick <= rate / 2]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda hz, _: f"{hz / 1000:g}k" if hz >= 1000 else f"{hz:g}"))
    _plain(axes)


def _bars(axes: Axes, heard: list[tuple[str, float]]) -> None:
    """The best labels with their scores; those at or above one half count as heard."""
    top = heard[:SHOWN]
    places = range(len(top))
    axes.barh(places, [score for _, score in top], color=[ACCENT if s >= LIKELY else "#d5d8dd" for _, s in top])
    for place, (_, score) in zip(places, top, strict=True):
        axes.text(score + 0.012, place, f"{score:.2f}", va="center", fontsize=10, color=INK, bbox=ON_WHITE)
    axes.axvline(LIKELY, color=FAINT, linewidth=1, linestyle=(0, (2, 3)))
    none = bool(top) and top[0][1] < LIKELY
    axes.set_title("none of these" if none else "what was heard", loc="left", fontsize=11, color=INK)
    axes.set(xlim=(0, 1.08), ylim=(max(len(top), 1) - 0.4, -0.6), xlabel="score", xticks=(0, LIKELY, 1))
    axes.set_yticks(places, [shorten(label, 16, placeholder="…") for label, _ in top])
    _plain(axes)


def _plain(axes: Axes) -> None:
    axes.tick_params(colors=INK, labelsize=10, length=3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
    axes.xaxis.label.set_color(FAINT)
    axes.yaxis.label.set_color(FAINT)


def _seeds(result: "Result") -> str:
    last = result.seed + len(result.images) - 1
    return f"seed {result.seed}" if last == result.seed else f"seeds {result.seed} to {last}"


def _rendered(figure: Any) -> Image.Image:
    buffer = BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # of scripts that matplotlib's own font lacks
        FigureCanvasAgg(figure).print_png(buffer)
    return Image.open(buffer).convert("RGB")
