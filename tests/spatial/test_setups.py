"""Steering vectors against numbers worked out by hand."""

import numpy as np
import pytest

from spatial.setups import make_setup, steering_vectors


def arrives(name: str, azimuth: float, frequency: float) -> tuple[float, float]:
    """How many times as loud the right channel is, and by how much it is ahead in radians."""
    left, right = steering_vectors(make_setup(name), azimuth, frequency)[0, 0]
    return abs(right / left), float(np.angle(right / left))


def test_the_nearer_microphone_is_louder_and_ahead():
    """Half a metre apart, the source two metres right of their middle: 2.25 m to the left one, 1.75 m to the right."""
    louder, ahead = arrives("spaced", 90.0, 200.0)
    assert louder == pytest.approx(2.25 / 1.75, rel=1e-5)
    assert ahead == pytest.approx(2 * np.pi * 200 * 0.5 / 343, rel=1e-5)


def test_the_nearer_ear_is_louder_and_ahead():
    """By the first row of `HEAD` at 90 degrees, where sin(2a) is 0 and sin(3a) is -1: 1.3 + 0 dB, 872 + 7 us."""
    louder, ahead = arrives("binaural", 90.0, 125.0)
    assert louder == pytest.approx(10 ** (1.3 / 20), rel=1e-5)
    assert ahead == pytest.approx(2 * np.pi * 125 * 879e-6, rel=1e-5)


def test_a_cardioid_hears_what_it_is_aimed_at():
    """xy, 45 degrees outwards: all of what is at 45 degrees, and half from 90 degrees off."""
    louder, ahead = arrives("xy", 45.0, 1000.0)
    assert louder == pytest.approx(2.0, rel=1e-5) and ahead == pytest.approx(0.0, abs=1e-6)


def test_the_side_channel_is_the_left():
    """Of mid-side: half of what comes from 90 degrees in the middle, all in the side, upside down from the right."""
    for azimuth, turned in ((-90.0, 0.0), (90.0, np.pi)):
        louder, ahead = arrives("ms", azimuth, 1000.0)
        assert louder == pytest.approx(2.0, rel=1e-5) and abs(ahead) == pytest.approx(turned, abs=1e-5)
