"""A recording <-> its spectra, and back without loss: what is done to nothing comes out as it went in."""

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, rfft

from spatial.scene import Array

OVERLAP = 2  # hops in a window


def length_of(seconds: float, rate: int) -> int:
    """Frames of a window of about so many seconds, a power of two."""
    return 1 << max(5, round(np.log2(seconds * rate)))


def spectra(recording: Array, length: int) -> NDArray[np.complex64]:
    """(channels, frames) -> (channels, times, frequencies); windows are roots of Hann's, the ends are padded."""
    hop = length // OVERLAP
    frames = recording.shape[-1]
    padded = np.pad(np.asarray(recording, np.float32), ((0, 0), (length - hop, length - hop + -frames % hop)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, length, axis=1)[:, ::hop]
    return rfft(windows * _taper(length), axis=2)


def recording_of(spectra: NDArray[np.complex64], length: int, frames: int) -> Array:
    """(..., times, frequencies) -> (..., frames): the inverse of `spectra`, Griffin and Lim (1984), eq. 6."""
    hop = length // OVERLAP
    windows = irfft(spectra, n=length, axis=-1) * _taper(length)
    lead, times = windows.shape[:-2], windows.shape[-2]
    out = np.zeros((*lead, (times + OVERLAP - 1) * hop), np.float32)
    for k in range(OVERLAP):
        out[..., k * hop : (k + times) * hop] += windows[..., k * hop : (k + 1) * hop].reshape(*lead, times * hop)
    return out[..., length - hop : length - hop + frames]


def _taper(length: int) -> Array:
    return np.sqrt(np.hanning(length + 1)[:-1] * 2 / OVERLAP).astype(np.float32)
