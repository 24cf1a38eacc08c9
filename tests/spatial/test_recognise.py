"""The setup of a recording."""

import numpy as np

from spatial.evidence import gather
from spatial.recognise import recognise

RATE = 22_050


def test_silence_has_no_confidence() -> None:
    assert recognise(gather(np.zeros((2, 4000), np.float32), RATE)).confidence == 0
