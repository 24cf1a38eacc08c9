"""A stereo recording and where its sources are -> each source as it stands in the recording.

Conventions: as in `spatial.scene`. An *image* is (2, frames): what the recording would be with that source alone.
Images sum to the recording.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spatial import demix, gaussian
from spatial.scene import Array, Direction, SpatialError
from spatial.setups import Setup, diffuse, steering
from spatial.setups import setup as named
from spatial.spectra import length_of, recording_of, spectra

Path = Sequence[tuple[float, float]]  # (seconds, azimuth)
METHODS = ("auto", "demix", "gaussian")

DRY = -34.0  # dB of `demix.leak` below which two sources are dry
NOISY = -25.0  # dB of the same below which their mended steering vectors are the better start
BLUNT = (-45.0, -36.0, -30.0, -22.0), (0.03, 0.25, 0.4, 0.6)  # dB of mixedness; share that comes from everywhere
ROOM = -38.0  # dB of mixedness above which powers are smooth across frequencies
ROOMY = -32.0  # dB of mixedness above which nothing is dry
WINDOW = 0.093  # seconds: much of a room's reverberation falls inside


def separate(
    recording: Array,
    rate: int,
    directions: Sequence[float | Direction],
    *,
    setup: str | Setup,
    paths: Sequence[Path | None] | None = None,
    method: str = "auto",
) -> Array:
    """(sources, 2, frames): images of the sources of a (2, frames) recording, in the order of `directions`."""
    mixed, azimuths = _checked(recording, directions, method)
    stereo = named(setup)
    peak = float(np.abs(mixed).max(initial=0))
    if len(azimuths) < 2 or peak == 0:
        return np.repeat(mixed[None] / np.float32(max(len(azimuths), 1)), len(azimuths), axis=0)
    length = length_of(WINDOW, rate)
    found = _unmixed(
        spectra(mixed / np.float32(peak), length), np.fft.rfftfreq(length, 1 / rate), stereo, azimuths, method
    )
    return np.float32(peak) * recording_of(found, length, mixed.shape[1])


def _unmixed(heard: NDArray, frequencies: NDArray, setup: Setup, azimuths: list[float], method: str) -> NDArray:
    """(sources, 2, times, frequencies) images of spectra (2, times, frequencies)."""
    vectors, mixedness = steering(setup, azimuths, frequencies), gaussian.mixedness(heard)
    if len(azimuths) == 2 and (method == "demix" or (method == "auto" and mixedness < ROOMY)):
        mixing = demix.mixing(heard, setup, azimuths, frequencies)
        found = demix.images(heard, mixing)
        leak = demix.leak(found)
        if method == "demix" or leak < DRY:
            return found
        if leak < NOISY:
            vectors = demix.vectors(mixing)
    places = gaussian.start(vectors, _everywhere(setup, frequencies), float(np.interp(mixedness, *BLUNT)))
    return gaussian.images(heard, *gaussian.fit(heard, places, spread=(3, 5) if mixedness > ROOM else (3, 3)))


def _everywhere(setup: Setup, frequencies: NDArray, step: int = 8) -> NDArray[np.complex64]:
    """(frequencies, 2, 2): `diffuse`, which is smooth, at every few frequencies and straight between them."""
    few = np.append(frequencies[:-1:step], frequencies[-1])
    known = diffuse(setup, few).reshape(-1, 4)
    return np.stack([np.interp(frequencies, few, one) for one in known.T], axis=-1).reshape(-1, 2, 2)


def _checked(recording: Array, directions: Sequence[float | Direction], method: str) -> tuple[Array, list[float]]:
    mixed = np.asarray(recording, np.float32)
    if mixed.ndim != 2 or mixed.shape[0] != 2:
        raise SpatialError(f"Got a recording of shape {mixed.shape}, want (2, frames); give both channels.")
    if not np.isfinite(mixed).all():
        raise SpatialError("Got a recording with samples that are not numbers, want finite ones; repair it.")
    if method not in METHODS:
        raise SpatialError(f'Got method="{method}", want one of {", ".join(METHODS)}; change it.')
    azimuths = [float(one.azimuth if isinstance(one, Direction) else one) for one in directions]
    if not np.isfinite(azimuths).all():
        raise SpatialError(f"Got azimuths {azimuths}, want degrees; leave out what is not a number.")
    return mixed, azimuths


def signals(images: Array) -> Array:
    """(sources, 2, frames) -> (sources, frames): one signal of each source, its louder channel."""
    louder = np.square(images, dtype=float).sum(axis=2).argmax(axis=1)
    return np.stack([image[ear] for image, ear in zip(images, louder, strict=True)]) if len(images) else images[:, 0]
