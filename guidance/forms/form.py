"""What all forms of a layout share: whole units on a grid, and reading of JSON."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from guidance.boxes import Box, check_box
from guidance.errors import RegionError
from guidance.layout import Layout, check_canvas

WIDTH = 118  # characters of a line of JSON
Canvas = tuple[int, int]  # width, height in pixels


@dataclass(frozen=True)
class Form:
    """One way to write a layout down, and to read it again.

    `read(text, canvas)` takes the canvas for forms that do not hold it. Words and boxes come back, boxes within one
    unit of the form's grid (`precision`); captions, descriptions and paths where the form has a place for them.
    """

    name: str
    title: str  # who reads it, for `--help`
    write: Callable[[Layout], str]
    read: Callable[[str, Canvas], Layout]
    suffix: str = ".json"
    experimental: str = ""  # a sentence: what could not be read in a public document
    precision: float = 1e-3  # of a side of the picture: how far off an edge may come back, where pixels are not coarser


def to_grid(box: Box, columns: int, rows: int) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 in whole units of a grid, inside it and at least one unit wide and high; each within one unit."""
    x0, x1 = _to_span(box[0], box[2], columns)
    y0, y1 = _to_span(box[1], box[3], rows)
    return x0, y0, x1, y1


def _to_span(low: float, high: float, units: int) -> tuple[int, int]:
    start, end = round(low * units), round(high * units)
    if start < end:
        return start, end
    start = min(int(low * units), units - 1)
    return start, start + 1


def from_grid(edges: Any, columns: float, rows: float, form: str) -> Box:
    """x0, y0, x1, y1 in units of a grid -> a box; what lies outside is cut off. RegionError without a part inside."""
    try:
        x0, y0, x1, y1 = (float(edge) for edge in edges)
    except (TypeError, ValueError, OverflowError):
        raise RegionError(f"Got the box {edges!r} in a layout for {form}, expected four numbers; mend it.") from None
    return check_box([min(max(edge, 0.0), 1.0) for edge in (x0 / columns, y0 / rows, x1 / columns, y1 / rows)])


def from_corner(x: Any, y: Any, width: Any, height: Any, canvas: Canvas, form: str) -> Box:
    """The box of a top left corner and a size, in units of the canvas; as `from_grid`."""
    try:
        edges = float(x), float(y), float(x) + float(width), float(y) + float(height)
    except (TypeError, ValueError, OverflowError):
        got = f"x={x!r}, y={y!r}, width={width!r}, height={height!r}"
        raise RegionError(f"Got {got} in a layout for {form}, expected four numbers; mend it.") from None
    return from_grid(edges, *canvas, form)


def read_canvas(values: dict[str, Any], canvas: Canvas) -> Canvas:
    """`width` and `height` of an object in pixels, or the given canvas; RegionError for what is none."""
    return check_canvas((values.get("width", canvas[0]), values.get("height", canvas[1])))


def to_json(value: Any, indent: str = "") -> str:
    """JSON with short values on one line each, so that people can read it and change it."""
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or len(indent) + len(line) <= WIDTH:
        return line
    inner = indent + " "
    if isinstance(value, dict):
        lines = [f"{json.dumps(key, ensure_ascii=False)}: {to_json(each, inner)}" for key, each in value.items()]
        return "{\n" + ",\n".join(f"{inner}{line}" for line in lines) + f"\n{indent}}}"
    return "[\n" + ",\n".join(f"{inner}{to_json(each, inner)}" for each in value) + f"\n{indent}]"


def from_json(text: str, kind: type, form: str) -> Any:
    """The list or dict in a text; RegionError for anything else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RegionError(f"Cannot read the layout for {form}: {error}; give it as it was written.") from None
    return check_kind(value, kind, form)


def check_kind(value: Any, kind: type, form: str) -> Any:
    """The value; RegionError unless it is a list, a dict or a text, as `kind` says."""
    if not isinstance(value, kind):
        names: dict[type, str] = {list: "a list", dict: "an object", str: "a text"}
        raise RegionError(
            f"Cannot read the layout for {form}: expected {names[kind]}, got {type(value).__name__}; "
            "give it as it was written."
        )
    return value


def describe(word: str, description: str) -> str:
    """The description, or the word where there is none."""
    return description or word


def find_description(values: dict[str, Any]) -> str:
    """What an element or the metadata of a box says of it: `desc`, or the `text` that is to be written there."""
    return " ".join(str(values.get("desc") or values.get("text") or "").split())


def guess_word(description: str) -> str:
    """ "a frog" -> "frog", for forms that hold no word."""
    return re.sub(r"^(?:an?|the|some)\s+", "", " ".join(description.split()), flags=re.I) or "thing"
