"""Active spans of each source: its own, not those of sounds that leak into it."""

import numpy as np
import pytest

from spatial.activity import compute_power_shares, find_active_spans
from spatial.listening import listen
from spatial.scene import Direction, Scene, Source
from spatial.simulation import simulate

RATE = 16_000
TURNS = (1.0, 2.0), (3.0, 4.0)  # seconds in which either sounds


def noise(seed: int, first: float, last: float, low: float, high: float, seconds: float = 4.5) -> np.ndarray:
    """Noise of those Hz, for that time only, that comes and goes ten times a second."""
    random = np.random.default_rng(seed)
    frames = round(seconds * RATE)
    spectrum, hertz = np.fft.rfft(random.standard_normal(frames)), np.fft.rfftfreq(frames, 1 / RATE)
    band = np.fft.irfft(spectrum * np.exp(-(((hertz - (low + high) / 2) / (high - low)) ** 2)), frames)
    at = np.arange(frames) / RATE
    return 0.3 * band * (0.55 + 0.45 * np.sin(20 * np.pi * at)) * ((at >= first) & (at < last))


def two_in_turn(kind: str, rt60: float | None) -> Scene:
    sources = [(noise(1, *TURNS[0], 300, 2500), -38.0), (noise(2, *TURNS[1], 600, 4000), 24.0)]
    return listen(simulate(sources, kind, rate=RATE, rt60=rt60, seed=3), RATE, setup=kind, count=2)


@pytest.mark.parametrize(("kind", "rt60", "late"), [("panned", None, 0.1), ("ortf", None, 0.1), ("ortf", 0.3, 0.35)])
def test_two_sources_that_take_turns_are_active_in_turn(kind, rt60, late):
    left, right = sorted(two_in_turn(kind, rt60).sources, key=lambda one: one.direction.azimuth)
    for source, (first, last) in zip((left, right), TURNS, strict=True):
        ((start, stop),) = source.active
        assert start == pytest.approx(first, abs=0.1)
        assert last - 0.1 < stop < last + late


def test_a_soft_source_beside_a_loud_one_is_active():
    images = np.stack([[noise(1, 0, 4.5, 300, 2500)] * 2, [0.3 * noise(2, 1, 3, 600, 4000)] * 2])
    images[0, :, round(1.9 * RATE) : round(2.1 * RATE)] = 0  # a pause, in which it stands alone
    ((start, stop),) = find_active_spans(images[1, 0], RATE, compute_power_shares(images, RATE)[1])
    assert start == pytest.approx(1, abs=0.1) and stop == pytest.approx(3, abs=0.1)


def test_a_signal_of_leakage_only_keeps_its_best_span():
    images = np.stack([[noise(1, 0, 4.5, 300, 2500)] * 2, [0.3 * noise(2, 1, 2, 300, 2500)] * 2])
    assert len(find_active_spans(images[1, 0], RATE, compute_power_shares(images, RATE)[1])) == 1
    assert find_active_spans(np.zeros(0), RATE) == () and find_active_spans(np.zeros(500), RATE) == ()


def test_shares_sum_to_one():
    images = np.random.default_rng(4).standard_normal((3, 2, 5001))
    found = compute_power_shares(images, RATE)
    assert found.shape == (3, 16) and np.allclose(found.sum(axis=0), 1)


def test_a_scene_tells_who_sounds_when_and_where():
    signal = np.zeros(RATE, np.float32)
    moving = Source(signal, Direction(0.0), path=((0.0, -20.0), (1.0, 20.0)), active=((0.0, 0.4), (0.8, 1.0)))
    scene = Scene((moving, Source(signal, Direction(50.0), active=((0.3, 0.9),))), RATE, "xy")
    assert scene.at(0.25) == {0: pytest.approx(-10)} and scene.at(0.5) == {1: 50.0}
    assert scene.at(0.85) == {0: pytest.approx(14), 1: 50.0} and scene.at(1.0) == {}
