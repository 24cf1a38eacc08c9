"""A stereo recording and the directions of its sources -> each source as it is in the recording.

Conventions: as in `spatial.scene`. An *image* is (2, frames): what the recording would be with that source alone.
Images sum to the recording.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Complex, Float, Real

from spatial import bss, demix, local_gaussian, low_rank
from spatial.errors import SpatialError
from spatial.scene import Direction
from spatial.setups import Setup, diffuse_covariance, make_setup, steering_vectors
from spatial.spectra import istft, stft, window_length

Path = Sequence[tuple[float, float]]  # (seconds, azimuth)
METHODS = ("auto", "demix", "local_gaussian", *bss.METHODS)

ENOUGH = 12  # windows from which a mixing can be estimated
DRY = -34.0  # dB of `demix.measure_leakage` below which two sources are dry
NOISY = -25.0  # dB of the same below which their estimated steering vectors are the better start
SIMILAR = 0.87  # similarity of the estimated steering vectors to the expected ones below which the directions are wrong
APART = 5.0  # degrees between two directions below which delays do not tell them apart
DOUBT = 0.8  # share of a recording that all sources get: two dry ones whose given directions are wrong
DRIEST = -45.0  # dB of mixedness below which two sources that cannot be separated have other directions
DIFFUSENESS = (-45.0, -36.0, -30.0, -22.0), (0.03, 0.25, 0.4, 0.6)  # dB of mixedness; share of diffuse sound
ROOM = -38.0  # dB of mixedness above which powers are smooth across frequencies
REVERBERANT = -32.0  # dB of mixedness above which no source is dry
ROUNDS = 4, 16  # in a room: of smooth powers, then of low-rank ones
RANK = 12  # spectra a source is made of, in a room
BAND = 8000.0  # Hz below which powers are low-rank: most of the energy, at a third of the cost
QUIET = 1e-9  # of full scale, below which there is nothing to separate
BLOCK = 1.0  # seconds during which a moving source is treated as fixed
WINDOW = 0.093  # seconds: much of a room's reverberation falls inside
WINDOWS = {"auxiva": 0.046, "ilrma": 0.046}  # of methods that need many more windows

Image = Float[np.ndarray, "2 frames"]
Shares = Real[np.ndarray, "sources times frequencies"]
Images = Float[np.ndarray, "sources 2 frames"]


def separate(
    recording: Float[np.ndarray, "*channels frames"],
    rate: int,
    directions: Sequence[float | Direction] | Real[np.ndarray, " sources"],
    *,
    setup: str | Setup,
    paths: Sequence[Path | None] | None = None,
    method: str = "auto",
    priors: Shares | None = None,
) -> Images:
    """Images of the sources of a (2, frames) recording, in the order of `directions`.

    `directions` are `Direction`s or degrees, which may be off by a few; `paths` are those of moving sources, None for a
    fixed one. `method`: "demix" inverts a dry mix of two, "local_gaussian" is for all others, "auto" chooses by the
    recording; "auxiva", "ilrma" (two sources) and "fastmnmf2" are those of pyroomacoustics, started from the
    directions, for fixed sources. `priors`, for fixed sources too, are the shares that the sources are expected to have
    at each time and frequency, in any resolution from the start to the end and from 0 Hz to half the rate; the Wiener
    filter of "local_gaussian" starts from them. Raises SpatialError for invalid input.
    """
    mixture, azimuths = _validate(recording, directions, paths, method)
    _validate_priors(priors, len(azimuths))
    stereo = make_setup(setup)
    peak = float(np.abs(mixture).max(initial=0))
    if len(azimuths) < 2 or peak < QUIET:
        return np.repeat(mixture[None] / np.float32(max(len(azimuths), 1)), len(azimuths), axis=0)
    known = paths or [None] * len(azimuths)
    tracks = [np.array(path or [(0.0, azimuth)]) for path, azimuth in zip(known, azimuths, strict=True)]
    moving = any(np.ptp(track[:, 1]) > 0 for track in tracks)
    if moving and method == "auto" and stereo.name != "spaced":  # demixing each block is slow; delays alone need it
        method = "local_gaussian"
    frames = mixture.shape[1]
    blocks = _make_blocks(frames, round(BLOCK * rate)) if moving else [(0, np.ones(frames, np.float32))]
    out = np.zeros((len(azimuths), *mixture.shape), np.float32)
    for first, fade in blocks:
        last = first + len(fade)
        current = [float(np.interp((first + last) / 2 / rate, *track.T)) for track in tracks]
        part = mixture[:, first:last]
        out[..., first:last] += fade * _separate_fixed(part, rate, current, stereo, method, None if moving else priors)
    return out


def pick_louder_channels(
    images: Float[np.ndarray, "sources channels frames"],
) -> Float[np.ndarray, "sources frames"]:
    """The signal of each image: its louder channel, in which it stands out most."""
    louder = np.square(images, dtype=float).sum(axis=2).argmax(axis=1)
    return images[np.arange(len(images)), louder]


def _separate_fixed(
    recording: Image, rate: int, azimuths: list[float], setup: Setup, method: str, priors: Shares | None
) -> Images:
    peak = np.float32(np.abs(recording).max())
    if peak < QUIET:
        return np.repeat(recording[None] / np.float32(len(azimuths)), len(azimuths), axis=0)
    length = window_length(WINDOWS.get(method, WINDOW), rate)
    spectra, frequencies = stft(recording / peak, length), np.fft.rfftfreq(length, 1 / rate)
    start = None if priors is None else _stretch_priors(priors, spectra.shape[1:])
    images = _estimate_images(spectra, frequencies, setup, azimuths, method, start)
    return peak * istft(images, length, recording.shape[1])


def _make_blocks(frames: int, size: int) -> list[tuple[int, Float[np.ndarray, " _"]]]:
    """(first frame, fade) of blocks that overlap by half; fades sum to one."""
    centres = np.linspace(0, frames, 1 + max(1, 2 * frames // size))
    at, out = np.arange(frames) + 0.5, []
    for k in range(len(centres)):
        fade = np.interp(at, centres, np.eye(len(centres))[k]).astype(np.float32)
        inside = np.flatnonzero(fade)
        out.append((int(inside[0]), fade[inside[0] : inside[-1] + 1]))
    return out


def _estimate_images(
    spectra: Complex[np.ndarray, "2 times frequencies"],
    frequencies: Float[np.ndarray, " frequencies"],
    setup: Setup,
    azimuths: list[float],
    method: str,
    priors: Shares | None = None,
) -> Complex[np.ndarray, "sources 2 times frequencies"]:
    """The images of fixed sources, by the method that suits the recording.

    "auto" inverts the mixing (`demix`: Kim et al. 2007, Ono 2011) if there are two sources, the recording is dry
    (mixedness below `REVERBERANT`), little leaks between the demixed sources (below `DRY`), and the estimated steering
    vectors agree with the directions (similarity of at least `SIMILAR`, directions `APART`). Otherwise a Wiener filter
    separates them (`local_gaussian`: Duong et al. 2010; in a room `low_rank`, too: Sawada et al. 2013). It starts from
    the estimated steering vectors if these are reliable, and leaves each source a share of the recording where the
    directions are doubtful. This rule and its thresholds are our own.
    """
    if method in bss.METHODS:
        return bss.estimate_images(method, spectra, setup, azimuths, frequencies)
    vectors, doubt = steering_vectors(setup, azimuths, frequencies), False
    mixedness = local_gaussian.measure_mixedness(spectra)
    dry = method == "auto" and mixedness < REVERBERANT and spectra.shape[1] >= ENOUGH
    if len(azimuths) == 2 and (method == "demix" or dry):
        mixing = demix.estimate_mixing(spectra, setup, azimuths, frequencies)
        images, estimated = demix.invert_mixing(spectra, mixing), demix.to_steering_vectors(mixing)
        leakage = demix.measure_leakage(images)
        similarity = demix.measure_similarity(vectors, estimated, frequencies)
        wrong = "time" in setup.cues and (similarity < SIMILAR or abs(azimuths[0] - azimuths[1]) < APART)
        if method == "demix" or (leakage < DRY and not wrong):
            return images
        doubt = mixedness < DRIEST and (wrong or leakage > NOISY)
        vectors = estimated if mixedness < ROOM and leakage < NOISY and not wrong else vectors
    diffuse, diffuseness = _interpolate_diffuse(setup, frequencies), float(np.interp(mixedness, *DIFFUSENESS))
    start = local_gaussian.initial_covariances(vectors, diffuse, diffuseness)
    if mixedness > ROOM:
        powers, covariances = local_gaussian.fit(spectra, start, priors=priors, rounds=ROUNDS[0], spread=(5, 7))
        low = slice(int(np.searchsorted(frequencies, BAND)))
        refined = low_rank.refine(spectra[..., low], powers[..., low], covariances[:, low], RANK, ROUNDS[1])
        powers[..., low], covariances[:, low] = refined
    else:
        powers, covariances = local_gaussian.fit(spectra, start, priors=priors)
    images = local_gaussian.apply_wiener_filter(spectra, powers, covariances)
    shared = DOUBT if doubt else 0.0
    return images + np.float32(shared) * (spectra / np.float32(len(images)) - images)


def _stretch_priors(priors: Shares, shape: tuple[int, int]) -> Float[np.ndarray, "sources _ _"]:
    """The shares at the nearest times and frequencies; they sum to one at each, equal ones where all are zero."""
    rows, columns = (
        (np.arange(size) * have // max(size, 1)).astype(int) for size, have in zip(shape, priors.shape[1:], strict=True)
    )
    shares = np.maximum(np.asarray(priors, np.float32)[:, rows][:, :, columns], 0) + np.float32(1e-3)
    return shares / shares.sum(axis=0)


def _interpolate_diffuse(
    setup: Setup, frequencies: Float[np.ndarray, " frequencies"], step: int = 8
) -> Complex[np.ndarray, "frequencies 2 2"]:
    """`diffuse_covariance`, which is smooth, at every few frequencies, and linearly interpolated between them."""
    few = np.append(frequencies[:-1:step], frequencies[-1])
    known = diffuse_covariance(setup, few).reshape(-1, 4)
    return np.stack([np.interp(frequencies, few, one) for one in known.T], axis=-1).reshape(-1, 2, 2)


def _validate_priors(priors: Shares | None, count: int) -> None:
    """SpatialError unless they are finite shares of that many sources."""
    if priors is None:
        return
    if priors.ndim != 3 or len(priors) != count or 0 in priors.shape:
        raise SpatialError(f"Got priors of shape {priors.shape}, expected ({count}, times, frequencies); reshape them.")
    if not np.isfinite(priors).all() or (priors < 0).any():
        raise SpatialError("Got priors that are negative or not finite, expected shares from 0 to 1; clip them.")


def _validate(
    recording: Float[np.ndarray, "*channels frames"],
    directions: Sequence[float | Direction] | Real[np.ndarray, " sources"],
    paths: Sequence[Path | None] | None,
    method: str,
) -> tuple[Image, list[float]]:
    """(recording as float32, azimuths in degrees); SpatialError for invalid input."""
    mixture = np.asarray(recording, np.float32)
    if mixture.ndim != 2 or mixture.shape[0] != 2:
        raise SpatialError(f"Got a recording of shape {mixture.shape}, expected (2, frames); give both channels.")
    if not np.isfinite(mixture).all():
        raise SpatialError("Got a recording with samples that are not finite, expected numbers; repair it.")
    if method not in METHODS:
        raise SpatialError(f'Got method="{method}", expected one of {", ".join(METHODS)}; change it.')
    azimuths = [float(one.azimuth if isinstance(one, Direction) else one) for one in directions]
    if not np.isfinite(azimuths).all():
        raise SpatialError(f"Got azimuths {azimuths}, expected degrees; leave out those that are not numbers.")
    if method in ("demix", "auxiva", "ilrma") and len(azimuths) > 2:
        raise SpatialError(
            f'Got {len(azimuths)} directions, expected two at most for "{method}"; pass "auto" or "local_gaussian".'
        )
    if method in bss.METHODS and any(path is not None and np.ptp([a for _, a in path]) > 0 for path in paths or ()):
        raise SpatialError(
            f'Got a path that moves, expected fixed sources for "{method}"; pass "auto" or "local_gaussian".'
        )
    if paths is not None and len(paths) != len(azimuths):
        raise SpatialError(
            f"Got {len(paths)} paths for {len(azimuths)} directions, expected one each; pass None for fixed sources."
        )
    return mixture, azimuths
