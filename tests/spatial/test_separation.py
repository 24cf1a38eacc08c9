"""Separation of simulated mixtures, which is never much worse than the recording itself."""

from functools import cache

import numpy as np
import pytest

from spatial.errors import SpatialError
from spatial.metrics import si_sdr_improvement
from spatial.scene import Direction
from spatial.separation import pick_louder_channels, separate
from spatial.simulation import simulation
from spatial.spectra import istft, stft

RATE = 16_000
FRAMES = 2 * RATE
MIRRORED = ("panned", "spaced", "binaural")


def voice(pitch: float, seed: int) -> np.ndarray:
    """Harmonics that come and go, with breath."""
    random = np.random.default_rng(seed)
    seconds = np.arange(FRAMES) / RATE
    loud = np.convolve(np.repeat(random.random(20) ** 3, FRAMES // 20), np.hanning(400) / 200, "same")
    phase = 2 * np.pi * np.cumsum(pitch * (1 + 0.05 * np.sin(2 * np.pi * random.uniform(2, 5) * seconds))) / RATE
    tones = sum(np.sin(k * phase) / k for k in range(1, 9))
    return 0.2 * loud * (tones + 0.02 * random.standard_normal(FRAMES))


def knocks(seed: int) -> np.ndarray:
    """Bursts of noise that die away."""
    random = np.random.default_rng(seed)
    hits = np.zeros(FRAMES)
    hits[random.integers(0, FRAMES - 2000, 12)] = 1
    return 0.1 * random.standard_normal(FRAMES) * np.convolve(hits, np.exp(-np.arange(2000) / 400))[:FRAMES]


VOICE, KNOCKS, OTHER = voice(220, 1), knocks(2), voice(510, 3)


@cache
def scene(name, *, three=False, rt60=None):
    """Simulated once, so nobody may write into it."""
    sources = [(VOICE, -33.0), (KNOCKS, 21.0), (OTHER, 0.0)]
    truth = simulation(sources[: 2 + three], name, rate=RATE, rt60=rt60)
    truth.recording.flags.writeable = truth.images.flags.writeable = False
    return truth


def gains(images, truth):
    """dB of improvement of each source, in its place: no pairing of its own."""
    return [
        si_sdr_improvement([image], true[None], truth.recording)[0][1]
        for image, true in zip(images, truth.images, strict=True)
    ]


@pytest.mark.parametrize(
    ("name", "least"), [("panned", 25), ("xy", 25), ("ms", 25), ("spaced", 20), ("ortf", 20), ("binaural", 15)]
)
def test_two_dry_sources_are_demixed_though_the_directions_are_off(name, least):
    truth = scene(name)
    assert min(gains(separate(truth.recording, RATE, [-30, 24], setup=name), truth)) > least


@pytest.mark.parametrize(("name", "least"), [("panned", 12), ("ortf", 10), ("spaced", 4)])
def test_three_sources(name, least):
    truth = scene(name, three=True)
    assert min(gains(separate(truth.recording, RATE, [-31, 23, 1], setup=name), truth)) > least


@pytest.mark.parametrize(("name", "least"), [("panned", 8), ("ortf", 4), ("binaural", 4)])
def test_two_sources_in_a_room(name, least):
    truth = scene(name, rt60=0.3)
    assert min(gains(separate(truth.recording, RATE, [-31, 23], setup=name), truth)) > least


def test_priors_help_in_a_room_in_any_resolution():
    truth = scene("spaced", rt60=0.3)
    powers = np.square(np.abs(stft(truth.images.reshape(4, FRAMES), 1024))).reshape(2, 2, -1, 513).sum(axis=1)
    coarse = powers[:, ::2, 1:].reshape(2, -1, 64, 8).mean(axis=3)
    shares = coarse / (coarse.sum(axis=0) + 1e-12)
    plain, told, misled = (
        np.mean(gains(separate(truth.recording, RATE, [-31, 23], setup="spaced", priors=priors), truth))
        for priors in (None, shares, shares[::-1])
    )
    assert misled < plain - 1 and told > plain + 1


def test_a_source_that_moves():
    path = ((0.0, -60.0), (2.0, 5.0))
    truth = simulation([(VOICE, path), (KNOCKS, 50.0)], "ortf", rate=RATE)
    still = separate(truth.recording, RATE, [-27, 50], setup="ortf")
    moving = separate(truth.recording, RATE, [-27, 50], setup="ortf", paths=[path, None])
    assert np.allclose(moving.sum(axis=0), truth.recording, atol=1e-5)
    assert min(gains(moving, truth)) > 5
    assert np.mean(gains(moving, truth)) > np.mean(gains(still, truth)) + 2


@pytest.mark.parametrize("method", ["auto", "demix", "local_gaussian"])
def test_images_sum_to_the_recording(method):
    truth = scene("nos", rt60=0.3)
    images = separate(truth.recording, RATE, [-31, 23], setup="nos", method=method)
    assert images.shape == (2, 2, FRAMES) and images.dtype == np.float32
    assert np.abs(images.sum(axis=0) - truth.recording).max() < 1e-5


@pytest.mark.parametrize("name", MIRRORED)
@pytest.mark.parametrize("three", [False, True])
def test_the_mirror(name, three):
    recording = scene(name, three=three).recording
    azimuths = np.array([-31, 23, 4][: 2 + three])
    images = separate(recording, RATE, azimuths, setup=name)
    mirrored = separate(recording[::-1], RATE, -azimuths, setup=name)[:, ::-1]
    assert np.abs(images - mirrored).max() < 0.03 * np.abs(images).max()


def test_order_follows_the_directions():
    recording = scene("ortf").recording
    images = separate(recording, RATE, [-31, 23], setup="ortf")
    other = separate(recording, RATE, [Direction(23), Direction(-31)], setup="ortf")
    assert np.abs(images - other[::-1]).max() < 0.01 * np.abs(images).max()


@pytest.mark.parametrize("three", [False, True])
def test_gain_does_not_matter_and_nothing_is_random(three):
    recording = scene("ortf", three=three).recording
    azimuths = [-31, 23, 1][: 2 + three]
    images = separate(recording, RATE, azimuths, setup="ortf")
    softer = separate(0.01 * recording, RATE, azimuths, setup="ortf")
    assert np.abs(100 * softer - images).max() < 1e-3 * np.abs(images).max()
    assert np.array_equal(images, separate(recording, RATE, azimuths, setup="ortf"))


@pytest.mark.parametrize("name", ["spaced", "ortf", "binaural"])
@pytest.mark.parametrize("azimuths", [(5, 40), (40, 44), (20, 20)])
def test_wrong_directions_are_no_worse_than_the_recording(name, azimuths):
    truth = scene(name)
    images = separate(truth.recording, RATE, azimuths, setup=name)
    pairs = si_sdr_improvement(images, truth.images, truth.recording)
    assert min(gain for _, gain in pairs) > -1


def test_one_source_is_the_recording_and_none_is_nothing():
    recording = scene("xy").recording
    assert np.array_equal(separate(recording, RATE, [12], setup="xy"), recording[None])
    assert separate(recording, RATE, [], setup="xy").shape == (0, 2, FRAMES)
    assert pick_louder_channels(separate(recording, RATE, [], setup="xy")).shape == (0, FRAMES)


ODD = {
    "silence": np.zeros((2, 6000)),
    "no frames": np.zeros((2, 0)),
    "one frame": np.full((2, 1), 0.3),
    "10 ms": 0.1 * np.random.default_rng(5).standard_normal((2, 160)),
    "identical channels": np.stack([VOICE, VOICE])[:, :6000],
    "one silent channel": np.stack([KNOCKS, 0 * KNOCKS])[:, :6000],
    "constant": np.full((2, 6000), 0.5),
    "nearly silence": np.stack([VOICE, KNOCKS])[:, :6000] * 1e-8,
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("what", ODD)
@pytest.mark.parametrize("azimuths", [[-20, 30], [-20, 5, 30]])
def test_odd_recordings(what, azimuths):
    path = ((0.0, -30.0), (0.4, 30.0))
    for name, paths in (("spaced", None), ("binaural", [path] + [None] * (len(azimuths) - 1))):
        images = separate(ODD[what], RATE, azimuths, setup=name, paths=paths)
        assert images.shape == (len(azimuths), *ODD[what].shape) and np.isfinite(images).all()
        assert np.abs(images.sum(axis=0) - ODD[what]).max(initial=0) < 1e-5


def test_the_signal_of_an_image_is_its_louder_channel():
    images = np.array([[[0.1, 0.2], [0.5, -0.5]], [[0.9, 0.0], [0.3, 0.4]]])
    assert pick_louder_channels(images).tolist() == [[0.5, -0.5], [0.9, 0.0]]


def test_signals_are_the_louder_channel():
    truth = scene("panned")
    left, right = pick_louder_channels(separate(truth.recording, RATE, [-31, 23], setup="panned"))
    assert np.corrcoef(left, VOICE)[0, 1] > 0.99 and np.corrcoef(right, KNOCKS)[0, 1] > 0.99


@pytest.mark.parametrize("length", [32, 512])
def test_spectra_and_back(length):
    recording = np.random.default_rng(6).standard_normal((2, 1237)).astype(np.float32)
    assert np.allclose(istft(stft(recording, length), length, 1237), recording, atol=1e-5)


@pytest.mark.parametrize(
    ("recording", "azimuths", "more", "message"),
    [
        (np.zeros(9), [1], {}, "both channels"),
        (np.full((2, 9), np.nan), [1], {}, "repair it"),
        (np.zeros((2, 9)), [1, np.inf], {}, "expected degrees"),
        (np.zeros((2, 9)), [1], {"method": "magic"}, "expected one of"),
        (np.zeros((2, 9)), [1, 2, 3], {"method": "demix"}, "two at most"),
        (np.zeros((2, 9)), [1, 2], {"paths": [None]}, "one each"),
        (np.zeros((2, 9)), [1, 2], {"priors": np.ones((3, 4, 5))}, "reshape them"),
        (np.zeros((2, 9)), [1, 2], {"priors": np.full((2, 4, 5), -1.0)}, "clip them"),
    ],
)
def test_invalid_input_is_refused(recording, azimuths, more, message):
    with pytest.raises(SpatialError, match=message):
        separate(recording, RATE, azimuths, setup="panned", **more)
