"""Boxes of ComfyUI -> a layout, masks, and words that hold in an area only."""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiotoken.errors import OptionError
from audiotoken.stereo.captions import write_caption
from guidance.errors import RegionError
from guidance.forms import comfy, ideogram
from guidance.forms.form import describe, to_grid
from guidance.layout import Entry, Layout

WAYS = ("mask", "area")  # how words are held in a box: ConditioningSetMask, or ConditioningSetAreaPercentage


def read_boxes(boxes: Any, canvas: tuple[int, int], caption: str = "") -> Layout:
    """The layout of boxes, or of the elements of Create Bounding Boxes; an empty caption is written from them.

    BOUNDING_BOX and BOUNDING_BOXES count pixels of the canvas, and may be one box, a list, or a batch, of which the
    first is read; ARRAY, the elements, counts from 0 to 1000; a STRING is JSON of one of these.
    RegionError for boxes outside the canvas, and for what is neither.
    """
    boxes = parse_boxes(boxes) if isinstance(boxes, str) else boxes
    boxes = [boxes] if isinstance(boxes, dict) else boxes
    if boxes and isinstance(boxes, list) and isinstance(boxes[0], dict) and "bbox" in boxes[0]:
        entries = ideogram.read(json.dumps({"compositional_deconstruction": {"elements": boxes}}), canvas).entries
    else:
        entries = comfy.from_boxes(boxes, canvas).entries
    return Layout(caption.strip() or write_caption(entries), entries, canvas)


def parse_boxes(text: str) -> Any:
    """JSON of boxes or elements, as Create Bounding Boxes reads it; none in an empty text. RegionError otherwise."""
    try:
        return json.loads(text) if text.strip() else []
    except (ValueError, RecursionError) as error:
        raise RegionError(
            f"Cannot read the boxes ({error}), expected JSON of boxes or elements; connect Listen, or mend the text."
        ) from None


def list_words(layout: Layout) -> list[str]:
    """What stands in each box; where nothing has a place, the caption, which holds everywhere."""
    return [describe(each.word, each.description) for each in layout.entries] or [layout.caption]


def make_masks(layout: Layout) -> list[NDArray[np.float32]]:
    """(height, width) of each box, 1 inside; where nothing has a place, one that is 1 everywhere."""
    return [_fill_box(each, layout.canvas) for each in layout.entries] or [np.ones(layout.canvas[::-1], np.float32)]


def _fill_box(entry: Entry, canvas: tuple[int, int]) -> NDArray[np.float32]:
    mask = np.zeros(canvas[::-1], np.float32)
    x0, y0, x1, y1 = to_grid(entry.box, *canvas)
    mask[y0:y1, x0:x1] = 1
    return mask


def make_mask(mask: NDArray[np.float32]) -> Any:
    """(height, width) -> MASK (1, height, width)."""
    import torch

    return torch.from_numpy(mask)[None]


def make_conditioning(clip: Any, layout: Layout, way: str = "mask", strength: float = 1.0) -> list[Any]:
    """CONDITIONING: the caption everywhere, and the words of each box in it alone.

    The entries are those of the nodes that ComfyUI has for one area: ConditioningSetMask ("mask"), or
    ConditioningSetAreaPercentage ("area", height, width, y, x in shares of the picture), joined as by
    ConditioningCombine. OptionError without a text encoder.
    """
    if clip is None:
        raise OptionError("Got no text encoder, expected a CLIP; connect that of a checkpoint, or Load CLIP.")
    if way not in WAYS:
        raise OptionError(f"Got way={way}, expected one of {', '.join(WAYS)}; choose one of these.")
    conditioning = list(_encode(clip, layout.caption))
    for entry, mask in zip(layout.entries, make_masks(layout), strict=False):
        if way == "mask":
            where = {"mask": make_mask(mask), "mask_strength": strength, "set_area_to_bounds": False}
        else:
            x0, y0, x1, y1 = entry.box
            where = {
                "area": ("percentage", y1 - y0, x1 - x0, y0, x0),
                "strength": strength,
                "set_area_to_bounds": False,
            }
        encoded = _encode(clip, describe(entry.word, entry.description))
        conditioning += [[tensor, {**more, **where}] for tensor, more in encoded]
    return conditioning


def _encode(clip: Any, text: str) -> Any:
    """As the node CLIPTextEncode."""
    return clip.encode_from_tokens_scheduled(clip.tokenize(text))
