"""A recording -> what each time-frequency bin says about directions.

The evidence of a bin is its spatial covariance, averaged over its neighbours. One direct sound alone makes it rank one:
then it is the outer product of that direction's steering vector. Reverberation and overlapping sounds move it away from
every steering vector, so that such bins count little without being discarded.

Conventions: a 2x2 covariance of trace one is written as a *Stokes vector*, (LL - RR, 2 Re LR*, 2 Im LR*): a point in
the unit sphere, on its surface where the rank is one.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Complex, Float, Int
from scipy.fft import rfft
from scipy.ndimage import uniform_filter1d

from spatial.setups import Setup, diffuse_covariance, steering_vectors

WINDOW = 0.046  # seconds: long beside the largest delay, short beside a syllable
LOWEST, HIGHEST = 100.0, 9000.0  # Hz
DECAY = 90.0  # dB per second: the slowest decay that an echo is assumed to have
ONSET_POWER = 2  # exponent of `onset_weights` where bins are selected: onsets carry the direct sound
MOST, PER_SECOND = 12_000, 2400  # bins that are kept: at least, and for each second of a longer recording
BANDS = (100, 200, 400, 800, 1600, 3200, 6400, 9000)  # Hz


@dataclass(frozen=True, eq=False)
class Evidence:
    """Bins of a recording, sorted by frequency."""

    times: Float[np.ndarray, " bins"]  # seconds
    index: Int[np.ndarray, " bins"]  # into `frequencies`
    frequencies: Float[np.ndarray, " frequencies"]  # Hz
    stokes: Float[np.ndarray, "bins 3"]  # Stokes vectors of the covariances over their traces
    weight: Float[np.ndarray, " bins"]  # how much a bin counts
    onset: Float[np.ndarray, " bins"]  # `onset_weights` of the bins, in [0, 1]
    # Sound between onsets in each of `BANDS`, as means of: the three Stokes parameters (level difference, in-phase and
    # quadrature correlation of the channels), the squared length of the Stokes vector, |level difference|.
    ringing: Float[np.ndarray, "bands 5"]

    def __len__(self) -> int:
        return len(self.times)

    def keep_heaviest(self, most: int) -> "Evidence":
        """The `most` bins with the largest weights."""
        if len(self) <= most:
            return self
        return self.select(np.sort(np.argpartition(self.weight, -most)[-most:]))

    def thin_out(self, most: int) -> "Evidence":
        """At most that many bins, evenly from all."""
        step = -(-len(self) // most)
        return self.select(np.arange(0, len(self), step)) if step > 1 else self

    def mirrored(self) -> "Evidence":
        """The evidence of the recording with its channels exchanged."""
        turn = np.array([-1, 1, -1], np.float32)  # level difference and phase change their sign
        ringing = np.concatenate([self.ringing[:, :3] * turn, self.ringing[:, 3:]], axis=1)
        return replace(self, stokes=self.stokes * turn, ringing=ringing)

    def select(self, chosen: Int[np.ndarray, " chosen"]) -> "Evidence":
        """The bins at these indices, which must ascend."""
        each = {name: getattr(self, name)[chosen] for name in ("times", "index", "stokes", "weight", "onset")}
        return replace(self, **each)


def stft(
    recording: Float[np.ndarray, "channels frames"], rate: int, window: float = WINDOW, overlap: int = 4
) -> tuple[
    Complex[np.ndarray, "channels times frequencies"], Float[np.ndarray, " times"], Float[np.ndarray, " frequencies"]
]:
    """(spectra, times in seconds, frequencies in Hz): Hann windows of about `window` seconds, `overlap` hops long."""
    length = 1 << max(5, round(np.log2(window * rate)))
    hop = length // overlap
    padded = np.pad(recording, ((0, 0), (0, max(0, length - recording.shape[1]))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, length, axis=1)[:, ::hop]
    taper = np.hanning(length + 1)[:-1].astype(np.float32)
    spectra = rfft(frames * taper, axis=2)
    times = (np.arange(spectra.shape[1]) * hop + length / 2) / rate
    return spectra, times.astype(np.float32), np.fft.rfftfreq(length, 1 / rate).astype(np.float32)


def gather(recording: Float[np.ndarray, "2 frames"], rate: int, most: int | None = None) -> Evidence:
    """The most telling bins: loud for their time and frequency, and at an onset rather than ringing.

    `most` of them; by default a number that grows with the length, so that a long recording tells no less.
    """
    most = most or max(MOST, round(PER_SECOND * recording.shape[1] / rate))
    spectra, times, frequencies = stft(recording, rate)
    selected = _select_frequencies(frequencies)
    left, right = spectra[:, :, : selected[-1] + 3]  # those that the filters below read
    power = np.abs(left) ** 2, np.abs(right) ** 2
    cross = left * np.conj(right)
    parts = np.stack([power[0] - power[1], 2 * cross.real, 2 * cross.imag, power[0] + power[1]])
    parts = uniform_filter1d(uniform_filter1d(parts, 3, axis=1), 3, axis=2)[:, :, selected]
    trace = parts[3]
    onsets, loudness = onset_weights(trace, times), _loudness_weights(trace)
    weight = onsets * loudness
    chosen = _select_heaviest(onsets**ONSET_POWER * loudness, most)
    order = np.nonzero(chosen.T)  # sorted by frequency
    stokes = np.stack([(parts[i] / (trace + 1e-20)).T[order] for i in range(3)], axis=-1)
    return Evidence(
        times[order[1]],
        order[0],
        frequencies[selected],
        stokes.astype(np.float32),
        weight.T[order].astype(np.float32),
        onsets.T[order].astype(np.float32),
        _summarise_ringing(parts, (1 - onsets) * loudness, frequencies[selected]),
    )


def steering_stokes(
    setup: Setup, azimuths: Float[np.ndarray, " azimuths"], frequencies: Float[np.ndarray, " frequencies"]
) -> Float[np.ndarray, "frequencies azimuths 3"]:
    """Stokes vectors of the steering vectors."""
    vectors = steering_vectors(setup, azimuths, frequencies)
    left, right = vectors[..., 0], vectors[..., 1]
    cross = left * np.conj(right)
    stokes = np.stack([np.abs(left) ** 2 - np.abs(right) ** 2, 2 * cross.real, 2 * cross.imag], axis=-1)
    return stokes.transpose(1, 0, 2).astype(np.float32)


def steering_distance(
    evidence: Evidence, setup: Setup, azimuths: Float[np.ndarray, " azimuths"]
) -> Float[np.ndarray, "bins azimuths"]:
    """The share of a bin's power, in [0, 1], that a sound from each azimuth alone does not explain."""
    points = _steering_grid(setup, azimuths.astype(np.float32).tobytes(), evidence.frequencies.tobytes())
    out = np.empty((len(evidence), len(azimuths)), np.float32)
    edges = np.searchsorted(evidence.index, np.arange(len(evidence.frequencies) + 1))
    for i, (a, b) in enumerate(pairwise(edges)):
        if b > a:
            np.matmul(evidence.stokes[a:b], points[i].T, out=out[a:b])
    return np.clip((1 - out) / 2, 0, 1, out=out)


