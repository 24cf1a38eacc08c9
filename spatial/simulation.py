"""Simulate a recording of a scene, with its ground truth.

Conventions: as in `spatial.scene`. A source's direct sound starts with its signal and has its power, left plus right,
wherever it is. The ground truth is in the order of the sources given. The same arguments give the same samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from spatial.activity import find_active_spans
from spatial.errors import SpatialError
from spatial.render import draw_diffuse_noise, make_renderer
from spatial.scene import Direction, Scene, Source
from spatial.setups import Setup, make_setup

Path = Sequence[tuple[float, float]]  # (seconds, azimuth)
SourceLike = Source | tuple[ArrayLike, float | Path]
HOP = 0.1  # seconds between the points of a true path


@dataclass(frozen=True, eq=False)
class Simulation:
    """A recording with its ground truth."""

    recording: Float[np.ndarray, "2 frames"]  # images and noise
    images: Float[np.ndarray, "sources 2 frames"]  # each source as it is in the recording
    direct: Float[np.ndarray, "sources 2 frames"]  # the same without reverberation
    noise: Float[np.ndarray, "2 frames"]
    scene: Scene  # the answer of a perfect listener


def simulate(
    sources: Sequence[SourceLike],
    setup: str | Setup,
    *,
    rate: int,
    rt60: float | None = None,
    snr: float | None = None,
    seed: int = 0,
) -> Float[np.ndarray, "2 frames"]:
    """The recording of the sources by that setup.

    `rt60`: reverberation time in seconds, None for a free field or dry mix; `snr`: dB of the sources above diffuse
    noise, None for no noise. A source is a `Source`, or a signal with its azimuth or path of (seconds, azimuth). Raises
    SpatialError for invalid input.
    """
    return simulation(sources, setup, rate=rate, rt60=rt60, snr=snr, seed=seed).recording


def simulation(
    sources: Sequence[SourceLike],
    setup: str | Setup,
    *,
    rate: int,
    rt60: float | None = None,
    snr: float | None = None,
    seed: int = 0,
) -> Simulation:
    """As `simulate`, with the ground truth; everything is scaled down together where the recording would clip."""
    _validate(rate, rt60, snr)
    stereo, random = make_setup(setup), np.random.default_rng(seed)
    placed = [_parse_source(source, stereo.limit) for source in sources]
    if not placed:
        raise SpatialError("Got no sources, expected at least one signal with its azimuth; add one.")
    frames = max(len(signal) for signal, _ in placed)
    render = make_renderer(stereo, rate, rt60, random)
    rendered = [render(np.pad(x, (0, frames - len(x))), _to_azimuths(path, frames, rate)) for x, path in placed]
    images, direct = (np.stack(each) for each in zip(*rendered, strict=True))
    noise = np.zeros((2, frames)) if snr is None else draw_diffuse_noise(stereo, frames, rate, random)
    noise *= 10 ** (-(snr or 0) / 20) * np.sqrt(np.mean(images.sum(axis=0) ** 2) / max(np.mean(noise**2), 1e-30))
    scale = min(1.0, 1.0 / max(np.abs(images.sum(axis=0) + noise).max(), 1e-30))
    images, direct, noise = ((scale * each).astype(np.float32) for each in (images, direct, noise))
    truth = (_true_source(scale * x, path, image, rate) for (x, path), image in zip(placed, images, strict=True))
    scene = Scene(tuple(truth), rate, stereo.name, stereo.spacing)
    return Simulation(np.clip(images.sum(axis=0) + noise, -1, 1), images, direct, noise, scene)


def _to_azimuths(path: Path, frames: int, rate: int) -> Float[np.ndarray, " points"]:
    """(1,) azimuth of a fixed source, (frames,) of a moving one."""
    if len(path) == 1:
        return np.array([path[0][1]], float)
    times, azimuths = np.array(path, float).T
    return np.interp(np.arange(frames) / rate, times, azimuths)


def _true_source(
    signal: Float[np.ndarray, " samples"], path: Path, image: Float[np.ndarray, "2 frames"], rate: int
) -> Source:
    """The source as it is; a moving one has a point every 0.1 seconds, and their mean as its direction."""
    seconds = image.shape[1] / rate
    times = np.arange(0, seconds, HOP)
    along = _to_azimuths(path, image.shape[1], rate)
    points = np.interp(times, np.linspace(0, seconds, len(along)), along) if len(along) > 1 else ()
    active = find_active_spans(signal, rate)
    index = np.concatenate([np.arange(round(a * rate), round(b * rate)) for a, b in active]) if active else [0]
    level = 10 * np.log10(max(float(np.mean(signal[index] ** 2)), 1e-20))
    moves = tuple((round(float(t), 3), float(a)) for t, a in zip(times, points, strict=True)) if len(along) > 1 else ()
    padded = np.pad(signal, (0, image.shape[1] - len(signal))).astype(np.float32)
    return Source(padded, Direction(float(along.mean())), level, moves, active, image)


def _parse_source(source: SourceLike, limit: float) -> tuple[Float[np.ndarray, " samples"], Path]:
    """(signal, path); the path of a fixed source has one point."""
    if isinstance(source, Source):
        source = source.signal, source.path or source.direction.azimuth
    signal, where = np.asarray(source[0], float), source[1]
    path: Path = [(0.0, float(where))] if np.isscalar(where) else [(float(t), float(a)) for t, a in where]  # type: ignore[arg-type,union-attr]
    if signal.ndim != 1 or not len(signal) or not np.isfinite(signal).all():
        raise SpatialError(
            f"Got a signal of shape {signal.shape}, expected (frames,) of finite numbers; give one channel."
        )
    times, azimuths = np.array(path, float).reshape(-1, 2).T
    if not len(times) or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise SpatialError("Got a path that is empty or whose times do not rise; give (seconds, azimuth) in order.")
    if not (np.abs(azimuths) <= limit).all():
        worst = azimuths[np.argmax(np.abs(azimuths))]
        raise SpatialError(
            f"Got an azimuth of {worst:g}, expected {-limit:g} to {limit:g} degrees here; move the source."
        )
    return signal, path if np.ptp(azimuths) else path[:1]


def _validate(rate: int, rt60: float | None, snr: float | None) -> None:
    if not 1000 <= rate <= 400_000:
        raise SpatialError(f"Got rate={rate:g}, expected 1000 to 400000 Hz; pass the signals' sampling rate.")
    if rt60 is not None and not 0 <= rt60 <= 3:
        raise SpatialError(f"Got rt60={rt60:g}, expected 0 (dry) to 3 seconds; change it.")
    if snr is not None and not np.isfinite(snr):
        raise SpatialError(f"Got snr={snr:g}, expected dB, or None for no noise; change it.")
