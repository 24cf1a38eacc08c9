"""COCO: the annotations that tools for data sets and scores of layouts read.

Source: cocodataset.org/#format-data. A box is [x, y, width, height] in pixels, origin top left, not rounded to whole
pixels; categories are the words. The caption stands in `info`.
"""

from guidance.forms.form import Canvas, Form, check_kind, from_corner, from_json, read_canvas, to_json
from guidance.layout import CANVAS, Entry, Layout

NAME = "coco"
DIGITS = 2  # of a pixel, as in COCO's own files


def write(layout: Layout) -> str:
    """JSON of info, images, annotations and categories, for one picture."""
    width, height = layout.canvas
    names = list(dict.fromkeys(layout.words))
    annotations = []
    for number, entry in enumerate(layout.entries, 1):
        x0, y0, x1, y1 = (round(edge * side, DIGITS) for edge, side in zip(entry.box, (width, height) * 2, strict=True))
        wide, high = max(round(x1 - x0, DIGITS), 10**-DIGITS), max(round(y1 - y0, DIGITS), 10**-DIGITS)
        bbox = [min(x0, width - wide), min(y0, height - high), wide, high]
        annotations.append(
            {
                "id": number,
                "image_id": 1,
                "category_id": names.index(entry.word) + 1,
                "bbox": bbox,
                "area": round(wide * high, DIGITS),
                "iscrowd": 0,
                "description": entry.description,
            }
        )
    return to_json(
        {
            "info": {"description": layout.caption},
            "images": [{"id": 1, "file_name": "", "width": width, "height": height}],
            "annotations": annotations,
            "categories": [{"id": number, "name": name} for number, name in enumerate(names, 1)],
        }
    )


def read(text: str, canvas: Canvas = CANVAS) -> Layout:
    """The inverse of `write`: the annotations of the first picture."""
    values = from_json(text, dict, NAME)
    tables = {key: check_kind(values.get(key, []), list, NAME) for key in ("images", "annotations", "categories")}
    image = check_kind((tables["images"] or [{}])[0], dict, NAME)
    canvas = read_canvas(image, canvas)
    categories = [check_kind(each, dict, NAME) for each in tables["categories"]]
    names = {str(each.get("id")): str(each.get("name", "")) for each in categories}
    entries = []
    for row in tables["annotations"]:
        if check_kind(row, dict, NAME).get("image_id") == image.get("id"):
            x, y, wide, high = (*check_kind(row.get("bbox"), list, NAME), 0, 0, 0, 0)[:4]
            box = from_corner(x, y, wide, high, canvas, NAME)
            entries.append(
                Entry(names.get(str(row.get("category_id"))) or "thing", box, str(row.get("description", "")))
            )
    return Layout(str(check_kind(values.get("info", {}), dict, NAME).get("description", "")), tuple(entries), canvas)


FORM = Form(NAME, "COCO annotations", write, read)
