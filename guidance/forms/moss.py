"""MOSS-Image: a JSON layout with boxes in pixels from the middle of the canvas.

Source: `moss_image_mlx.layout` of moss-image-mlx 0.2.0, a port that its author compared with the official pipeline, and
docs.comfy.org/built-in-nodes/MOSSImageLayoutPrompt (both read in 2026): `summary` holds the caption, `items` an entry
for each box with its label (object, character or text), its caption and its rectangle. Rectangles are yxyx in pixels
of the picture to be drawn, from the centre of the canvas, so up and left are below 0.
"""

from typing import Any

from guidance.forms.form import Canvas, Form, check_kind, describe, from_grid, from_json, guess_word, to_grid, to_json
from guidance.layout import CANVAS, Entry, Layout

NAME = "moss"
UNITS = {"bbox_format": "yxyx", "bbox_coord_space": "abs_centralized"}


def write(layout: Layout) -> str:
    """JSON of the layout; the middle is (width // 2, height // 2), which is exact for the sides of 16 that it takes."""
    width, height = layout.canvas
    items = []
    for entry in layout.entries:
        x0, y0, x1, y1 = to_grid(entry.box, width, height)
        edges = [y0 - height // 2, x0 - width // 2, y1 - height // 2, x1 - width // 2]
        items.append({"label": "object", "caption": describe(entry.word, entry.description), "bbox": edges})
    return to_json({"summary": {"caption": layout.caption}, "items": items, **UNITS})


def read(text: str, canvas: Canvas = CANVAS) -> Layout:
    """The inverse of `write`, on a canvas of width, height; the word is the caption without its article."""
    values = from_json(text, dict, NAME)
    width, height = canvas
    entries = []
    for item in check_kind(values.get("items", []), list, NAME):
        y0, x0, y1, x1 = (*check_kind(check_kind(item, dict, NAME).get("bbox", []), list, NAME), *[None] * 4)[:4]
        left, top = width // 2, height // 2
        shifted = [
            None if edge is None else _shift(edge, by) for edge, by in ((x0, left), (y0, top), (x1, left), (y1, top))
        ]
        desc = check_kind(item.get("caption", ""), str, NAME) or check_kind(item.get("text", ""), str, NAME)
        word = guess_word(desc)
        entries.append(Entry(word, from_grid(shifted, width, height, NAME), "" if desc in ("", word) else desc))
    return Layout(_read_caption(values), tuple(entries), canvas)


def _read_caption(values: dict[str, Any]) -> str:
    caption: str = check_kind(check_kind(values.get("summary", {}), dict, NAME).get("caption", ""), str, NAME)
    return caption


def _shift(edge: object, by: int) -> object:
    return edge + by if isinstance(edge, int | float) else edge


FORM = Form(NAME, "MOSS-Image's JSON layout", write, read)
