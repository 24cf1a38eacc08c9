"""Words with boxes become a picture: cross-attention guides each word into its region.

Conventions: a box is (x0, y0, x1, y1) in [0, 1], origin top left. Maps are attention, (batch, heads, pixels, tokens),
one tensor per layer. An energy is a scalar that guidance lowers. Strengths are stated for latents of unit variance.

Names of axes: `batch` rows, one per picture (twice as many where both halves of classifier-free guidance run);
`heads` of attention; `pixels` = h * w of a map, row by row; `h`, `w` of a map or of latents; `tokens` of the padded
prompt; `channels` of latents or hidden states; `width` of embeddings; `regions` of a picture; `frames` of an animation.
A name that begins with an underscore is not compared, because it differs from layer to layer.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guidance.attention import capture_cross_attention as capture_cross_attention
    from guidance.backbones import Backbone as Backbone
    from guidance.backbones import UNetBackbone as UNetBackbone
    from guidance.control import load_controlnet as load_controlnet
    from guidance.energies import boxdiff_energy as boxdiff_energy
    from guidance.energies import centroid_energy as centroid_energy
    from guidance.energies import combined_energy as combined_energy
    from guidance.energies import excite_energy as excite_energy
    from guidance.energies import layout_energy as layout_energy
    from guidance.energies import leak_energy as leak_energy
    from guidance.errors import GuidanceError as GuidanceError
    from guidance.errors import RegionError as RegionError
    from guidance.frames import animate as animate
    from guidance.layout import Entry as Entry
    from guidance.layout import Layout as Layout
    from guidance.methods import METHODS as METHODS
    from guidance.methods import Guidance as Guidance
    from guidance.methods import Regional as Regional
    from guidance.methods import Schedule as Schedule
    from guidance.regions import Region as Region
    from guidance.sampling import Sample as Sample
    from guidance.sampling import sample as sample

_HOME = {
    "Region": "regions",
    "Layout": "layout",
    "Entry": "layout",
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
    "Regional": "methods",
    "Backbone": "backbones",
    "UNetBackbone": "backbones",
    "GuidanceError": "errors",
    "sample": "sampling",
    "Sample": "sampling",
    "animate": "frames",
    "load_controlnet": "control",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:  # imported on first use, so that code without torch does not wait for it
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
