"""SVG: a picture of the layout, to look at in a browser and to change in a drawing program.

Source: SVG 1.1 (www.w3.org/TR/SVG11). The canvas in pixels, origin top left; a `<g class="thing">` for each thing with
its rectangle, its word and, where it moves, the way of its centre. Reading takes the rectangles and words back.
"""

import math
import textwrap
from xml.etree import ElementTree as ET

from guidance.boxes import find_centre
from guidance.errors import RegionError
from guidance.forms.form import Canvas, Form, from_grid
from guidance.layout import CANVAS, Entry, Layout

NAME = "svg"
SPACE = "http://www.w3.org/2000/svg"
COLOURS = ("#c2410c", "#1d6fb8", "#3f8f3a", "#8b4fb0", "#b8860b", "#0f8b8d", "#a83a6b", "#5b6470")
TEXT = 0.036  # height of the words, as a share of the shorter side
GREY, INK, PAPER = "#dfe2e6", "#1f2933", "#fafafa"


def write(layout: Layout) -> str:
    """The picture: thirds of the canvas, boxes with words, ways of what moves, the caption below."""
    width, height = layout.canvas
    size = TEXT * min(width, height)
    lines = textwrap.wrap(layout.caption, max(8, int(width / (0.62 * size)))) or [""]
    below = (1.4 * len(lines) + 0.8) * size
    root = ET.Element(
        "svg", xmlns=SPACE, width=f"{width}", height=f"{height + below:g}", viewBox=f"0 0 {width} {height + below:g}"
    )
    ET.SubElement(root, "title").text = layout.caption
    ET.SubElement(root, "rect", id="canvas", width=f"{width}", height=f"{height}", fill=PAPER, stroke=GREY)
    for share in (1 / 3, 2 / 3):
        across = {"x1": "0", "x2": f"{width}", "y1": f"{share * height:g}", "y2": f"{share * height:g}"}
        down = {"y1": "0", "y2": f"{height}", "x1": f"{share * width:g}", "x2": f"{share * width:g}"}
        for line in (across, down):
            ET.SubElement(root, "line", line, stroke=GREY)
    for number, entry in enumerate(layout.entries):
        _add_thing(root, entry, COLOURS[number % len(COLOURS)], width, height, size)
    for number, words in enumerate(lines, 1):
        _add_text(root, words, 0.6 * size, height + 1.4 * number * size, size, INK)
    ET.indent(root, " ")
    return ET.tostring(root, encoding="unicode")


def read(text: str, canvas: Canvas = CANVAS) -> Layout:
    """The inverse of `write`; of a path only the box that stands for the whole time comes back."""
    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        raise RegionError(f"Cannot read the layout for {NAME}: {error}; give it as it was written.") from None
    drawn = root.find(f".//{{{SPACE}}}rect[@id='canvas']")
    if drawn is not None:
        canvas = _read_side(drawn, "width", canvas[0]), _read_side(drawn, "height", canvas[1])
    entries = []
    for group in root.iterfind(f".//{{{SPACE}}}g[@class='thing']"):
        box, word = group.find(f"{{{SPACE}}}rect"), group.findtext(f"{{{SPACE}}}text", "")
        if box is not None:
            x, y, wide, high = (_read_number(box, key) for key in ("x", "y", "width", "height"))
            edges = from_grid((x, y, x + wide, y + high), *canvas, NAME)
            entries.append(Entry(word.strip() or "thing", edges, group.findtext(f"{{{SPACE}}}title", "")))
    return Layout(root.findtext(f"{{{SPACE}}}title", ""), tuple(entries), canvas)


def _add_thing(root: ET.Element, entry: Entry, colour: str, width: int, height: int, size: float) -> None:
    group = ET.SubElement(root, "g", {"class": "thing"})
    ET.SubElement(group, "title").text = entry.description
    x0, y0, x1, y1 = (edge * side for edge, side in zip(entry.box, (width, height) * 2, strict=True))
    box = {  # of a sliver at the edge, too, a part is on the canvas
        "x": f"{min(x0, width - 1e-3):.3f}",
        "y": f"{min(y0, height - 1e-3):.3f}",
        "width": f"{max(x1 - x0, 1e-3):.3f}",
        "height": f"{max(y1 - y0, 1e-3):.3f}",
    }
    shape = {"fill": colour, "fill-opacity": "0.14", "stroke": colour, "stroke-width": f"{0.1 * size:.2f}"}
    ET.SubElement(group, "rect", box | shape)
    _add_text(group, entry.word, x0 + 0.4 * size, y0 + 1.2 * size, size, colour)
    if entry.moves:
        points = [find_centre(each) for _, each in entry.path]
        way = " ".join(f"{x * width:.1f},{y * height:.1f}" for x, y in points)
        ET.SubElement(
            group,
            "polyline",
            {"points": way, "fill": "none", "stroke": colour, "stroke-dasharray": f"{0.4 * size:.1f}"},
        )
        x, y = points[-1]
        ET.SubElement(
            group, "circle", cx=f"{x * width:.1f}", cy=f"{y * height:.1f}", r=f"{0.3 * size:.1f}", fill=colour
        )


def _add_text(parent: ET.Element, text: str, x: float, y: float, size: float, colour: str) -> ET.Element:
    looks = {"x": f"{x:.1f}", "y": f"{y:.1f}", "font-family": "sans-serif", "font-size": f"{size:.1f}", "fill": colour}
    element = ET.SubElement(parent, "text", looks)
    element.text = text
    return element


def _read_number(element: ET.Element, key: str) -> float:
    try:
        number = float(element.get(key, "0"))
        if not math.isfinite(number):
            raise ValueError
        return number
    except ValueError:
        raise RegionError(
            f"Cannot read the layout for {NAME}: got {key}={element.get(key)!r}, expected a number; mend it."
        ) from None


def _read_side(element: ET.Element, key: str, otherwise: int) -> int:
    return round(_read_number(element, key)) or otherwise


FORM = Form(NAME, "an SVG picture to look at", write, read, ".svg")
