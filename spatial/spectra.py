"""The short-time Fourier transform of a recording and its inverse; both together change nothing."""

import numpy as np
from jaxtyping import Complex, Float
from scipy.fft import irfft, rfft

OVERLAP = 2  # hops in a window


def window_length(seconds: float, rate: int) -> int:
    """Frames of a window of about that many seconds: a power of two."""
    return 1 << max(5, round(np.log2(seconds * rate)))


def stft(
    recording: Float[np.ndarray, "channels frames"], length: int
) -> Complex[np.ndarray, "channels times frequencies"]:
    """Spectra with square-root Hann windows of `length` frames; the ends are padded."""
    hop = length // OVERLAP
    frames = recording.shape[-1]
    padded = np.pad(np.asarray(recording, np.float32), ((0, 0), (length - hop, length - hop + -frames % hop)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, length, axis=1)[:, ::hop]
    return rfft(windows * _taper(length), axis=2)


def istft(
    spectra: Complex[np.ndarray, "*lead times frequencies"], length: int, frames: int
) -> Float[np.ndarray, "*lead {frames}"]:
    """The inverse of `stft`, Griffin and Lim (1984), eq. 6."""
    hop = length // OVERLAP
    windows = irfft(spectra, n=length, axis=-1) * _taper(length)
    lead, times = windows.shape[:-2], windows.shape[-2]
    out = np.zeros((*lead, (times + OVERLAP - 1) * hop), np.float32)
    for k in range(OVERLAP):
        out[..., k * hop : (k + times) * hop] += windows[..., k * hop : (k + 1) * hop].reshape(*lead, times * hop)
    return out[..., length - hop : length - hop + frames]


def _taper(length: int) -> Float[np.ndarray, " {length}"]:
    return np.sqrt(np.hanning(length + 1)[:-1] * 2 / OVERLAP).astype(np.float32)
