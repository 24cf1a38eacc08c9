"""From the name of a model to its pipeline on a device.

torch, diffusers and transformers are imported inside the functions: commands check their options before.
"""

import os
from typing import TYPE_CHECKING

import audiotoken
from audiotoken.errors import OptionError
from audiotoken.loading import find_model

if TYPE_CHECKING:  # takes seconds to import
    import torch

    from audiotoken.pipeline import AudioTokenPipeline


def load_pipeline(model: str, device: str | None = None, dtype: str = "float32") -> "AudioTokenPipeline":
    """The pipeline on its device, without progress bars and log messages of the libraries below.

    Raises CheckpointError or OptionError.
    """
    find_model(model)  # answers early, before torch is imported
    import torch

    target = find_device(device)
    silence_library_logs()
    pipe = audiotoken.AudioTokenPipeline.from_pretrained(model, dtype=getattr(torch, dtype))
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(target)


def silence_library_logs() -> None:
    """Hide the progress bars and messages of diffusers and transformers.

    A library whose verbosity the environment raises above "error" stays as it is.
    """
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    for name, logs in (("DIFFUSERS_VERBOSITY", diffusers_logging), ("TRANSFORMERS_VERBOSITY", transformers_logging)):
        if os.environ.get(name, "error") == "error":
            logs.disable_progress_bar()
            logs.set_verbosity_error()


def find_device(name: str | None) -> "torch.device":
    """The device of that name, or the best one available; OptionError when torch cannot use it."""
    import torch

    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise OptionError(f"There is no device {name} that torch {torch.__version__} can use here; try cpu.") from None
    return device
