"""File names of the pictures of one run: `dog.png`, or `dog-1.png`, `dog-2.png` and both side by side in `dog.png`."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from audiotoken import report as reports
from audiotoken.writing import SUFFIXES, check_output, write_image

if TYPE_CHECKING:  # Pillow is imported only when there are pictures
    from PIL.Image import Image

FILMS = (".gif", ".mp4")
PAGES = (".html", ".htm")
REPORTS = (*SUFFIXES, *PAGES)


def check_outputs(
    output: str | os.PathLike,
    report: str | os.PathLike | None = None,
    suffixes: Sequence[str] = SUFFIXES,
    report_suffixes: Sequence[str] = PAGES,
) -> None:
    """OptionError unless the picture or film and its report can be written."""
    check_output(output, suffixes)
    if report is not None:
        check_output(report, report_suffixes)


def picture_paths(output: str | os.PathLike, count: int) -> list[Path]:
    """The path of each picture, without the sheet."""
    path = Path(output)
    return [path] if count == 1 else [path.with_stem(f"{path.stem}-{i + 1}") for i in range(count)]


def path_beside(output: str | os.PathLike, name: str) -> Path:
    """street.png -> street-boxes.png for name="boxes"."""
    path = Path(output)
    return path.with_stem(f"{path.stem}-{name}")


def write_pictures(images: "Sequence[Image]", output: str | os.PathLike) -> None:
    """Write each picture, whole or not at all; several also as one sheet, which is `output`."""
    for image, path in zip(images, picture_paths(output, len(images)), strict=True):
        write_image(image, path)
    if len(images) > 1:
        write_image(reports.figure.contact_sheet(list(images)), Path(output))
