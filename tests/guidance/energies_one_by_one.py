"""Energies one region, token and layer after the other, as they were before: the reference for `guidance.energies`.


`maps` has one tensor per layer, (batch, heads, pixels, tokens); heads and pixels differ from layer to layer, and all
rows share the regions. `aspect` is the picture's width over its height; it determines (h, w) of the pixels. Energies
are summed over the batch, so that the gradient of a row does not depend on the other rows, and averaged over layers,
regions and the tokens of a region.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from guidance.regions import Region, map_shape

Maps = Sequence[Float[Tensor, "batch _heads _pixels tokens"]]
Scalar = Float[Tensor, ""]
RegionEnergy = Callable[[Tensor, Region, int, int], Tensor]  # (batch, heads, pixels), region, h, w -> (batch,)
FLOOR = 1e-6  # added to sums of attention, so that very sharp attention does not become 0 / 0


@runtime_checkable
class Energy(Protocol):
    """What guidance lowers. A function of its own is passed to `sample` as `energy`."""

    def __call__(self, maps: Maps, regions: Sequence[Region], aspect: float, /) -> Tensor: ...


def layout_energy(maps: Maps, regions: Sequence[Region], aspect: float = 1.0) -> Scalar:
    """Layout energy, Chen et al. (2023), arXiv 2304.03373: E = (1 - sum_inside A / sum A)^2.

    Computed for each head and averaged over heads, tokens of a region, regions and layers. In [0, 1] per row.
    """

    def energy_of_region(
        attention: Float[Tensor, "batch heads pixels"], region: Region, h: int, w: int
    ) -> Float[Tensor, " batch"]:
        inside = (attention * region.mask(h, w).flatten().to(attention)).sum(-1)
        return ((1 - inside / (attention.sum(-1) + FLOOR * attention.shape[-1])) ** 2).mean(1)

    return _average_over_regions(energy_of_region, maps, regions, aspect)


def boxdiff_energy(maps: Maps, regions: Sequence[Region], aspect: float = 1.0) -> Scalar:
    """BoxDiff, Xie et al. (2023), arXiv 2307.10816: E = L_IB + L_OB + L_CC, inner box, outer box, corners.

    L_IB = 1 - mean of the top fifth of A inside, L_OB = mean of the top fifth outside, L_CC = mean |max_y A - max_y M|
    and the same along x, at cells next to the edges of the box. A is averaged over heads and, to be comparable with
    the mask M, divided by its own maximum (without gradient). In [0, 3] per row.
    """

    def energy_of_region(
        attention: Float[Tensor, "batch heads pixels"], region: Region, h: int, w: int
    ) -> Float[Tensor, " batch"]:
        mean = attention.mean(1)  # (batch, pixels)
        mean = mean / (mean.detach().amax(-1, keepdim=True) + FLOOR)
        mask = region.mask(h, w)  # stays on the CPU, where it is indexed, so that nothing waits for a GPU
        inside, outside = (mask.flatten() > 0).nonzero().flatten(), (mask.flatten() == 0).nonzero().flatten()
        inner = 1 - _mean_of_top(mean[:, inside.to(mean.device)])
        outer = _mean_of_top(mean[:, outside.to(mean.device)]) if len(outside) else torch.zeros_like(inner)
        return inner + outer + _corner_term(mean.unflatten(-1, (h, w)), mask)

    return _average_over_regions(energy_of_region, maps, regions, aspect)


def centroid_energy(maps: Maps, regions: Sequence[Region], aspect: float = 1.0) -> Scalar:
    """Centroids, after InfSplign (2025), arXiv 2512.17851, with an absolute target: the region's centre.

    E = |c - t|^2 / t_max^2 + max(0, v - v_box): c and v are the mean and variance of the position under the attention
    (averaged over heads, divided by its sum), t is the centre, v_box the variance of an evenly filled box. The terms
    of x and y are added.
    """

    def energy_of_region(
        attention: Float[Tensor, "batch heads pixels"], region: Region, h: int, w: int
    ) -> Float[Tensor, " batch"]:
        share = attention.mean(1)
        share = (share / (share.sum(-1, keepdim=True) + FLOOR)).unflatten(-1, (h, w))  # (batch, h, w)
        x0, y0, x1, y1 = region.box
        terms = []
        for along, target, extent in ((share.sum(1), (x0 + x1) / 2, x1 - x0), (share.sum(2), (y0 + y1) / 2, y1 - y0)):
            ticks = (torch.arange(along.shape[-1]).to(along) + 0.5) / along.shape[-1]
            centre = (along * ticks).sum(-1)
            variance = (along * (ticks - centre[:, None]) ** 2).sum(-1)
            terms.append(4 * (centre - target) ** 2 + 4 * (variance - extent**2 / 12).clamp(min=0))
        return terms[0] + terms[1]

    return _average_over_regions(energy_of_region, maps, regions, aspect)


def excite_energy(maps: Maps, regions: Sequence[Region], aspect: float = 1.0) -> Scalar:
    """Attend-and-Excite, Chefer et al. (2023), arXiv 2301.13826: E = max over words of (1 - max over pixels of A).

    A is averaged over heads, smoothed (3 x 3, Gaussian) and restricted to the region. In [0, 1] per row. No method in
    `METHODS` uses it: it is a building block for energies of your own.
    """
    worst = []
    for region in regions:
        each = []
        for layer in maps:
            h, w = map_shape(layer.shape[2], aspect)
            mean = layer[..., list(region.positions)].mean(1).amax(-1).unflatten(-1, (h, w))  # (batch, h, w)
            each.append(1 - (_smooth(mean) * region.mask(h, w).to(mean)).flatten(1).amax(-1))
        worst.append(torch.stack(each).mean(0))
    return torch.stack(worst).amax(0).sum()


def leak_energy(maps: Maps, regions: Sequence[Region], aspect: float = 1.0) -> Scalar:
    """Against leaking: the share of a word's attention that lies in another word's region and outside its own.

    E = sum_i sum_{j in others} m_j (1 - m_i) A_i / sum A_i, averaged over heads and words; 0 for a single region. No
    method in `METHODS` uses it: it is a building block for energies of your own.
    """
    if len(regions) < 2:
        return maps[0].new_zeros(())

    def energy_of_region(
        attention: Float[Tensor, "batch heads pixels"], region: Region, h: int, w: int
    ) -> Float[Tensor, " batch"]:
        others = torch.stack([other.cover(h, w) for other in regions if other is not region]).amax(0)
        foreign = (others * (1 - region.cover(h, w))).flatten().to(attention)
        return ((attention * foreign).sum(-1) / (attention.sum(-1) + FLOOR * attention.shape[-1])).mean(1)

    return _average_over_regions(energy_of_region, maps, regions, aspect)


def ownership_energy(maps: Maps, regions: Sequence[Region], aspect: float = 1.0) -> Scalar:
    """Which word owns a region: E = 1 - A_i / sum_j A_j inside region i, j over the words of all regions. In [0, 1]."""
    if len(regions) < 2:
        return maps[0].new_zeros(())
    terms = []
    for layer in maps:
        h, w = map_shape(layer.shape[2], aspect)
        words = torch.stack([layer[..., list(region.positions)].mean((1, 3)) for region in regions])
        share = words / (words.sum(0) + FLOOR)  # (regions, batch, pixels)
        masks = torch.stack([region.cover(h, w).flatten() for region in regions]).to(share)
        inside = (share * masks[:, None]).sum(-1) / masks.sum(-1)[:, None]  # (regions, batch)
        terms.append((1 - inside).mean(0))
    return torch.stack(terms).mean(0).sum()


def combined_energy(maps: Maps, regions: Sequence[Region], aspect: float = 1.0) -> Scalar:
    """Layout energy (Chen et al. 2023) with partly covered cells + `ownership_energy` / 2 + `centroid_energy`.

    Partly covered cells give a mirrored box the mirrored energy, and a box may move by less than a cell. The layout
    energy alone lets a thing stand anywhere in a large box, so that its middle may be on the wrong side: hence the
    centroids.
    """

    def energy_of_region(
        attention: Float[Tensor, "batch heads pixels"], region: Region, h: int, w: int
    ) -> Float[Tensor, " batch"]:
        inside = (attention * region.cover(h, w).flatten().to(attention)).sum(-1)
        return ((1 - inside / (attention.sum(-1) + FLOOR * attention.shape[-1])) ** 2).mean(1)

    layout = _average_over_regions(energy_of_region, maps, regions, aspect)
    ownership = ownership_energy(maps, regions, aspect)
    return layout + 0.5 * ownership + centroid_energy(maps, regions, aspect)


def _average_over_regions(
    energy_of_region: RegionEnergy, maps: Maps, regions: Sequence[Region], aspect: float
) -> Scalar:
    """Mean of `energy_of_region` over layers, regions and their tokens, summed over the batch."""
    terms = []
    for layer in maps:
        h, w = map_shape(layer.shape[2], aspect)
        for region in regions:
            tokens = [energy_of_region(layer[..., at], region, h, w) for at in region.positions]
            terms.append(torch.stack(tokens).mean(0))
    return torch.stack(terms).mean(0).sum()


def _mean_of_top(values: Float[Tensor, "batch cells"], part: float = 0.2) -> Float[Tensor, " batch"]:
    """Mean of the largest fifth of each row, of at least one value."""
    return values.topk(max(1, int(part * values.shape[-1])), -1).values.mean(-1)


def _corner_term(mean: Float[Tensor, "batch h w"], mask: Float[Tensor, "h w"]) -> Float[Tensor, " batch"]:
    """Maxima along columns and rows, of the map against the box, at cells next to the edges of the box."""
    terms = []
    for axis in (0, 1):
        wanted = mask.amax(axis)  # along x, then y
        edges = (wanted[1:] != wanted[:-1]).nonzero().flatten()
        near = torch.unique(torch.cat([edges, edges + 1])) if len(edges) else torch.arange(len(wanted))
        terms.append((mean.amax(axis + 1)[:, near.to(mean.device)] - wanted[near].to(mean)).abs().mean(-1))
    return (terms[0] + terms[1]) / 2


def _smooth(maps: Float[Tensor, "batch h w"]) -> Float[Tensor, "batch h w"]:
    """Gaussian smoothing with a standard deviation of half a cell; edges are repeated."""
    ticks = torch.exp(-(torch.tensor([-1.0, 0.0, 1.0]) ** 2) / (2 * 0.5**2))
    kernel = torch.outer(ticks, ticks)[None, None].to(maps)
    return F.conv2d(F.pad(maps[:, None], (1, 1, 1, 1), mode="replicate"), kernel / kernel.sum())[:, 0]
