"""Reading weight files of others, and writing our own so that a crash never leaves half a file."""

import os
import pickle
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import torch
from torch import Tensor, nn

from audiotoken.errors import CheckpointError, out_of_memory


def read_checkpoint(file: str | os.PathLike, wanted: str) -> Any:
    """The contents of a torch file, weights and plain values only (`weights_only=True`: no code runs from it).

    `wanted` says in words what the file should have been; every failure is a `CheckpointError` that holds it.
    """
    file = Path(file)
    if not file.is_file():
        raise CheckpointError(f"Cannot load {file}: there is no such file; give {wanted}.")
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except PermissionError:
        raise CheckpointError(f"Cannot load {file}: no permission to read it; change its permissions.") from None
    except pickle.UnpicklingError:
        raise CheckpointError(
            f"Cannot load {file}: it is no torch file, or holds more than weights and plain values; give {wanted}."
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, AttributeError, BadZipFile) as error:
        if out_of_memory(error):
            raise
        raise CheckpointError(f"Cannot load {file}: it is damaged, cut off or no torch file; give {wanted}.") from None


def load_weights(module: nn.Module, weights: dict[str, Tensor], file: str | os.PathLike, wanted: str) -> None:
    """Put `weights` into `module`, every one of them and nothing else, or say which ones do not fit."""
    have = module.state_dict()
    missing = sorted(have.keys() - weights.keys())
    extra = sorted(weights.keys() - have.keys())
    unfit = sorted(k for k in have.keys() & weights.keys() if have[k].shape != getattr(weights[k], "shape", None))
    for keys, why in ((missing, "lacks"), (extra, "has unknown"), (unfit, "has other shapes for")):
        if keys:
            more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
            raise CheckpointError(f"Cannot load {file}: it {why} {', '.join(keys[:3])}{more}; give {wanted}.")
    module.load_state_dict(weights)


def write_checkpoint(values: Any, file: str | os.PathLike) -> None:
    """Save to a temporary neighbour, then rename over `file`: whoever reads it sees the old one or the new one."""
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")  # not mkstemp's, which nobody else may read
    try:
        with temporary.open("wb") as stream:
            torch.save(values, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)
