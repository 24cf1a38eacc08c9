"""When a signal sounds, and how much of each moment's sound is its own."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import uniform_filter1d

from spatial.scene import Array

FRAME, QUIET, PAUSE = 0.02, 0.04, 0.2  # seconds; of the loudest frame, that is silence; seconds that end an event
LEAK, OWN, SMOOTH = 0.03, 0.4, 5  # of a frame's power: less is leakage, a span has so much once; frames averaged


def active(signal: Array, rate: int, share: ArrayLike | None = None) -> tuple[tuple[float, float], ...]:
    """(start, stop) seconds between which it sounds: 20 ms frames within 28 dB of the loudest, short pauses bridged.

    `share`: of the recording's power in each of those frames, of a signal that was separated. With less than `LEAK`
    it is what was left of others, and so is a span that never has `OWN`.
    """
    size, end = max(1, round(FRAME * rate)), len(signal) / rate
    loud = np.sqrt(powers(signal, rate))
    mine = np.ones(len(loud)) if share is None else np.asarray(share, float)
    on = np.flatnonzero((loud > QUIET * loud.max(initial=0)) & (loud > 0) & (mine >= LEAK))
    if not len(on):
        return ()
    breaks = np.flatnonzero(np.diff(on) * size > PAUSE * rate)
    spans = list(zip(on[np.append(0, breaks + 1)], on[np.append(breaks, len(on) - 1)] + 1, strict=True))
    kept = [(a, b) for a, b in spans if mine[a:b].max() >= OWN] or [
        max(spans, key=lambda span: mine[slice(*span)].max())
    ]
    return tuple((float(a * size / rate), min(end, float(b * size / rate))) for a, b in kept)


def shares(images: Array, rate: int) -> NDArray[np.float64]:
    """(sources, 20 ms frames): what each image (sources, channels, samples) has of the power of all."""
    power = uniform_filter1d(powers(images, rate).sum(axis=1), SMOOTH, axis=-1)
    return power / (power.sum(axis=0) + 1e-20)


def powers(signal: Array, rate: int) -> NDArray[np.float64]:
    """(..., 20 ms frames): mean squares."""
    size = max(1, round(FRAME * rate))
    whole = np.asarray(signal, float)
    padded = np.pad(whole, [(0, 0)] * (whole.ndim - 1) + [(0, -whole.shape[-1] % size)])
    return np.square(padded.reshape(*whole.shape[:-1], -1, size)).mean(axis=-1)
