"""A stereo recording and where its sources are -> each source as it stands in the recording.

Conventions: as in `spatial.scene`. An *image* is (2, frames): what the recording would be with that source alone.
Images sum to the recording.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spatial import bss, demix, local_gaussian
from spatial.errors import SpatialError
from spatial.scene import Array, Direction
from spatial.setups import Setup, diffuse, make_setup, steering
from spatial.spectra import length_of, recording_of, spectra

Path = Sequence[tuple[float, float]]  # (seconds, azimuth)
METHODS = ("auto", "demix", "local_gaussian", *bss.METHODS)

ENOUGH = 12  # windows from which a mixing can be known
DRY = -34.0  # dB of `demix.leak` below which two sources are dry
NOISY = -25.0  # dB of the same below which their mended steering vectors are the better start
KEPT = 0.87  # of the better source's steering vectors: with less, neither is where it was said to be
APART = 5.0  # degrees, nearer than which two directions tell nothing apart by time
SHARED = {"spaced": 0.3, "binaural": 0.1}  # of the recording in a room that goes to all alike: cues are weak there
DOUBT = 0.75  # the same, of two dry sources that are not where they were said to be
DRIEST = -45.0  # dB of mixedness below which two sources that won't come apart are elsewhere
BLUNT = (-45.0, -36.0, -30.0, -22.0), (0.03, 0.25, 0.4, 0.6)  # dB of mixedness; share that comes from everywhere
ROOM = -38.0  # dB of mixedness above which powers are smooth across frequencies
ROOMY = -32.0  # dB of mixedness above which nothing is dry
QUIET = 1e-9  # of full scale, below which there is nothing to separate
BLOCK = 1.0  # seconds of what moves that are taken to stay
WINDOW = 0.093  # seconds: much of a room's reverberation falls inside
WINDOWS = {"auxiva": 0.046, "ilrma": 0.046}  # of what needs many windows more


def separate(
    recording: Array,
    rate: int,
    directions: Sequence[float | Direction],
    *,
    setup: str | Setup,
    paths: Sequence[Path | None] | None = None,
    method: str = "auto",
) -> Array:
    """(sources, 2, frames): images of the sources of a (2, frames) recording, in the order of `directions`.

    `directions` are `Direction`s or degrees, a few of which they may be off; `paths` those of sources that move, None
    for one that stays. `method`: "demix" undoes a dry mix of two, "local_gaussian" is for all else, "auto" listens
    which; "auxiva", "ilrma" (of two) and "fastmnmf2" are pyroomacoustics', started from the directions, of sources that
    stay. Raises SpatialError for what is no recording or place.
    """
    mixed, azimuths = _checked(recording, directions, paths, method)
    stereo = make_setup(setup)
    peak = float(np.abs(mixed).max(initial=0))
    if len(azimuths) < 2 or peak < QUIET:
        return np.repeat(mixed[None] / np.float32(max(len(azimuths), 1)), len(azimuths), axis=0)
    known = paths or [None] * len(azimuths)
    tracks = [np.array(path or [(0.0, azimuth)]) for path, azimuth in zip(known, azimuths, strict=True)]
    moving = any(np.ptp(track[:, 1]) > 0 for track in tracks)
    if moving and method == "auto" and stereo.name != "spaced":  # demixing each piece is slow, and needed by time alone
        method = "local_gaussian"
    pieces = _pieces(mixed.shape[1], round(BLOCK * rate)) if moving else [(0, np.ones(mixed.shape[1], np.float32))]
    out = np.zeros((len(azimuths), *mixed.shape), np.float32)
    for first, fade in pieces:
        last = first + len(fade)
        there = [float(np.interp((first + last) / 2 / rate, *track.T)) for track in tracks]
        out[..., first:last] += fade * _still(mixed[:, first:last], rate, there, stereo, method)
    return out


def signals(images: Array) -> Array:
    """(sources, 2, frames) images -> (sources, frames): the louder channel, where it stands out most."""
    louder = np.square(images, dtype=float).sum(axis=2).argmax(axis=1)
    return images[np.arange(len(images)), louder]


def _still(recording: Array, rate: int, azimuths: list[float], setup: Setup, method: str) -> Array:
    """Images of sources that stay."""
    peak = np.float32(np.abs(recording).max())
    if peak < QUIET:
        return np.repeat(recording[None] / np.float32(len(azimuths)), len(azimuths), axis=0)
    length = length_of(WINDOWS.get(method, WINDOW), rate)
    heard, frequencies = spectra(recording / peak, length), np.fft.rfftfreq(length, 1 / rate)
    return peak * recording_of(_unmixed(heard, frequencies, setup, azimuths, method), length, recording.shape[1])


def _pieces(frames: int, size: int) -> list[tuple[int, Array]]:
    """(first frame, fade) of pieces that overlap by half; fades sum to one."""
    centres = np.linspace(0, frames, 1 + max(1, 2 * frames // size))
    at, out = np.arange(frames) + 0.5, []
    for k in range(len(centres)):
        fade = np.interp(at, centres, np.eye(len(centres))[k]).astype(np.float32)
        inside = np.flatnonzero(fade)
        out.append((int(inside[0]), fade[inside[0] : inside[-1] + 1]))
    return out


def _unmixed(heard: NDArray, frequencies: NDArray, setup: Setup, azimuths: list[float], method: str) -> NDArray:
    """(sources, 2, times, frequencies) images of spectra (2, times, frequencies)."""
    if method in bss.METHODS:
        return bss.images(method, heard, setup, azimuths, frequencies)
    vectors, mixedness, doubt = steering(setup, azimuths, frequencies), local_gaussian.mixedness(heard), False
    dry = method == "auto" and mixedness < ROOMY and heard.shape[1] >= ENOUGH
    if len(azimuths) == 2 and (method == "demix" or dry):
        mixing = demix.mixing(heard, setup, azimuths, frequencies)
        found, mended = demix.images(heard, mixing), demix.vectors(mixing)
        leak, kept = demix.leak(found), demix.kept(vectors, mended, frequencies)
        lost = "time" in setup.cues and (kept < KEPT or abs(azimuths[0] - azimuths[1]) < APART)
        if method == "demix" or (leak < DRY and not lost):
            return found
        doubt = mixedness < DRIEST and (lost or leak > NOISY)
        vectors = mended if mixedness < ROOM and leak < NOISY and not lost else vectors
    places = local_gaussian.start(vectors, _everywhere(setup, frequencies), float(np.interp(mixedness, *BLUNT)))
    found = local_gaussian.images(
        heard, *local_gaussian.fit(heard, places, spread=(5, 7) if mixedness > ROOM else (3, 3))
    )
    shared = DOUBT if doubt else SHARED.get(setup.name, 0.0) * (mixedness > ROOMY)
    return found + np.float32(shared) * (heard / np.float32(len(found)) - found)


def _everywhere(setup: Setup, frequencies: NDArray, step: int = 8) -> NDArray[np.complex64]:
    """(frequencies, 2, 2): `diffuse`, which is smooth, at every few frequencies and straight between them."""
    few = np.append(frequencies[:-1:step], frequencies[-1])
    known = diffuse(setup, few).reshape(-1, 4)
    return np.stack([np.interp(frequencies, few, one) for one in known.T], axis=-1).reshape(-1, 2, 2)


def _checked(
    recording: Array, directions: Sequence[float | Direction], paths: Sequence[Path | None] | None, method: str
) -> tuple[Array, list[float]]:
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
    if method in ("demix", "auxiva", "ilrma") and len(azimuths) > 2:
        raise SpatialError(
            f'Got {len(azimuths)} directions, want two at most for "{method}"; say "auto" or "local_gaussian".'
        )
    if method in bss.METHODS and any(path is not None and np.ptp([a for _, a in path]) > 0 for path in paths or ()):
        raise SpatialError(
            f'Got a path that moves, want sources that stay for "{method}"; say "auto" or "local_gaussian".'
        )
    if paths is not None and len(paths) != len(azimuths):
        raise SpatialError(f"Got {len(paths)} paths for {len(azimuths)} directions, want one each; say None for some.")
    return mixed, azimuths
