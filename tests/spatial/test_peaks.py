"""Peaks of a curve whose place is known."""

import numpy as np
import pytest

from spatial.peaks import find_local_maxima, interpolate_peak


def test_a_peak_leans_to_its_higher_neighbour():
    assert interpolate_peak(np.array([0.0, 1.0, 0.5]), 1) == pytest.approx(1 / 6)
    assert interpolate_peak(np.array([0.5, 1.0, 0.0]), 1) == pytest.approx(-1 / 6)


def test_local_maxima_include_plateaus_and_ends():
    maxima = find_local_maxima(np.array([2.0, 1.0, 3.0, 3.0, 0.5, 1.0]))
    assert maxima.tolist() == [True, False, True, True, False, True]
