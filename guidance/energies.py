"""How far attention is from where it should be: (maps, regions) -> scalar, 0 is best.

`maps` are one tensor a layer, (batch, heads, pixels, tokens); all rows share the regions. `aspect` is the picture's
width over its height, and tells (h, w) of the pixels. Energies are summed over rows, so that the gradient of a row
does not depend on what else is in the batch; and averaged over layers, regions and the tokens of a region.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from guidance.regions import Region, shape_of

Maps = Sequence[Tensor]
Energy = Callable[..., Tensor]
FLOOR = 1e-6  # attention that is sharper than this is not told apart: no 0/0


def layout_energy(maps: Maps, regions: Sequence[Region], aspect: float = 1.0) -> Tensor:
    """Layout energy, Chen et al. (2023), arXiv 2304.03373, eq. 2: E = (1 - sum_inside A / sum A)^2.

    Of every head, averaged over heads, tokens of a region, regions and layers. In [0, 1] per row.
    """

    def of(attention: Tensor, region: Region, h: int, w: int) -> Tensor:  # (batch, heads, pixels)
        inside = (attention * region.mask(h, w).flatten().to(attention)).sum(-1)
        return ((1 - inside / (attention.sum(-1) + FLOOR * attention.shape[-1])) ** 2).mean(1)

    return _average(of, maps, regions, aspect)


def _average(of: Callable[..., Tensor], maps: Maps, regions: Sequence[Region], aspect: float) -> Tensor:
    """Mean of `of(attention (batch, heads, pixels), region, h, w) -> (batch,)`, summed over the batch."""
    terms = []
    for layer in maps:
        h, w = shape_of(layer.shape[2], aspect)
        for region in regions:
            terms.append(torch.stack([of(layer[..., at], region, h, w) for at in region.positions]).mean(0))
    return torch.stack(terms).mean(0).sum()
