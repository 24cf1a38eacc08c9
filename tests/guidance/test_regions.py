"""Boxes on grids, and what was seen in them."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from guidance.errors import RegionError
from guidance.metrics import Detection, Placement, average_placements, iou, is_related, measure_placement, visor
from guidance.regions import Region, map_shape

LEFT, RIGHT = (0.05, 0.2, 0.45, 0.9), (0.55, 0.1, 0.95, 0.8)


def test_a_mask_is_the_published_one():
    mask = Region(LEFT, (2,)).mask(8, 10)
    wanted = torch.zeros(8, 10)
    wanted[1:7, 0:4] = 1  # int(0.2 * 8) .. int(0.9 * 8), int(0.05 * 10) .. int(0.45 * 10)
    assert torch.equal(mask, wanted)


edges = st.tuples(*[st.floats(0, 1)] * 4)


@given(edges, st.integers(1, 9), st.integers(1, 9))
def test_no_mask_is_ever_empty(edges, h, w):
    x0, x1 = sorted(edges[:2])
    y0, y1 = sorted(edges[2:])
    if x1 - x0 < 1e-6 or y1 - y0 < 1e-6:
        return
    region = Region((x0, y0, x1, y1), (1,))
    mask, cover = region.mask(h, w), region.cover(h, w)
    assert mask.shape == cover.shape == (h, w) and mask.sum() >= 1 and cover.sum() > 0
    assert cover.mean().item() == pytest.approx((x1 - x0) * (y1 - y0), abs=1e-5)


def test_cover_of_a_mirrored_box_is_mirrored():
    x0, y0, x1, y1 = LEFT
    cover, mirrored = Region(LEFT, (1,)).cover(7, 16), Region((1 - x1, y0, 1 - x0, y1), (1,)).cover(7, 16)
    assert torch.allclose(cover.flip(1), mirrored, atol=1e-6) and not torch.allclose(cover, mirrored)


@pytest.mark.parametrize(
    ("box", "positions", "words"),
    [
        ((0.5, 0, 0.5, 1), (1,), "x0 < x1"),
        ((0, 0.9, 1, 0.1), (1,), "y0 < y1"),
        ((-0.1, 0, 1, 1), (1,), "from 0 to 1"),
        ((0, 0, float("nan"), 1), (1,), "four numbers"),
        ((0, 0, 1, 1), (), "one or more tokens"),
        ((0, 0, 1, 1), (-1,), "from 0"),
        (None, (1,), "expected four numbers"),
        ("abcd", (1,), "expected four numbers"),
        ((0, 0, 1, 1j), (1,), "expected four numbers"),
        ((0, 0, 1, 1), None, "whole numbers"),
        ((0, 0, 1, 1), (1.5,), "whole numbers"),
        ((0, 0, 1, 1), (math.nan,), "whole numbers"),
    ],
)
def test_what_cannot_be_aimed_at_is_a_sentence(box, positions, words):
    with pytest.raises(RegionError, match=words):
        Region(box, positions)


@pytest.mark.parametrize(("pixels", "aspect", "shape"), [(256, 1, (16, 16)), (24, 1.5, (4, 6)), (96, 2 / 3, (12, 8))])
def test_the_shape_of_a_map(pixels, aspect, shape):
    assert map_shape(pixels, aspect) == shape


DOG = Detection("dog", (0.3, 0.5), (0.1, 0.2, 0.5, 0.8), 0.2)


def test_what_is_in_place_scores_one():
    (perfect,) = measure_placement(
        [Region((0.1, 0.2, 0.5, 0.8), (1,), "dog")], [DOG, Detection("dog", (0.9, 0.9), None, 0.1)]
    )
    assert perfect == Placement(True, True, True, 0.0, 1.0)
    scores = average_placements([[perfect], [perfect]])
    assert (scores.present, scores.all_side, scores.error, scores.iou, scores.pictures) == (1, 1, 0, 1, 2)


def test_what_is_elsewhere_or_absent_scores_less():
    regions = [Region((0.6, 0.2, 0.9, 0.8), (1,), "dog"), Region((0.1, 0.2, 0.4, 0.8), (2,), "cat")]
    wrong, absent = measure_placement(regions, [DOG])
    assert wrong.present and not wrong.side and not wrong.near and wrong.error == pytest.approx(0.45)
    assert absent == Placement(False, False, False, 1.0, 0.0)
    scores = average_placements([[wrong, absent], measure_placement(regions[:1], [Detection("dog", (0.7, 0.5))])])
    assert scores.present == pytest.approx(2 / 3) and scores.all_present == 0.5 and scores.all_side == 0.5
    with pytest.warns(UserWarning, match="nothing to score"):
        assert average_placements([]).all_side == 0


def test_overlap_of_boxes():
    assert iou((0, 0, 0.5, 1), (0.25, 0, 0.75, 1)) == pytest.approx(1 / 3)
    assert iou((0, 0, 0.4, 1), (0.5, 0, 1, 1)) == 0


def test_visor_of_pairs():
    cat = Detection("cat", (0.8, 0.1))
    got = visor([(DOG, cat, "left"), (DOG, cat, "right"), (DOG, None, "left"), (DOG, cat, "below")])
    assert (got.object_accuracy, got.unconditional, got.conditional) == (0.75, 0.5, 2 / 3)
    with pytest.raises(ValueError, match="expected one of left"):
        is_related(DOG.centre, cat.centre, "beside")
