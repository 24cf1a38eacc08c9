"""ComfyUI's BOUNDING_BOXES: a list of boxes in pixels, which the node Create Bounding Boxes shows and passes on.

Source: docs.comfy.org/built-in-nodes/CreateBoundingBoxes and ComfyUI's comfy_extras/nodes_bounding_boxes.py (read in
2026): x, y of the top left corner, width, height; `metadata` holds type ("obj" or "text"), text, desc and palette. The
list holds neither canvas nor caption: reading takes the canvas, and the word is the description without its article.
"""

from typing import Any

from guidance.forms.form import (
    Canvas,
    Form,
    check_kind,
    describe,
    find_description,
    from_corner,
    from_json,
    guess_word,
    to_grid,
    to_json,
)
from guidance.layout import CANVAS, Entry, Layout

NAME = "comfy"


def to_boxes(layout: Layout) -> list[dict[str, Any]]:
    """One dict for each thing, in whole pixels of the canvas."""
    boxes = []
    for entry in layout.entries:
        x0, y0, x1, y1 = to_grid(entry.box, *layout.canvas)
        metadata = {"type": "obj", "text": "", "desc": describe(entry.word, entry.description), "palette": []}
        boxes.append({"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0, "metadata": metadata})
    return boxes


def from_boxes(boxes: Any, canvas: Canvas = CANVAS, caption: str = "") -> Layout:
    """The inverse; also takes a batch of lists, of which it reads the first, as ComfyUI does."""
    boxes = check_kind(boxes, list, NAME)
    if boxes and isinstance(boxes[0], list):
        boxes = boxes[0]
    entries = []
    for box in boxes:
        x, y, width, height = (check_kind(box, dict, NAME).get(key, 0) for key in ("x", "y", "width", "height"))
        metadata = box.get("metadata")
        desc = find_description(metadata if isinstance(metadata, dict) else {})
        word = guess_word(desc)
        edges = from_corner(x, y, width, height, canvas, NAME)
        entries.append(Entry(word, edges, "" if desc in ("", word) else desc))
    return Layout(caption, tuple(entries), canvas)


def write(layout: Layout) -> str:
    """JSON of `to_boxes`."""
    return to_json(to_boxes(layout))


def read(text: str, canvas: Canvas = CANVAS) -> Layout:
    """The inverse of `write`, on a canvas of width, height."""
    return from_boxes(from_json(text, list, NAME), canvas)


FORM = Form(NAME, "ComfyUI's boxes: the node Create Bounding Boxes", write, read)
