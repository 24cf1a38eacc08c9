"""Audio encoders, one file each, behind one small protocol: `audiotoken.encoders.protocol`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audiotoken.encoders.load_words import load_word_listener as load_word_listener
    from audiotoken.encoders.protocol import AudioEncoder as AudioEncoder
    from audiotoken.encoders.protocol import AudioTextEncoder as AudioTextEncoder
    from audiotoken.encoders.protocol import check_layers as check_layers
    from audiotoken.encoders.protocol import check_waveform as check_waveform

_HOME = {
    "load_word_listener": "load_words",
    "AudioEncoder": "protocol",
    "AudioTextEncoder": "protocol",
    "check_layers": "protocol",
    "check_waveform": "protocol",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:  # lazy, so that the names of AudioSet's classes do not wait for torch
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
