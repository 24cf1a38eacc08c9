"""Late and inverted channels are noticed, and those of faultless recordings are not."""

from functools import cache

import numpy as np
import pytest
from spatial_sounds import RATE, bursts

from spatial.analysis import Analysis, analyse
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


@cache
def record(setup: str, **room: float) -> np.ndarray:
    """Two sources; simulated once, so nobody may write into it."""
    recording = simulate([(bursts(1, 1.5), -33.0), (bursts(2, 1.5), 21.0)], setup, rate=RATE, **room)
    recording.flags.writeable = False
    return recording


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
        recording = record(setup, **room)
        correlation = correlate_channels(recording, RATE)
        assert find_late_channel(correlation) is None and find_wide_delays(correlation) == []
        polarity = measure_polarity(correlation)
        inverted = recording * np.array([[1], [-1]], np.float32)
        assert polarity > 0.05
        assert measure_polarity(correlate_channels(inverted, RATE)) == pytest.approx(-polarity, abs=1e-3)


def analyse_alone(recording: np.ndarray) -> Analysis:
    return analyse(recording.astype(np.float32), RATE, "auto", None, ())


@pytest.mark.parametrize(
    ("setup", "rt60"), [("panned", None), ("panned", 0.3), ("xy", 0.3), ("ortf", 0.3), ("nos", 0.3), ("spaced", 0.3)]
)
def test_an_inverted_channel_is_inverted_back_at_a_desk_and_in_rooms(setup: str, rt60: float | None) -> None:
    recording = simulate([(bursts(3, 2.0), -33.0), (bursts(4, 2.0), 21.0)], setup, rate=RATE, rt60=rt60)
    faultless, inverted = analyse_alone(recording), analyse_alone(recording * [[1], [-1]])
    assert inverted.notes[0] == "One channel has inverted polarity; it was inverted back." and not faultless.notes
    assert inverted.setup == faultless.setup
    assert np.array_equal(np.abs(inverted.recording), np.abs(faultless.recording))
    assert (inverted.recording[0] * inverted.recording[1] == recording[0] * recording[1]).all()


@pytest.mark.parametrize("rt60", [None, 0.3])
def test_channels_of_opposite_polarity_may_be_mid_side(rt60: float | None) -> None:
    recording = simulate([(bursts(3, 2.0), -35.0), (bursts(4, 2.0), 63.0)], "ms", rate=RATE, rt60=rt60)
    for faultless in (recording, recording * [[1], [-1]]):  # the other way round it is the mirror image
        analysis = analyse_alone(faultless)
        assert analysis.setup.name == "ms" and not analysis.notes
    upside_down = bursts(3, 2.0) + 0.001 * np.random.default_rng(1).standard_normal((2, 2 * RATE))
    assert "mid-side" not in " ".join(analyse_alone(upside_down).notes)
    found = analyse_alone(upside_down * [[1], [-1]])
    assert found.setup.name == "panned" and "inverted polarity" in found.notes[0]


@pytest.mark.parametrize(("setup", "quiet"), [("nos", 0), ("binaural", 1), ("spaced", 0)])
def test_a_quiet_channel_is_raised_where_delays_show_it(setup: str, quiet: int) -> None:
    recording = record(setup) * np.where(np.arange(2) == quiet, 0.1, 1)[:, None]
    scene = listen(recording, RATE)
    assert f"{('left', 'right')[quiet]} channel is far quieter than the other; it was raised" in scene.notes[0]
    assert sorted(scene.azimuths) == pytest.approx([-33, 21], abs=6)
    assert scene.confidence <= 0.3 and all(source.direction.confidence <= 0.3 for source in scene.sources)


def test_at_a_desk_a_quiet_channel_may_be_meant() -> None:
    scene = listen(simulate([(bursts(1, 2.0), -41.0)], "panned", rate=RATE), RATE)
    assert scene.azimuths == pytest.approx([-41], abs=0.5)
    assert any("right channel is far quieter" in note and "if that is a fault" in note for note in scene.notes)
    assert not analyse_alone(simulate([(bursts(1, 2.0), -31.0)], "panned", rate=RATE)).notes


def test_a_source_far_to_one_side_is_not_a_quiet_channel() -> None:
    analysis = analyse_alone(simulate([(bursts(1, 2.0), 83.0)], "ortf", rate=RATE))
    assert analysis.setup.name == "ortf" and not any("raised" in note for note in analysis.notes)


def test_a_quiet_side_channel_is_no_fault() -> None:
    scene = [(bursts(3, 2.0), -6.0), (bursts(4, 2.0), 9.0)]
    assert not analyse(simulate(scene, "ms", rate=RATE), RATE, "ms", None, ()).notes


def test_noise_has_no_polarity() -> None:
    noise = np.random.default_rng(4).standard_normal((2, 2 * RATE)).astype(np.float32)
    assert measure_polarity(correlate_channels(noise, RATE)) == 0


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
    assert all(source.direction.confidence <= 0.6 for source in scene.sources)
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
