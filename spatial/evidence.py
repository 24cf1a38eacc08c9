"""A recording -> what each moment and frequency says about directions.

The evidence of a time-frequency bin is its covariance between the channels, averaged over its neighbours: one direct
sound alone makes it rank one, and then it is the steering vector of that sound's direction. What reverberation or two
sounds at once make of it lies further from every steering vector, so such bins speak softly without being thrown out.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft
from scipy.ndimage import uniform_filter1d

from spatial.scene import Array
from spatial.setups import Setup, diffuse, steering

WINDOW = 0.046  # seconds: long beside the widest delay, short beside a syllable
LOWEST, HIGHEST = 80.0, 9000.0  # Hz
FORGET = 90.0  # dB per second by which an echo may be thought to have died away at the least
MOST = 12_000  # bins that are asked
BANDS = (80, 200, 400, 800, 1600, 3200, 6400, 9000)  # Hz


@dataclass(frozen=True, eq=False)
class Evidence:
    """Bins of a recording, sorted by frequency."""

    times: Array  # (bins,) seconds
    index: NDArray[np.int64]  # (bins,) into `frequencies`
    frequencies: Array  # (frequencies,) Hz
    stokes: Array  # (bins, 3): (LL - RR, 2 Re LR*, 2 Im LR*) of the covariance over its trace: on or in the unit sphere
    weight: Array  # (bins,) how much a bin counts
    ringing: Array  # (bands, 5): mean Stokes vector, its squared length, and share of level, of what rings or hums on

    def __len__(self) -> int:
        return len(self.times)

    def heaviest(self, most: int) -> "Evidence":
        """The `most` bins that count the most."""
        if len(self) <= most:
            return self
        return self.taken(np.sort(np.argpartition(self.weight, -most)[-most:]))

    def taken(self, kept: NDArray[np.int64]) -> "Evidence":
        """Those bins alone, in that order: rising."""
        each = {name: getattr(self, name)[kept] for name in ("times", "index", "stokes", "weight")}
        return replace(self, **each)


def stft(recording: Array, rate: int, window: float = WINDOW, overlap: int = 4) -> tuple[NDArray, Array, Array]:
    """(channels, frames) -> spectra (channels, times, frequencies), seconds, Hz; Hann windows."""
    length = 1 << max(5, round(np.log2(window * rate)))
    hop = length // overlap
    padded = np.pad(recording, ((0, 0), (0, max(0, length - recording.shape[1]))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, length, axis=1)[:, ::hop]
    taper = np.hanning(length + 1)[:-1].astype(np.float32)
    spectra = rfft(frames * taper, axis=2)
    times = (np.arange(spectra.shape[1]) * hop + length / 2) / rate
    return spectra, times.astype(np.float32), np.fft.rfftfreq(length, 1 / rate).astype(np.float32)


def gather(recording: Array, rate: int, most: int = MOST) -> Evidence:
    """The bins worth asking: loud for their moment and frequency, rising rather than ringing."""
    spectra, times, frequencies = stft(recording, rate)
    kept = _thinned(frequencies)
    left, right = spectra[0], spectra[1]
    power = np.abs(left) ** 2, np.abs(right) ** 2
    cross = left * np.conj(right)
    parts = np.stack([power[0] - power[1], 2 * cross.real, 2 * cross.imag, power[0] + power[1]])
    parts = uniform_filter1d(uniform_filter1d(parts, 3, axis=1), 3, axis=2)[:, :, kept]
    trace = parts[3]
    rising, loudness = onset(trace, times), _loudness(trace)
    weight = rising * loudness
    chosen = _top(weight, most)
    order = np.nonzero(chosen.T)  # sorted by frequency
    stokes = np.stack([(parts[i] / (trace + 1e-20)).T[order] for i in range(3)], axis=-1)
    return Evidence(
        times[order[1]],
        order[0],
        frequencies[kept],
        stokes.astype(np.float32),
        weight.T[order].astype(np.float32),
        _ringing(parts, (1 - rising) * loudness, frequencies[kept]),
    )


def sphere(setup: Setup, azimuths: Array, frequencies: Array) -> Array:
    """Steering vectors as points on the same sphere: (frequencies, azimuths, 3)."""
    vectors = steering(setup, azimuths, frequencies)
    left, right = vectors[..., 0], vectors[..., 1]
    cross = left * np.conj(right)
    points = np.stack([np.abs(left) ** 2 - np.abs(right) ** 2, 2 * cross.real, 2 * cross.imag], axis=-1)
    return points.transpose(1, 0, 2).astype(np.float32)


def steering_distance(evidence: Evidence, setup: Setup, azimuths: Array) -> Array:
    """(bins, azimuths) in [0, 1]: the share of a bin's power that a sound from there alone does not explain."""
    points = sphere(setup, azimuths, evidence.frequencies)
    out = np.empty((len(evidence), len(azimuths)), np.float32)
    edges = np.searchsorted(evidence.index, np.arange(len(evidence.frequencies) + 1))
    for i, (a, b) in enumerate(pairwise(edges)):
        if b > a:
            np.matmul(evidence.stokes[a:b], points[i].T, out=out[a:b])
    return np.clip((1 - out) / 2, 0, 1, out=out)


