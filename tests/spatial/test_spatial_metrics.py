"""Scores of answers that are known to be right or wrong, and the numbers of the benchmark's own scorer."""

import json
import math
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatial import metrics
from spatial.errors import SpatialError
from spatial.scene import Direction, Scene, Source

FROZEN = json.loads((Path(__file__).parents[1] / "reference" / "spatial_scores.json").read_text())
TRUTH, FOUND = [-31.0, 4.0, 52.0], [47.0, 12.0, -29.5]  # errors 1.5, 8 and 5; 12 is no longer the centre


def scene(places, setup="ortf", images=None):
    def one(place, image=None):
        path = () if np.isscalar(place) else tuple(map(tuple, place))
        signal = np.zeros(4, np.float32) if image is None else image[0]
        return Source(signal, Direction(place if not path else 0.0), path=path, image=image)

    images = images if images is not None else [None] * len(places)
    return Scene(tuple(one(place, image) for place, image in zip(places, images, strict=True)), 44_100, setup)


def test_pairs_are_those_of_the_smallest_sum():
    assert metrics.pair(TRUTH, FOUND) == [(0, 2, 1.5), (1, 1, 8.0), (2, 0, 5.0)]
    assert metrics.pair([0.0, 9.0], [8.0, -20.0]) == [(0, 1, 20.0), (1, 0, 1.0)]  # the nearest first
    assert metrics.mean_error(TRUTH, FOUND) == pytest.approx(14.5 / 3)
    assert metrics.mean_error(TRUTH, [50.0]) == 2.0 and math.isnan(metrics.mean_error(TRUTH, []))


def test_a_perfect_answer_is_one():
    scores = metrics.evaluate(scene(TRUTH), scene(TRUTH[::-1]))
    assert scores.pop("error") == 0 and scores.pop("count_error") == 0
    assert scores == {"precision": 1, "recall": 1, "f": 1, "side": 1, "setup": 1}


def test_a_side_is_left_centre_or_right():
    assert [metrics.side(a) for a in (-10.1, -10, 0, 10, 10.1)] == [-1, 0, 0, 0, 1]
    assert metrics.side_accuracy(TRUTH, FOUND) == pytest.approx(2 / 3)
    assert metrics.side_accuracy(TRUTH, [-40.0]) == pytest.approx(1 / 3)
    assert metrics.side_accuracy([20.0], [-20.0]) == 0


def test_precision_is_of_the_found_and_recall_of_the_true():
    assert metrics.precision_recall_f([-30.0, 25.0], [-22.0, 36.0, 70.0]) == pytest.approx((1 / 3, 1 / 2, 2 / 5))
    assert metrics.precision_recall_f([25.0], [35.0]) == (1, 1, 1)
    assert metrics.precision_recall_f([25.0], []) == (0, 0, 0)
    assert metrics.count_error([25.0], [1.0, 2.0, 3.0]) == 2 and metrics.count_error([25.0], []) == -1


def test_moving_sources_are_compared_at_the_times_of_their_path():
    path = [(0.0, -40.0), (1.0, 0.0), (3.0, 20.0)]
    assert metrics.angular_error(path, [(0.0, -37.0), (3.0, 29.0)]) == pytest.approx((3 + 15 + 9) / 3)
    assert metrics.angular_error(path, 2.0) == pytest.approx((42 + 2 + 18) / 3)
    assert metrics.angular_error(2.0, path) == pytest.approx((42 + 2 + 18) / 3)
    assert metrics.direction_accuracy([path], [[(0.0, 1.0), (2.0, 5.0)]]) == 1
    assert metrics.direction_accuracy([path], [path[::-1][:1]]) == metrics.direction_accuracy([path], [3.0]) == 0
    assert metrics.direction_accuracy([path], [[(0.0, 5.0), (2.0, 1.0)]]) == 0


@pytest.mark.parametrize("case", FROZEN["scenes"])
def test_the_benchmarks_scorer_says_the_same(case):
    scores = metrics.evaluate(scene(case["true"], case["setup"][0]), scene(case["found"], case["setup"][1]))
    assert {name: scores[name] for name in case["scores"]} == pytest.approx(case["scores"])


