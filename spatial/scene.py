"""What is heard and where: the nouns of this package, and THE angle convention.

Conventions: an *azimuth* is in degrees, 0 straight ahead, **positive to the right**, -90 to 90: two channels cannot
tell front from back, so everything is taken to be in front. Of an amplitude-panned recording (made at a mixing desk, no
microphones) the azimuth is where a listener hears it between two loudspeakers at -45 and 45: 45 times the pan position.
A *recording* is (channels, frames) float32 in [-1, 1], channel 0 left; a *signal* is (frames,) of one source; a *rate*
is Hz; times are seconds from the start; levels are dB of full scale.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Direction:
    """Where one source is."""

    azimuth: float  # degrees, positive right
    spread: float = 0.0  # degrees either side, within which half of its sound arrives; wide = diffuse or large
    confidence: float = 1.0  # 0..1: the probability that there is such a source


@dataclass(frozen=True, eq=False)
class Source:
    """One thing that sounds."""

    signal: Array  # (frames,) mono
    direction: Direction
    level: float = 0.0  # dB of full scale, root mean square while it sounds
    path: tuple[tuple[float, float], ...] = ()  # (seconds, azimuth) of a moving source; empty when it stays
    active: tuple[tuple[float, float], ...] = ()  # (start, stop) seconds, when it sounds
    image: Array | None = field(default=None, repr=False)  # (2, frames): as it stands in the recording

    @property
    def moves(self) -> bool:
        return bool(self.path)

    def azimuth_at(self, seconds: float) -> float:
        """Degrees at that time; its ends are held."""
        if not self.path:
            return self.direction.azimuth
        times, azimuths = zip(*self.path, strict=True)
        return float(np.interp(seconds, times, azimuths))


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything that was found in a recording."""

    sources: tuple[Source, ...]  # loudest first
    rate: int  # Hz
    setup: str  # the kind of stereo, one of `spatial.setups.NAMES`, or "mono"
    spacing: float = 0.0  # metres between the microphones, where there are two places
    confidence: float = 1.0  # 0..1 of the setup
    notes: tuple[str, ...] = ()  # sentences a user should read, such as "one channel is silent"

    @property
    def azimuths(self) -> list[float]:
        return [source.direction.azimuth for source in self.sources]
