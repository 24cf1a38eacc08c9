"""What a picture shows and where: the caption, the canvas, and a box for each thing. Neither torch nor numpy is needed.

A layout is what generators that read boxes are told; `guidance.forms` writes it as each of them reads it, and
`guidance.regions.make_regions` makes of it what `guidance.sample` reads.
"""

import math
import re
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import index
from typing import Any

from guidance.boxes import Box, check_box, find_centre, mirror_box
from guidance.errors import RegionError

CANVAS = (1024, 1024)  # width, height in pixels
UNWRITABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")  # in UTF-8, or in XML
MOST = 16_384  # pixels of a side, the most that ComfyUI's nodes for boxes take

Path = tuple[tuple[float, Box], ...]


@dataclass(frozen=True)
class Entry:
    """One thing: its word, what it looks like, and its box; a thing that moves has a path as well."""

    word: str  # "frog"
    box: Box  # in a picture that stands for the whole time
    description: str = ""  # "a green frog"; empty: the word says all
    path: Path = ()  # (seconds, box) in order of time; empty when it stays

    def __post_init__(self) -> None:
        for name in ("word", "description"):
            object.__setattr__(self, name, _check_text(getattr(self, name), f"the {name} of a thing"))
        if not self.word:
            raise RegionError("Got a thing without a word, expected a name such as frog; give it one.")
        object.__setattr__(self, "box", check_box(self.box))
        object.__setattr__(self, "path", _check_path(self.path))

    @property
    def centre(self) -> tuple[float, float]:
        """x, y of the box in [0, 1]."""
        return find_centre(self.box)

    @property
    def moves(self) -> bool:
        return bool(self.path)

    def box_at(self, seconds: float) -> Box:
        """The box at that time, linear in between; before and after the path that of its nearer end."""
        if not self.path or seconds <= self.path[0][0]:
            return self.path[0][1] if self.path else self.box
        for (start, before), (end, after) in pairwise(self.path):
            if seconds <= end:
                share = (seconds - start) / (end - start)
                x0, y0, x1, y1 = (a + share * (b - a) for a, b in zip(before, after, strict=True))
                return x0, y0, x1, y1
        return self.path[-1][1]


@dataclass(frozen=True)
class Layout:
    """A caption of the whole picture, its size in pixels, and its things with their boxes."""

    caption: str
    entries: tuple[Entry, ...] = ()
    canvas: tuple[int, int] = CANVAS  # width, height in pixels

    def __post_init__(self) -> None:
        object.__setattr__(self, "caption", _check_text(self.caption, "the caption"))
        object.__setattr__(self, "entries", tuple(self.entries))
        object.__setattr__(self, "canvas", check_canvas(self.canvas))
        wrong = next((each for each in self.entries if not isinstance(each, Entry)), None)
        if wrong is not None:
            raise RegionError(f"Got {wrong!r} in a layout, expected guidance.Entry; make one of the word and the box.")

    @property
    def words(self) -> list[str]:
        return [entry.word for entry in self.entries]

    def at(self, seconds: float) -> "Layout":
        """The layout at that time, in which nothing moves."""
        still = (replace(each, box=each.box_at(seconds), path=()) for each in self.entries)
        return replace(self, entries=tuple(still))

    def mirrored(self) -> "Layout":
        """The layout of the recording with its channels exchanged; the caption is kept as it is."""
        return replace(self, entries=tuple(map(_mirror_entry, self.entries)))


def check_canvas(canvas: Any) -> tuple[int, int]:
    """(width, height) as whole numbers of pixels; RegionError for anything else."""
    try:
        width, height = (index(side) for side in canvas)
    except (TypeError, ValueError):
        raise RegionError(f"Got the canvas {canvas!r}, expected width and height in pixels; give both.") from None
    if not (1 <= width <= MOST and 1 <= height <= MOST):
        raise RegionError(f"Got a canvas of {width} x {height} pixels, expected 1 to {MOST} each; change it.")
    return width, height


def _check_text(text: Any, what: str) -> str:
    if not isinstance(text, str):
        raise RegionError(f"Got {text!r} for {what}, expected a text; write one.")
    return " ".join(UNWRITABLE.sub(" ", text).split())


def _check_path(path: Any) -> Path:
    try:
        checked = tuple((float(seconds), check_box(box)) for seconds, box in path)
    except (TypeError, ValueError) as error:
        if isinstance(error, RegionError):
            raise
        raise RegionError(f"Got the path {path!r}, expected (seconds, box) pairs; convert it.") from None
    times = [seconds for seconds, _ in checked]
    if not all(map(math.isfinite, times)) or any(a >= b for a, b in pairwise(times)):
        raise RegionError(f"Got a path at {times} seconds, expected times that rise; sort them.")
    return checked


def _mirror_entry(entry: Entry) -> Entry:
    path = tuple((seconds, mirror_box(box)) for seconds, box in entry.path)
    return replace(entry, box=mirror_box(entry.box), path=path)
