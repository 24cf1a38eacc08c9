"""Assemble published parts into one model folder."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audiotoken.assembly import assemble, base, parts

__all__ = ["assemble", "base", "parts"]


def __getattr__(name: str) -> Any:  # imported on first use: `audiotoken --help` must not wait for torch
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
