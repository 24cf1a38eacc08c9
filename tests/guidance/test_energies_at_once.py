"""Energies of all rows, regions and tokens at once are those of one region after the other, gradients too."""

import energies_one_by_one as one_by_one
import pytest
import torch

from guidance import energies
from guidance.region_table import RegionTable
from guidance.regions import Region

NAMES = ("layout", "boxdiff", "centroid", "excite", "leak", "ownership", "combined")
ROWS = (
    [Region((0.05, 0.2, 0.45, 0.9), (2,)), Region((0.55, 0.1, 0.95, 0.8), (5, 6)), Region((0.3, 0.0, 0.7, 1.0), (7,))],
    [Region((0.0, 0.0, 1.0, 1.0), (1, 2, 3))],
    [],
    [Region((0.52, 0.52, 0.53, 0.53), (4,)), Region((0.1, 0.6, 0.35, 0.7), (4, 0))],
)
SHAPES = ((2, 32), (2, 32), (4, 8), (2, 128))  # heads and pixels of each layer, pictures twice as wide as high


def make_maps(batch: int, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = [3 * torch.randn(batch, heads, pixels, 9, generator=generator) for heads, pixels in SHAPES]
    return [each.softmax(-1).requires_grad_() for each in logits]


@pytest.mark.parametrize("name", [f"{name}_energy" for name in NAMES])
def test_rows_with_regions_of_their_own(name):
    maps = make_maps(len(ROWS))
    at_once = getattr(energies, name).of_rows(maps, RegionTable(ROWS, 2.0))
    old = getattr(one_by_one, name)
    each = [old([m[i : i + 1] for m in maps], row, 2.0) if row else torch.zeros(()) for i, row in enumerate(ROWS)]
    assert torch.allclose(at_once, torch.stack(each), atol=1e-6, rtol=0)
    new_gradients = torch.autograd.grad(at_once.sum(), maps)
    for new, wanted in zip(new_gradients, torch.autograd.grad(sum(each), maps), strict=True):
        assert wanted.abs().max() > 1e-5 and torch.allclose(new, wanted, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", [f"{name}_energy" for name in NAMES])
def test_rows_that_share_their_regions(name):
    maps = make_maps(2, seed=1)
    assert torch.allclose(
        getattr(energies, name)(maps, ROWS[0], 0.5), getattr(one_by_one, name)(maps, ROWS[0], 0.5), atol=1e-6, rtol=0
    )
    assert getattr(energies, name)(maps, []) == 0


def test_masks_are_made_once(monkeypatch):
    made, cover = [], Region.cover
    monkeypatch.setattr(Region, "cover", lambda self, h, w: made.append((h, w)) or cover(self, h, w))
    table = RegionTable([ROWS[0]] * 2, 2.0)
    for seed in range(3):
        energies.combined_energy.of_rows(make_maps(2, seed), table)
    assert len(made) == 2 * 2 * len(ROWS[0]) * 3  # for two uses: rows, regions, sizes
