"""Regions of a batch as tensors, so that energies take all layers of one size, rows, regions and tokens at once.

Rows have different numbers of regions, and regions different numbers of tokens: both are padded, and what is padded
has no weight. Masks are made once per size of a map and stay on the maps' device.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from guidance.regions import Region, map_shape

Maps = Sequence[Float[Tensor, "_batch _heads _pixels _tokens"]]
Make = Callable[["RegionTable", int, int], Tensor]  # (table, h, w) -> what is cached for maps of this size


@dataclass(eq=False)
class RegionTable:
    """`rows[row]` are the regions of one row; `aspect` is the picture's width over its height."""

    rows: Sequence[Sequence[Region]]
    aspect: float = 1.0
    _cache: dict[tuple, Tensor] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(batch, regions, tokens) with padding, each at least 1."""
        most = max([1, *map(len, self.rows)])
        longest = max([1, *(len(region.positions) for row in self.rows for region in row)])
        return len(self.rows), most, longest

    def read(self, maps: Maps) -> "list[Group]":
        """The attention of the regions' tokens, layers of one size stacked."""
        sizes: dict[tuple[int, ...], list[Tensor]] = {}
        for layer in maps:
            sizes.setdefault(tuple(layer.shape), []).append(layer)
        return [self._read_group(layers, len(maps)) for layers in sizes.values()]

    def _read_group(self, layers: Sequence[Tensor], count: int) -> "Group":
        _, heads, pixels, tokens = layers[0].shape
        stacked = torch.stack(list(layers), 1).flatten(1, 3)  # (batch, layers * heads * pixels, tokens)
        picked = torch.bmm(self._pick_tokens(tokens, stacked), stacked.mT)
        attention = picked.view(*self.shape, len(layers), heads, pixels)
        return Group(attention, self, *map_shape(pixels, self.aspect), count)

    def _pick_tokens(self, tokens: int, like: Tensor) -> Float[Tensor, "batch slots {tokens}"]:
        """1 where a slot is a token: a product that picks costs one operation, forwards as well as backwards."""

        def make(table: RegionTable, h: int, w: int) -> Tensor:
            pick = torch.zeros(*table.shape, tokens)
            for at, region in table.list_regions():
                pick[(*at, range(len(region.positions)), region.positions)] = 1
            return pick.flatten(1, 2)

        return self.cached(make, f"tokens {tokens}", 0, 0, like)

    def list_regions(self) -> list[tuple[tuple[int, int], Region]]:
        """((row, number), region) of all regions."""
        return [((i, j), region) for i, row in enumerate(self.rows) for j, region in enumerate(row)]

    def cached(self, make: Make, name: str, h: int, w: int, like: Tensor) -> Tensor:
        """`make(self, h, w)`, made on the CPU at the first call, on the device of `like`."""
        key = name, h, w, like.device
        if key not in self._cache:
            self._cache[key] = make(self, h, w).to(like)
        return self._cache[key]

    def fill(self, values: Callable[[Region], Tensor]) -> Float[Tensor, "batch regions ..."]:
        """What `values` gives for each region, 0 for those that are padded."""
        found = [(at, values(region)) for at, region in self.list_regions()]
        filled = torch.zeros(*self.shape[:2], *(found[0][1].shape if found else ()))
        for at, value in found:
            filled[at] = value
        return filled


@dataclass(frozen=True, eq=False)
class Group:
    """The attention of the regions' tokens in all layers of one size."""

    attention: Float[Tensor, "batch regions tokens layers heads pixels"]
    table: RegionTable
    h: int
    w: int
    count: int  # layers of all sizes

    def get(self, make: Make) -> Tensor:
        """What `make` makes for this size, cached."""
        return self.table.cached(make, make.__name__, self.h, self.w, self.attention)

    def sum_pixels(self, make: Make) -> Float[Tensor, "batch regions tokens layers heads sums"]:
        """Sums of the attention over the pixels, with the weights (batch, regions, pixels, sums) that `make` makes."""
        weights = self.get(make)
        sums = torch.bmm(self.attention.flatten(2, 4).flatten(0, 1), weights.flatten(0, 1))
        return sums.view(*self.attention.shape[:-1], weights.shape[-1])

    def average(self, values: Float[Tensor, "batch regions tokens layers"]) -> Float[Tensor, " batch"]:
        """Mean over layers, regions and the tokens of a region; other sizes add theirs."""
        return (values * self.get(weigh_tokens)[..., None]).sum((1, 2, 3)) / self.count

    def average_words(self) -> Float[Tensor, "batch regions layers pixels"]:
        """Mean over heads and the tokens of a region."""
        total = self.attention.sum((2, 4))
        return total * (self.get(divide_by_tokens) / self.attention.shape[4])[..., None, None]


def weigh_tokens(table: RegionTable, h: int = 0, w: int = 0) -> Float[Tensor, "batch regions tokens"]:
    """What a token counts in the mean over the regions of its row and the tokens of its region."""
    weights = torch.zeros(table.shape)
    for (row, number), region in table.list_regions():
        weights[row, number, : len(region.positions)] = 1 / len(table.rows[row]) / len(region.positions)
    return weights


def divide_by_tokens(table: RegionTable, h: int = 0, w: int = 0) -> Float[Tensor, "batch regions"]:
    """1 / number of tokens."""
    return table.fill(lambda region: torch.tensor(1 / len(region.positions)))
