"""Masks and weights of the regions of a batch, for maps of one size: (table, h, w) -> (batch, regions, ...).

What energies read of a `RegionTable`; it makes each once per size. What is padded has no weight.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from guidance.region_table import RegionTable
from guidance.regions import Region

FLOOR = 1e-6  # of a sum that divides
TOP = 0.2  # share of the cells that BoxDiff reads, inside and outside a box


def weigh_regions(table: RegionTable, h: int = 0, w: int = 0) -> Float[Tensor, "batch regions"]:
    """What a region counts in the mean over those of its row."""
    weights = torch.zeros(table.shape[:2])
    for at, _ in table.list_regions():
        weights[at] = 1 / len(table.rows[at[0]])
    return weights


def get_masks(table: RegionTable, h: int, w: int) -> Float[Tensor, "batch regions pixels"]:
    """`Region.mask` of each region."""
    return table.fill(lambda region: region.mask(h, w).flatten())


def get_covers(table: RegionTable, h: int, w: int) -> Float[Tensor, "batch regions pixels"]:
    """`Region.cover` of each region."""
    return table.fill(lambda region: region.cover(h, w).flatten())


def is_region(table: RegionTable, h: int, w: int) -> Tensor:
    """1 for regions, 0 for what is padded."""
    return (weigh_regions(table) > 0).float()


def mask_and_total(table: RegionTable, h: int, w: int) -> Float[Tensor, "batch regions pixels 2"]:
    """The mask of each region beside ones, so that one sum gives both numerator and denominator."""
    masks = get_masks(table, h, w)
    return torch.stack([masks, torch.ones_like(masks)], -1)


def moments(table: RegionTable, h: int, w: int) -> Float[Tensor, "batch regions pixels 5"]:
    """1, x, y, x^2, y^2 of the cells' centres."""
    y, x = torch.meshgrid((torch.arange(h) + 0.5) / h, (torch.arange(w) + 0.5) / w, indexing="ij")
    each = torch.stack([torch.ones(h, w), x, y, x**2, y**2], -1).flatten(0, 1)
    return each.expand(*table.shape[:2], -1, -1).contiguous()


def cover_and_moments(table: RegionTable, h: int, w: int) -> Float[Tensor, "batch regions pixels 6"]:
    """`get_covers`, then `moments`, so that one sum gives them all."""
    return torch.cat([get_covers(table, h, w)[..., None], moments(table, h, w)], -1)


def target_and_spread(table: RegionTable, h: int, w: int) -> Float[Tensor, "batch regions 2 2"]:
    """The centre (x, y) and the variance along x and y of an evenly filled box."""

    def measure(region: Region) -> Tensor:
        x0, y0, x1, y1 = region.box
        return torch.tensor([[(x0 + x1) / 2, (y0 + y1) / 2], [(x1 - x0) ** 2 / 12, (y1 - y0) ** 2 / 12]])

    return table.fill(measure)


def foreign_and_total(table: RegionTable, h: int, w: int) -> Float[Tensor, "batch regions pixels 2"]:
    """What other regions cover and this one does not; 0 for a single region."""
    covers = get_covers(table, h, w)
    foreign = torch.zeros_like(covers)
    for row, number in (at for at, _ in table.list_regions() if len(table.rows[at[0]]) > 1):
        others = torch.cat([covers[row, :number], covers[row, number + 1 :]]).amax(0)
        foreign[row, number] = others * (1 - covers[row, number])
    return torch.stack([foreign, torch.ones_like(covers)], -1)


def cover_shares(table: RegionTable, h: int, w: int) -> Float[Tensor, "batch regions pixels"]:
    """Covers that add up to 1."""
    covers = get_covers(table, h, w)
    return covers / covers.sum(-1, keepdim=True).clamp(min=FLOOR)


def weigh_owners(table: RegionTable, h: int, w: int) -> Float[Tensor, "batch regions"]:
    """As `weigh_regions`, 0 where a region has no rival."""
    rivals = torch.tensor([float(len(row) > 1) for row in table.rows])
    return weigh_regions(table) * rivals[:, None]


def outside_of_sides(table: RegionTable, h: int, w: int) -> Float[Tensor, "batch regions 2 pixels"]:
    """0 inside and far below elsewhere, then the same of the outside."""
    masks = get_masks(table, h, w)
    return -1e4 * torch.stack([1 - masks, masks], 2)


def top_weights(table: RegionTable, h: int, w: int) -> Float[Tensor, "batch regions 2 cells"]:
    """1 / k for the first k of the sorted cells, k a fifth of those inside or outside, at least one if there is one."""

    def weigh(region: Region) -> Tensor:
        inside = int(region.mask(h, w).sum())
        weights = torch.zeros(2, h * w)
        for side, cells in enumerate((inside, h * w - inside)):
            k = max(1, int(TOP * cells)) if cells else 0
            weights[side, :k] = 1 / max(1, k)
        return weights

    weights = table.fill(weigh)
    return weights[..., : max(1, int((weights > 0).sum(-1).max()))]


def corner_targets(table: RegionTable, h: int, w: int) -> Float[Tensor, "batch regions 2 sides"]:
    """Along x, then y: the mask's maxima, and what each cell counts: those next to an edge, each axis one half."""

    def measure(region: Region) -> Tensor:
        mask, parts = region.mask(h, w), []
        for axis in (0, 1):
            wanted = mask.amax(axis)
            edges = (wanted[1:] != wanted[:-1]).nonzero().flatten()
            near = torch.unique(torch.cat([edges, edges + 1])) if len(edges) else torch.arange(len(wanted))
            parts.append(torch.stack([wanted, torch.zeros(len(wanted)).index_fill(0, near, 0.5 / len(near))]))
        return torch.cat(parts, -1)

    return table.fill(measure)
