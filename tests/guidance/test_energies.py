"""Each energy falls where it should, is 0 at its best, and agrees with what was published."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from guidance import energies
from guidance.energies import (
    boxdiff_energy,
    centroid_energy,
    excite_energy,
    layout_energy,
    leak_energy,
    ownership_energy,
)
from guidance.regions import Region

REFERENCE = Path(__file__).parents[1] / "reference" / "layout_energy_io.safetensors"
REGIONS = (Region((0.05, 0.2, 0.45, 0.9), (2,)), Region((0.55, 0.1, 0.95, 0.8), (5, 6)))
EVERY = (
    layout_energy,
    boxdiff_energy,
    centroid_energy,
    excite_energy,
    leak_energy,
    ownership_energy,
    energies.combined_energy,
)


def blob(x: float, y: float, side: int = 16, tokens: int = 8, words=((2, 1.0),), width: float = 0.1) -> torch.Tensor:
    """Attention (1, 2, pixels, tokens) of words around x, y."""
    ticks = (torch.arange(side) + 0.5) / side
    bump = torch.exp(-((ticks[None] - x) ** 2 + (ticks[:, None] - y) ** 2) / (2 * width**2)).flatten()
    maps = torch.full((1, 2, side * side, tokens), 1e-4)
    for at, height in words:
        maps[..., at] += height * bump
    return maps


def test_layout_agrees_with_the_published_one():
    numbers = load_file(REFERENCE)
    names = ("mid_0", "up_0", "up_1", "up_2")
    maps = [numbers[name][None].requires_grad_() for name in names]
    energy = layout_energy(maps, REGIONS)
    assert energy.item() == pytest.approx(numbers["energy"].item(), abs=1e-5)
    for name, gradient in zip(names, torch.autograd.grad(energy, maps), strict=True):
        assert torch.allclose(gradient[0], numbers[f"grad_{name}"], atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(
    "energy", [layout_energy, boxdiff_energy, centroid_energy, excite_energy, energies.combined_energy]
)
def test_an_energy_is_lower_in_the_box_and_its_gradient_leads_there(energy):
    region = [Region((0.1, 0.3, 0.4, 0.8), (2,))]
    inside, outside = [blob(0.25, 0.55)], [blob(0.7, 0.55).requires_grad_()]
    value = energy(outside, region)
    assert energy(inside, region) < 0.7 * value
    (gradient,) = torch.autograd.grad(value, outside[0])
    moved = (outside[0] - 0.05 * gradient / gradient.abs().max()).clamp(min=1e-6)
    assert energy([moved.detach()], region) < value


@pytest.mark.parametrize("energy", EVERY)
def test_rows_are_apart_and_add_up(energy):
    maps = torch.cat([blob(0.2, 0.5, words=((2, 1.0), (5, 0.3))), blob(0.8, 0.4, words=((5, 0.8), (6, 0.1)))])
    maps += 0.01 * torch.rand(maps.shape, generator=torch.Generator().manual_seed(0))  # no ties of maxima
    both = maps.clone().requires_grad_()
    value = energy([both], REGIONS)
    (gradient,) = torch.autograd.grad(value, both)
    for row in range(2):
        alone = maps[row : row + 1].clone().requires_grad_()
        assert torch.allclose(torch.autograd.grad(energy([alone], REGIONS), alone)[0], gradient[row : row + 1])
    singles = sum(energy([maps[row : row + 1]], REGIONS).item() for row in range(2))
    assert value.item() == pytest.approx(singles, rel=1e-5) and value.item() > 0


@pytest.mark.parametrize("energy", EVERY)
def test_attention_that_is_all_or_nothing_is_finite(energy):
    for maps in (torch.zeros(1, 2, 64, 8), torch.zeros(1, 2, 64, 8).index_fill_(2, torch.tensor([63]), 1.0)):
        maps.requires_grad_()
        value = energy([maps], REGIONS)
        (gradient,) = torch.autograd.grad(value, maps)
        assert value.isfinite() and gradient.isfinite().all()


def test_pictures_need_not_be_square():
    wide = torch.rand(1, 2, 8, 16, 8) * 0.01
    wide[:, :, 2:7, 1:7, 2] += 1  # rows, columns of an 8 x 16 map: inside of the first region
    region = [REGIONS[0]]
    assert layout_energy([wide.flatten(2, 3)], region, 2.0) < 0.1 < layout_energy([wide.flatten(2, 3)], region, 0.5)


def test_centroid_knows_x_from_y():
    tall = [Region((0.4, 0.0, 0.6, 0.4), (2,))]
    assert centroid_energy([blob(0.5, 0.2)], tall) < 0.1 < centroid_energy([blob(0.2, 0.5)], tall)


def test_leaking_is_the_share_in_the_others_region():
    where = [Region((0.0, 0.0, 0.5, 1.0), (2,)), Region((0.5, 0.0, 1.0, 1.0), (5,))]
    maps = torch.zeros(1, 1, 16, 8).unflatten(2, (4, 4))
    maps[..., 0, 2], maps[..., 3, 2] = 0.6, 0.2  # a quarter of the first word's leaks
    maps[..., 2, 5] = 1.0
    assert leak_energy([maps.flatten(2, 3)], where).item() == pytest.approx(0.125, abs=1e-3)  # mean of 1/4 and 0
    assert leak_energy([maps.flatten(2, 3)], where[:1]) == 0


def test_the_least_excited_word_counts():
    where = [Region((0.0, 0.0, 0.5, 1.0), (2,)), Region((0.5, 0.0, 1.0, 1.0), (5,))]
    maps = torch.zeros(1, 1, 16, 16, 8)
    maps[..., 4:12, 2:6, 2], maps[..., 4:12, 10:14, 5] = 0.9, 0.3
    assert excite_energy([maps.flatten(2, 3)], where).item() == pytest.approx(0.7, abs=1e-3)
