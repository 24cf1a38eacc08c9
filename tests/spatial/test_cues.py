"""What a recording shows of its setup."""

import numpy as np
import pytest
from spatial_sounds import RATE, bursts

from spatial.cues import compute_features, correlate_delays, count_levels_and_phases, delay_cells
from spatial.evidence import gather


@pytest.mark.parametrize("milliseconds", [-12.0, -2.0, -0.5, 0.0, 0.3, 1.6, 8.0])
def test_the_delay_of_a_channel_is_found(milliseconds: float) -> None:
    """Positive: the right channel is later; the cells count the left channel's delay."""
    sound, late = bursts(3), round(milliseconds * RATE / 1000)
    recording = np.stack([sound, np.roll(sound, late)])
    edges, best = delay_cells(), correlate_delays(gather(recording, RATE))
    mean = best[: len(edges) - 1]
    top = int(mean.argmax())
    assert edges[top] - 0.05 <= -1000 * late / RATE <= edges[top + 1] + 0.05


def test_swapped_channels_have_mirrored_delays() -> None:
    sound = bursts(5)
    recording = np.stack([sound, np.roll(sound, 9)])
    one, two = (correlate_delays(gather(each, RATE)) for each in (recording, recording[::-1]))
    half = len(one) // 2
    assert two[:half] == pytest.approx(one[:half][::-1], abs=0.03)


def test_level_differences_fill_the_cells_of_their_side() -> None:
    sound = bursts(7)
    cells = count_levels_and_phases(gather(np.stack([sound, 0.2 * sound]), RATE)).reshape(12, 7, 8)
    by_level = np.square(cells).sum(axis=(0, 2))
    assert by_level[6] > 0.9 * by_level.sum()  # the left channel is 14 dB louder


def test_features_are_finite_and_of_one_length_at_any_rate() -> None:
    lengths = set()
    for rate in (8000, 16_000, 48_000):
        recording = np.stack([bursts(1, rate=rate), bursts(2, rate=rate)])
        features = compute_features(gather(recording, rate))
        assert np.isfinite(features).all()
        lengths.add(len(features))
    assert len(lengths) == 1
