"""`audiotoken rate`: people rate how well pictures belong to sounds, on a page of this computer.

study reads the folder, trials hides its names, screens and app are the page, store keeps the answers, table sums them
up. The page needs Gradio; everything else works without it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audiotoken.rating import app, command

__all__ = ["app", "command"]


def __getattr__(name: str) -> Any:  # imported on first use: `audiotoken --help` must not wait, Gradio may be missing
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
