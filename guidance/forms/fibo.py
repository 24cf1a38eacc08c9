"""Bria FIBO 1 and 2: a structured caption whose objects have their place in words. EXPERIMENTAL.

Source: `src/fibo_inference/vlm/gemini_api.py` of github.com/Bria-AI/FIBO, whose captions the model was trained on, and
`diffusers.pipelines.bria_fibo2` 0.42.1 (both read in 2026): one line of JSON without empty values; an object has a
`description`, a `location` such as "top-left" or "center", a `relative_size` of small, medium or large, and a
`relationship` to the others. Nine places and three sizes are all that comes back: a middle and an area, no edges.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from guidance.boxes import Box
from guidance.forms.form import Canvas, Form, check_kind, describe, from_json, guess_word
from guidance.layout import CANVAS, Entry, Layout

NAME = "fibo"
COLUMNS, ROWS = ("left", "", "right"), ("top", "", "bottom")
SIZES = (("small", 0.08, 0.25), ("medium", 0.2, 0.4), ("large within frame", 1.0, 2 / 3))  # up to this area; its side
NAMES = {"left": "left", "right": "right", "top": "top|upper", "bottom": "bottom|lower"}
BESIDE = 0.05  # of the width: things whose middles are nearer are neither left nor right of one another
MIDDLE = re.compile(r"cent(?:er|re)|middle", re.I)
MISSING = (
    "its places and sizes are words, and no document says where one ends; thirds of the picture and 8 and 20 % of its "
    "area were taken"
)


def to_objects(layout: Layout) -> list[dict[str, Any]]:
    """description, location, relative_size and, beside others, relationship of each thing."""
    objects = []
    for entry, relation in zip(layout.entries, describe_neighbours(layout.entries), strict=True):
        place = {"location": name_place(entry.box), "relative_size": name_size(entry.box)}
        objects.append({"description": describe(entry.word, entry.description), **place, **relation})
    return objects


def describe_neighbours(entries: Sequence[Entry]) -> list[dict[str, str]]:
    """The relationship of each thing to its neighbour on the right, of the last to that on its left."""
    order = sorted(range(len(entries)), key=lambda i: entries[i].centre)
    relations: list[dict[str, str]] = [{} for _ in entries]
    for rank, i in enumerate(order[: len(order) if len(order) > 1 else 0]):
        is_last = rank + 1 == len(order)
        other = entries[order[rank - 1] if is_last else order[rank + 1]]
        apart = abs(entries[i].centre[0] - other.centre[0]) >= BESIDE
        side = ("to the right of" if is_last else "to the left of") if apart else "beside"
        relations[i] = {"relationship": f"{side} {describe(other.word, other.description)}"}
    return relations


def name_place(box: Box) -> str:
    """The ninth of the picture that holds the middle of a box: "top-left" to "bottom-right", or "center"."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    row, column = ROWS[min(2, int(3 * y))], COLUMNS[min(2, int(3 * x))]
    return "-".join(filter(None, (row, column))) or "center"


def name_size(box: Box) -> str:
    """By the share of the picture that a box covers."""
    area = (box[2] - box[0]) * (box[3] - box[1])
    return next((name for name, most, _ in SIZES if area < most), SIZES[-1][0])


def read_place(location: str, size: str) -> Box | None:
    """A square of that size in that place, cut off at the edges; None for words that name no place."""
    found = {name for name, words in NAMES.items() if re.search(rf"\b(?:{words})\b", location, re.I)}
    x, y = (_find_cell(found, names) for names in (COLUMNS, ROWS))
    if x is None or y is None or not (found or MIDDLE.search(location)):
        return None
    half = next((side for name, _, side in SIZES if name.split()[0] in size.lower()), SIZES[1][2]) / 2
    return max(0.0, x - half), max(0.0, y - half), min(1.0, x + half), min(1.0, y + half)


def _find_cell(found: set[str], names: tuple[str, str, str]) -> float | None:
    """The middle of a third of the picture, from 0 to 1; None where opposite sides are named."""
    cells = [i for i, name in enumerate(names) if name in found]
    return None if len(cells) > 1 else (2 * (cells[0] if cells else 1) + 1) / 6


def write(layout: Layout) -> str:
    """One line of JSON; what a recording does not tell, such as background_setting and lighting, is left out."""
    caption = {"short_description": layout.caption, "objects": to_objects(layout)}
    return json.dumps(
        {key: value for key, value in caption.items() if value}, separators=(",", ":"), ensure_ascii=False
    )


def read(text: str, canvas: Canvas = CANVAS) -> Layout:
    """The inverse of `write`: squares in the places that are named; objects without one are left out."""
    values = from_json(text, dict, NAME)
    entries = []
    for each in check_kind(values.get("objects", []), list, NAME):
        parts = [check_kind(each, dict, NAME).get(key, "") for key in ("description", "location", "relative_size")]
        desc, location, size = (check_kind("" if part is None else part, str, NAME) for part in parts)
        box = read_place(location, size)
        if box is not None:
            word = guess_word(desc)
            entries.append(Entry(word, box, "" if desc in ("", word) else desc))
    return Layout(check_kind(values.get("short_description", ""), str, NAME), tuple(entries), canvas)


FORM = Form(NAME, "Bria FIBO's structured caption, places in words", write, read, ".json", MISSING, precision=0.5)
