"""Ideogram 4 and 4.5: a structured caption with elements.

Source: docs.ideogram.ai/prompting/json-prompting and ComfyUI's comfy_extras/nodes_json_prompt.py (read in 2026). A box
is [y_min, x_min, y_max, x_max], origin top left, whole numbers from 0 to 1000 whatever the shape of the picture. The
element list alone is what ComfyUI's nodes call elements. The caption holds no canvas: reading takes it; the word is the
description without its article. `background` is required and left empty, as a recording does not tell it: write it.
"""

from typing import Any

from guidance.forms.form import (
    Canvas,
    Form,
    check_kind,
    describe,
    find_description,
    from_grid,
    from_json,
    guess_word,
    to_grid,
    to_json,
)
from guidance.layout import CANVAS, Entry, Layout

GRID = 1000
NAME = "ideogram"


def to_elements(layout: Layout) -> list[dict[str, Any]]:
    """type, bbox and desc of each thing; also what ComfyUI's layout nodes take as `element`."""
    elements = []
    for entry in layout.entries:
        x0, y0, x1, y1 = to_grid(entry.box, GRID, GRID)
        desc = describe(entry.word, entry.description)
        elements.append({"type": "obj", "bbox": [y0, x0, y1, x1], "desc": desc})
    return elements


def write(layout: Layout) -> str:
    """JSON of the caption, in the order of keys that the documents ask for."""
    inner = {"background": "", "elements": to_elements(layout)}
    return to_json({"high_level_description": layout.caption, "compositional_deconstruction": inner})


def read(text: str, canvas: Canvas = CANVAS) -> Layout:
    """The inverse of `write`; elements without a box are left out."""
    values = from_json(text, dict, NAME)
    inner = check_kind(values.get("compositional_deconstruction", {}), dict, NAME)
    entries = []
    for element in check_kind(inner.get("elements", []), list, NAME):
        bbox = check_kind(element, dict, NAME).get("bbox")
        if bbox is not None:
            y0, x0, y1, x1 = (*check_kind(bbox, list, NAME), *[None] * 4)[:4]
            desc = find_description(element)
            word = guess_word(desc)
            box = from_grid((x0, y0, x1, y1), GRID, GRID, NAME)
            entries.append(Entry(word, box, "" if desc in ("", word) else desc))
    return Layout(check_kind(values.get("high_level_description", ""), str, NAME), tuple(entries), canvas)


FORM = Form(NAME, "Ideogram 4's JSON caption", write, read)
