"""One figure of a check: the picture with what is heard and seen, and the azimuths of all things against each other."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from audiotoken.evaluation.consistency import Check, Summary
from audiotoken.report.figure import FAINT, INK, render_figure, style_axes
from audiotoken.report.listening_figure import COLOURS, GRID
from audiotoken.report.listening_text import format_azimuth
from spatial.camera import Camera

LIMIT = 50  # degrees of the axes: hard left and right are 45


def draw_checks(checks: Sequence[Check], summary: Summary, picture: Image.Image, fov: float = 90.0) -> Image.Image:
    """(1320, 660) pixels; `picture` is that of the first check, `fov` degrees wide."""
    figure = Figure(figsize=(11, 5.5), dpi=120, facecolor="white")
    figure.text(0.05, 0.925, _format_title(summary), fontsize=15, color=INK, weight="bold")
    figure.text(0.05, 0.87, _format_subtitle(summary), fontsize=10, color=FAINT)
    draw_picture(figure.add_axes((0.05, 0.08, 0.42, 0.74)), checks[0], picture, fov)
    draw_azimuths(figure.add_axes((0.58, 0.12, 0.37, 0.7)), checks)
    return render_figure(figure)


def _format_title(summary: Summary) -> str:
    if not summary.pictures:
        return "Nothing to compare: no sound with a name and a direction"
    return f"Seen where it is heard: {summary.score.mean:.2f}"


def _format_subtitle(summary: Summary) -> str:
    if summary.pictures < 2:
        return "chance is 0.50, right is 1.00"
    low, high = summary.score.low, summary.score.high
    return f"95 % interval {low:.2f} to {high:.2f} over {summary.pictures} pictures   ·   chance is 0.50, right is 1.00"


def draw_picture(axes: Axes, check: Check, picture: Image.Image, fov: float = 90.0) -> None:
    """Lines where each thing is heard, dots where it is seen."""
    axes.imshow(picture, extent=(0, 1, 0, 1), aspect=picture.height / picture.width)
    camera = Camera(fov)
    for number, thing in enumerate(check.things):
        colour, heard = COLOURS[number % len(COLOURS)], camera.project(thing.heard)
        axes.axvline(heard, color="white", linewidth=4, alpha=0.7)
        axes.axvline(heard, color=colour, linewidth=2)
        height = 0.94 - 0.085 * number
        label = {"facecolor": "white", "edgecolor": colour, "boxstyle": "round,pad=0.25", "alpha": 0.92}
        side, at = ("left", heard + 0.015) if heard < 0.5 else ("right", heard - 0.015)
        text = f"{thing.word} heard {format_azimuth(thing.heard)}"
        axes.text(at, height, text, ha=side, va="center", color=colour, fontsize=9, bbox=label, parse_math=False)
        if thing.seen is not None:
            seen = camera.project(thing.seen)
            axes.plot([seen], [0.06 + 0.05 * number], "o", color=colour, markersize=11, markeredgecolor="white")
            axes.plot([heard, seen], [0.06 + 0.05 * number] * 2, color=colour, linewidth=2)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.set_axis_off()


def draw_azimuths(axes: Axes, checks: Sequence[Check]) -> None:
    """Heard across, seen up; on the diagonal they agree, in the grey quarters the sides do not."""
    for x, y in ((-LIMIT, 0), (0, -LIMIT)):
        axes.fill_between([x, x + LIMIT], y, y + LIMIT, color=GRID, alpha=0.55, linewidth=0)
    axes.plot([-LIMIT, LIMIT], [-LIMIT, LIMIT], color=FAINT, linewidth=1, linestyle=(0, (4, 4)))
    words = list(dict.fromkeys(thing.word for check in checks for thing in check.things))
    for number, word in enumerate(words):
        mine = [each for check in checks for each in check.things if each.word == word]
        points = [(min(max(each.heard, -LIMIT), LIMIT), each.seen) for each in mine if each.seen is not None]
        colour = COLOURS[number % len(COLOURS)]
        axes.plot(
            [x for x, _ in points], [y for _, y in points], "o", color=colour, markersize=7, alpha=0.85, label=word
        )
    if 0 < len(words) <= len(COLOURS):
        axes.legend(loc="upper left", fontsize=8, frameon=False)
    missed = sum(thing.seen is None for check in checks for thing in check.things)
    label = f"heard (degrees, positive right){f'; {missed} not seen' if missed else ''}"
    axes.set(xlim=(-LIMIT, LIMIT), ylim=(-LIMIT, LIMIT), xlabel=label, ylabel="seen (degrees)")
    axes.set_xticks((-45, -30, -15, 0, 15, 30, 45))
    axes.set_yticks((-45, -30, -15, 0, 15, 30, 45))
    style_axes(axes)
