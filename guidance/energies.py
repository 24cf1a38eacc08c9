"""How far attention is from where it should be: (maps, regions, aspect) -> scalar, 0 is best.

`maps` has one tensor per layer, (batch, heads, pixels, tokens); heads and pixels differ from layer to layer, and all
rows share the regions. `aspect` is the picture's width over its height; it determines (h, w) of the pixels. Energies
are summed over the batch, so that the gradient of a row does not depend on the other rows, and averaged over layers,
regions and the tokens of a region.

Each is written for all regions of all rows at once (`region_table`), as a GPU waits for the number of operations and
not for their size; `RowEnergy.of_rows` gives the energy of each row, which may have regions of its own.
"""

from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from guidance.region_masks import (
    FLOOR,
    corner_targets,
    cover_and_moments,
    cover_shares,
    foreign_and_total,
    get_masks,
    is_region,
    mask_and_total,
    moments,
    outside_of_sides,
    target_and_spread,
    top_weights,
    weigh_owners,
)
from guidance.region_table import Group, RegionTable
from guidance.regions import Region

Maps = Sequence[Float[Tensor, "batch _heads _pixels tokens"]]
Scalar = Float[Tensor, ""]
Rows = Float[Tensor, " batch"]


@runtime_checkable
class Energy(Protocol):
    """What guidance lowers. A function of its own is passed to `sample` as `energy`."""

    def __call__(self, maps: Maps, regions: Sequence[Region], aspect: float, /) -> Tensor: ...


class RowEnergy:
    """An energy of all rows at once: `function` takes the groups of a `RegionTable` and returns that of each row."""

    def __init__(self, function: Callable[[Sequence[Group]], Tensor]) -> None:
        self.function = function
        update_wrapper(self, function)

    def __call__(self, maps: Maps, regions: Sequence[Region], aspect: float = 1.0) -> Scalar:
        """The sum over the rows, which share the regions."""
        if not regions:
            return maps[0].new_zeros(())
        return self.of_rows(maps, RegionTable([regions] * len(maps[0]), aspect)).sum()

    def of_rows(self, maps: Maps, table: RegionTable) -> Rows:
        """The energy of each row, whose regions are those of `table`."""
        return self.function(table.read(maps))


@RowEnergy
def layout_energy(groups: Sequence[Group]) -> Rows:
    """Layout energy, Chen et al. (2023), arXiv 2304.03373: E = (1 - sum_inside A / sum A)^2.

    Computed for each head and averaged over heads, tokens of a region, regions and layers. In [0, 1] per row.
    """
    return sum_groups([group.average(_miss_box(group, group.sum_pixels(mask_and_total))) for group in groups])


@RowEnergy
def boxdiff_energy(groups: Sequence[Group]) -> Rows:
    """BoxDiff, Xie et al. (2023), arXiv 2307.10816: E = L_IB + L_OB + L_CC, inner box, outer box, corners.

    L_IB = 1 - mean of the top fifth of A inside, L_OB = mean of the top fifth outside, L_CC = mean |max_y A - max_y M|
    and the same along x, at cells next to the edges of the box. A is averaged over heads and, to be comparable with
    the mask M, divided by its own maximum (without gradient). In [0, 3] per row.
    """
    energies = []
    for group in groups:
        mean = group.attention.mean(4)  # (batch, regions, tokens, layers, pixels)
        mean = mean / (mean.detach().amax(-1, keepdim=True) + FLOOR)
        weights, beyond = group.get(top_weights), group.get(outside_of_sides)
        masked = mean[..., None, :] + beyond[:, :, None, None]  # (..., 2, pixels), far below 0 on the other side
        top = masked.topk(weights.shape[-1], -1).values
        inner, outer = (top * weights[:, :, None, None]).sum(-1).unbind(-1)
        energies.append(group.average(1 - inner + outer + _corner_term(group, mean)))
    return sum_groups(energies)


@RowEnergy
def centroid_energy(groups: Sequence[Group]) -> Rows:
    """Centroids, after InfSplign (2025), arXiv 2512.17851, with an absolute target: the region's centre.

    E = |c - t|^2 / t_max^2 + max(0, v - v_box): c and v are the mean and variance of the position under the attention
    (averaged over heads, divided by its sum), t is the centre, v_box the variance of an evenly filled box. The terms
    of x and y are added.
    """
    return sum_groups([group.average(_miss_centre(group, group.sum_pixels(moments).mean(4))) for group in groups])


