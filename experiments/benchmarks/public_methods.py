"""Public methods to compare with: histograms of levels or delays, and those of pyroomacoustics.

Written from their descriptions, for the benchmark. All know the setup and its spacing; those that separate know the
number of sources too. Conventions: those of `spatial.scene`.

- level histogram: azimuth of each bin by its level difference, weighted by power (as in DUET, Yilmaz and
  Rickard 2004)
- delay histogram: best azimuth of each frame by GCC-PHAT (Knapp and Carter 1976), weighted by the square of its peak
- srp, music, normmusic: `spatial.doa_baselines`
- auxiva, ilrma, fastmnmf2: blind separation into at most two signals
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pyroomacoustics import bss
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import linear_sum_assignment
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from spatial.doa_baselines import compute_delays, localise_by, pick_highest
from spatial.setups import Setup, steering_vectors

Array = NDArray[np.floating]

FINDERS = ("histogram", "srp", "music", "normmusic")
SEPARATORS = ("auxiva", "ilrma", "fastmnmf2")
LENGTH = 2048  # frames of the transform at 44.1 kHz; longer ones separated these clips worse
ROUNDS = 30
BAND = (200.0, 8000.0)  # Hz, of GCC-PHAT
LEAST = 0.2  # height, of the highest peak's, below which a peak is no source
WINDOW, HOP = 0.5, 0.25  # seconds, of a track
SMOOTH = {"level": 0.7, "delay": 2.0}  # degrees


def localise(
    method: str, recording: Array, rate: int, setup: Setup, *, max_sources: int = 4, count: int | None = None
) -> list[float]:
    """Azimuths of the sources in a (2, frames) recording; by `histogram` where the setup has no delays."""
    if method != "histogram" and "time" in setup.cues:
        directions = localise_by(method, recording, rate, setup, max_sources=max_sources, count=count)
        return [one.azimuth for one in directions]
    azimuths = np.arange(-setup.limit, setup.limit + 0.25, 0.5)
    compute = delay_histogram if "time" in setup.cues else level_histogram
    histogram = compute(recording, rate, setup, azimuths)
    return [azimuth for azimuth, _ in pick_highest(azimuths, histogram, max_sources, count, apart=12.0, least=LEAST)]


def level_histogram(recording: Array, rate: int, setup: Setup, azimuths: Array) -> Array:
    """(azimuths,): the power from each, by level differences."""
    left, right = _stft(recording, rate, 2048)
    direction = np.arctan2(np.real(right * left.conj()) / np.maximum(np.abs(left), 1e-12), np.abs(left))
    if setup.name != "ms":
        direction = np.arctan2(np.abs(right), np.abs(left))
    one = steering_vectors(setup, azimuths, 1000.0)[:, 0]
    known = np.arctan2(one[:, 1].real, one[:, 0].real)
    order = np.argsort(known)
    estimates = np.interp(direction, known[order], np.asarray(azimuths)[order])
    return _histogram(estimates, np.abs(left) ** 2 + np.abs(right) ** 2, azimuths, SMOOTH["level"])


def delay_histogram(recording: Array, rate: int, setup: Setup, azimuths: Array) -> Array:
    """(azimuths,): the weight of the windows in which it is the best, by GCC-PHAT."""
    score = _gcc_phat(recording, rate, setup, azimuths)  # (times, azimuths)
    best = np.asarray(azimuths)[score.argmax(axis=1)]
    return _histogram(best, score.max(axis=1) ** 2, azimuths, SMOOTH["delay"])


def _gcc_phat(recording: Array, rate: int, setup: Setup, azimuths: Array) -> Array:
    left, right = _stft(recording, rate, 2048)
    frequencies = np.linspace(0, rate / 2, len(left))
    band = (frequencies >= BAND[0]) & (frequencies <= BAND[1])
    cross = (right * left.conj())[band]  # (frequencies, times)
    power = np.abs(cross).sum(axis=0)
    cross = (cross / np.maximum(np.abs(cross), 1e-12))[:, power > 1e-6 * power.max(initial=0)]
    phases = np.exp(-2j * np.pi * frequencies[band, None] * compute_delays(setup, azimuths))
    return np.real(cross.T @ phases) / band.sum()


def _stft(recording: Array, rate: int, length: int) -> Array:
    """(2, frequencies, times); `length` is in frames at 44.1 kHz."""
    size = 2 * round(length * rate / 44_100 / 2)
    transform = ShortTimeFFT(hann(size, sym=False), hop=size // 2, fs=rate)
    return transform.stft(np.pad(recording, ((0, 0), (0, max(0, size - recording.shape[1])))))


def _histogram(estimates: Array, weight: Array, azimuths: Array, smooth: float) -> Array:
    step = azimuths[1] - azimuths[0]
    index = np.clip(np.rint((estimates - azimuths[0]) / step).astype(int), 0, len(azimuths) - 1)
    histogram = np.bincount(index.ravel(), weight.ravel(), minlength=len(azimuths))
    return gaussian_filter1d(histogram, smooth / step, mode="constant")


def track(recording: Array, rate: int, setup: Setup, count: int) -> list[list[tuple[float, float]]]:
    """(seconds, azimuth) of `count` sources: the peaks of windows, joined to the nearest (Hungarian method)."""
    size, hop = round(WINDOW * rate), round(HOP * rate)
    paths: list[list[tuple[float, float]]] = []
    for start in range(0, max(1, recording.shape[1] - size + 1), hop):
        estimates = localise("histogram", recording[:, start : start + size], rate, setup, count=count)
        middle = (start + size / 2) / rate
        if not paths:
            paths = [[(middle, azimuth)] for azimuth in estimates]
            continue
        costs = np.array([[abs(path[-1][1] - azimuth) for azimuth in estimates] for path in paths])
        for row, column in zip(*linear_sum_assignment(costs.reshape(len(paths), len(estimates))), strict=True):
            paths[row].append((middle, estimates[column]))
    return [_median_filter(path) for path in paths]


def _median_filter(path: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The median of five neighbouring azimuths."""
    azimuths = np.pad([azimuth for _, azimuth in path], 2, mode="edge")
    return [(time, float(np.median(azimuths[k : k + 5]))) for k, (time, _) in enumerate(path)]


def separate(method: str, recording: Array, rate: int, count: int) -> Array:
    """(sources, frames): at most two signals, in no order."""
    size = 2 * round(LENGTH * rate / 44_100 / 2)
    transform = ShortTimeFFT(hann(size, sym=False), hop=size // 4, fs=rate)
    spectra = transform.stft(recording.astype(float))  # (2, frequencies, times)
    options = {"proj_back": True} if method != "fastmnmf2" else {}
    separated = getattr(bss, method)(spectra.transpose(2, 1, 0), n_iter=ROUNDS, **options)
    return transform.istft(np.asarray(separated).transpose(2, 1, 0), k1=recording.shape[1])[: max(count, 1)]
