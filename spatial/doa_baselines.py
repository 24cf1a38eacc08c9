"""Published methods of direction-of-arrival estimation, by pyroomacoustics: SRP-PHAT, MUSIC and NormMUSIC.

They use delays only, so the setup must have some, and its spacing must be known. Two microphones leave the subspace of
one source, whatever their number; several sources are several peaks of its spectrum. Angles of pyroomacoustics are in
radians, counter-clockwise from the right; here they are degrees from the front, positive to the right. Where a method
fails, or returns no number, its spectrum has no peak.
"""

import warnings

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from spatial.errors import SpatialError
from spatial.peaks import interpolate_peak
from spatial.scene import Direction
from spatial.setups import SPEED_OF_SOUND, Setup

METHODS = ("srp", "music", "normmusic")
CLASSES = {"srp": "SRP", "music": "MUSIC", "normmusic": "NormMUSIC"}
WINDOW = 0.046  # seconds
BAND = (300.0, 4000.0)  # Hz; above, microphones half a metre apart have too many side lobes
APART = 15.0  # degrees between peaks
HEAD = 0.0875  # metres, the usual radius
LEAST = 0.5  # height above the median, of the highest peak's, below which a peak is no source


def localise_by(
    method: str, recording: ArrayLike, rate: int, setup: Setup, *, max_sources: int = 4, count: int | None = None
) -> list[Direction]:
    """Directions in a (2, frames) recording by one of `METHODS`, highest peak first; SpatialError without delays."""
    azimuths = np.arange(-90.0, 91.0)
    spectrum = compute_spectrum(method, recording, rate, setup, azimuths)
    peaks = pick_highest(azimuths, spectrum, max_sources, count)
    return [Direction(azimuth, confidence=height) for azimuth, height in peaks]


def compute_spectrum(
    method: str, recording: ArrayLike, rate: int, setup: Setup, azimuths: Float[np.ndarray, " azimuths"]
) -> Float[np.ndarray, " azimuths"]:
    """The method's spatial spectrum."""
    mixture = np.asarray(recording, float)
    if method not in METHODS:
        raise SpatialError(f'Got method="{method}", expected one of {", ".join(METHODS)}; change it.')
    if not setup.max_delay or mixture.ndim != 2 or mixture.shape[0] != 2:
        raise SpatialError(
            f'Got shape {mixture.shape} and setup="{setup.name}", but {method} needs two channels with a delay between '
            "them; leave the method out."
        )
    from pyroomacoustics import doa  # here, so that `listen` does not wait for it

    length = max(64, 2 * round(WINDOW * rate / 2))
    transform = ShortTimeFFT(hann(length, sym=False), hop=length // 2, fs=rate)
    padded = np.pad(mixture, ((0, 0), (0, max(0, length - mixture.shape[1]))))
    spectra = transform.stft(padded)  # (2, frequencies, times)
    half = setup.max_delay * SPEED_OF_SOUND / 2
    microphones = np.array([[half, -half], [0.0, 0.0]])  # swapped: the transform there has the other sign
    grid = np.pi / 2 - np.arcsin(np.clip(compute_delays(setup, azimuths) / setup.max_delay, -1, 1))
    finder = getattr(doa, CLASSES[method])(microphones, rate, length, c=SPEED_OF_SOUND, num_src=1, azimuth=grid)
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            finder.locate_sources(spectra + 1e-12, freq_range=[BAND[0], min(BAND[1], 0.45 * rate)])
    except (ArithmeticError, ValueError):  # no subspace (LinAlgError is a ValueError): no peak
        return np.zeros(len(grid))
    values = np.array(finder.grid.values, float)
    finite = np.isfinite(values)
    top = np.abs(values[finite]).max(initial=0.0)
    return np.nan_to_num(values, nan=values[finite].min(initial=0.0), posinf=2 * top + 1, neginf=-top)


def compute_delays(setup: Setup, azimuths: Float[np.ndarray, " azimuths"]) -> Float[np.ndarray, " azimuths"]:
    """Seconds by which the left channel is late: far field, or around a sphere, Woodworth (1938)."""
    azimuth = np.deg2rad(np.asarray(azimuths, float))
    if setup.name == "binaural":
        return HEAD / SPEED_OF_SOUND * (azimuth + np.sin(azimuth))
    return setup.max_delay * np.sin(azimuth)


def pick_highest(
    azimuths: Float[np.ndarray, " azimuths"],
    spectrum: Float[np.ndarray, " azimuths"],
    max_sources: int,
    count: int | None,
    apart: float = APART,
    least: float = LEAST,
) -> list[tuple[float, float]]:
    """(azimuth, height 0..1 above the median) of the highest peaks: `count` of them, or all that are high enough."""
    above = np.maximum(spectrum - np.median(spectrum), 0.0)
    left, peaks = above / max(above.max(), 1e-30), list[tuple[float, float]]()
    while left.max() > (0 if count else least) and len(peaks) < (count or max_sources):
        top = int(np.argmax(left))
        azimuth = azimuths[top] + interpolate_peak(above, top) * (azimuths[1] - azimuths[0])
        peaks.append((float(azimuth), float(left[top])))
        left = np.where(np.abs(azimuths - azimuths[top]) < apart, 0.0, left)
    return peaks