@RowEnergy
def excite_energy(groups: Sequence[Group]) -> Rows:
    """Attend-and-Excite, Chefer et al. (2023), arXiv 2301.13826: E = max over words of (1 - max over pixels of A).

    A is averaged over heads, smoothed (3 x 3, Gaussian) and restricted to the region. In [0, 1] per row. No method in
    `METHODS` uses it: it is a building block for energies of your own.
    """
    each = []
    for group in groups:
        mean = group.attention.mean(4).amax(2).unflatten(-1, (group.h, group.w))  # (batch, regions, layers, h, w)
        smooth = _smooth(mean.flatten(0, 2)).view(mean.shape).flatten(-2)
        each.append((1 - (smooth * group.get(get_masks)[:, :, None]).amax(-1)).sum(2) / group.count)
    return (sum_groups(each) * groups[0].get(is_region)).amax(1)


@RowEnergy
def leak_energy(groups: Sequence[Group]) -> Rows:
    """Against leaking: the share of a word's attention that lies in another word's region and outside its own.

    E = sum_i sum_{j in others} m_j (1 - m_i) A_i / sum A_i, averaged over heads and words; 0 for a single region. No
    method in `METHODS` uses it: it is a building block for energies of your own.
    """
    energies = []
    for group in groups:
        foreign, total = group.sum_pixels(foreign_and_total).unbind(-1)
        energies.append(group.average((foreign / (total + FLOOR * group.h * group.w)).mean(-1)))
    return sum_groups(energies)


@RowEnergy
def ownership_energy(groups: Sequence[Group]) -> Rows:
    """Which word owns a region: E = 1 - A_i / sum_j A_j inside region i, j over the words of all regions. In [0, 1].

    0 for a single region.
    """
    return sum_groups(list(map(_miss_ownership, groups)))


@RowEnergy
def combined_energy(groups: Sequence[Group]) -> Rows:
    """Layout energy (Chen et al. 2023) with partly covered cells + `ownership_energy` / 2 + `centroid_energy`.

    Partly covered cells give a mirrored box the mirrored energy, and a box may move by less than a cell. The layout
    energy alone lets a thing stand anywhere in a large box, so that its middle may be on the wrong side: hence the
    centroids.
    """
    energies = []
    for group in groups:
        sums = group.sum_pixels(cover_and_moments)
        layout, centroid = _miss_box(group, sums), _miss_centre(group, sums[..., 1:].mean(4))
        energies.append(group.average(layout + centroid))
        if group.table.shape[1] > 1:
            energies.append(0.5 * _miss_ownership(group))
    return sum_groups(energies)


def sum_groups(values: Sequence[Tensor]) -> Tensor:
    """The sum over layers of different sizes."""
    return sum(values[1:], values[0])


def _miss_box(
    group: Group, sums: Float[Tensor, "batch regions tokens layers heads _sums"]
) -> Float[Tensor, "batch regions tokens layers"]:
    """(1 - inside / total)^2 of each head, averaged over heads; the first two sums are those inside and in total."""
    return (1 - sums[..., 0] / (sums[..., 1] + FLOOR * group.h * group.w)).square().mean(-1)


def _miss_centre(
    group: Group, sums: Float[Tensor, "batch regions tokens layers 5"]
) -> Float[Tensor, "batch regions tokens layers"]:
    """How far the mean is off and the variance too large, from sums of A times 1, x, y, x^2, y^2."""
    share = sums / (sums[..., :1] + FLOOR)
    centre, second = share[..., 1:3], share[..., 3:]
    target, spread = (each[:, :, None, None] for each in group.get(target_and_spread).unbind(2))
    variance = second + centre.square() * (share[..., :1] - 2)
    return 4 * ((centre - target).square() + (variance - spread).clamp(min=0)).sum(-1)


def _miss_ownership(group: Group) -> Rows:
    words = group.average_words()
    share = words / (words.sum(1, keepdim=True) + FLOOR)
    inside = (share * group.get(cover_shares)[:, :, None]).sum(-1)  # (batch, regions, layers)
    return ((1 - inside) * group.get(weigh_owners)[..., None]).sum((1, 2)) / group.count


def _corner_term(
    group: Group, mean: Float[Tensor, "batch regions tokens layers pixels"]
) -> Float[Tensor, "batch regions tokens layers"]:
    """Maxima along columns and rows, of the map against the box, at cells next to the edges of the box."""
    grid = mean.unflatten(-1, (group.h, group.w))
    along = torch.cat([grid.amax(-2), grid.amax(-1)], -1)  # (..., w + h)
    wanted, weights = (each[:, :, None, None] for each in group.get(corner_targets).unbind(2))
    return ((along - wanted).abs() * weights).sum(-1)


def _smooth(maps: Float[Tensor, "maps h w"]) -> Float[Tensor, "maps h w"]:
    """Gaussian smoothing with a standard deviation of half a cell; edges are repeated."""
    ticks = torch.exp(-(torch.tensor([-1.0, 0.0, 1.0]) ** 2) / (2 * 0.5**2))
    kernel = torch.outer(ticks, ticks)[None, None].to(maps)
    return F.conv2d(F.pad(maps[:, None], (1, 1, 1, 1), mode="replicate"), kernel / kernel.sum())[:, 0]
