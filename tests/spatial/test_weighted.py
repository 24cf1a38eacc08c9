"""Directions of sounds of which it is known when and at which frequencies they are heard."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import butter, sosfilt

from spatial.scene import Direction, Scene
from spatial.simulation import simulation
from spatial.weighted import add_sources, localise_activities

RATE = 16_000
SPLIT = 1500.0  # Hz: one noise below, the other above
TIMES, HERTZ = np.arange(0.0, 2.0, 0.01), np.arange(50.0, 8000.0, 100.0)


@pytest.fixture(scope="module")
def two():
    """A loud rumble at -31 degrees and a hiss, 20 dB weaker, at 23."""
    random = np.random.default_rng(0)
    low, high = (
        sosfilt(butter(6, SPLIT, kind, fs=RATE, output="sos"), random.standard_normal(2 * RATE))
        for kind in ("lowpass", "highpass")
    )
    return simulation([(0.2 * low, -31.0), (0.02 * high, 23.0)], "ortf", rate=RATE, seed=4)


def activities():
    """(2, times, frequencies): of the rumble, and of the hiss."""
    low = np.repeat(HERTZ[None] < SPLIT, len(TIMES), axis=0).astype(float)
    return np.stack([low, 1 - low])


def test_each_activity_has_its_direction(two):
    found = localise_activities(two.recording, RATE, activities(), TIMES, HERTZ, setup="ortf")
    assert found == pytest.approx([-31, 23], abs=6)
    mirrored = localise_activities(two.recording[::-1].copy(), RATE, activities()[::-1], TIMES, HERTZ, setup="ortf")
    assert mirrored == pytest.approx([-23, 31], abs=6)


def test_one_activity_is_compared_with_the_whole_recording(two):
    (hiss,) = localise_activities(two.recording, RATE, activities()[1:], TIMES, HERTZ, setup="ortf")
    assert hiss == pytest.approx(23, abs=6)


def test_a_source_that_is_added_takes_its_part_of_the_others(two):
    alone = replace(two.scene.sources[0], direction=Direction(-31.0, 60.0), image=two.recording)
    scene = add_sources(Scene((alone,), RATE, "ortf"), [23.0])
    assert sorted(scene.azimuths) == [-31, 23] and scene.sources[0].level > scene.sources[1].level
    assert [source.direction.spread for source in scene.sources] == [0, 0]  # it was wide as it was two
    hiss = next(source for source in scene.sources if source.direction.azimuth == 23)
    assert np.corrcoef(hiss.signal, two.images[1].sum(axis=0))[0, 1] > 0.7
    assert np.abs(sum(source.image for source in scene.sources) - two.recording).max() < 1e-4
