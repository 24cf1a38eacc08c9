"""Degenerate recordings: every method stays finite, and its images still sum to the recording."""

import numpy as np
import pytest

from spatial import separation
from spatial.localisation import METHODS as FINDERS
from spatial.localisation import localise
from spatial.separation import separate

RATE, FRAMES = 2000, 2000  # windows enough for every method, frequencies few
NOISE = 0.1 * np.random.default_rng(0).standard_normal((2, FRAMES))
IMPULSE = np.zeros(FRAMES)
IMPULSE[700] = 0.5
ODD = {
    "silence": 0 * NOISE,
    "a silent left": NOISE * [[0], [1]],
    "a silent right": NOISE * [[1], [0]],
    "a channel that almost is": NOISE * [[1], [1e-40]],
    "identical": np.stack([NOISE[0]] * 2),
    "opposed": np.stack([NOISE[0], -NOISE[0]]),
    "almost identical": np.stack([NOISE[0], NOISE[0] * (1 + 1e-7)]),
    "no frames": NOISE[:, :0],
    "one frame": NOISE[:, :1],
    "a few frames": NOISE[:, :7],
    "constant": np.stack([np.full(FRAMES, 0.5), np.full(FRAMES, -0.2)]),
    "an impulse": np.stack([IMPULSE, np.roll(IMPULSE, 3)]),
    "full scale, by turns": np.tile([[0.9, -0.9], [0.6, -0.6]], FRAMES // 2),
    "clipped": np.sign(NOISE),
    "huge": NOISE * 1e30,
    "tiny": NOISE * 1e-30,
    "denormal": NOISE * 1e-42,
}


PLACES = ((31, -48), (20, 20), (20, 20.001))  # apart, in one place, almost


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("odd", range(len(ODD)), ids=ODD)
@pytest.mark.parametrize("method", separation.METHODS)
def test_images_of_degenerate_recordings(method, odd):
    """Every method with every recording, and each of them with all places, which take turns."""
    recording = list(ODD.values())[odd].astype(np.float32)
    azimuths = PLACES[(odd + separation.METHODS.index(method)) % len(PLACES)]
    scale = max(float(np.abs(recording).max(initial=0)), 1e-30)
    images = separate(recording, RATE, azimuths, setup="spaced", method=method)
    assert images.shape == (2, *recording.shape) and np.isfinite(images).all()
    assert np.abs((images.astype(float).sum(axis=0) - recording) / scale).max(initial=0) < 1e-5


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("method", FINDERS)
def test_directions_of_degenerate_recordings_are_numbers(method, odd):
    for one in localise(ODD[odd], RATE, setup="spaced", method=method):
        assert np.isfinite([one.azimuth, one.spread, one.confidence]).all() and abs(one.azimuth) <= 90


FAULTS = {
    "NaN": lambda finder: finder.grid.set_values(np.full(finder.grid.n_points, np.nan)),
    "LinAlgError": np.linalg.LinAlgError("Eigenvalues did not converge"),
    "ValueError": ValueError("array must not contain infs or NaNs"),
    "FloatingPointError": FloatingPointError("overflow"),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("method", "name"), [("srp", "SRP"), ("music", "MUSIC"), ("normmusic", "NormMUSIC")])
def test_a_failing_method_finds_nothing(monkeypatch, method, name, fault):
    def broken(finder, *args, **options):
        if isinstance(FAULTS[fault], Exception):
            raise FAULTS[fault]
        FAULTS[fault](finder)

    from pyroomacoustics import doa

    monkeypatch.setattr(getattr(doa, name), "locate_sources", broken)
    assert localise(NOISE, RATE, setup="spaced", method=method) == []


def test_an_infinite_peak_is_the_peak(monkeypatch):
    """MUSIC divides by what is left of the other subspace: by zero where the direction is exact."""
    from pyroomacoustics import doa

    def exact(finder, *args, **options):
        values = np.ones(finder.grid.n_points)
        values[[40, 120]] = 3.0, np.inf
        finder.grid.set_values(values)

    monkeypatch.setattr(doa.MUSIC, "locate_sources", exact)
    found = localise(NOISE, RATE, setup="spaced", method="music", count=2)
    assert [one.azimuth for one in found] == [30.0, -50.0]
