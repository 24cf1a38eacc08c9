"""A stereo recording -> a Scene: who is where."""

from collections.abc import Callable

import numpy as np

from spatial.evidence import gather
from spatial.localise import directions
from spatial.recognise import recognise
from spatial.scene import Array, Scene, Source, SpatialError
from spatial.setups import Setup
from spatial.setups import setup as named


def listen(
    recording: Array,
    rate: int,
    *,
    setup: str | Setup = "auto",
    spacing: float | None = None,
    max_sources: int = 4,
    count: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Scene:
    """Every source of a (2, frames) recording and its direction; a mono recording is one source ahead."""
    recording = np.asarray(recording, np.float32)
    if recording.ndim != 2 or recording.shape[0] not in (1, 2):
        raise SpatialError(f"Got a recording of shape {recording.shape}, want (1 or 2, frames); mix it down first.")
    evidence = gather(recording, rate)
    heard = recognise(evidence) if setup == "auto" else None
    stereo = heard.setup if heard else named(setup, spacing=spacing)
    found = directions(evidence, stereo, max_sources=max_sources, count=count)
    sources = tuple(Source(recording.mean(axis=0), one) for one in found)
    return Scene(sources, rate, stereo.name, stereo.spacing, heard.confidence if heard else 1.0)
