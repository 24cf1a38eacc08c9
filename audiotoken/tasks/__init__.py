"""What can be asked for, a file a verb: keywords in, files out, written whole or not at all."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audiotoken.tasks import folder, generate, listen, listening_files, place, prepare, train

__all__ = ["folder", "generate", "listen", "listening_files", "place", "prepare", "train"]


def __getattr__(name: str) -> Any:  # imported on first use: `audiotoken --help` must not wait for torch
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
