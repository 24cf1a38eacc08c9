"""InvokeAI: a layer of regional guidance for each thing. EXPERIMENTAL.

Source: InvokeAI's own schema, `zCanvasMetadata` and `zCanvasRegionalGuidanceState` of the canvas (version 3 of its
state, read in 2026), which it keeps with a picture under `canvas_v2_metadata`. A rectangle is x, y of the top left
corner, width, height in pixels of the canvas. No document says that a file of it can be opened: InvokeAI recalls it
from a picture's metadata, or a node or script can use it.
"""

from typing import Any

from guidance.forms.form import (
    Canvas,
    Form,
    check_kind,
    describe,
    from_corner,
    from_json,
    read_canvas,
    to_grid,
    to_json,
)
from guidance.layout import CANVAS, Entry, Layout

NAME = "invoke"
FILLS = ((194, 65, 12), (29, 111, 184), (63, 143, 58), (139, 79, 176))  # of the layers, as in our figures
MISSING = "its keys are those of InvokeAI's source; no document says how to open a file of them"


def to_layers(layout: Layout) -> list[dict[str, Any]]:
    """One layer of type regional_guidance for each thing, with its words and a filled rectangle."""
    layers = []
    for number, entry in enumerate(layout.entries):
        x0, y0, x1, y1 = to_grid(entry.box, *layout.canvas)
        color = dict(zip("rgb", FILLS[number % len(FILLS)], strict=True))
        rect = {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0}
        shape = {"id": f"rect:{number + 1}", "type": "rect", "rect": rect, "color": {**color, "a": 1}}
        layers.append(
            {
                "id": f"regional_guidance:{number + 1}",
                "name": entry.word,
                "isEnabled": True,
                "isLocked": False,
                "type": "regional_guidance",
                "position": {"x": 0, "y": 0},
                "opacity": 0.5,
                "objects": [shape],
                "fill": {"style": "solid", "color": color},
                "positivePrompt": describe(entry.word, entry.description),
                "negativePrompt": None,
                "referenceImages": [],
                "autoNegative": True,
            }
        )
    return layers


def write(layout: Layout) -> str:
    """JSON in the shape of a picture's metadata: positive_prompt, width, height, canvas_v2_metadata."""
    width, height = layout.canvas
    canvas = {"inpaintMasks": [], "rasterLayers": [], "controlLayers": [], "regionalGuidance": to_layers(layout)}
    return to_json({"positive_prompt": layout.caption, "width": width, "height": height, "canvas_v2_metadata": canvas})


def read(text: str, canvas: Canvas = CANVAS) -> Layout:
    """The inverse of `write`: of each layer with words, the first rectangle."""
    values = from_json(text, dict, NAME)
    canvas = read_canvas(values, canvas)
    layers = check_kind(values.get("canvas_v2_metadata", {}), dict, NAME).get("regionalGuidance", [])
    entries = [_read_layer(check_kind(layer, dict, NAME), canvas) for layer in check_kind(layers, list, NAME)]
    caption = check_kind(values.get("positive_prompt", ""), str, NAME)
    return Layout(caption, tuple(entry for entry in entries if entry), canvas)


def _read_layer(layer: dict[str, Any], canvas: Canvas) -> Entry | None:
    objects = [check_kind(each, dict, NAME) for each in check_kind(layer.get("objects", []), list, NAME)]
    shapes = [each for each in objects if each.get("type") == "rect"]
    words = layer.get("positivePrompt") or layer.get("name")
    if not shapes or not words:
        return None
    rect, place = check_kind(shapes[0].get("rect"), dict, NAME), check_kind(layer.get("position") or {}, dict, NAME)
    x, y = (_add(rect.get(key), place.get(key, 0)) for key in ("x", "y"))
    box = from_corner(x, y, rect.get("width"), rect.get("height"), canvas, NAME)
    name = layer.get("name") or words
    return Entry(name, box, "" if words == name else words)


def _add(value: Any, offset: Any) -> Any:
    """Their sum; `value` itself where one of them is no number."""
    numbers = isinstance(value, int | float) and isinstance(offset, int | float)
    return value + offset if numbers else value


FORM = Form(NAME, "InvokeAI's regional guidance", write, read, experimental=MISSING)
