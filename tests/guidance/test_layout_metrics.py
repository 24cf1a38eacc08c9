"""Scores of two layouts: known answers."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_layout import LEFT, RIGHT, boxes

from guidance.boxes import generalized_iou, iou
from guidance.layout_metrics import compute_max_iou, compute_transport_similarity

layouts = st.lists(st.tuples(st.sampled_from("ab"), boxes()), max_size=4)
BOTH = (compute_max_iou, compute_transport_similarity)


@given(layouts, layouts)
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
    assert compute_transport_similarity([("a", LEFT)], [("b", LEFT)]) == pytest.approx(math.exp(-1))
    near, far = (0.1, 0.2, 0.4, 0.7), RIGHT
    moved = [compute_transport_similarity([("a", LEFT)], [("a", box)]) for box in (LEFT, near, far)]
    assert moved[0] > moved[1] > moved[2] > math.exp(-1)
    assert compute_transport_similarity([("a", LEFT)], []) == 0 == compute_max_iou([], [("a", LEFT)])


def test_generalized_iou_is_below_zero_for_boxes_apart():
    assert iou(LEFT, RIGHT) == 0 and -1 < generalized_iou(LEFT, RIGHT) < 0
    assert generalized_iou((0.0, 0.0, 0.2, 1.0), (0.8, 0.0, 1.0, 1.0)) == pytest.approx(-0.6)
