"""Delays, levels, coherence and reverberation of simulated recordings."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatial.activity import find_active_spans
from spatial.errors import SpatialError
from spatial.scene import Direction, Scene, Source
from spatial.setups import NAMES, SPEED_OF_SOUND, diffuse_covariance, make_setup, steering_vectors
from spatial.simulation import simulate, simulation

RATE = 16_000
NOISE = (0.1 * np.random.default_rng(8).standard_normal(RATE)).astype(np.float32)
BANDS = np.array([300.0, 500, 900, 1400, 2200, 3500])


def ratio(recording, frequencies=BANDS, rate=RATE):
    """Right over left, complex, averaged in 25 Hz either side of each frequency."""
    left, right = np.fft.rfft(recording * np.hanning(recording.shape[1]))
    near = np.abs(np.fft.rfftfreq(recording.shape[1], 1 / rate) - frequencies[:, None]) <= 25
    return (near @ (right * left.conj())) / (near @ np.abs(left) ** 2)


def decibels(recording):
    power = np.square(recording, dtype=float).sum(axis=-1)
    return 10 * np.log10(power[1] / power[0])


def lag(recording, rate=RATE):
    """Microseconds by which the right channel is ahead, by the slope of the phase up to 1200 Hz."""
    frequencies = np.arange(100.0, 1200, 50)
    phase = np.unwrap(np.angle(ratio(recording, frequencies, rate)))
    return np.polyfit(frequencies, phase, 1)[0] / (2 * np.pi) * 1e6


@pytest.mark.parametrize("name", NAMES)
def test_every_setup_records_what_its_steering_says(name):
    stereo = make_setup(name)
    found = ratio(simulate([(NOISE, 31.0)], name, rate=RATE))
    left, right = steering_vectors(stereo, 31.0, BANDS)[0].T
    error = found / (right / left)
    delay = 0.02 * stereo.spacing / SPEED_OF_SOUND  # the source is near, the steering's far: it grows with the spacing
    assert np.abs(20 * np.log10(np.abs(error))).max() < 0.02 + 2.5 * stereo.spacing
    assert (np.abs(np.angle(error)) < 2 * np.pi * BANDS * delay + 0.03).all()


@pytest.mark.parametrize(
    ("law", "decibel"), [("power", 20 * np.log10(np.tan(np.deg2rad(76)))), ("-6dB", 20 * np.log10(76 / 14))]
)
def test_31_degrees_between_the_loudspeakers(law, decibel):
    recording = simulate([(NOISE, 31.0)], make_setup("panned", law=law), rate=RATE)
    assert decibels(recording) == pytest.approx(decibel, abs=1e-3)
    assert np.corrcoef(recording)[0, 1] == pytest.approx(1)


def test_31_degrees_between_two_microphones():
    assert lag(simulate([(NOISE, 31.0)], "spaced", rate=RATE)) == pytest.approx(
        500_000 / 343 * np.sin(np.deg2rad(31)), rel=0.02
    )
    assert lag(simulate([(NOISE, -31.0)], "ortf", rate=RATE)) == pytest.approx(-255.3, abs=3)
    cardioids = [0.5 + 0.5 * np.cos(np.deg2rad(31 - aim)) for aim in (-45, 45)]
    assert decibels(simulate([(NOISE, 31.0)], "xy", rate=RATE)) == pytest.approx(
        20 * np.log10(cardioids[1] / cardioids[0]), abs=0.02
    )


def test_mid_and_side_are_what_they_are_named():
    middle, side = simulate([(NOISE, -31.0)], "ms", rate=RATE)
    assert np.corrcoef(middle, side)[0, 1] > 0.999  # what is left is positive in the side channel
    assert simulate([(NOISE, 0.0)], "ms", rate=RATE)[1] == pytest.approx(0, abs=1e-6)
    assert simulate([(NOISE, 90.0)], "ms", rate=RATE)[1].std() > simulate([(NOISE, 90.0)], "ms", rate=RATE)[0].std()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "ms"])
def test_the_mirrored_source_is_the_mirrored_recording(name):
    right, left = (simulate([(NOISE[:4000], a)], name, rate=RATE, seed=2) for a in (23.0, -23.0))
    if name == "binaural":  # the left ear has phase 0 there: compare what tells the sides apart
        assert ratio(right) == pytest.approx(1 / ratio(left), rel=0.02)
    else:
        assert right == pytest.approx(left[::-1], abs=2e-4)


@pytest.mark.parametrize("name", NAMES)
def test_power_and_start_are_those_of_the_signal(name):
    click = np.zeros(2000)
    click[700:710] = 0.3
    recording = simulate([(click, -14.0)], name, rate=RATE)
    assert np.square(recording).sum() == pytest.approx(np.square(click).sum(), rel=0.01)
    starts = [np.flatnonzero(np.abs(each) > 0.3 * np.abs(each).max())[0] for each in recording]
    assert min(abs(start - 700) for start in starts) <= 10 and recording.shape == (2, 2000)


def test_the_truth_is_in_the_order_given():
    short = np.append(np.zeros(2000), NOISE[:4000])
    made = simulation([(short, 35.0), (NOISE, -20.0)], "ortf", rate=RATE, rt60=0.25, snr=15, seed=3)
    assert isinstance(made.scene, Scene) and made.scene.azimuths == [35.0, -20.0] and made.scene.spacing == 0.17
    assert made.images.shape == made.direct.shape == (2, 2, RATE) and made.recording.dtype == np.float32
    assert made.recording == pytest.approx(made.images.sum(axis=0) + made.noise, abs=1e-6)
    first, second = made.scene.sources
    assert np.array_equal(first.image, made.images[0]) and first.signal[:6000] == pytest.approx(short, abs=1e-6)
    assert first.active == ((pytest.approx(0.12, abs=0.02), pytest.approx(0.375, abs=0.02)),) and not first.moves
    assert second.level == pytest.approx(-20, abs=0.2) and first.level == pytest.approx(-20, abs=0.4)
    assert decibels(made.direct[0]) > 3 and decibels(made.direct[1]) < -2


def test_sources_add_up_and_may_be_sources():
    given_again = Source(NOISE, Direction(-20.0))
    both = simulate([(NOISE[::-1], 35.0), given_again], "panned", rate=RATE)
    one, two = simulate([(NOISE[::-1], 35.0)], "panned", rate=RATE), simulate([(NOISE, -20.0)], "panned", rate=RATE)
    assert both == pytest.approx(one + two, abs=1e-6)


def test_only_what_would_clip_is_lowered():
    loud = simulation([(40 * NOISE, 10.0), (NOISE, -31.0)], "panned", rate=RATE)
    assert np.abs(loud.recording).max() == pytest.approx(1) and loud.recording == pytest.approx(
        loud.images.sum(0), abs=1e-6
    )
    assert np.square(loud.images[0]).sum() / np.square(loud.images[1]).sum() == pytest.approx(1600, rel=1e-3)
    assert np.square(loud.scene.sources[0].signal).sum() == pytest.approx(np.square(loud.images[0]).sum(), rel=1e-3)


@pytest.mark.parametrize("name", ["panned", "ortf", "binaural"])
def test_rooms_ring_for_as_long_as_said(name):
    click = np.zeros(RATE // 2)
    click[100] = 0.5
    made = simulation([(click, 31.0)], name, rate=RATE, rt60=0.3, seed=1)
    early, tail = made.direct[0], (made.images - made.direct)[0]
    assert decibels(early) == pytest.approx(decibels(simulate([(click, 31.0)], name, rate=RATE, seed=1)), abs=0.1)
    left = 10 * np.log10(np.cumsum(np.square(tail, dtype=float).sum(axis=0)[::-1])[::-1] + 1e-30)
    slope = np.polyfit(np.arange(1000, 3000) / RATE, left[1100:3100], 1)[0]  # Schroeder, 0.06 to 0.19 s after the click
    assert -60 / slope == pytest.approx(0.3, rel=0.35)
    assert abs(np.corrcoef(tail[:, 1500:])[0, 1]) < (0.1 if name == "panned" else 0.6)


@pytest.mark.parametrize("name", ["panned", "spaced", "ortf", "binaural"])
def test_noise_is_as_far_below_as_said_and_comes_from_everywhere(name):
    made = simulation([(NOISE, 31.0)] * 2, name, rate=RATE, snr=13.0, seed=4)
    powers = [np.square(each, dtype=float).mean() for each in (made.images.sum(axis=0), made.noise)]
    assert 10 * np.log10(powers[0] / powers[1]) == pytest.approx(13, abs=0.01)
    frequencies = np.array([150.0, 240, 500, 1100, 2100])
    long = simulation([(np.tile(NOISE, 12), 0.0)], name, rate=RATE, snr=0.0, seed=5).noise
    left, right = np.fft.rfft(long)
    near = np.abs(np.fft.rfftfreq(long.shape[1], 1 / RATE) - frequencies[:, None]) < 30
    coherence = near @ (left.conj() * right) / np.sqrt((near @ np.abs(left) ** 2) * (near @ np.abs(right) ** 2))
    wanted = diffuse_covariance(make_setup(name), frequencies)
    wanted = wanted[:, 1, 0] / np.sqrt(wanted[:, 0, 0] * wanted[:, 1, 1]).real
    assert coherence == pytest.approx(wanted, abs=0.12)


@pytest.mark.parametrize("name", ["panned", "ortf", "binaural"])
def test_a_moving_source_is_in_its_place_at_each_time(name):
    path = [(0.0, -40.0), (1.0, 35.0), (2.0, 35.0)]
    made = simulation([(np.tile(NOISE, 2), path)], name, rate=RATE)
    moving = made.scene.sources[0]
    assert moving.moves and moving.path[0] == (0.0, -40.0) and moving.azimuth_at(0.4) == pytest.approx(-10, abs=0.2)
    assert moving.direction.azimuth == pytest.approx(16.25, abs=0.1) and len(moving.path) == 20
    for time in (0.2, 0.6, 1.5):
        here = slice(int((time - 0.05) * RATE), int((time + 0.05) * RATE))
        still = simulate([(np.tile(NOISE, 2), moving.azimuth_at(time))], name, rate=RATE)
        assert decibels(made.recording[:, here]) == pytest.approx(decibels(still[:, here]), abs=0.7)
    level = np.square(made.recording, dtype=float).sum(axis=0).reshape(20, -1).mean(axis=1)
    assert np.ptp(10 * np.log10(level)) < 3.5  # no gap between the places, nor twice the sound


def test_a_path_that_goes_nowhere_stays():
    still = simulation([(NOISE, [(0.0, 12.0), (1.0, 12.0)])], "xy", rate=RATE)
    assert not still.scene.sources[0].moves and still.scene.azimuths == [12.0]


@pytest.mark.parametrize("name", ["panned", "binaural"])
def test_the_seed_alone_decides(name):
    one, again, other = (simulate([(NOISE, 31.0)], name, rate=RATE, rt60=0.25, snr=20, seed=seed) for seed in (6, 6, 7))
    assert np.array_equal(one, again) and not np.allclose(one, other, atol=1e-3)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(NAMES),
    st.lists(st.tuples(st.integers(1, 700), st.floats(-45, 45)), min_size=1, max_size=3),
    st.sampled_from([8000, 22_050, 96_000]),
    st.none() | st.floats(-10, 40),
)
def test_whatever_is_simulated_is_finite_and_as_long_as_the_longest(name, given_sources, rate, snr):
    sources = [(NOISE[:length], azimuth) for length, azimuth in given_sources]
    recording = simulate(sources, name, rate=rate, snr=snr)
    assert recording.shape == (2, max(length for length, _ in given_sources))
    assert np.isfinite(recording).all() and np.abs(recording).max() <= 1


def test_silence_stays_silence():
    made = simulation([(np.zeros(800), 31.0)], "ortf", rate=RATE, snr=10)
    assert not made.recording.any() and made.scene.sources[0].active == ()


def test_microphones_far_apart():
    delay = lag(simulate([(NOISE, 31.0)], make_setup("spaced", spacing=0.9), rate=RATE))
    assert delay == pytest.approx(900_000 / 343 * np.sin(np.deg2rad(31)), rel=0.04)
    assert np.isfinite(simulate([(NOISE, -60.0)], make_setup("spaced", spacing=20.0), rate=RATE)).all()


def test_when_it_sounds():
    signal = np.zeros(10_000)
    signal[1000:2000] = signal[2500:3000] = 0.1  # a pause of 0.06 seconds, and one of 0.3
    signal[6000:10_000] = 0.02
    assert find_active_spans(signal, 8000) == (pytest.approx((0.12, 0.38)), pytest.approx((0.74, 1.25)))


@pytest.mark.parametrize(
    ("sources", "settings", "words"),
    [
        ([], {}, "no sources, expected at least one"),
        ([(NOISE, 46.0)], {}, "azimuth of 46, expected -45 to 45 degrees"),
        ([(NOISE, np.nan)], {}, "azimuth of nan, expected -45 to 45"),
        ([(NOISE[None], 3.0)], {}, r"signal of shape \(1, 16000\), expected \(frames,\)"),
        ([(NOISE[:0], 3.0)], {}, r"signal of shape \(0,\)"),
        ([(NOISE * np.inf, 3.0)], {}, "of finite numbers"),
        ([(NOISE, [])], {}, "path that is empty"),
        ([(NOISE, [(1.0, 3.0), (0.0, 4.0)])], {}, "times do not rise"),
        ([(NOISE, 3.0)], {"rate": 0}, "rate=0, expected 1000 to 400000 Hz"),
        ([(NOISE, 3.0)], {"rt60": -1}, "rt60=-1, expected 0 \(dry\) to 3 seconds"),
        ([(NOISE, 3.0)], {"snr": np.nan}, "snr=nan, expected dB"),
        ([(NOISE, 3.0)], {"setup": "xy", "rt60": 0.02}, "rt60=0.02, too short for a room of"),
        ([(NOISE, 3.0)], {"setup": "quad"}, 'setup="quad"'),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_invalid_input_is_refused(sources, settings, words):
    with pytest.raises(SpatialError, match=words):
        simulate(sources, **{"setup": "panned", "rate": RATE} | settings)