def diffuse_density(evidence: Evidence, setup: Setup) -> Float[np.ndarray, " bins"]:
    """The density of each bin in diffuse sound, relative to a uniform density: angular central Gaussian."""
    determinant, mean, point = _diffuse_numbers(setup, evidence.frequencies.tobytes())
    value = mean[evidence.index] + np.einsum("bi,bi->b", point[evidence.index], evidence.stokes)
    return (1 / (determinant[evidence.index] * value**2)).astype(np.float32)


@lru_cache(maxsize=64)
def _steering_grid(setup: Setup, azimuths: bytes, frequencies: bytes) -> Float[np.ndarray, "frequencies azimuths 3"]:
    """`steering_stokes`, kept for the next recording."""
    return steering_stokes(setup, np.frombuffer(azimuths, np.float32), np.frombuffer(frequencies, np.float32))


@lru_cache(maxsize=64)
def _diffuse_numbers(
    setup: Setup, frequencies: bytes
) -> tuple[Float[np.ndarray, " frequencies"], Float[np.ndarray, " frequencies"], Float[np.ndarray, "frequencies 3"]]:
    """Determinant of twice the diffuse field's covariance R, and numbers that give trace(R^-1 C) for a covariance C."""
    covariance = 2 * diffuse_covariance(setup, np.frombuffer(frequencies, np.float32))
    inverse = np.linalg.inv(covariance)
    p, q, r = inverse[:, 0, 0].real, inverse[:, 1, 1].real, inverse[:, 0, 1]
    return np.linalg.det(covariance).real, (p + q) / 2, np.stack([(p - q) / 2, r.real, -r.imag], axis=-1)


