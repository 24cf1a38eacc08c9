"""Dense panned noises that overlap in every bin, at known azimuths."""

import numpy as np
import pytest

from spatial.evidence import gather
from spatial.levels import FARTHEST, refine_panned
from spatial.localisation import localise
from spatial.setups import make_setup
from spatial.simulation import simulate

RATE = 22_050
PLACES = [-21.0, 4.0, 33.0]


def noises(seconds: float = 4.0) -> list[np.ndarray]:
    """White, pink and brown, always on, each swelling in its own rhythm as rain and sea do."""
    random, frames = np.random.default_rng(5), round(4.0 * RATE)
    frequencies = np.fft.rfftfreq(frames, 1 / RATE)
    out = []
    for tilt, hertz in ((0.0, 0.7), (0.5, 1.1), (1.0, 1.7)):
        shape = np.fft.rfft(random.standard_normal(frames)) / np.maximum(frequencies, 80) ** tilt
        swell = 1 + 0.9 * np.sin(2 * np.pi * hertz * np.arange(frames) / RATE + tilt)
        signal = np.fft.irfft(shape, frames) * swell
        out.append((0.1 * signal / signal.std()).astype(np.float32)[: round(seconds * RATE)])
    return out


def test_three_dense_noises_are_found_from_a_degree_off() -> None:
    recording = simulate(list(zip(noises(), PLACES, strict=True)), "panned", rate=RATE)
    found = refine_panned(gather(recording, RATE), recording, RATE, make_setup("panned"), [-19.9, 5.1, 32.0])
    assert found == pytest.approx(PLACES, abs=0.7)


def test_a_source_that_would_move_far_keeps_its_azimuth() -> None:
    recording = simulate(list(zip(noises(), PLACES, strict=True)), "panned", rate=RATE)
    start = [-21.2, 15.0, 33.2]
    found = refine_panned(gather(recording, RATE), recording, RATE, make_setup("panned"), start)
    assert found[1] == start[1]
    assert np.abs(np.subtract(found, start)).max() < FARTHEST


def test_localise_refines_panned_sources() -> None:
    recording = simulate(list(zip(noises(), PLACES, strict=True)), "panned", rate=RATE)
    found = sorted(one.azimuth for one in localise(recording, RATE, setup="panned", count=3))
    assert found == pytest.approx(PLACES, abs=0.7)


def test_azimuths_that_sharp_bins_confirm_are_kept() -> None:
    recording = simulate([(noises()[1], 31.0)], "panned", rate=RATE)
    assert refine_panned(gather(recording, RATE), recording, RATE, make_setup("panned"), [30.95, 31.0, 31.05]) == [
        30.95,
        31.0,
        31.05,
    ]
