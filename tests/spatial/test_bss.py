"""Published blind methods, started from the directions, separate sources and keep their order."""

import warnings

import numpy as np
import pytest
from pyroomacoustics import bss

from spatial.errors import SpatialError
from spatial.metrics import si_sdr_improvement
from spatial.separation import separate
from spatial.simulation import simulation

RATE = 8000
FRAMES = 2 * RATE
PLACES = (31.0, -48.0, -5.0)


def warble(pitch: float, seed: int) -> np.ndarray:
    """Syllables of a pitch that sways, with breath."""
    random = np.random.default_rng(seed)
    loud = np.convolve(np.repeat(random.random(20) ** 3, FRAMES // 20), np.hanning(300) / 150, "same")
    sway = 1 + 0.05 * np.sin(2 * np.pi * random.uniform(2, 5) * np.arange(FRAMES) / RATE)
    phase = 2 * np.pi * np.cumsum(pitch * sway) / RATE
    return 0.2 * loud * (sum(np.sin(k * phase) / k for k in range(1, 7)) + 0.02 * random.standard_normal(FRAMES))


def knocks(seed: int) -> np.ndarray:
    """Bursts of noise that die away."""
    random = np.random.default_rng(seed)
    hits = np.zeros(FRAMES)
    hits[random.integers(0, FRAMES - 1000, 12)] = 1
    return 0.1 * random.standard_normal(FRAMES) * np.convolve(hits, np.exp(-np.arange(1000) / 200))[:FRAMES]


SOUNDS = warble(220, 1), knocks(2), warble(510, 3)


def scene(name: str, count: int = 2):
    return simulation(list(zip(SOUNDS[:count], PLACES[:count], strict=True)), name, rate=RATE)


def gains(images: np.ndarray, truth) -> list[float]:
    """dB of improvement of each source, in its place: no pairing of its own."""
    pairs = zip(images, truth.images, strict=True)
    return [si_sdr_improvement([image], true[None], truth.recording)[0][1] for image, true in pairs]


@pytest.mark.parametrize(("method", "least"), [("auxiva", 8), ("ilrma", 12), ("fastmnmf2", 15)])
def test_two_dry_sources_come_out_in_the_order_of_the_directions(method, least):
    truth = scene("ortf")
    images = separate(truth.recording, RATE, [31, -48], setup="ortf", method=method)
    swapped = separate(truth.recording, RATE, [-48, 31], setup="ortf", method=method)
    assert images.shape == (2, 2, FRAMES) and images.dtype == np.float32
    assert min(gains(images, truth)) > least
    assert np.array_equal(images, swapped[::-1])
    assert np.abs(images.sum(axis=0) - truth.recording).max() < 1e-5


def test_three_sources_by_fastmnmf2():
    truth = scene("ortf", 3)
    azimuths = list(np.add(PLACES, (2, -2, 1)))
    images = separate(truth.recording, RATE, azimuths, setup="ortf", method="fastmnmf2")
    assert min(gains(images, truth)) > 4
    assert np.abs(images.sum(axis=0) - truth.recording).max() < 1e-5


def test_the_global_random_generator_is_restored():
    np.random.seed(7)  # noqa: NPY002
    expected = np.random.rand()  # noqa: NPY002
    np.random.seed(7)  # noqa: NPY002
    separate(scene("xy").recording[:, :4000], RATE, [31, -48], setup="xy", method="ilrma")
    assert np.random.rand() == expected  # noqa: NPY002


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("method", ["auxiva", "ilrma", "fastmnmf2"])
@pytest.mark.parametrize("odd", ["one silent channel", "identical channels", "one frame", "the same direction"])
def test_odd_recordings(method, odd):
    recording = {
        "one silent channel": np.stack([SOUNDS[0], 0 * SOUNDS[0]])[:, :8000],
        "identical channels": np.stack([SOUNDS[0]] * 2)[:, :8000],
        "one frame": np.full((2, 1), 0.3),
        "the same direction": scene("spaced").recording[:, :8000],
    }[odd]
    azimuths = (20, 20) if odd == "the same direction" else (31, -48)
    images = separate(recording, RATE, azimuths, setup="spaced", method=method)
    assert np.isfinite(images).all() and np.abs(images.sum(axis=0) - recording).max() < 1e-5


@pytest.mark.parametrize("method", ["auxiva", "ilrma"])
def test_more_sources_than_channels_cannot_be_demixed(method):
    with pytest.raises(SpatialError, match=f'two at most for "{method}"'):
        separate(np.zeros((2, 9)), RATE, [1, 2, 3], setup="panned", method=method)


def test_moving_sources_cannot_be_demixed():
    with pytest.raises(SpatialError, match="fixed sources"):
        paths = [((0.0, 1.0), (1.0, 40.0)), None]
        separate(np.zeros((2, 9)), RATE, [1, 2], setup="panned", method="fastmnmf2", paths=paths)


FAULTS = {
    "NaN": lambda out: np.full_like(out, np.nan),
    "one NaN": lambda out: np.put(out, 77, np.nan) or out,
    "infinity": lambda out: np.full_like(out, np.inf),
    "overflow": lambda out: out * 1e200,
    "nothing": lambda out: out * 0,
    "LinAlgError": np.linalg.LinAlgError("Singular matrix"),
    "ValueError": ValueError("matrix contains invalid numeric entries"),
    "FloatingPointError": FloatingPointError("underflow"),
    "ZeroDivisionError": ZeroDivisionError("division by zero"),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("method", ["auxiva", "ilrma", "fastmnmf2"])
def test_a_failing_method_shares_the_mixture_equally(monkeypatch, method, fault):
    """A degenerate recording gives NaN on one processor and an error or a number on another: all are simulated here."""

    calls = []

    def broken(spectra, **options):
        calls.append(method)
        if isinstance(FAULTS[fault], Exception):
            raise FAULTS[fault]
        warnings.warn("invalid value encountered in divide", RuntimeWarning, stacklevel=1)
        return FAULTS[fault](np.tile(spectra, (2, 1, 1, 1)) if method == "fastmnmf2" else spectra.copy())

    monkeypatch.setattr(bss, method, broken)
    recording = scene("ortf").recording[:, :8000]
    images = separate(recording, RATE, [31, -48], setup="ortf", method=method)
    assert calls and np.allclose(images, recording / 2, atol=1e-6)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("method", ["auxiva", "ilrma", "fastmnmf2"])
def test_cancelling_images_are_rejected(monkeypatch, method):
    """A mixing without an inverse gives images that are arbitrarily loud and sum to the recording only in theory."""

    def loud(spectra):  # (times, frequencies, 2)
        return np.full((2, *spectra.shape[:2]), 1e6)

    monkeypatch.setattr(
        "spatial.bss._separate_blindly", lambda _, spectra, *rest: np.stack([loud(spectra), -loud(spectra)])
    )
    recording = scene("ortf").recording[:, :8000]
    images = separate(recording, RATE, [31, -48], setup="ortf", method=method)
    assert np.allclose(images, recording / 2, atol=1e-6)


def test_a_warning_changes_nothing(monkeypatch):
    recording, whole = scene("ortf").recording[:, :8000], bss.ilrma
    expected = separate(recording, RATE, [31, -48], setup="ortf", method="ilrma")

    def warns(*args, **options):
        warnings.warn("divide by zero encountered in log", RuntimeWarning, stacklevel=1)
        return whole(*args, **options)

    monkeypatch.setattr(bss, "ilrma", warns)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        images = separate(recording, RATE, [31, -48], setup="ortf", method="ilrma")
    assert np.array_equal(images, expected) and not np.allclose(images[0], recording / 2, atol=1e-3)
