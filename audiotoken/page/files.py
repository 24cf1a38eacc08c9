"""Files to download: the picture, its report, films."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from audiotoken.report.result_page import write_page
from audiotoken.stereo.films import write_film
from audiotoken.stereo.generation import Result
from audiotoken.writing import write_image

STEP_MS, LAST_MS = 140, 1800  # milliseconds of each step, and of the picture at the end
SIDE = 256  # minimum side of a GIF in pixels: viewers blur smaller ones


def write_picture(result: Result, folder: Path) -> Path:
    """Write the first picture of a result into `folder` -> its path."""
    path = folder / "picture.png"
    write_image(result.images[0], path)
    return path


def write_report(result: Result, folder: Path, options: Mapping[str, Any]) -> Path:
    """Write the page that explains a result into `folder` -> its path."""
    path = folder / "report.html"
    write_page(result, path, options=options)
    return path


def write_steps(pictures: Sequence[Image.Image], folder: Path) -> Path:
    """A GIF of the sampling steps; the last of the pictures is the result."""
    side = max(SIDE, pictures[-1].width)
    size = (side, side * pictures[-1].height // pictures[-1].width)
    first, *others = (each.convert("RGB").resize(size, Image.Resampling.LANCZOS) for each in pictures)
    path = folder / "steps.gif"
    times = [STEP_MS] * len(others) + [LAST_MS]
    first.save(path, save_all=True, append_images=others, duration=times if others else LAST_MS, loop=0)
    return path


def write_films(result: Result, folder: Path) -> list[Path]:
    """A GIF, and an MP4 with the sound."""
    paths = [folder / "film.gif", folder / "film.mp4"]
    for path in paths:
        write_film(result.images, result.recording, result.rate, path)
    return paths
