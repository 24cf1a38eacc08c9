"""An overview of a folder of pictures: a table of labels, and one sheet of all pictures with their names."""

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from io import StringIO
from math import ceil
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

SIDE, CAPTION, GAP = 160, 34, 8  # pixels
MAX_PICTURES = 400  # on one sheet
LABELS = 3  # in the table
INK, FAINT = "#22252b", "#8a8f98"


def format_label_table(lines: Iterable[Mapping[str, Any]], broken: Mapping[str, str]) -> str:
    """CSV: clip, first picture, best labels with scores; for a broken clip the error message instead."""
    names = [f"{kind} {i + 1}" for i in range(LABELS) for kind in ("label", "score")]
    text = StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["clip", "picture", *names, "problem"])
    rows = [(line["clip"], line["files"][0], line.get("heard") or [], "") for line in lines]
    rows += [(clip, "", [], problem) for clip, problem in broken.items()]
    for clip, picture, labels, problem in sorted(rows):
        cells = [cell for label, score in labels[:LABELS] for cell in (label, f"{score:.3f}")]
        table.writerow([clip, picture, *cells, *[""] * (2 * LABELS - len(cells)), problem])
    return text.getvalue()


def format_source_table(lines: Iterable[Mapping[str, Any]], broken: Mapping[str, str]) -> str:
    """CSV: a row for each source of each clip, its direction in degrees, positive right, and its box if it has one.

    A clip without sources, and a broken one, has a row of its own.
    """
    columns = ["name", "score", "azimuth", "x0", "y0", "x1", "y1"]
    return _format_sources(
        lines, broken, columns, lambda each: [*map(each.get, columns[:3]), *(each.get("box") or [None] * 4)]
    )


def format_listening_table(lines: Iterable[Mapping[str, Any]], broken: Mapping[str, str]) -> str:
    """The same of clips that were listened to only, with the keys of their JSON; `active` as "0.5-2.25 3-4.5"."""
    columns = ["name", "score", "sure", "azimuth", "spread", "confidence", "level"]
    return _format_sources(
        lines,
        broken,
        [*columns, "active", "moves"],
        lambda each: [
            *map(each.get, columns),
            " ".join(f"{start:g}-{stop:g}" for start, stop in each["active"]),
            bool(each["path"]),
        ],
    )


def _format_sources(
    lines: Iterable[Mapping[str, Any]],
    broken: Mapping[str, str],
    columns: Sequence[str],
    list_cells: Callable[[Mapping[str, Any]], list[Any]],
) -> str:
    text = StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["clip", "file", "source", *columns, "problem"])
    rows = [(line["clip"], line["files"][0], line.get("sources") or [], "") for line in lines]
    rows += [(clip, "", [], problem) for clip, problem in broken.items()]
    for clip, file, sources, problem in sorted(rows, key=lambda row: row[0]):
        for number, each in enumerate(sources, 1):
            table.writerow([clip, file, number, *list_cells(each), ""])
        if not sources:
            table.writerow([clip, file, *[""] * (1 + len(columns)), problem])
    return text.getvalue()


def gallery(lines: Iterable[Mapping[str, Any]], folder: Path) -> Image.Image:
    """The first picture of each clip with its name and best label below, for at most `MAX_PICTURES` clips."""
    shown = list(lines)[:MAX_PICTURES]
    columns = ceil(len(shown) ** 0.5)
    rows = ceil(len(shown) / columns)
    sheet = Image.new("RGB", (columns * (SIDE + GAP) + GAP, rows * (SIDE + CAPTION + GAP) + GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for i, line in enumerate(shown):
        x, y = GAP + i % columns * (SIDE + GAP), GAP + i // columns * (SIDE + CAPTION + GAP)
        with (
            suppress(OSError),
            Image.open(folder / line["files"][0]) as picture,
        ):  # it may be missing
            sheet.paste(picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS), (x, y))
        draw.text((x, y + SIDE + 2), _shorten_name(line["clip"]), INK, font)
        draw.text((x, y + SIDE + 17), _shorten_name(_format_best_label(line.get("heard") or [])), FAINT, font)
    return sheet


def _format_best_label(labels: list[Any]) -> str:
    return f"{labels[0][0]} {labels[0][1]:.2f}" if labels else ""


def _shorten_name(text: str, most: int = 24) -> str:
    """Keep the end of a long name, which tells more than its beginning."""
    text = " ".join(text.split()).encode("ascii", "replace").decode()  # the font of Pillow has no other letters
    return text if len(text) <= most else f"...{text[3 - most :]}"