def _summarise_ringing(
    parts: Float[np.ndarray, "4 times frequencies"],
    weight: Float[np.ndarray, "times frequencies"],
    frequencies: Float[np.ndarray, " frequencies"],
) -> Float[np.ndarray, "bands 5"]:
    """The sound between the onsets, in each of `BANDS`; the columns are those of `Evidence.ringing`."""
    points = parts[:3] / (parts[3] + 1e-20)
    values = np.concatenate([points, (points**2).sum(axis=0)[None], np.abs(points[:1])])
    edges = np.searchsorted(frequencies, BANDS)
    out = np.zeros((len(BANDS) - 1, 5), np.float32)
    for band, (a, b) in enumerate(pairwise(edges)):
        share = weight[:, a:b]
        out[band] = (values[:, :, a:b] * share).sum(axis=(1, 2)) / (share.sum() + 1e-9)
    return out


def _select_frequencies(frequencies: Float[np.ndarray, " frequencies"]) -> Int[np.ndarray, " selected"]:
    """Indices of all frequencies below 1.5 kHz and of fewer and fewer above."""
    step = 1.0 + np.maximum(0, frequencies - 1500) / 1500
    ticks = np.floor(np.cumsum(1 / step))
    usable = (frequencies >= LOWEST) & (frequencies <= HIGHEST)
    return np.flatnonzero(usable & (np.diff(ticks, prepend=-1) > 0))


def onset_weights(
    trace: Float[np.ndarray, "times frequencies"], times: Float[np.ndarray, " times"]
) -> Float[np.ndarray, "times frequencies"]:
    """How far a bin's power, in [0, 1], stands above what may still ring from before it."""
    decay = 10 ** (-DECAY / 10 * float(times[1] - times[0] if len(times) > 1 else 1))
    ringing, out = np.zeros_like(trace[0]), np.empty_like(trace)
    for t, now in enumerate(trace):
        out[t] = np.maximum(now, 0) / (now + ringing + 1e-20)
        ringing = np.maximum(ringing, now) * decay
    return out


def _loudness_weights(trace: Float[np.ndarray, "times frequencies"]) -> Float[np.ndarray, "times frequencies"]:
    """Louder bins count slightly more; bins below -60 dB do not count."""
    level = np.maximum(trace, 0) / (trace.max() + 1e-20)
    return np.where(level > 1e-6, level**0.15, 0)


def _select_heaviest(
    weight: Float[np.ndarray, "times frequencies"], most: int
) -> Bool[np.ndarray, "times frequencies"]:
    """The heaviest bins, relative to others of their time, so that a loud and long sound does not hide the others."""
    if np.count_nonzero(weight) <= most:
        return weight > 0
    score = weight / (np.sort(weight, axis=1)[:, -len(weight[0]) // 8][:, None] + 1e-6) ** 0.5
    threshold = np.partition(score.ravel(), -most)[-most]
    return (score >= threshold) & (weight > 0)
