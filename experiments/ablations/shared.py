"""What the runs of one process share: a model that is loaded once, and synthesised clips."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiotoken.mini.sounds import synthesise
from audiotoken.model import load_pipeline

RATE = 16_000
SECONDS = 4.0
UNHEARD = 800_000  # first seed of synthesised clips that no training used


@lru_cache(maxsize=1)
def load_pipeline_once(model: str) -> Any:
    """A shared pipeline; do not change it."""
    return load_pipeline(model)


def synthesise_clip(word: str, seed: int) -> NDArray[np.float32]:
    """An unheard sound of that word, (frames,) at `RATE`."""
    return synthesise(word, RATE, SECONDS, UNHEARD + seed)
