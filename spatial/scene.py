"""Directions, sources and scenes, and THE angle convention.

Conventions: an *azimuth* is in degrees, 0 straight ahead, **positive to the right**, -90 to 90: two channels cannot
tell front from back, so all sources are assumed to be in front. In an amplitude-panned recording (mixed at a desk, no
microphones) the azimuth is where a listener hears the source between two loudspeakers at -45 and 45 degrees: 45 times
the pan position. A *recording* is (channels, frames) float32 in [-1, 1], channel 0 left; a *signal* is (frames,) of one
source; a *rate* is in Hz; times are seconds from the start; levels are dB of full scale.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from spatial.errors import SpatialError

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Direction:
    """The direction of one source."""

    azimuth: float  # degrees, positive right
    spread: float = 0.0  # degrees either side, within which half of the sound arrives; wide = diffuse or large
    confidence: float = 1.0  # 0..1: the probability that there is such a source


MONO_DIRECTION = Direction(0.0, 45.0, 0.0)  # of the one source of a recording that holds no directions
MAX_SOURCES = 4  # two channels cannot tell more apart


@dataclass(frozen=True, eq=False)
class Source:
    """One sound source."""

    signal: Float[np.ndarray, " frames"]  # mono
    direction: Direction
    level: float = 0.0  # dB of full scale, root mean square while the source is active
    path: tuple[tuple[float, float], ...] = ()  # (seconds, azimuth) of a moving source; empty when it stays
    active: tuple[tuple[float, float], ...] = ()  # (start, stop) seconds of the spans in which it sounds
    image: Float[np.ndarray, "channels frames"] | None = field(default=None, repr=False)  # as it is in the recording

    @property
    def moves(self) -> bool:
        return bool(self.path)

    def sounds_at(self, seconds: float) -> bool:
        """Whether it sounds at that time; the end of a span does not count."""
        return any(start <= seconds < stop for start, stop in self.active)

    def azimuth_at(self, seconds: float) -> float:
        """Azimuth in degrees at that time; before and after the path, that of its nearer end."""
        if not self.path:
            return self.direction.azimuth
        times, azimuths = zip(*self.path, strict=True)
        return float(np.interp(seconds, times, azimuths))


@dataclass(frozen=True, eq=False)
class Scene:
    """All sources of a recording."""

    sources: tuple[Source, ...]  # loudest first
    rate: int  # Hz
    setup: str  # the stereo setup: one of `spatial.setups.NAMES`, or "mono"
    spacing: float = 0.0  # metres between the microphones, where they stand apart
    confidence: float = 1.0  # 0..1 of the setup
    notes: tuple[str, ...] = ()  # sentences a user should read, such as "The left channel is silent: ..."

    @property
    def azimuths(self) -> list[float]:
        return [source.direction.azimuth for source in self.sources]

    def at(self, seconds: float) -> dict[int, float]:
        """Who sounds at that time, and where: the number of each such source in `sources`, with its azimuth there."""
        return {i: one.azimuth_at(seconds) for i, one in enumerate(self.sources) if one.sounds_at(seconds)}

    def sum_images(self) -> Float[np.ndarray, "channels frames"] | None:
        """The recording: the sum of its sources' images; None if one of them, or every source, is missing."""
        images = [source.image for source in self.sources if source.image is not None]
        if not images or len(images) < len(self.sources):
            return None
        return np.asarray(np.sum(images, axis=0), np.float32)


def check_source_count(most: int, count: int | None) -> None:
    """SpatialError unless both are 1 to `MAX_SOURCES` and the exact number of sources is within the maximum."""
    if not 1 <= most <= MAX_SOURCES or (count is not None and not 1 <= count <= MAX_SOURCES):
        raise SpatialError(f"Got max_sources={most} and count={count}, expected 1 to {MAX_SOURCES}; change them.")
    if count is not None and count > most:
        raise SpatialError(f"Got count={count} with max_sources={most}, expected at most {most}; raise max_sources.")
