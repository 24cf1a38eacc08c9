"""Results as texts, as figures and as one self-contained HTML page."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audiotoken.report import (
        evaluation_page,
        figure,
        gallery,
        gallery_page,
        listening_figure,
        listening_page,
        listening_text,
        result_page,
        training_page,
    )

__all__ = ["evaluation_page", "figure", "gallery", "gallery_page", "listening_figure", "listening_page"]
__all__ += ["listening_text", "result_page", "training_page"]


def __getattr__(name: str) -> Any:  # imported on first use: `audiotoken --help` must not wait for torch
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
