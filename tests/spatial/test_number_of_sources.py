"""How many peaks are sources."""

import numpy as np
import pytest
from spatial_sounds import RATE, bursts

from spatial.counting import PEAKS, compare_peaks, compute_cues, estimate_number
from spatial.evidence import Evidence, gather
from spatial.learned import Answer, predict_heatmap
from spatial.localisation import pick_peaks
from spatial.maps import compute_maps
from spatial.setups import make_setup
from spatial.simulation import simulate

SETUP = make_setup("ortf")
SAME, AFTER, BEFORE, COURSE = 1, 2, 3, 5  # cues of a pair


def see(recording: np.ndarray) -> tuple[Evidence, Answer]:
    evidence = gather(recording, RATE)
    return evidence, predict_heatmap(compute_maps(evidence, SETUP))


def test_a_reflection_comes_after_its_source_and_another_source_does_not() -> None:
    rng = np.random.default_rng(5)
    source, other = (rng.random((2, 60, 400)) < 0.03).astype(np.float32)
    positions = np.array([-0.4, 0.5], np.float32)
    reflection = np.roll(source, 3, axis=1)
    cues = compare_peaks(np.stack([source, 0.5 * reflection]), positions)
    assert cues[1, AFTER] > cues[1, BEFORE] + 1 and cues[0, BEFORE] > cues[0, AFTER] + 1
    assert cues[1, COURSE] > 0.5
    apart = compare_peaks(np.stack([source, 0.5 * other]), positions)
    assert apart[1, [SAME, AFTER, BEFORE]] == pytest.approx(np.log(1.1), abs=0.2) and abs(apart[1, COURSE]) < 0.3
    lobe = compare_peaks(np.stack([source, 0.2 * source]), positions)
    assert lobe[1, SAME] > cues[1, SAME] + 2 and cues[1, 0] == pytest.approx(np.log(2), abs=0.05)


@pytest.mark.parametrize("count", [1, 2, PEAKS])
def test_there_are_as_many_cues_whatever_the_number_of_peaks(count: int) -> None:
    evidence, answer = see(simulate([(bursts(1), -40.0), (bursts(2), 30.0)], SETUP, rate=RATE))
    peaks = pick_peaks(answer, count)
    cues = compute_cues(evidence, SETUP, answer, peaks)
    assert cues.shape == compute_cues(evidence, SETUP, answer, pick_peaks(answer, PEAKS)).shape
    assert np.isfinite(cues).all() and 1 <= estimate_number(evidence, SETUP, answer, peaks) <= len(peaks)


def test_a_recording_of_one_moment_has_cues() -> None:
    evidence, answer = see(simulate([(bursts(1), -40.0)], SETUP, rate=RATE)[:, 3000:3300])
    assert np.isfinite(compute_cues(evidence, SETUP, answer, pick_peaks(answer, PEAKS))).all()
