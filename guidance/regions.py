"""Where a word of the prompt should stand in the picture."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import index

import torch
from jaxtyping import Float
from torch import Tensor

from guidance.boxes import Box as Box
from guidance.boxes import check_box, find_centre
from guidance.errors import RegionError
from guidance.layout import Layout


@dataclass(frozen=True)
class Region:
    """A box and the tokens of the prompt that belong into it.

    `positions` count tokens of the padded prompt; the start token is 0. `label` names the region; GLIGEN reads it.
    """

    box: Box
    positions: tuple[int, ...]
    label: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "box", check_box(self.box))
        try:
            object.__setattr__(self, "positions", tuple(index(at) for at in self.positions))
        except TypeError:
            raise RegionError(f"Got the positions {self.positions!r}, expected whole numbers; convert them.") from None
        if not self.positions or min(self.positions) < 0:
            raise RegionError(
                f"Got the positions {self.positions}, expected one or more tokens, counted from 0; name a word."
            )

    @property
    def centre(self) -> tuple[float, float]:
        """x, y in [0, 1]."""
        return find_centre(self.box)

    def mask(self, h: int, w: int) -> Float[Tensor, "{h} {w}"]:
        """0 outside and 1 inside; edges are rounded towards the top left as published (Chen et al. 2023).

        Never empty: a box that lies between the edges of a coarse map gets the cell that holds its centre.
        """
        mask = torch.zeros(h, w)
        x0, x1 = _cell_span(self.box[0], self.box[2], w)
        y0, y1 = _cell_span(self.box[1], self.box[3], h)
        mask[y0:y1, x0:x1] = 1
        return mask

    def cover(self, h: int, w: int) -> Float[Tensor, "{h} {w}"]:
        """The share of each cell that is inside, in [0, 1]. Never empty; a mirrored box has the mirrored cover."""
        x0, y0, x1, y1 = self.box
        return torch.outer(_overlap(y0, y1, h), _overlap(x0, x1, w))


def make_regions(layout: Layout, positions: Mapping[int, Sequence[int]]) -> list[Region]:
    """What `guidance.sample` reads of a layout: a region for each entry whose number has token positions."""
    numbered = enumerate(layout.entries)
    return [Region(each.box, tuple(positions[i]), each.word) for i, each in numbered if positions.get(i)]


def map_shape(pixels: int, aspect: float = 1.0) -> tuple[int, int]:
    """(h, w) of an attention map with this many pixels; `aspect` is the picture's width over its height."""
    heights = [h for h in range(1, pixels + 1) if pixels % h == 0]
    h = min(heights, key=lambda h: abs(math.log(pixels / h / h / aspect)))
    return h, pixels // h


def _cell_span(low: float, high: float, cells: int) -> tuple[int, int]:
    """First cell and the one after the last."""
    start, end = int(low * cells), int(high * cells)
    if start < end:
        return start, end
    middle = min(int((low + high) / 2 * cells), cells - 1)
    return middle, middle + 1


def _overlap(low: float, high: float, cells: int) -> Float[Tensor, " {cells}"]:
    """How much of each cell is between low and high."""
    edges = torch.arange(cells + 1, dtype=torch.float64) / cells
    return ((edges[1:].clamp(max=high) - edges[:-1].clamp(min=low)).clamp(min=0) * cells).float()
