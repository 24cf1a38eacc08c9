"""File names of the pictures of one run: `dog.png`, or `dog-1.png`, `dog-2.png` and both side by side in `dog.png`."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from audiotoken import report as reports
from audiotoken.report.html import PAGES, check_report
from audiotoken.writing import SUFFIXES, check_inputs_kept, check_output, write_image

if TYPE_CHECKING:  # Pillow is imported only when there are pictures
    from PIL.Image import Image

FILMS = (".gif", ".mp4")
REPORTS = (*SUFFIXES, *PAGES)
EXTRA = ("boxes", "control")  # pictures that `place --boxes` writes beside the picture


def check_outputs(
    output: str | os.PathLike,
    report: str | os.PathLike | None = None,
    suffixes: Sequence[str] = SUFFIXES,
    report_suffixes: Sequence[str] = PAGES,
    *,
    inputs: Iterable[str | os.PathLike | None] = (),
    count: int = 1,
    beside: Sequence[str] = (),
) -> None:
    """OptionError unless the picture or film and its report can be written, and none of them is an input.

    count: of the pictures. beside: the names of further pictures, see `path_beside`.
    """
    check_output(output, suffixes)
    if report is not None:
        check_report(report, report_suffixes)
    numbered = picture_paths(output, count) if count > 1 else []
    check_inputs_kept([output, *numbered, *(path_beside(output, name) for name in beside), report], inputs)


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
