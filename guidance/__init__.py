"""Words with places -> a picture: cross-attention steered towards regions.

Conventions: a box is (x0, y0, x1, y1) in [0, 1], origin top left. Maps are attention, (batch, heads, pixels, tokens),
one tensor a layer. An energy is what guidance lowers, a scalar. Where strengths are stated, latents have unit variance.
"""

from importlib import import_module

_HOME = {
    "Region": "regions",
    "RegionError": "regions",
    "capture_cross_attention": "attention",
    "layout_energy": "energies",
    "boxdiff_energy": "energies",
    "centroid_energy": "energies",
    "excite_energy": "energies",
    "leak_energy": "energies",
    "ours_energy": "energies",
    "Schedule": "methods",
    "Guidance": "methods",
    "METHODS": "methods",
    "Backbone": "backbones",
    "GuidanceError": "levels",
    "sample": "sampling",
    "Sample": "sampling",
    "animate": "frames",
}
__all__ = list(_HOME)


def __getattr__(name: str):  # imported on first use, as torch takes seconds
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
