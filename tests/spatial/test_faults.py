"""Late and inverted channels are noticed, and those of faultless recordings are not."""

import numpy as np
import pytest
from spatial_sounds import RATE, bursts

from spatial.faults import (
    align_channels,
    correlate_channels,
    find_late_channel,
    find_wide_delays,
    measure_polarity,
)
from spatial.listening import listen
from spatial.setups import make_setup
from spatial.simulation import simulate

SETUPS = ("panned", "xy", "ortf", "nos", "binaural", "spaced")


def delay(signal: np.ndarray, seconds: float) -> np.ndarray:
    """(left, right), the right channel that many seconds behind, or the left one where they are negative."""
    shift = round(abs(seconds) * RATE)
    pair = [signal, np.pad(signal, (shift, 0))[: len(signal)]]
    return np.stack(pair if seconds >= 0 else pair[::-1])


def record(setup: str, **room: float) -> np.ndarray:
    return simulate([(bursts(1, 1.5), -33.0), (bursts(2, 1.5), 21.0)], setup, rate=RATE, **room)


@pytest.mark.parametrize("late", [0.018, -0.031, 0.05])
@pytest.mark.parametrize("setup", ["panned", "ortf"])
def test_a_late_channel_is_noticed_and_aligned(setup: str, late: float) -> None:
    recording = record(setup, rt60=0.3)
    shift = round(abs(late) * RATE)
    faulty = recording.copy()
    side = int(late > 0)
    faulty[side] = np.pad(recording[side], (shift, 0))[: recording.shape[1]]
    found = find_late_channel(correlate_channels(faulty, RATE))
    assert found == pytest.approx(late, abs=0.0005)  # ORTF adds delays of its own
    rest = find_late_channel(correlate_channels(align_channels(faulty, RATE, found), RATE))
    assert rest is None


@pytest.mark.parametrize("setup", SETUPS)
def test_a_faultless_recording_has_no_fault_and_an_inverted_one_is_negative(setup: str) -> None:
    for room in ({}, {"rt60": 0.3}):
        correlation = correlate_channels(record(setup, **room), RATE)
        assert find_late_channel(correlation) is None and find_wide_delays(correlation) == []
        polarity = measure_polarity(correlation)
        inverted = record(setup, **room) * np.array([[1], [-1]], np.float32)
        assert polarity > 0.05
        assert measure_polarity(correlate_channels(inverted, RATE)) == pytest.approx(-polarity, abs=1e-3)


def test_an_engine_does_not_make_a_channel_late() -> None:
    """A sound of 40 Hz agrees with itself 25 milliseconds later."""
    engine = np.tile(np.r_[1, np.zeros(RATE // 40 - 1)], 80) + 0.01 * np.random.default_rng(1).standard_normal(
        RATE // 40 * 80
    )
    recording = simulate([(0.3 * engine, 24.0)], "ortf", rate=RATE)
    correlation = correlate_channels(recording, RATE)
    assert find_late_channel(correlation) is None and find_wide_delays(correlation) == []


def test_panning_by_time_is_one_delay_for_each_source() -> None:
    mix = delay(bursts(1, 2.0), 0.007) + delay(bursts(2, 2.0), -0.012)
    found = sorted(find_wide_delays(correlate_channels(mix, RATE)))
    assert [seconds for seconds, _ in found] == pytest.approx([-0.012, 0.007], abs=1e-4)
    assert max(height for _, height in found) == 1


def test_a_late_channel_of_a_mix_gets_a_note_and_the_directions_of_the_faultless_one() -> None:
    faulty = align_channels(record("panned"), RATE, -0.024)  # the left channel is ahead now
    scene = listen(faulty, RATE)
    assert any("right channel is 24 ms late" in note for note in scene.notes)
    assert scene.setup == "panned" and scene.confidence <= 0.6
    assert sorted(scene.azimuths) == pytest.approx(sorted(listen(record("panned"), RATE).azimuths), abs=3)


@pytest.mark.parametrize("seconds", [0.008, -0.013])
def test_a_source_panned_by_time_is_on_the_side_of_the_earlier_channel(seconds: float) -> None:
    scene = listen(delay(bursts(1, 2.0), seconds), RATE)
    (azimuth,) = scene.azimuths
    assert np.sign(azimuth) == -np.sign(seconds) and abs(azimuth) > 20
    assert scene.confidence <= 0.5 and any("panned by time" in note for note in scene.notes)


def test_a_given_spacing_explains_a_late_channel() -> None:
    recording = simulate([(bursts(1, 2.0), 50.0)], make_setup("spaced", spacing=9.0), rate=RATE)
    assert not listen(recording, RATE, setup="spaced", spacing=9.0).notes


def test_one_signal_in_opposition_is_mono() -> None:
    signal = bursts(1, 1.0)
    scene = listen(np.stack([signal, -signal]), RATE)
    assert scene.setup == "mono" and len(scene.sources) == 1
    assert "inverted polarity" in scene.notes[0]


def test_opposed_channels_of_different_levels_are_one_panned_source() -> None:
    signal = bursts(1, 2.0)
    scene = listen(np.stack([signal, -0.5 * signal]), RATE)
    assert scene.azimuths == pytest.approx([np.rad2deg(np.arctan(0.5)) - 45], abs=0.5)
    assert any("inverted polarity" in note for note in scene.notes)


@pytest.mark.parametrize("seconds", [0.022, 0.1])
def test_a_brief_recording_has_one_source_at_most_and_little_confidence(seconds: float) -> None:
    pair = [(bursts(1, 1.0, 0.0), -30.0), (bursts(2, 1.0, 0.0), 30.0)]
    scene = listen(simulate(pair, "panned", rate=RATE)[:, 3000 : 3000 + round(seconds * RATE)], RATE)
    assert len(scene.sources) <= 1 and scene.confidence <= 0.3
    assert all(source.direction.confidence <= 0.3 for source in scene.sources)
    assert any("too short" in note for note in scene.notes)
