"""The setup of a recording."""

import numpy as np
import pytest

from spatial.evidence import gather
from spatial.recognise import recognise, weigh_setups

RATE = 22_050


def test_silence_has_no_confidence() -> None:
    assert recognise(gather(np.zeros((2, 4000), np.float32), RATE)).confidence == 0


def test_exchanged_channels_are_as_likely_of_each_setup() -> None:
    """Also where nothing is certain, as in a decorrelated noise around one sound; only mid-side has no mirror image."""
    rng = np.random.default_rng(3)
    noise, sound = rng.standard_normal((2, RATE)), rng.standard_normal(RATE)
    recording = (0.2 * noise + np.outer([0.5, 0.2], sound)).astype(np.float32)
    here, swapped = (weigh_setups(gather(each, RATE)) for each in (recording, recording[::-1].copy()))
    ratios = np.array([swapped[name] / here[name] for name in here if name != "ms"])
    assert sum(here.values()) == pytest.approx(1) and ratios == pytest.approx(ratios[0], rel=1e-3)
