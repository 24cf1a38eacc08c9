"""`audiotoken demo`: a page of this computer on which a recording is heard, corrected by hand and painted.

launch opens it; app is what it shows; hear, paint and panner are what its buttons do; edits and view know no Gradio.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audiotoken.page import app, launch

__all__ = ["app", "launch"]


def __getattr__(name: str) -> Any:  # imported on first use: `audiotoken --help` must not wait for torch
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
