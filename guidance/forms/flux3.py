"""FLUX 3: a caption that cites each thing as <id>, and a table of boxes.

Source: `diffusers.modular_pipelines.flux3` 0.42.1 (`boxes=` of the pipeline; `prompt_upsampler`, whose text is what the
model was trained on) and docs.comfy.org/built-in-nodes/Flux3LayoutPrompt. A box is [y_min, x_min, y_max, x_max], origin
top left: 0 to 1 in `boxes=`, whole numbers from 0 to 1000 in the text. Ids are a noun in small letters with a number,
left to right (docs.bfl.ai/flux_3/flux3_image_bounding_boxes); what an id cannot spell is read from the description.
"""

import json
import re
import unicodedata
from contextlib import suppress
from typing import Any

from guidance.errors import RegionError
from guidance.forms.citing import Thing, add_citations
from guidance.forms.form import (
    Canvas,
    Form,
    check_kind,
    describe,
    from_grid,
    from_json,
    guess_word,
    read_canvas,
    to_grid,
    to_json,
)
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
    """The caption with <id> after the mention of each thing; things that it does not mention are added."""
    pairs = sorted(zip(layout.entries, name_entries(layout), strict=True), key=lambda pair: pair[0].centre)
    things = [Thing(name, entry.word, describe(entry.word, entry.description)) for entry, name in pairs]
    return add_citations(layout.caption, things)


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
    canvas = read_canvas(values, canvas)
    rows = check_kind(values.get("boxes", []), list, NAME)
    return _read_layout(check_kind(values.get("prompt", ""), str, NAME), rows, 1, canvas)


def write_text(layout: Layout) -> str:
    """The prompt as the model reads it: the caption, a space, the table on the same line."""
    table = json.dumps(to_rows(layout), ensure_ascii=False) if layout.entries else ""
    return f"{cite(layout)} {table}".strip()


def read_text(text: str, canvas: Canvas = CANVAS) -> Layout:
    """The inverse of `write_text`; a text that does not end with a table is a caption alone."""
    start = text.rfind("[")
    while start >= 0:
        with suppress(RegionError):
            rows = from_json(text[start:], list, NAME)
            return _read_layout(text[:start] if rows else text, rows, GRID, canvas)
        start = text.rfind("[", 0, start)
    return Layout(text, (), canvas)


def _read_layout(caption: str, rows: list, unit: int, canvas: Canvas) -> Layout:
    """Of a caption that cites the rows of a table."""
    rows = [check_kind(row, dict, NAME) for row in rows]
    ids = "|".join(re.escape(str(row.get("id", ""))) for row in rows)
    return Layout(re.sub(rf" ?<(?:{ids})>", "", caption), _read_rows(rows, unit), canvas)


def _read_rows(rows: list[dict[str, Any]], unit: int) -> tuple[Entry, ...]:
    entries = []
    for row in rows:
        bbox = row.get("bbox")
        edges = [bbox[1], bbox[0], bbox[3], bbox[2]] if isinstance(bbox, list) and len(bbox) == 4 else bbox
        desc = check_kind(row.get("desc", ""), str, NAME)
        word = _find_word(re.sub(r"_\d+$", "", check_kind(row.get("id", ""), str, NAME)), desc)
        entries.append(Entry(word, from_grid(edges, unit, unit, NAME), "" if desc == word else desc))
    return tuple(entries)


def _find_word(noun: str, description: str) -> str:
    """The word of an id, spelt as in the description where that has it: "fussganger" of "a Fußgänger"."""
    words, length = description.split(), noun.count("_") + 1
    some = (" ".join(words[start : start + length]).strip(",.;:") for start in range(len(words)))
    spelt = (text for text in (description, guess_word(description), *some) if _to_noun(text) == noun)
    return next(spelt, "") or noun.replace("_", " ").strip() or "thing"


def _to_noun(word: str) -> str:
    """ "Fire engine" -> "fire_engine": small letters, digits and underscores, a letter first."""
    plain = unicodedata.normalize("NFKD", word.casefold()).encode("ascii", "ignore").decode()
    noun = re.sub(r"\W+", "_", plain).strip("_")
    return noun if noun[:1].isalpha() else f"thing_{noun}".rstrip("_")


ARGUMENTS = Form(NAME, "FLUX 3 in diffusers: the arguments prompt= and boxes=", write_arguments, read_arguments)
TEXT = Form(f"{NAME}-text", "FLUX 3 as one prompt, for ComfyUI and services", write_text, read_text, ".txt")
