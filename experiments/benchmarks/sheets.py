"""Contact sheets with labels."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image as Images
from PIL import ImageDraw
from PIL.Image import Image


def labelled_sheet(rows: dict[str, list[Image]], path: Path) -> None:
    """One row of pictures for each label."""
    margin, side = 80, next(iter(rows.values()))[0].width
    canvas = Images.new("RGB", (margin + side * max(map(len, rows.values())), side * len(rows)), "white")
    for y, (label, images) in enumerate(rows.items()):
        ImageDraw.Draw(canvas).text((4, y * side + side // 2 - 5), label, fill="black")
        for x, image in enumerate(images):
            canvas.paste(image, (margin + x * side, y * side))
    _save(canvas, path)


def labelled_pictures(images: Sequence[Image], labels: Sequence[str], path: Path, columns: int = 6) -> None:
    """A grid with a label below each picture."""
    side, high = images[0].width, images[0].height + 14
    canvas = Images.new("RGB", (side * columns, high * -(-len(images) // columns)), "white")
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        x, y = i % columns * side, i // columns * high
        canvas.paste(image, (x, y))
        ImageDraw.Draw(canvas).text((x + 2, y + image.height + 1), label, fill="black")
    _save(canvas, path)


def _save(canvas: Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(path)
