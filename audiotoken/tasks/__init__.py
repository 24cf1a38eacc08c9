"""One file per command: keywords in, files out, written whole or not at all."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audiotoken.tasks import (
        check,
        check_files,
        checks,
        folder,
        generate,
        layout,
        layout_folder,
        listen,
        listen_folder,
        listening_files,
        picture_files,
        place,
        place_folder,
        prepare,
        train,
    )

__all__ = [
    "check",
    "check_files",
    "checks",
    "folder",
    "generate",
    "layout",
    "layout_folder",
    "listen",
    "listen_folder",
    "listening_files",
    "picture_files",
    "place",
    "place_folder",
    "prepare",
    "train",
]


def __getattr__(name: str) -> Any:  # lazy, so that commands answer before torch is imported
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
