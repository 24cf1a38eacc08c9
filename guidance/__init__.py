"""Words with places -> a picture: cross-attention steered towards regions.

Conventions: a box is (x0, y0, x1, y1) in [0, 1], origin top left. Maps are attention, (batch, heads, pixels, tokens),
one tensor a layer. An energy is what guidance lowers, a scalar. Where strengths are stated, latents have unit variance.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guidance.attention import capture_cross_attention as capture_cross_attention
    from guidance.backbones import Backbone as Backbone
    from guidance.control import load_control as load_control
    from guidance.energies import boxdiff_energy as boxdiff_energy
    from guidance.energies import centroid_energy as centroid_energy
    from guidance.energies import combined_energy as combined_energy
    from guidance.energies import excite_energy as excite_energy
    from guidance.energies import layout_energy as layout_energy
    from guidance.energies import leak_energy as leak_energy
    from guidance.errors import GuidanceError as GuidanceError
    from guidance.errors import RegionError as RegionError
    from guidance.frames import animate as animate
    from guidance.methods import METHODS as METHODS
    from guidance.methods import Guidance as Guidance
    from guidance.methods import Schedule as Schedule
    from guidance.regions import Region as Region
    from guidance.sampling import Sample as Sample
    from guidance.sampling import sample as sample

_HOME = {
    "Region": "regions",
    "RegionError": "errors",
    "capture_cross_attention": "attention",
    "layout_energy": "energies",
    "boxdiff_energy": "energies",
    "centroid_energy": "energies",
    "excite_energy": "energies",
    "leak_energy": "energies",
    "combined_energy": "energies",
    "Schedule": "methods",
    "Guidance": "methods",
    "METHODS": "methods",
    "Backbone": "backbones",
    "GuidanceError": "errors",
    "sample": "sampling",
    "Sample": "sampling",
    "animate": "frames",
    "load_control": "control",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:  # imported on first use: what needs no torch must not wait for it
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
