"""Locate and separate the sources of a stereo recording. No torch in this package.

Conventions: an azimuth is in degrees, 0 straight ahead, positive to the right; a recording is (channels, frames) with
the left channel first, a signal is (frames,). `spatial.scene` has the others.

Shapes are written in annotations, as in `Float[np.ndarray, "channels frames"]`, and checked in tests. The axes:

| axis | what it counts |
| --- | --- |
| channels | channels of a recording: left, right |
| frames | audio samples |
| times, frequencies | windows and frequencies of a short-time Fourier transform |
| bins | time-frequency bins picked from one |
| azimuths | directions: those of a grid, or those of sources |
| sources | sources, or the directions given for them |
| blocks | blocks of time, such as the points of a trajectory |
| widths, levels, features, maps, hidden, classes | of the mixture model and of the networks |
| tiles, patterns | of the maximum-likelihood method for panned sources |
| taps | samples of an impulse response, or of a convolution |
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spatial.camera import Camera as Camera
    from spatial.errors import SpatialError as SpatialError
    from spatial.listening import listen as listen
    from spatial.localisation import localise as localise
    from spatial.matching import match as match
    from spatial.scene import Direction as Direction
    from spatial.scene import Scene as Scene
    from spatial.scene import Source as Source
    from spatial.separation import separate as separate
    from spatial.simulation import simulate as simulate

_HOME = {
    "listen": "listening",
    "localise": "localisation",
    "separate": "separation",
    "match": "matching",
    "simulate": "simulation",
    "Camera": "camera",
    "Scene": "scene",
    "Source": "scene",
    "Direction": "scene",
    "SpatialError": "errors",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:  # imported on first use, so that `listen` does not load the room simulator
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