def diffuse_density(evidence: Evidence, setup: Setup) -> Array:
    """(bins,) how likely a bin is in sound from everywhere, beside a uniform one: angular central Gaussian."""
    covariance = 2 * diffuse(setup, evidence.frequencies)
    inverse = np.linalg.inv(covariance)
    determinant = np.linalg.det(covariance).real
    p, q, r = inverse[:, 0, 0].real, inverse[:, 1, 1].real, inverse[:, 0, 1]
    point = np.stack([(p - q) / 2, r.real, -r.imag], axis=-1)[evidence.index]  # trace(inverse R) for trace R = 1
    value = ((p + q) / 2)[evidence.index] + np.einsum("bi,bi->b", point, evidence.stokes)
    return (1 / (determinant[evidence.index] * value**2)).astype(np.float32)


def _ringing(parts: NDArray, weight: NDArray, frequencies: Array) -> Array:
    """What each band of `BANDS` is like between the onsets, (bands, 5)."""
    points = parts[:3] / (parts[3] + 1e-20)
    values = np.concatenate([points, (points**2).sum(axis=0)[None], np.abs(points[:1])])
    edges = np.searchsorted(frequencies, BANDS)
    out = np.zeros((len(BANDS) - 1, 5), np.float32)
    for band, (a, b) in enumerate(pairwise(edges)):
        share = weight[:, a:b]
        out[band] = (values[:, :, a:b] * share).sum(axis=(1, 2)) / (share.sum() + 1e-9)
    return out


def _thinned(frequencies: Array) -> NDArray[np.int64]:
    """All bins below 1.5 kHz, fewer and fewer above."""
    step = 1.0 + np.maximum(0, frequencies - 1500) / 1500
    ticks = np.floor(np.cumsum(1 / step))
    usable = (frequencies >= LOWEST) & (frequencies <= HIGHEST)
    return np.flatnonzero(usable & (np.diff(ticks, prepend=-1) > 0))


def onset(trace: NDArray, times: Array) -> NDArray:
    """(times, frequencies) in [0, 1]: how far a bin stands above what may still ring from before it."""
    fall = 10 ** (-FORGET / 10 * float(times[1] - times[0] if len(times) > 1 else 1))
    ringing, out = np.zeros_like(trace[0]), np.empty_like(trace)
    for t, now in enumerate(trace):
        out[t] = now / (now + ringing + 1e-20)
        ringing = np.maximum(ringing, now) * fall
    return out


def _loudness(trace: NDArray) -> NDArray:
    """(times, frequencies): louder bins count more, but a little only, and nothing below -60 dB counts."""
    level = np.maximum(trace, 0) / (trace.max() + 1e-20)
    return np.where(level > 1e-6, level**0.15, 0)


def _top(weight: NDArray, most: int) -> NDArray[np.bool_]:
    """The heaviest bins; each moment and frequency gives its best, so that nothing loud and long hides the rest."""
    if np.count_nonzero(weight) <= most:
        return weight > 0
    score = weight / (np.sort(weight, axis=1)[:, -len(weight[0]) // 8][:, None] + 1e-6) ** 0.5
    threshold = np.partition(score.ravel(), -most)[-most]
    return (score >= threshold) & (weight > 0)
