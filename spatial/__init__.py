"""A stereo recording -> who is where. No torch in this package.

Conventions: an azimuth is in degrees, 0 ahead, positive right; a recording is (channels, frames), a signal (frames,).
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


def __getattr__(name: str) -> Any:  # imported on first use: what needs no torch must not wait for it
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
