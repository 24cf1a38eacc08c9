"""Sources -> boxes in the picture.

Conventions: a *box* is (x0, y0, x1, y1) in [0, 1], origin top left, always inside the picture and never empty. The
camera stands where the microphones stood and looks ahead: 0 degrees is the middle, positive is right, and `fov` degrees
span the width. Sources panned hard left and right, at -45 and 45 degrees, reach the edges of a picture of 90 degrees.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from spatial.errors import SpatialError
from spatial.scene import Source
from spatial.shapes import SQUARE, Shape

Box = tuple[float, float, float, float]

HORIZON = 0.5  # from the top: a camera that looks straight ahead
FOOT = 0.6  # share of a box below the horizon: a camera a little over half as high as the object
LEVELS = (-50.0, -10.0)  # dB of full scale, drawn as far and as near: the usual range of quiet and loud recordings
SIZES = (0.25, 0.55)  # height of a far and of a near box: from four cells of a 16 x 16 map to what one object fills
WIDEST = 0.9  # width of a box for a diffuse source such as rain: some ground is left beside it
LEAST = 3 / 16  # least width and height: three cells of a 16 x 16 map; guidance can hardly aim at a smaller box


@dataclass(frozen=True)
class Camera:
    """A pinhole camera between the microphones."""

    fov: float = 90.0  # degrees across the picture

    def __post_init__(self) -> None:
        if not 1 <= self.fov <= 170:
            raise SpatialError(f"Got fov={self.fov:g}, expected 1 to 170 degrees; 90 shows all that can be panned.")

    def project(self, azimuth: float) -> float:
        """Horizontal position of an azimuth, 0 to 1, by perspective; azimuths out of view lie on the edge."""
        half = self.fov / 2
        return 0.5 + 0.5 * math.tan(math.radians(min(max(azimuth, -half), half))) / math.tan(math.radians(half))

    def unproject(self, x: float) -> float:
        """The azimuth, in degrees, of a horizontal position from 0 to 1: the inverse of `project` within the view."""
        return math.degrees(math.atan((2 * min(max(x, 0.0), 1.0) - 1) * math.tan(math.radians(self.fov / 2))))

    def box(self, source: Source, time: float | None = None, *, shape: Shape = SQUARE) -> Box:
        """Box of the source at `time` in seconds; None: a box as wide as its whole path.

        A louder source is nearer: its box is larger and reaches lower. `shape`: how wide the box is for its height, at
        the same area, and how high above the ground; no box is taller than its shape is for its width.
        """
        _check_source(source)
        middle, width = self._extent(source, time, shape)
        left = min(max(middle - width / 2, 0.0), 1.0 - width)
        top, bottom = self._upright(source, width, shape)
        return left, top, left + width, bottom

    def _size(self, source: Source) -> float:
        return float(np.interp(source.level, LEVELS, SIZES))

    def _upright(self, source: Source, width: float, shape: Shape) -> tuple[float, float]:
        """(top, bottom) of a box of this width."""
        size = self._size(source)
        foot = HORIZON + FOOT * size
        height = max(LEAST, min(size / math.sqrt(shape.aspect), width / shape.aspect, foot))
        top = (foot - height) * (1 - shape.lift)
        return top, min(1.0, top + height)

    def _extent(self, source: Source, time: float | None, shape: Shape) -> tuple[float, float]:
        """(middle, width) of the box, by the source's spread or size, the larger; it may reach over the edge."""
        azimuths = [azimuth for _, azimuth in source.path] if time is None else []
        azimuths = azimuths or [source.azimuth_at(time or 0.0)]
        left, right = self.project(min(azimuths)), self.project(max(azimuths))
        spread = self.project(source.direction.spread) - self.project(-source.direction.spread)
        width = self._size(source) * math.sqrt(shape.aspect)
        return (left + right) / 2, min(right - left + max(width, min(spread, WIDEST)), 1.0)

    def boxes(
        self, sources: Sequence[Source], time: float | None = None, *, shapes: Sequence[Shape] | None = None
    ) -> list[Box]:
        """One box a source, in the order of the sources; boxes do not overlap and stand in order of azimuth.

        shapes: of each source, such as `spatial.shapes.find_shape` of its name; by default all are square.
        """
        if shapes is not None and len(shapes) != len(sources):
            raise SpatialError(f"Got {len(shapes)} shapes for {len(sources)} sources, expected one each; add or drop.")
        shapes = shapes or [SQUARE] * len(sources)
        for source in sources:
            _check_source(source)
        order = np.argsort([_sort_azimuth(source, time) for source in sources], kind="stable")
        extents = np.array([self._extent(sources[i], time, shapes[i]) for i in order]).reshape(-1, 2)
        boxes: dict[int, Box] = {}
        for i, (left, right) in zip(order, resolve_overlaps(*extents.T).tolist(), strict=True):
            top, bottom = self._upright(sources[i], right - left, shapes[i])
            boxes[int(i)] = left, top, right, bottom
        return [boxes[i] for i in range(len(sources))]


def resolve_overlaps(
    middles: Float[np.ndarray, " boxes"], widths: Float[np.ndarray, " boxes"]
) -> Float[np.ndarray, "boxes 2"]:
    """Left and right ends in [0, 1] of boxes in order: narrowed where they overlap, then moved as little as possible.

    The move is a least-squares projection onto ordered positions: isotonic regression, Barlow et al. (1972).
    """
    from scipy.optimize import isotonic_regression  # here: it takes long to import, and checking options needs none

    if len(middles) == 0:
        return np.zeros((0, 2))
    share = np.maximum(np.diff(middles), 0) / (widths[:-1] + widths[1:])  # of both widths, that fits between middles
    fits = 2 * widths * np.minimum(np.append(share, np.inf), np.insert(share, 0, np.inf))
    widths = np.minimum(widths, np.maximum(fits, LEAST))
    widths = widths * min(1.0, 1.0 / widths.sum())
    before = np.cumsum(widths) - widths  # taken by the boxes further left
    free = isotonic_regression(middles - widths / 2 - before).x  # free space left of each: never falls
    left = np.clip(free, 0.0, max(0.0, 1.0 - widths.sum())) + before
    right = np.minimum(left + widths, np.append(left[1:], 1.0))  # exact to the last digit
    return np.stack([left, right], axis=1)


def _sort_azimuth(source: Source, time: float | None) -> float:
    """The azimuth a source is sorted by; where its whole path is shown, the middle between the path's extremes."""
    if time is not None or not source.path:
        return source.azimuth_at(time or 0.0)
    azimuths = [azimuth for _, azimuth in source.path]
    return (min(azimuths) + max(azimuths)) / 2


def _check_source(source: Source) -> None:
    azimuths = [source.direction.azimuth, source.direction.spread, *(azimuth for _, azimuth in source.path)]
    if not np.isfinite(azimuths).all() or np.isnan(source.level):
        raise SpatialError(
            "Got a source without a number for azimuth, spread or level, expected all three; create it with them."
        )
