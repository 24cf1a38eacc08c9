"""Energies, bias and guidance against numbers worked out by hand, so that a missing term is noticed."""

import pytest
import torch

from audiotoken.debug import debug_pipeline
from guidance import Backbone, Guidance, Region, Schedule, sample
from guidance.energies import (
    boxdiff_energy,
    centroid_energy,
    combined_energy,
    layout_energy,
    leak_energy,
    ownership_energy,
)
from guidance.steering import steer

LEFT, RIGHT = Region((0.0, 0.0, 0.5, 1.0), (2,)), Region((0.5, 0.0, 1.0, 1.0), (5,))


def attention(side: int = 4, **words: list[tuple]) -> list[torch.Tensor]:
    """One layer of one head; (rows, columns, value) on a side x side grid for tokens 2 and 5, 0 elsewhere."""
    maps = torch.zeros(1, 1, side, side, 8)
    for word, places in words.items():
        for rows, columns, value in places:
            maps[0, 0, rows, columns, {"two": 2, "five": 5}[word]] = value
    return [maps.flatten(2, 3)]


ALL = slice(None)


def test_boxdiff_is_inner_and_outer_box_and_corners():
    """1.0 in the first cell of the box, 0.5 in the last cell of the picture.

    Inner box: 1 - the largest of four, 0. Outer box: the mean of the largest two of twelve, 0.25. Corners: the columns'
    largest are 1 0 0 0.5 where 1 1 0 0 is wanted; at the box's edge (the middle two) they are off by 1 and 0.
    """
    box = [Region((0.0, 0.0, 0.5, 0.5), (2,))]
    maps = attention(two=[(0, 0, 1.0), (3, 3, 0.5)])
    assert boxdiff_energy(maps, box).item() == pytest.approx(0.0 + 0.25 + 0.5, abs=1e-4)


def test_centroid_allows_the_variance_of_an_evenly_filled_box():
    """The first and last of eight columns: variance 0.4375^2; an even box half as wide as the picture: 0.5^2 / 12."""
    maps = attention(8, two=[(ALL, 0, 1.0), (ALL, 7, 1.0)])
    energy = centroid_energy(maps, [Region((0.25, 0.0, 0.75, 1.0), (2,))])
    assert energy.item() == pytest.approx(4 * (0.19140625 - 0.0208333), abs=1e-4)


def test_attention_where_regions_overlap_is_no_leak():
    wide = [Region((0.0, 0.0, 0.75, 1.0), (2,)), RIGHT]
    maps = attention(two=[(ALL, 0, 0.6), (ALL, 2, 0.3), (ALL, 3, 0.1)], five=[(ALL, 2, 1.0)])
    assert leak_energy(maps, wide).item() == pytest.approx(0.05, abs=1e-4)  # 0.1 of one word, nothing of the other


def test_ownership_is_the_share_of_other_words_in_a_region():
    """The second word everywhere, the first in its region only, of which it has half."""
    maps = attention(two=[(ALL, slice(0, 2), 1.0)], five=[(ALL, ALL, 1.0)])
    assert ownership_energy(maps, [LEFT, RIGHT]).item() == pytest.approx(0.25, abs=1e-4)


def test_combined_is_layout_half_of_ownership_and_centroids():
    """A quarter of the first word is in the third column, in the other's box; the second is in the last column."""
    maps = attention(two=[(ALL, 0, 0.75), (ALL, 2, 0.25)], five=[(ALL, 3, 1.0)])
    layout = 0.25**2 / 2
    own = (0.5 + 0.5) / 2  # each has one of the two columns of its box
    first = 4 * (0.75 * 0.125**2 + 0.25 * 0.375**2 - 0.5**2 / 12)  # in the middle, but too wide
    second = 4 * 0.125**2  # a cell's half too far right
    assert combined_energy(maps, [LEFT, RIGHT]).item() == pytest.approx(
        layout + own / 2 + (first + second) / 2, abs=1e-3
    )


@pytest.fixture(scope="module")
def pipe():
    return debug_pipeline()


def test_bias_is_towards_the_box_in_the_conditional_half_only(pipe):
    guidance, (prompt,) = Guidance(None, schedule=Schedule(0.0, bias=3.0, bias_steps=1.0)), pipe.encode_prompts("a dog")
    backbone, regions = Backbone.from_pipe(pipe), [[Region((0.0, 0.0, 0.25, 0.5), (2,))]]
    conditioning = backbone.prepare_conditioning([prompt], None, 3.0, (32, 32))
    with steer(backbone, conditioning, regions, guidance, 1.0) as steering, steering.bias.on(True, both_halves=True):
        unconditional, conditional = steering.bias(16)  # (pixels, tokens) of either half
    wanted = torch.full((4, 4), -3.0)
    wanted[:2, 0] = 3.0
    assert torch.equal(conditional[:, 2].view(4, 4), wanted)
    assert not unconditional.any() and not conditional[:, [0, 1, 3]].any()


def test_an_energy_without_strength_draws_the_plain_picture(pipe):
    """Its two halves of a step run apart, and must combine to the same guidance."""
    (prompt,) = pipe.encode_prompts("a dog and a frog")
    idle = Guidance(layout_energy, "early", Schedule(1.0, inner=0, after_step=True, strength=0.0, stop_below=0.0))
    options = {"num_inference_steps": 4, "seed": 3, "guidance_scale": 7.5}
    drawn = sample(pipe, prompt, regions=[LEFT], energy=idle, **options)
    plain = sample(pipe, prompt, **options)
    other = sample(pipe, prompt, **(options | {"guidance_scale": 2.0}))
    assert torch.allclose(drawn.latents, plain.latents, atol=1e-4)
    assert not torch.allclose(other.latents, plain.latents, atol=1e-2)
