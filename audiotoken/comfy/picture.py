"""A picture of who is where: the boxes on the canvas, the directions below, and when each sound is heard."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiotoken.comfy.hearing import Heard
from guidance.forms.svg import COLOURS, GREY, INK, PAPER
from spatial.camera import Camera
from spatial.scene import Source

LONG_SIDE = 1024  # pixels of the longer side of the canvas, as ComfyUI's own previews of boxes
FAINT = "#667085"
STEP = 15  # degrees between the ticks


def draw_heard(heard: Heard, seconds: float, fov: float = 90.0) -> NDArray[np.uint8]:
    """(height, width, 3): the canvas with boxes, a ruler of directions, and a bar of each sound over time."""
    from PIL import Image, ImageDraw

    width, height = heard.layout.canvas
    scale = LONG_SIDE / max(width, height)
    width, height = max(1, round(width * scale)), max(1, round(height * scale))
    unit = LONG_SIDE // 32  # of text
    below = round(2.8 * unit + 1.5 * unit * len(heard.names))
    image = Image.new("RGB", (max(width, LONG_SIDE // 2), height + below), "white")
    draw = Pen(ImageDraw.Draw(image, "RGBA"), unit, image.width)
    draw.canvas(width, height)
    for number, box in heard.boxes.items():
        x0, y0, x1, y1 = (edge * side for edge, side in zip(box, (width, height) * 2, strict=True))
        draw.box((x0, y0, x1, y1), heard.names[number], number)
    draw.ruler(width, height, fov)
    for number, source in enumerate(heard.scene.sources):
        placed = number in heard.boxes
        if placed:
            draw.pointer(source, width, height, fov, number)
        where = f"{heard.names[number]}, {_say_where(source, placed)}"
        draw.bar(source, where, seconds, height + 2.8 * unit + 1.5 * unit * number, number)
    return np.asarray(image)


def make_image(picture: NDArray[np.uint8]) -> Any:
    """(height, width, 3) bytes -> IMAGE (1, height, width, 3) from 0 to 1."""
    import torch

    return torch.from_numpy(picture.astype(np.float32) / 255)[None]


def _say_where(source: Source, placed: bool) -> str:
    """ "31° left", "12° left to 40° right", "ahead", "no direction"."""
    if not placed:
        return "no direction"
    ends = [source.azimuth_at(0.0), source.path[-1][1]] if source.path else [source.direction.azimuth]
    return " to ".join(_say_azimuth(each) for each in ends)


def _say_azimuth(azimuth: float) -> str:
    degrees = round(abs(azimuth))
    return f"{degrees}° {'left' if azimuth < 0 else 'right'}" if degrees else "ahead"


class Pen:
    """Draws with Pillow in units of the text's height."""

    def __init__(self, draw: Any, unit: int, width: int) -> None:
        from PIL import ImageFont

        self.draw, self.unit, self.width = draw, unit, width
        self.font = ImageFont.load_default(unit)
        self.small = ImageFont.load_default(round(0.75 * unit))

    def canvas(self, width: int, height: int) -> None:
        self.draw.rectangle((0, 0, width - 1, height - 1), fill=PAPER, outline=GREY)
        for share in (1 / 3, 2 / 3):
            self.draw.line((share * width, 0, share * width, height), fill=GREY)
            self.draw.line((0, share * height, width, share * height), fill=GREY)

    def box(self, edges: tuple[float, float, float, float], name: str, number: int) -> None:
        colour = COLOURS[number % len(COLOURS)]
        self.draw.rectangle(edges, fill=f"{colour}33", outline=colour, width=max(2, self.unit // 8))
        x, y = edges[0] + 0.4 * self.unit, edges[1] + 0.25 * self.unit
        self.draw.text((x, y), self._shorten(name, edges[2] - x), fill=colour, font=self.font)

    def ruler(self, width: int, top: int, fov: float) -> None:
        """Ticks of the azimuths in view; the sign is said in words."""
        camera, half = Camera(fov), int(fov / 2 // STEP) * STEP
        for azimuth in range(-half, half + 1, STEP):
            x = camera.project(azimuth) * width
            self.draw.line((x, top, x, top + 0.5 * self.unit), fill=FAINT)
            anchor = "la" if x < self.unit else "ra" if x > width - self.unit else "ma"
            self.draw.text((x, top + 0.7 * self.unit), f"{abs(azimuth)}°", fill=FAINT, font=self.small, anchor=anchor)

    def pointer(self, source: Source, width: int, top: int, fov: float, number: int) -> None:
        """A triangle below the canvas at the source's direction; the whole way of one that moves."""
        project, colour = Camera(fov).project, COLOURS[number % len(COLOURS)]
        y, size = top + 2, 0.45 * self.unit
        if source.path:
            ways = [project(azimuth) * width for _, azimuth in source.path]
            self.draw.line((min(ways), y + size, max(ways), y + size), fill=colour, width=max(2, self.unit // 8))
        x = project(source.direction.azimuth) * width
        self.draw.polygon(((x, y), (x - size, y + 1.6 * size), (x + size, y + 1.6 * size)), fill=colour)

    def bar(self, source: Source, where: str, seconds: float, y: float, number: int) -> None:
        """The direction in words, and the spans in which the source is heard."""
        colour, start = COLOURS[number % len(COLOURS)], 0.34 * self.width
        self.draw.text((0.4 * self.unit, y), self._shorten(where, start, self.small), fill=INK, font=self.small)
        middle, end = y + 0.45 * self.unit, self.width - 0.4 * self.unit
        self.draw.line((start, middle, end, middle), fill=GREY, width=2)
        for first, last in source.active:
            spans = [start + min(max(each / seconds, 0.0), 1.0) * (end - start) for each in (first, last)]
            self.draw.rectangle((spans[0], y + 0.15 * self.unit, spans[1], y + 0.75 * self.unit), fill=colour)

    def _shorten(self, text: str, room: float, font: Any = None) -> str:
        while text and self.draw.textlength(text, font=font or self.font) > room:
            text = text[:-1]
        return text
