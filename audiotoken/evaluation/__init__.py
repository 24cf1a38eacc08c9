"""Compare generation systems on the same clips: pictures, judges and a table of scores."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audiotoken.evaluation import (
        clips,
        consistency,
        consistency_figure,
        evaluate,
        judges,
        pictures,
        seeing,
        table,
        unclip,
    )

__all__ = ["clips", "consistency", "consistency_figure", "evaluate", "judges", "pictures", "seeing", "table", "unclip"]


def __getattr__(name: str) -> Any:  # imported on first use: `audiotoken --help` must not wait for torch
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
