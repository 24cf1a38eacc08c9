"""When a signal is active, and its share of the recording's power at each moment."""

import numpy as np
from jaxtyping import Float
from scipy.ndimage import uniform_filter1d

BLOCK, QUIET, PAUSE = 0.02, 0.04, 0.2  # seconds; amplitude below which a block is silent; seconds that end a span
LEAK, OWN, SMOOTH = 0.03, 0.4, 5  # share of a block below which it is leakage; share each span reaches; blocks averaged


def find_active_spans(
    signal: Float[np.ndarray, " frames"], rate: int, share: Float[np.ndarray, " blocks"] | None = None
) -> tuple[tuple[float, float], ...]:
    """(start, stop) in seconds of the active spans: 20 ms blocks within 28 dB of the loudest, short pauses bridged.

    `share` is a separated signal's part of the recording's power in each block (`compute_power_shares`). Blocks with
    less than `LEAK` are leakage of other sources, and so are spans that never reach `OWN`.
    """
    size, end = max(1, round(BLOCK * rate)), len(signal) / rate
    loudness = np.sqrt(compute_block_powers(signal, rate))
    own = np.ones(len(loudness)) if share is None else np.asarray(share, float)
    active = np.flatnonzero((loudness > QUIET * loudness.max(initial=0)) & (loudness > 0) & (own >= LEAK))
    if not len(active):
        return ()
    breaks = np.flatnonzero(np.diff(active) * size > PAUSE * rate)
    spans = list(zip(active[np.append(0, breaks + 1)], active[np.append(breaks, len(active) - 1)] + 1, strict=True))
    sure = [(a, b) for a, b in spans if own[a:b].max() >= OWN] or [max(spans, key=lambda span: own[slice(*span)].max())]
    return tuple((float(a * size / rate), min(end, float(b * size / rate))) for a, b in sure)


def compute_power_shares(
    images: Float[np.ndarray, "sources channels frames"], rate: int
) -> Float[np.ndarray, "sources blocks"]:
    """Each image's share of the power of all images, in 20 ms blocks, smoothed."""
    power = uniform_filter1d(compute_block_powers(images, rate).sum(axis=1), SMOOTH, axis=-1)
    return power / (power.sum(axis=0) + 1e-20)


def compute_block_powers(signal: Float[np.ndarray, "*lead frames"], rate: int) -> Float[np.ndarray, "*lead blocks"]:
    """Mean squares of 20 ms blocks."""
    size = max(1, round(BLOCK * rate))
    samples = np.asarray(signal, float)
    padded = np.pad(samples, [(0, 0)] * (samples.ndim - 1) + [(0, -samples.shape[-1] % size)])
    return np.square(padded.reshape(*samples.shape[:-1], -1, size)).mean(axis=-1)
