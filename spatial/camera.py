"""Where in the picture a sound is seen.

Conventions: a *box* is (x0, y0, x1, y1) in [0, 1], origin top left, always inside the picture and never empty. The
camera stands where the microphones stood and looks ahead: 0 degrees is the middle, positive is right, and `fov` degrees
span the width. What is panned hard left and right, -45 and 45, reaches the edges of a picture of 90 degrees.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from spatial.errors import SpatialError
from spatial.scene import Source

Box = tuple[float, float, float, float]

HORIZON = 0.5  # from the top: a camera that looks straight ahead
FOOT = 0.6  # how much of a thing is below the horizon: a camera a little over half as high as the thing
LEVELS = (-50.0, -10.0)  # dB of full scale: heard as far, as near; a quiet and a loud recording's usual range
SIZES = (0.25, 0.55)  # height of what is far and near: four cells of a 16 x 16 map, and no more than one thing fills
WIDEST = 0.9  # of a diffuse thing such as rain: some ground is left beside it
LEAST = 3 / 16  # three cells of a 16 x 16 attention map, where boxes are narrowed: less can hardly be aimed at


@dataclass(frozen=True)
class Camera:
    """A pinhole camera between the microphones."""

    fov: float = 90.0  # degrees across the picture

    def __post_init__(self) -> None:
        if not 1 <= self.fov <= 170:
            raise SpatialError(f"Got fov={self.fov:g}, want 1 to 170 degrees; 90 shows all that can be panned.")

    def across(self, azimuth: float) -> float:
        """Perspective projection, x of an azimuth; what is outside the view is seen at the edge."""
        half = self.fov / 2
        return 0.5 + 0.5 * math.tan(math.radians(min(max(azimuth, -half), half))) / math.tan(math.radians(half))

    def box(self, source: Source, time: float | None = None, *, lift: float = 0.0) -> Box:
        """Where the source is seen at that time, in seconds; None: all of its path.

        The louder, the nearer: larger, and its foot lower. `lift` raises what flies: 0 stands on the ground, 1 touches
        the upper edge.
        """
        _check(source, lift)
        size = self._size(source)
        middle, width = self._aim(source, time)
        left = min(max(middle - width / 2, 0.0), 1.0 - width)
        top = (HORIZON - (1 - FOOT) * size) * (1 - lift)
        return left, top, left + width, min(1.0, top + size)

    def _size(self, source: Source) -> float:
        return float(np.interp(source.level, LEVELS, SIZES))

    def _aim(self, source: Source, time: float | None) -> tuple[float, float]:
        """(middle, width) of the box, as wide as the source sounds or its size asks for; it may reach over the edge."""
        whole = [azimuth for _, azimuth in source.path] if time is None else []
        whole = whole or [source.azimuth_at(time or 0.0)]
        left, right = self.across(min(whole)), self.across(max(whole))
        spread = self.across(source.direction.spread) - self.across(-source.direction.spread)
        return (left + right) / 2, min(right - left + max(self._size(source), min(spread, WIDEST)), 1.0)

    def boxes(
        self, sources: Sequence[Source], time: float | None = None, *, lifts: Sequence[float] | None = None
    ) -> list[Box]:
        """One box a source, in their order, that share no column: from left to right as they are heard."""
        if lifts is not None and len(lifts) != len(sources):
            raise SpatialError(f"Got {len(lifts)} lifts for {len(sources)} sources; give one each.")
        lifts = lifts or [0.0] * len(sources)
        seen = [self.box(source, time, lift=lift) for source, lift in zip(sources, lifts, strict=True)]
        order = np.argsort([_heading(source, time) for source in sources], kind="stable")
        aims = np.array([self._aim(sources[i], time) for i in order]).reshape(-1, 2)
        for i, (left, right) in zip(order, separated(*aims.T), strict=True):
            seen[i] = float(left), seen[i][1], float(right), seen[i][3]
        return seen


def separated(middle: NDArray[np.float64], width: NDArray[np.float64]) -> NDArray[np.float64]:
    """(things, 2) left and right ends in [0, 1], in order: narrowed where they meet, then moved as little as will do.

    The move is a least-squares projection on what is in order: isotonic regression, Barlow et al. (1972).
    """
    if len(middle) == 0:
        return np.zeros((0, 2))
    share = np.maximum(np.diff(middle), 0) / (width[:-1] + width[1:])  # of both widths, that fits between the middles
    fits = 2 * width * np.minimum(np.append(share, np.inf), np.insert(share, 0, np.inf))
    width = np.minimum(width, np.maximum(fits, LEAST))
    width = width * min(1.0, 1.0 / width.sum())
    before = np.cumsum(width) - width  # taken by those further left
    free = isotonic_regression(middle - width / 2 - before).x  # what is left free left of each: never falls
    left = np.clip(free, 0.0, max(0.0, 1.0 - width.sum())) + before
    right = np.minimum(left + width, np.append(left[1:], 1.0))  # to the last digit
    return np.stack([left, right], axis=1)


def _heading(source: Source, time: float | None) -> float:
    """The azimuth a source is sorted by: halfway between the ends of its path where all of it is shown."""
    if time is not None or not source.path:
        return source.azimuth_at(time or 0.0)
    azimuths = [azimuth for _, azimuth in source.path]
    return (min(azimuths) + max(azimuths)) / 2


def _check(source: Source, lift: float) -> None:
    if not 0 <= lift <= 1:
        raise SpatialError(f"Got lift={lift:g}, want 0 (on the ground) to 1 (at the upper edge); change it.")
    azimuths = [source.direction.azimuth, source.direction.spread, *(azimuth for _, azimuth in source.path)]
    if not np.isfinite(azimuths).all() or np.isnan(source.level):
        raise SpatialError("Got a source without a number for azimuth, spread or level; make it anew with all three.")
