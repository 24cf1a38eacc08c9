"""`audiotoken demo`: a local web page to listen to a recording, correct what was heard and generate a picture.

`launch` opens it, `app` builds it from `clip_tab` and `panner_tab`. `jobs` is what the buttons start, `edits` what a
person changed, `view` the values that the scripts draw; these three are free of Gradio.
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
