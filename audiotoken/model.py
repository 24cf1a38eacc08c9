"""A model by its name -> the pipeline on its device, quiet."""

from typing import TYPE_CHECKING

import audiotoken
from audiotoken.errors import OptionError

if TYPE_CHECKING:  # what takes seconds to import is imported when it is needed
    import torch

    from audiotoken.pipeline import AudioTokenPipeline


def load_pipeline(model: str, device: str | None = None, dtype: str = "float32") -> "AudioTokenPipeline":
    """The pipeline on its device, quiet: no progress bars of its own, no advice to developers."""
    import torch

    place = find_device(device)
    silence_library_logs()
    pipe = audiotoken.AudioTokenPipeline.from_pretrained(model, dtype=getattr(torch, dtype))
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(place)


def silence_library_logs() -> None:
    """No progress bars and no advice to developers from the libraries below."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    for library in (diffusers_logging, transformers_logging):
        library.disable_progress_bar()
        library.set_verbosity_error()


def find_device(name: str | None) -> "torch.device":
    """The one asked for, if it is there, or the best there is."""
    import torch

    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise OptionError(f"There is no device {name} that torch {torch.__version__} can use here; try cpu.") from None
    return device
