"""What can be taken home: the picture, the page about it, films."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from audiotoken.report.result_page import write_page
from audiotoken.stereo.films import write_film
from audiotoken.stereo.generation import Result
from audiotoken.writing import write_image

PAUSE, REST = 140, 1800  # milliseconds of each step, and of the picture at the end
SIDE = 256  # pixels of a GIF's sides at least: viewers blur what is smaller


def write_picture(result: Result, folder: Path) -> Path:
    path = folder / "picture.png"
    write_image(result.images[0], path)
    return path


def write_report(result: Result, folder: Path, asked: dict[str, Any]) -> Path:
    path = folder / "report.html"
    write_page(result, path, asked=asked)
    return path


def write_steps(pictures: Sequence[Image.Image], folder: Path) -> Path:
    """A GIF of how the picture came about; the last of them is the picture."""
    side = max(SIDE, pictures[-1].width)
    size = (side, side * pictures[-1].height // pictures[-1].width)
    first, *others = (each.convert("RGB").resize(size, Image.Resampling.LANCZOS) for each in pictures)
    path = folder / "steps.gif"
    times = [PAUSE] * len(others) + [REST]
    first.save(path, save_all=True, append_images=others, duration=times if others else REST, loop=0)
    return path


def write_films(result: Result, folder: Path) -> list[Path]:
    """As a GIF, and as an MP4 with the sound."""
    paths = [folder / "film.gif", folder / "film.mp4"]
    for path in paths:
        write_film(result.images, result.recording, result.rate, path)
    return paths
