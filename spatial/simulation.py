"""A scene -> a recording of it, and what is true of it.

Conventions: as in `spatial.scene`. A source's direct sound starts with its signal and has its power, left plus right,
wherever it is. What is true is in the order of the sources given. The same arguments make the same samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spatial import setups
from spatial.activity import active
from spatial.errors import SpatialError
from spatial.render import diffuse_noise, renderer
from spatial.scene import Array, Direction, Scene, Source

Path = Sequence[tuple[float, float]]  # (seconds, azimuth)
Given = Source | tuple[ArrayLike, float | Path]
HOP = 0.1  # seconds between the points of a true path


@dataclass(frozen=True, eq=False)
class Simulation:
    """A recording with its ground truth."""

    recording: Array  # (2, frames), images and noise
    images: Array  # (sources, 2, frames): each as it stands in the recording
    direct: Array  # (sources, 2, frames): the same without reverberation
    noise: Array  # (2, frames)
    scene: Scene  # what a perfect listener would find


def simulate(
    sources: Sequence[Given],
    setup: str | setups.Setup,
    *,
    rate: int,
    rt60: float | None = None,
    snr: float | None = None,
    seed: int = 0,
) -> Array:
    """(2, frames): the sources as that setup records them.

    `rt60`: seconds of reverberation, None for a free field or dry mix; `snr`: dB that diffuse noise is below the rest.
    A source is a `Source`, or a signal with its azimuth or path of (seconds, azimuth). Raises SpatialError.
    """
    return simulation(sources, setup, rate=rate, rt60=rt60, snr=snr, seed=seed).recording


def simulation(
    sources: Sequence[Given],
    setup: str | setups.Setup,
    *,
    rate: int,
    rt60: float | None = None,
    snr: float | None = None,
    seed: int = 0,
) -> Simulation:
    """The same with its truth; all is lowered together where the recording would clip."""
    _check(rate, rt60, snr)
    stereo, random = setups.make_setup(setup), np.random.default_rng(seed)
    placed = [_placed(source, stereo.limit) for source in sources]
    if not placed:
        raise SpatialError("Got no sources, want at least one signal with its azimuth; add one.")
    frames = max(len(signal) for signal, _ in placed)
    render = renderer(stereo, rate, rt60, random)
    heard = [render(np.pad(x, (0, frames - len(x))), _along(path, frames, rate)) for x, path in placed]
    images, direct = (np.stack(each) for each in zip(*heard, strict=True))
    noise = np.zeros((2, frames)) if snr is None else diffuse_noise(stereo, frames, rate, random)
    noise *= 10 ** (-(snr or 0) / 20) * np.sqrt(np.mean(images.sum(axis=0) ** 2) / max(np.mean(noise**2), 1e-30))
    scale = min(1.0, 1.0 / max(np.abs(images.sum(axis=0) + noise).max(), 1e-30))
    images, direct, noise = ((scale * each).astype(np.float32) for each in (images, direct, noise))
    found = (_truth(scale * x, path, image, rate) for (x, path), image in zip(placed, images, strict=True))
    scene = Scene(tuple(found), rate, stereo.name, stereo.spacing)
    return Simulation(np.clip(images.sum(axis=0) + noise, -1, 1), images, direct, noise, scene)


def _along(path: Path, frames: int, rate: int) -> NDArray[np.float64]:
    """(1,) azimuth of what stays, (frames,) of what moves."""
    if len(path) == 1:
        return np.array([path[0][1]], float)
    times, azimuths = np.array(path, float).T
    return np.interp(np.arange(frames) / rate, times, azimuths)


def _truth(signal: NDArray, path: Path, image: Array, rate: int) -> Source:
    """The source as it is; a path becomes a point every 0.1 seconds, its mean the direction."""
    seconds = image.shape[1] / rate
    times = np.arange(0, seconds, HOP)
    along = _along(path, image.shape[1], rate)
    points = np.interp(times, np.linspace(0, seconds, len(along)), along) if len(along) > 1 else ()
    sounds = active(signal, rate)
    index = np.concatenate([np.arange(round(a * rate), round(b * rate)) for a, b in sounds]) if sounds else [0]
    level = 10 * np.log10(max(float(np.mean(signal[index] ** 2)), 1e-20))
    moves = tuple((round(float(t), 3), float(a)) for t, a in zip(times, points, strict=True)) if len(along) > 1 else ()
    padded = np.pad(signal, (0, image.shape[1] - len(signal))).astype(np.float32)
    return Source(padded, Direction(float(along.mean())), level, moves, sounds, image)


def _placed(source: Given, limit: float) -> tuple[NDArray[np.float64], Path]:
    """(signal, path), a path of one point where it stays."""
    if isinstance(source, Source):
        source = source.signal, source.path or source.direction.azimuth
    signal, where = np.asarray(source[0], float), source[1]
    path: Path = [(0.0, float(where))] if np.isscalar(where) else [(float(t), float(a)) for t, a in where]  # type: ignore[arg-type,union-attr]
    if signal.ndim != 1 or not len(signal) or not np.isfinite(signal).all():
        raise SpatialError(f"Got a signal of shape {signal.shape}, want (frames,) of finite numbers; give one channel.")
    times, azimuths = np.array(path, float).reshape(-1, 2).T
    if not len(times) or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise SpatialError("Got a path that is empty or whose times do not rise; give (seconds, azimuth) in order.")
    if not (np.abs(azimuths) <= limit).all():
        worst = azimuths[np.argmax(np.abs(azimuths))]
        raise SpatialError(f"Got an azimuth of {worst:g}, want {-limit:g} to {limit:g} degrees here; move the source.")
    return signal, path if np.ptp(azimuths) else path[:1]


def _check(rate: int, rt60: float | None, snr: float | None) -> None:
    if not 1000 <= rate <= 400_000:
        raise SpatialError(f"Got rate={rate:g}, want samples per second, 1000 to 400000; pass the rate of the signals.")
    if rt60 is not None and not 0 <= rt60 <= 3:
        raise SpatialError(f"Got rt60={rt60:g}, want seconds, 0 (dry) to 3; change it.")
    if snr is not None and not np.isfinite(snr):
        raise SpatialError(f"Got snr={snr:g}, want dB, or None for no noise; change it.")
