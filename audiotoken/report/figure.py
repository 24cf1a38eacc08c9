"""One figure of one result: the recording, its labels, the pictures."""

import warnings
from io import BytesIO
from math import ceil
from textwrap import shorten

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
LEFT = 0.1  # left margin as a share of the figure's width
LABELS = 6  # shown, best first
MIN_FRAMES = 8  # of a spectrogram


def draw_report(result: "Result") -> Image.Image:
    """Spectrogram and scores on the left, the pictures on the right, prompt and seed above."""
    figure = Figure(figsize=(12, 6.2), dpi=120, facecolor="white")
    halves = figure.add_gridspec(1, 2, width_ratios=(6.2, 5), left=LEFT, right=0.98, top=0.82, bottom=0.09)
    sound = halves[0].subgridspec(2, 1, height_ratios=(3, 2), hspace=0.45)
    prompt = f"“{shorten(result.prompt.text, 90)}”"
    details = f"heard: {format_labels(result.heard[0])}   ·   {format_seeds(result)}"
    figure.text(LEFT, 0.93, prompt, fontsize=17, color=INK, weight="bold", parse_math=False)  # "$" is a dollar sign
    figure.text(LEFT, 0.88, details, fontsize=11, color=FAINT, parse_math=False)
    draw_spectrogram(figure.add_subplot(sound[0]), result.recording, result.rate)
    _draw_scores(figure.add_subplot(sound[1]), result.heard[0])
    picture = figure.add_subplot(halves[1])
    picture.imshow(contact_sheet([_enlarge(image) for image in result.images], gap=12))
    picture.set_anchor("N")
    picture.set_axis_off()
    return render_figure(figure)


def contact_sheet(images: list[Image.Image], gap: int = 4, columns: int | None = None) -> Image.Image:
    """Pictures of one size in a grid with white gaps, nearly square by default."""
    columns = columns or ceil(len(images) ** 0.5)
    rows = ceil(len(images) / columns)
    width, height = images[0].size
    sheet = Image.new("RGB", (columns * (width + gap) - gap, rows * (height + gap) - gap), "white")
    for i, image in enumerate(images):
        sheet.paste(image, (i % columns * (width + gap), i // columns * (height + gap)))
    return sheet


def spectrogram(signal: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(frames,) -> seconds (columns,), Hz (rows,), dB relative to the maximum (rows, columns)."""
    from scipy.signal import ShortTimeFFT
    from scipy.signal.windows import hann

    signal = np.pad(signal, (0, max(0, MIN_FRAMES - len(signal))))
    size = min(max(round(0.045 * rate), MIN_FRAMES), len(signal))  # 45 ms: rows 22 Hz apart
    transform = ShortTimeFFT(hann(size), hop=max(size // 4, len(signal) // 1000), fs=rate)
    power = transform.spectrogram(signal)  # (rows, columns)
    decibels = 10 * np.log10(np.maximum(power, 1e-12 * power.max()) / power.max())
    return transform.t(len(signal)), transform.f, decibels


def _enlarge(image: Image.Image, least: int = 600) -> Image.Image:
    """Upscale smoothly to at least `least` pixels a side, before pictures are tiled, so that their edges stay sharp."""
    factor = max(1.0, least / min(image.size))
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS)


def draw_spectrogram(axes: Axes, recording: np.ndarray, rate: int) -> None:
    """Draw the spectrogram, in dB, of a recording (channels, frames) at `rate` Hz, mixed to mono."""
    signal = to_mono(recording)
    seconds, hertz, decibels = spectrogram(signal, rate)
    axes.pcolormesh(seconds, hertz[1:], decibels[1:], vmin=-70, vmax=0, cmap="magma", shading="nearest")
    axes.set(xlim=(0, len(signal) / rate), ylim=(max(50, hertz[1]), rate / 2), xlabel="time, s", ylabel="frequency, Hz")
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(FixedLocator([tick for tick in TICKS if tick <= rate / 2]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda hz, _: f"{hz / 1000:g}k" if hz >= 1000 else f"{hz:g}"))
    style_axes(axes)


def _draw_scores(axes: Axes, labels: list[tuple[str, float]]) -> None:
    """The best labels with their scores; scores of at least `LIKELY` are highlighted."""
    top = labels[:LABELS]
    rows = range(len(top))
    axes.barh(rows, [score for _, score in top], color=[ACCENT if s >= LIKELY else "#d5d8dd" for _, s in top])
    for row, (_, score) in zip(rows, top, strict=True):
        axes.text(score + 0.012, row, f"{score:.2f}", va="center", fontsize=10, color=INK, bbox=ON_WHITE)
    axes.axvline(LIKELY, color=FAINT, linewidth=1, linestyle=(0, (2, 3)))
    unlikely = bool(top) and top[0][1] < LIKELY
    axes.set_title("no label is likely" if unlikely else "labels", loc="left", fontsize=11, color=INK)
    axes.set(xlim=(0, 1.08), ylim=(max(len(top), 1) - 0.4, -0.6), xlabel="score", xticks=(0, LIKELY, 1))
    axes.set_yticks(rows, [shorten(label, 16, placeholder="…") for label, _ in top])
    style_axes(axes)


def style_axes(axes: Axes) -> None:
    """Give axes the colours of all figures, and no frame at the top and the right."""
    axes.tick_params(colors=INK, labelsize=10, length=3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
    axes.xaxis.label.set_color(FAINT)
    axes.yaxis.label.set_color(FAINT)


def format_seeds(result: "Result") -> str:
    """The seeds of the pictures; all frames of a film have the same."""
    if result.frames:
        return f"seed {result.seed}"
    last = result.seed + len(result.images) - 1
    return f"seed {result.seed}" if last == result.seed else f"seeds {result.seed} to {last}"


def render_figure(figure: Figure) -> Image.Image:
    """Render a matplotlib figure as an RGB picture, without a display."""
    buffer = BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # scripts that matplotlib's font lacks
        FigureCanvasAgg(figure).print_png(buffer)
    return Image.open(buffer).convert("RGB")
