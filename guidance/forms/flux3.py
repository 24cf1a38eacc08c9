"""FLUX 3: a caption that cites each thing as <id>, and a table of boxes.

Source: `diffusers.modular_pipelines.flux3` 0.42.1 (`boxes=` of the pipeline; `prompt_upsampler`, whose text is what the
model was trained on) and docs.comfy.org/built-in-nodes/Flux3LayoutPrompt. A box is [y_min, x_min, y_max, x_max], origin
top left: 0 to 1 in `boxes=`, whole numbers from 0 to 1000 in the text. Ids are a noun with a number, left to right.
"""

import json
import re
import unicodedata
from contextlib import suppress
from typing import Any

from guidance.errors import RegionError
from guidance.forms.form import Canvas, Form, check_kind, describe, from_grid, from_json, to_grid, to_json
from guidance.layout import CANVAS, Entry, Layout

GRID = 1000
NAME = "flux3"


def name_entries(layout: Layout) -> list[str]:
    """An id for each thing, such as frog_1, in the order of the entries; numbers count from left to right."""
    nouns = [_to_noun(entry.word) for entry in layout.entries]
    order = sorted(range(len(nouns)), key=lambda i: layout.entries[i].centre)
    counts: dict[str, int] = {}
    ids = [""] * len(nouns)
    for i in order:
        counts[nouns[i]] = counts.get(nouns[i], 0) + 1
        ids[i] = f"{nouns[i]}_{counts[nouns[i]]}"
    return ids


def to_rows(layout: Layout) -> list[dict[str, Any]]:
    """The table of the text form: id, bbox in whole numbers from 0 to 1000, desc."""
    rows = []
    for name, entry in zip(name_entries(layout), layout.entries, strict=True):
        x0, y0, x1, y1 = to_grid(entry.box, GRID, GRID)
        rows.append({"id": name, "bbox": [y0, x0, y1, x1], "desc": describe(entry.word, entry.description)})
    return rows


def to_boxes(layout: Layout) -> list[dict[str, Any]]:
    """What the diffusers pipeline takes as `boxes=`: id, desc, bbox from 0 to 1, on the same grid as the table."""
    rows = to_rows(layout)
    return [{"id": row["id"], "desc": row["desc"], "bbox": [edge / GRID for edge in row["bbox"]]} for row in rows]


def cite(layout: Layout) -> str:
    """The caption with <id> after the first mention of each thing; things that it does not mention are added."""
    caption = layout.caption
    names = name_entries(layout)
    for i in sorted(range(len(names)), key=lambda i: layout.entries[i].centre):
        if f"<{names[i]}>" in caption:
            continue
        entry = layout.entries[i]
        found = re.search(rf"\b{re.escape(entry.word)}(?:s|es)?\b(?! <)", caption, re.I)
        if found is None:
            found = re.search(rf"\b{re.escape(entry.word)}(?:s|es)?\b(?: <\w+>)+", caption, re.I)
        if found is None:
            caption = f"{caption}, " if caption else ""
            caption += f"{describe(entry.word, entry.description)} <{names[i]}>"
        else:
            caption = f"{caption[: found.end()]} <{names[i]}>{caption[found.end() :]}"
    return caption


def write_arguments(layout: Layout) -> str:
    """JSON of the pipeline's arguments: prompt, boxes, width, height."""
    width, height = layout.canvas
    return to_json({"prompt": cite(layout), "boxes": to_boxes(layout), "width": width, "height": height})


def read_arguments(text: str, canvas: Canvas = CANVAS) -> Layout:
    """The inverse of `write_arguments`; also reads the bare list of boxes."""
    try:
        values = from_json(text, dict, NAME)
    except RegionError:
        values = {"boxes": from_json(text, list, NAME)}
    canvas = values.get("width", canvas[0]), values.get("height", canvas[1])
    rows = check_kind(values.get("boxes", []), list, NAME)
    return Layout(_uncite(check_kind(values.get("prompt", ""), str, NAME)), _read_rows(rows, 1), canvas)


def write_text(layout: Layout) -> str:
    """The prompt as the model reads it: the caption, a space, the table on the same line."""
    table = json.dumps(to_rows(layout), ensure_ascii=False) if layout.entries else ""
    return f"{cite(layout)} {table}".strip()


def read_text(text: str, canvas: Canvas = CANVAS) -> Layout:
    """The inverse of `write_text`; a text that does not end with a table is a caption alone."""
    start = text.rfind("[")
    while start >= 0:
        with suppress(RegionError):
            return Layout(_uncite(text[:start]), _read_rows(from_json(text[start:], list, NAME), GRID), canvas)
        start = text.rfind("[", 0, start)
    return Layout(_uncite(text), (), canvas)


def _read_rows(rows: list, unit: int) -> tuple[Entry, ...]:
    entries = []
    for row in rows:
        row = check_kind(row, dict, NAME)
        bbox = row.get("bbox")
        edges = [bbox[1], bbox[0], bbox[3], bbox[2]] if isinstance(bbox, list) and len(bbox) == 4 else bbox
        word = re.sub(r"_\d+$", "", check_kind(row.get("id", ""), str, NAME)).replace("_", " ").strip()
        desc = check_kind(row.get("desc", ""), str, NAME)
        entries.append(Entry(word or "thing", from_grid(edges, unit, unit, NAME), "" if desc == word else desc))
    return tuple(entries)


def _uncite(caption: str) -> str:
    return re.sub(r" ?<[A-Za-z]\w*>", "", caption)


def _to_noun(word: str) -> str:
    """ "fire engine" -> "fire_engine": letters, digits and underscores, a letter first."""
    plain = unicodedata.normalize("NFKD", word).encode("ascii", "ignore").decode()
    noun = re.sub(r"\W+", "_", plain).strip("_")
    return noun if noun[:1].isalpha() else f"thing_{noun}".rstrip("_")


ARGUMENTS = Form(NAME, "FLUX 3 in diffusers: the arguments prompt= and boxes=", write_arguments, read_arguments)
TEXT = Form(f"{NAME}-text", "FLUX 3 as one prompt, for ComfyUI and services", write_text, read_text, ".txt")
