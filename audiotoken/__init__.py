"""AudioToken: a sound becomes a word that a text-to-image diffusion model can read (arXiv 2305.13050)."""

import logging
from importlib import import_module

from audiotoken import torchaudio_guard

_HOME = {
    "load_audio": "audio",
    "AudioError": "audio",
    "AudioEmbedder": "embedder",
    "Prompt": "prompt",
    "encode_prompt": "prompt",
    "AudioTokenPipeline": "pipeline",
}
__all__ = list(_HOME)

torchaudio_guard.install()

# diffusers imports image processors that we do not use, and they advise everybody to install torchvision
logging.getLogger("transformers.utils.import_utils").addFilter(lambda said: "torchvision" not in said.getMessage())


def __getattr__(name: str):  # imported on first use: `audiotoken --help` must not wait for torch
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
