"""Published ways to find directions, by pyroomacoustics: steered response power, MUSIC and NormMUSIC.

They go by delays alone, so the setup must have some, and its spacing must be known. Two microphones leave a subspace
of one source, whatever their number; several are several peaks of the one spectrum. Angles of pyroomacoustics are in
radians, counter-clockwise from the right; here they are degrees from the front, positive to the right. Where a method
fails, or gives no number, nothing stands out there.
"""

import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from spatial.errors import SpatialError
from spatial.maps import vertex
from spatial.scene import Direction
from spatial.setups import SPEED_OF_SOUND, Setup

METHODS = ("srp", "music", "normmusic")
CLASSES = {"srp": "SRP", "music": "MUSIC", "normmusic": "NormMUSIC"}
WINDOW = 0.046  # seconds
BAND = (300.0, 4000.0)  # Hz; above, half a metre has more side lobes than it tells
APART = 15.0  # degrees between peaks
HEAD = 0.0875  # metres, the usual radius
LEAST = 0.5  # of the highest peak above the median: lower ones are not counted as sources


def directions_by(
    method: str, recording: ArrayLike, rate: int, setup: Setup, *, max_sources: int = 4, count: int | None = None
) -> list[Direction]:
    """Directions in a (2, frames) recording by one of `METHODS`, highest peak first; SpatialError without delays."""
    azimuths = np.arange(-90.0, 91.0)
    spectrum = spectrum_of(method, recording, rate, setup, azimuths)
    return [
        Direction(azimuth, confidence=height) for azimuth, height in highest(azimuths, spectrum, max_sources, count)
    ]


def spectrum_of(method: str, recording: ArrayLike, rate: int, setup: Setup, azimuths: ArrayLike) -> NDArray[np.float64]:
    """(azimuths,): what the method says of each direction."""
    mixed = np.asarray(recording, float)
    if method not in METHODS:
        raise SpatialError(f'Got method="{method}", want one of {", ".join(METHODS)}; change it.')
    if not setup.longest or mixed.ndim != 2 or mixed.shape[0] != 2:
        raise SpatialError(
            f'Got shape {mixed.shape} and setup="{setup.name}", but {method} needs two channels with a delay between '
            "them; leave the method out."
        )
    from pyroomacoustics import doa

    length = max(64, 2 * round(WINDOW * rate / 2))
    transform = ShortTimeFFT(hann(length, sym=False), hop=length // 2, fs=rate)
    spectra = transform.stft(np.pad(mixed, ((0, 0), (0, max(0, length - mixed.shape[1])))))  # (2, frequencies, frames)
    half = setup.longest * SPEED_OF_SOUND / 2
    places = np.array([[half, -half], [0.0, 0.0]])  # its delays are those of the transform's other sign
    grid = np.pi / 2 - np.arcsin(np.clip(delays_of(setup, azimuths) / setup.longest, -1, 1))
    finder = getattr(doa, CLASSES[method])(places, rate, length, c=SPEED_OF_SOUND, num_src=1, azimuth=grid)
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            finder.locate_sources(spectra + 1e-12, freq_range=[BAND[0], min(BAND[1], 0.45 * rate)])
    except (ArithmeticError, ValueError):  # no subspace (LinAlgError is a ValueError): nothing stands out
        return np.zeros(len(grid))
    found = np.array(finder.grid.values, float)
    known = np.isfinite(found)
    top = np.abs(found[known]).max(initial=0.0)
    return np.nan_to_num(found, nan=found[known].min(initial=0.0), posinf=2 * top + 1, neginf=-top)


def delays_of(setup: Setup, azimuths: ArrayLike) -> NDArray[np.float64]:
    """(azimuths,) seconds that the left channel is late: far field, or round a sphere, Woodworth (1938)."""
    azimuth = np.deg2rad(np.asarray(azimuths, float))
    if setup.name == "binaural":
        return HEAD / SPEED_OF_SOUND * (azimuth + np.sin(azimuth))
    return setup.longest * np.sin(azimuth)


def highest(
    azimuths: NDArray,
    spectrum: NDArray,
    max_sources: int,
    count: int | None,
    apart: float = APART,
    least: float = LEAST,
) -> list[tuple[float, float]]:
    """(azimuth, height 0..1 above the median) of the highest peaks; `count` of them, or all that are high enough."""
    above = np.maximum(spectrum - np.median(spectrum), 0.0)
    left, out = above / max(above.max(), 1e-30), list[tuple[float, float]]()
    while left.max() > (0 if count else least) and len(out) < (count or max_sources):
        top = int(np.argmax(left))
        out.append((float(azimuths[top] + vertex(above, top) * (azimuths[1] - azimuths[0])), float(left[top])))
        left = np.where(np.abs(azimuths - azimuths[top]) < apart, 0.0, left)
    return out
