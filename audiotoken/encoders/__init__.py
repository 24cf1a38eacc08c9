"""Audio encoders, one file each, behind one small protocol: `audiotoken.encoders.protocol`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audiotoken.encoders.protocol import AudioEncoder as AudioEncoder
    from audiotoken.encoders.protocol import AudioTextEncoder as AudioTextEncoder
    from audiotoken.encoders.protocol import check_layers as check_layers
    from audiotoken.encoders.protocol import check_waveform as check_waveform

__all__ = ["AudioEncoder", "AudioTextEncoder", "check_layers", "check_waveform"]


def __getattr__(name: str) -> Any:  # lazy, so that the names of AudioSet's classes do not wait for torch
    if name in __all__:
        return getattr(import_module(f"{__name__}.protocol"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