def test_nothing_to_score_warns_and_is_zero():
    for score in (metrics.side_accuracy, metrics.direction_accuracy):
        with pytest.warns(UserWarning, match="There are no true (fixed|moving) sources"):
            assert score([], [3.0]) == 0
    with pytest.warns(UserWarning, match="There are no sources, true or estimated"):
        assert metrics.precision_recall_f([], []) == (0, 0, 0)


def test_si_sdr_of_a_known_mixture():
    random = np.random.default_rng(3)
    one, two = np.linalg.qr(random.standard_normal((4000, 2)))[0].T * 30
    assert metrics.si_sdr(one + 0.1 * two, one) == pytest.approx(20)
    assert metrics.si_sdr(-7 * (one + 0.1 * two), one) == pytest.approx(20)  # neither loudness nor polarity
    assert metrics.si_sdr(one, one) == 40 and metrics.si_sdr(two, one) == -30
    assert metrics.si_sdr(0 * one, one) == metrics.si_sdr(one, 0 * one) == -30


def test_improvement_is_over_the_mixture_in_the_louder_ear():
    random = np.random.default_rng(4)
    one, two, three = np.linalg.qr(random.standard_normal((4000, 3)))[0].T * 30
    images = np.stack([[one, 0.2 * one], [0.1 * two, 0.5 * two]])
    mixture = images.sum(axis=0)  # left: 20 dB; right: two against one 0.5 / 0.2
    before = 20 * np.log10(0.5 / 0.2)
    stems = [two + 0.01 * three, np.stack([one + 0.03 * three, one + three])]
    (first, gain), (second, other) = metrics.si_sdr_improvement(stems, images, mixture)
    assert (first, gain) == pytest.approx((-20 * np.log10(0.03), -20 * np.log10(0.03) - 20))
    assert (second, other) == pytest.approx((40, 40 - before))
    assert metrics.si_sdr_improvement([one, 0 * two], images, mixture)[1] == pytest.approx((before, 0))
    assert metrics.si_sdr_improvement([], images, mixture) == [(pytest.approx(20), 0), (pytest.approx(before), 0)]


def test_evaluate_takes_the_images_as_stems():
    random = np.random.default_rng(5)
    images = random.standard_normal((2, 2, 500))
    scores = metrics.evaluate(
        scene([-20.0, 20.0], images=images), scene([20.0, -20.0], images=images[::-1]), images.sum(0)
    )
    assert scores["si_sdr"] == 40 and scores["si_sdr_improvement"] > 30
    assert "si_sdr" not in metrics.evaluate(scene([-20.0, 20.0]), scene([1.0]), images.sum(0))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-90, 90), max_size=4), st.lists(st.floats(-90, 90), max_size=4))
def test_pairing_is_the_best_of_all_and_has_no_order(truth, estimate):
    found = sum(error for _, _, error in metrics.pair(truth, estimate))
    few, many = sorted((truth, estimate), key=len)
    sums = [sum(abs(a - b) for a, b in zip(few, some, strict=True)) for some in permutations(many, len(few))]
    assert found == pytest.approx(min(sums), abs=1e-9)
    assert found == pytest.approx(sum(error for _, _, error in metrics.pair(estimate[::-1], truth)), abs=1e-9)


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: metrics.pair([math.nan], [3.0]), "place that is not a number"),
        (lambda: metrics.si_sdr(np.zeros(4), np.zeros(5)), r"signals \(4,\) and \(5,\), expected two of \(frames,\)"),
        (lambda: metrics.si_sdr(np.zeros((2, 4)), np.zeros((2, 4))), r"expected two of \(frames,\)"),
        (
            lambda: metrics.si_sdr_improvement([], np.zeros((1, 2, 4)), np.zeros((2, 5))),
            r"images \(1, 2, 4\) for a mix",
        ),
    ],
)
def test_invalid_input_is_refused(act, words):
    with pytest.raises(SpatialError, match=words):
        act()
