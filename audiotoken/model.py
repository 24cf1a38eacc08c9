"""From the name of a model to its pipeline on a device.

torch, diffusers and transformers are imported inside the functions: commands check their options before.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import audiotoken
from audiotoken.errors import OptionError
from audiotoken.loading import find_model

if TYPE_CHECKING:  # takes seconds to import
    import torch

    from audiotoken.pipeline import AudioTokenPipeline

PRECISIONS = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}  # by the names of safetensors


def load_pipeline(
    model: str, device: str | None = None, dtype: str | None = None, offload: str = "none"
) -> "AudioTokenPipeline":
    """The pipeline on its device, without progress bars and log messages of the libraries below.

    dtype: None is the precision of the model's files on a GPU and float32 on a CPU. offload: "model" keeps only the
    part that computes on the GPU, "sequential" only the layer, which is slowest. Raises CheckpointError or OptionError.
    """
    folder = find_model(model)  # answers early, before torch is imported
    import torch

    target = find_device(device)
    if offload != "none" and target.type == "cpu":
        raise OptionError(f"Got offload={offload} on the CPU, expected a GPU to offload from; leave it out.")
    silence_library_logs()
    precision = dtype or ("float32" if target.type == "cpu" else read_precision(folder))
    pipe = audiotoken.AudioTokenPipeline.from_pretrained(model, dtype=getattr(torch, precision))
    pipe.set_progress_bar_config(disable=True)
    if offload == "none":
        return pipe.to(target)
    (pipe.enable_model_cpu_offload if offload == "model" else pipe.enable_sequential_cpu_offload)(device=target)
    return pipe


def read_precision(folder: str | os.PathLike) -> str:
    """The precision that the denoiser of a model's folder is stored in, by the header of its first file.

    float32 for a hub id, and for any other form of file.
    """
    files = [file for part in ("unet", "transformer") for file in sorted(Path(folder, part).glob("*.safetensors"))]
    if not files:
        return "float32"
    from safetensors import safe_open

    with safe_open(files[0], framework="pt") as weights:
        kinds = {weights.get_slice(name).get_dtype() for name in weights.keys()}  # noqa: SIM118 (no mapping)
    return PRECISIONS.get(kinds.pop(), "float32") if len(kinds) == 1 else "float32"


def silence_library_logs() -> None:
    """Hide the progress bars and messages of diffusers, transformers and huggingface_hub.

    A library whose verbosity the environment raises above "error" stays as it is.
    """
    from diffusers.utils import logging as diffusers_logging
    from huggingface_hub.utils import logging as hub_logging
    from transformers.utils import logging as transformers_logging

    if "HF_HUB_VERBOSITY" not in os.environ:  # without a network each of its tries would be a line
        hub_logging.set_verbosity_error()
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
