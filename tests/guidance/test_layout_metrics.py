"""Scores of two layouts: known answers."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_layout import LEFT, RIGHT, boxes

from guidance.boxes import generalized_iou, iou
from guidance.layout_metrics import compute_ltsim, compute_max_iou

layouts = st.lists(st.tuples(st.sampled_from("ab"), boxes()), max_size=4)
BOTH = (compute_max_iou, compute_ltsim)


@given(layouts, layouts)
@settings(max_examples=25)
def test_scores_are_symmetric_and_from_zero_to_one(first, second):
    for score in BOTH:
        assert -1e-9 <= score(first, second) <= 1 + 1e-9
        assert score(first, second) == pytest.approx(score(second, first), abs=1e-6)
        assert score(first, first[::-1]) == pytest.approx(1)  # their order does not matter


def test_half_an_overlap_is_a_third():
    assert compute_max_iou([("a", (0.0, 0.0, 0.4, 1.0))], [("a", (0.2, 0.0, 0.6, 1.0))]) == pytest.approx(1 / 3)


def test_things_of_one_word_are_matched_for_the_largest_overlap():
    assert compute_max_iou([("a", LEFT), ("a", RIGHT)], [("a", RIGHT), ("a", LEFT)]) == 1
    assert compute_max_iou([("a", LEFT), ("b", RIGHT)], [("a", RIGHT), ("b", LEFT)]) == 0
    assert compute_max_iou([("a", LEFT), ("b", RIGHT)], [("a", LEFT)]) == 0.5


def test_other_words_and_other_places_cost():
    assert compute_ltsim([("a", LEFT)], [("b", LEFT)]) == pytest.approx(math.exp(-0.5))
    near, far = (0.1, 0.2, 0.4, 0.7), RIGHT
    moved = [compute_ltsim([("a", LEFT)], [("a", box)]) for box in (LEFT, near, far)]
    assert moved[0] > moved[1] > moved[2] > math.exp(-0.5)
    assert compute_ltsim([("a", LEFT)], []) == pytest.approx(math.exp(-1))
    assert compute_max_iou([], [("a", LEFT)]) == 0


def test_ltsim_of_a_layout_with_a_thing_more():
    """By hand: half of the one thing's mass stays, at cost 0; half goes to another word at GIoU -0.6, at cost 0.9."""
    one, other = (0.0, 0.0, 0.2, 1.0), (0.8, 0.0, 1.0, 1.0)
    assert compute_ltsim([("a", one)], [("a", one), ("b", other)]) == pytest.approx(math.exp(-0.45))


def test_generalized_iou_is_below_zero_for_boxes_apart():
    assert iou(LEFT, RIGHT) == 0 and -1 < generalized_iou(LEFT, RIGHT) < 0
    assert generalized_iou((0.0, 0.0, 0.2, 1.0), (0.8, 0.0, 1.0, 1.0)) == pytest.approx(-0.6)
