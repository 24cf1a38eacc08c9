"""A folder of pictures at a glance: a table of what was heard, and one sheet of all pictures with their names."""

import csv
from collections.abc import Iterable, Mapping
from contextlib import suppress
from io import StringIO
from math import ceil
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

SIDE, CAPTION, GAP = 160, 34, 8  # pixels
MOST = 400  # pictures on one sheet
LABELS = 3  # in the table
INK, FAINT = "#22252b", "#8a8f98"


def heard_table(lines: Iterable[Mapping[str, Any]], broken: Mapping[str, str]) -> str:
    """CSV: clip, its first picture, the best labels with their scores; for a broken clip the sentence why."""
    names = [f"{kind} {i + 1}" for i in range(LABELS) for kind in ("label", "score")]
    text = StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["clip", "picture", *names, "problem"])
    rows = [(line["clip"], line["pictures"][0], line.get("heard") or [], "") for line in lines]
    rows += [(clip, "", [], problem) for clip, problem in broken.items()]
    for clip, picture, heard, problem in sorted(rows):
        labels = [cell for label, score in heard[:LABELS] for cell in (label, f"{score:.3f}")]
        table.writerow([clip, picture, *labels, *[""] * (2 * LABELS - len(labels)), problem])
    return text.getvalue()


def gallery(lines: Iterable[Mapping[str, Any]], folder: Path) -> Image.Image:
    """The first picture of each clip, as many as fit on a sheet of 400, its name and what was heard below it."""
    shown = list(lines)[:MOST]
    columns = ceil(len(shown) ** 0.5)
    rows = ceil(len(shown) / columns)
    sheet = Image.new("RGB", (columns * (SIDE + GAP) + GAP, rows * (SIDE + CAPTION + GAP) + GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for i, line in enumerate(shown):
        x, y = GAP + i % columns * (SIDE + GAP), GAP + i // columns * (SIDE + CAPTION + GAP)
        with suppress(OSError), Image.open(folder / line["pictures"][0]) as picture:  # others may have spoilt it
            sheet.paste(picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS), (x, y))
        draw.text((x, y + SIDE + 2), _fitting(line["clip"]), INK, font)
        draw.text((x, y + SIDE + 17), _fitting(_said(line.get("heard") or [])), FAINT, font)
    return sheet


def _said(heard: list[Any]) -> str:
    return f"{heard[0][0]} {heard[0][1]:.2f}" if heard else ""


def _fitting(text: str, most: int = 24) -> str:
    """The end of a name says more than its beginning, so that is what is kept."""
    text = " ".join(text.split()).encode("ascii", "replace").decode()  # the font that comes with Pillow has no more
    return text if len(text) <= most else f"...{text[3 - most :]}"
