"""MOSS-Image: a JSON layout with boxes in pixels from the middle of the canvas. EXPERIMENTAL.

Source: docs.comfy.org/built-in-nodes/MOSSImageLayoutPrompt (read in 2026): one JSON object that holds the caption, an
entry for each box with its label (object, character or text), its caption and its rectangle, and the format of the
boxes; rectangles are yxyx in pixels of the picture to be drawn, from the centre of the canvas, so up and left are below
0. How the keys are spelt could not be read in a public document: those below are our reading.
"""

from guidance.forms.form import Canvas, Form, check_kind, describe, from_grid, from_json, guess_word, to_grid, to_json
from guidance.layout import CANVAS, Entry, Layout

NAME = "moss"
ORDER = "yxyx"
MISSING = "the spelling of its keys could not be read in a public document; orders and origin could"


def write(layout: Layout) -> str:
    """JSON of the layout; the middle is (width // 2, height // 2), which is exact for the sides of 16 that it takes."""
    width, height = layout.canvas
    items = []
    for entry in layout.entries:
        x0, y0, x1, y1 = to_grid(entry.box, width, height)
        edges = [y0 - height // 2, x0 - width // 2, y1 - height // 2, x1 - width // 2]
        items.append({"label": "object", "caption": describe(entry.word, entry.description), "bbox": edges})
    return to_json({"caption": layout.caption, "items": items, "bbox_format": ORDER})


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
        desc = check_kind(item.get("caption", ""), str, NAME)
        word = guess_word(desc)
        entries.append(Entry(word, from_grid(shifted, width, height, NAME), "" if desc in ("", word) else desc))
    return Layout(check_kind(values.get("caption", ""), str, NAME), tuple(entries), canvas)


def _shift(edge: object, by: int) -> object:
    return edge + by if isinstance(edge, int | float) else edge


FORM = Form(NAME, "MOSS-Image's JSON layout", write, read, experimental=MISSING)
