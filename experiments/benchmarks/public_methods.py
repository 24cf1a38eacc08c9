"""What one would use without this project: histograms of level or delay, and pyroomacoustics.

Written from their descriptions, for the benchmark. All are told the setup and its spacing; those that separate are told
the number of sources too. Conventions: those of `spatial.scene`.

- level histogram: azimuth of each bin by its level difference, weighted by power (as in DUET, Yilmaz and
  Rickard 2004)
- delay histogram: best azimuth of each frame by GCC-PHAT (Knapp and Carter 1976), weighted by the square of its peak
- srp, music, normmusic: `spatial.doa_baselines`
- auxiva, ilrma, fastmnmf2: blind separation into at most two signals
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import linear_sum_assignment
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from spatial.doa_baselines import compute_delays, localise_by, pick_highest
from spatial.setups import Setup, steering_vectors

Array = NDArray[np.floating]

FINDERS = ("histogram", "srp", "music", "normmusic")
SEPARATORS = ("auxiva", "ilrma", "fastmnmf2")
LENGTH = 2048  # frames of the transform at 44.1 kHz; longer ones separated these clips less well
ROUNDS = 30
BAND = (200.0, 8000.0)  # Hz, of GCC-PHAT
LEAST = 0.2  # of the highest peak: lower ones are not counted as sources
PIECE, STEP = 0.5, 0.25  # seconds, of a track
SMOOTH = {"level": 0.7, "delay": 2.0}  # degrees


def find(
    method: str, recording: Array, rate: int, setup: Setup, *, max_sources: int = 4, count: int | None = None
) -> list[float]:
    """Azimuths of the sources in a (2, frames) recording; by `histogram` where the method has nothing to go by."""
    if method != "histogram" and "time" in setup.cues:
        found = localise_by(method, recording, rate, setup, max_sources=max_sources, count=count)
        return [one.azimuth for one in found]
    azimuths = np.arange(-setup.limit, setup.limit + 0.25, 0.5)
    heard = delays if "time" in setup.cues else levels
    counted = heard(recording, rate, setup, azimuths)
    return [azimuth for azimuth, _ in pick_highest(azimuths, counted, max_sources, count, apart=12.0, least=LEAST)]


def levels(recording: Array, rate: int, setup: Setup, azimuths: Array) -> Array:
    """(azimuths,): how much is heard from each, going by level."""
    left, right = _spectra(recording, rate, 2048)
    direction = np.arctan2(np.real(right * left.conj()) / np.maximum(np.abs(left), 1e-12), np.abs(left))
    if setup.name != "ms":
        direction = np.arctan2(np.abs(right), np.abs(left))
    one = steering_vectors(setup, azimuths, 1000.0)[:, 0]
    known = np.arctan2(one[:, 1].real, one[:, 0].real)
    order = np.argsort(known)
    heard = np.interp(direction, known[order], np.asarray(azimuths)[order])
    return _histogram(heard, np.abs(left) ** 2 + np.abs(right) ** 2, azimuths, SMOOTH["level"])


def delays(recording: Array, rate: int, setup: Setup, azimuths: Array) -> Array:
    """(azimuths,): in how many frames it is the best, going by GCC-PHAT."""
    score = _phat(recording, rate, setup, azimuths)  # (frames, azimuths)
    best = np.asarray(azimuths)[score.argmax(axis=1)]
    return _histogram(best, score.max(axis=1) ** 2, azimuths, SMOOTH["delay"])


def _phat(recording: Array, rate: int, setup: Setup, azimuths: Array) -> Array:
    left, right = _spectra(recording, rate, 2048)
    frequencies = np.linspace(0, rate / 2, len(left))
    kept = (frequencies >= BAND[0]) & (frequencies <= BAND[1])
    cross = (right * left.conj())[kept]  # (frequencies, frames)
    power = np.abs(cross).sum(axis=0)
    cross = (cross / np.maximum(np.abs(cross), 1e-12))[:, power > 1e-6 * power.max(initial=0)]
    turns = np.exp(-2j * np.pi * frequencies[kept, None] * compute_delays(setup, azimuths))
    return np.real(cross.T @ turns) / kept.sum()


def _spectra(recording: Array, rate: int, length: int) -> Array:
    """(2, frequencies, frames); `length` is for 44.1 kHz."""
    size = 2 * round(length * rate / 44_100 / 2)
    transform = ShortTimeFFT(hann(size, sym=False), hop=size // 2, fs=rate)
    return transform.stft(np.pad(recording, ((0, 0), (0, max(0, size - recording.shape[1])))))


def _histogram(heard: Array, weight: Array, azimuths: Array, smooth: float) -> Array:
    step = azimuths[1] - azimuths[0]
    index = np.clip(np.rint((heard - azimuths[0]) / step).astype(int), 0, len(azimuths) - 1)
    counted = np.bincount(index.ravel(), weight.ravel(), minlength=len(azimuths))
    return gaussian_filter1d(counted, smooth / step, mode="constant")


def track(recording: Array, rate: int, setup: Setup, count: int) -> list[list[tuple[float, float]]]:
    """(seconds, azimuth) of `count` sources: the histogram of pieces, joined to the nearest (Hungarian method)."""
    size, step = round(PIECE * rate), round(STEP * rate)
    paths: list[list[tuple[float, float]]] = []
    for start in range(0, max(1, recording.shape[1] - size + 1), step):
        found = find("histogram", recording[:, start : start + size], rate, setup, count=count)
        middle = (start + size / 2) / rate
        if not paths:
            paths = [[(middle, azimuth)] for azimuth in found]
            continue
        costs = np.array([[abs(path[-1][1] - azimuth) for azimuth in found] for path in paths])
        for row, column in zip(*linear_sum_assignment(costs.reshape(len(paths), len(found))), strict=True):
            paths[row].append((middle, found[column]))
    return [_steadied(path) for path in paths]


def _steadied(path: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The median of five neighbours."""
    azimuths = np.pad([azimuth for _, azimuth in path], 2, mode="edge")
    return [(time, float(np.median(azimuths[k : k + 5]))) for k, (time, _) in enumerate(path)]


def separate(method: str, recording: Array, rate: int, count: int) -> Array:
    """(sources, frames): at most two signals, in no order."""
    from pyroomacoustics import bss

    size = 2 * round(LENGTH * rate / 44_100 / 2)
    transform = ShortTimeFFT(hann(size, sym=False), hop=size // 4, fs=rate)
    heard = transform.stft(recording.astype(float))  # (2, frequencies, frames)
    options = {"proj_back": True} if method != "fastmnmf2" else {}
    apart = getattr(bss, method)(heard.transpose(2, 1, 0), n_iter=ROUNDS, **options)
    return transform.istft(np.asarray(apart).transpose(2, 1, 0), k1=recording.shape[1])[: max(count, 1)]
