"""Signals that come and go together, by construction."""

import numpy as np
import pytest

from spatial.comodulation import measure_comodulation

RATE = 16_000


@pytest.fixture(scope="module")
def swelling():
    """Three noises of one colour, each louder and softer at its own times."""
    random = np.random.default_rng(3)
    levels = np.repeat(10 ** random.uniform(-2, 0, (3, 40)), 800, axis=1)
    return levels * random.normal(size=levels.shape)


def test_one_signal_heard_twice(swelling):
    found = measure_comodulation(np.stack([swelling[0], 0.1 * np.roll(swelling[0], 3), -swelling[0]]), RATE)
    assert np.allclose(found, found.T) and (found > 0.95).all() and np.allclose(found.diagonal(), 1)


def test_two_sounds_of_a_kind_are_not_one_but_a_remainder_of_one_in_the_other_shows(swelling):
    apart = measure_comodulation(swelling, RATE)
    assert np.abs(apart[np.triu_indices(3, 1)]).max() < 0.35
    leaks = [
        measure_comodulation(np.stack([swelling[0], swelling[1] + k * swelling[0]]), RATE)[0, 1] for k in (0, 0.5, 2)
    ]
    assert leaks[0] < leaks[1] < leaks[2] and leaks[2] > 0.6


def test_one_colour_is_nothing_in_common():
    """Steady noises of one spectrum have bands alike, and no moments."""
    noise = np.cumsum(np.random.default_rng(0).normal(size=(2, RATE)), axis=1)
    assert abs(measure_comodulation(noise, RATE)[0, 1]) < 0.3


@pytest.mark.parametrize("rate", [8000, 22_050, 48_000])
def test_silence_and_any_rate(rate):
    noise = np.random.default_rng(0).normal(size=(2, rate // 4)).astype(np.float32)
    found = measure_comodulation(np.stack([noise[0], 0 * noise[0], noise[1]]), rate)
    assert np.isfinite(found).all() and (np.abs(found[1]) < 1e-3).all() and found[0, 0] == pytest.approx(1, abs=1e-3)
    assert measure_comodulation(noise[:, :10], rate).shape == (2, 2)
