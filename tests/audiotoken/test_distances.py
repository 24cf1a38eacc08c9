"""Distances between sets of pictures have known answers."""

import numpy as np
import pytest

from audiotoken.distances import kernel_distance, precision_recall
from audiotoken.errors import MetricError


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_kernel_distance_is_the_formula():
    """Worked out by hand: d = 1, kernel (xy + 1)^3."""
    assert kernel_distance([[0.0], [1.0]], [[2.0], [3.0]]) == pytest.approx(1 + 7**3 - 2 * (1 + 1 + 27 + 64) / 4)


def test_kernel_distance_has_no_bias_for_few_pictures(rng):
    same = [kernel_distance(rng.normal(size=(10, 8)), rng.normal(size=(14, 8))) for _ in range(60)]
    assert abs(np.mean(same)) < 0.5 * np.std(same)
    assert kernel_distance(rng.normal(size=(40, 8)), rng.normal(size=(40, 8)) + 1) > 3


def test_precision_falls_with_bad_pictures_and_recall_with_missing_ones(rng):
    real = rng.normal(size=(60, 3))
    assert precision_recall(real, real) == (1.0, 1.0)
    half_bad = np.concatenate([real[:30], 50 + rng.normal(size=(30, 3))])
    assert precision_recall(half_bad, real).precision == pytest.approx(0.5)
    two = np.concatenate([real, 50 + rng.normal(size=(60, 3))])  # two kinds of pictures, of which one is never drawn
    lacking = precision_recall(rng.normal(size=(120, 3)), two)
    assert lacking.precision > 0.75 and 0.35 < lacking.recall <= 0.5


def test_what_cannot_be_compared_is_a_sentence(rng):
    with pytest.raises(MetricError, match="at least 4 rows"):
        precision_recall(rng.normal(size=(3, 2)), rng.normal(size=(9, 2)))
    with pytest.raises(MetricError, match="one width"):
        kernel_distance(rng.normal(size=(9, 2)), rng.normal(size=(9, 3)))
