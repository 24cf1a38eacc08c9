"""Reads weight files from anywhere, and writes our own so that a crash never leaves a partial file."""

import os
import pickle
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import torch
from torch import Tensor, nn

from audiotoken.errors import CheckpointError, out_of_memory
from audiotoken.writing import replace_file


def read_checkpoint(file: str | os.PathLike, wanted: str) -> Any:
    """The contents of a torch file: weights and plain values only (`weights_only=True`, so no code in it runs).

    `wanted` describes the file that was expected; every failure is a `CheckpointError` that says so.
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
            f"Cannot load {file}: it is not a torch file, or holds more than weights and plain values; give {wanted}."
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, AttributeError, BadZipFile) as error:
        if out_of_memory(error):
            raise
        raise CheckpointError(
            f"Cannot load {file}: it is damaged, truncated or not a torch file; give {wanted}."
        ) from None


def load_weights(module: nn.Module, weights: dict[str, Tensor], file: str | os.PathLike, wanted: str) -> None:
    """Load exactly `weights` into `module`; CheckpointError names missing, unknown and misshapen ones."""
    have = module.state_dict()
    missing = sorted(have.keys() - weights.keys())
    unknown = sorted(weights.keys() - have.keys())
    misshapen = sorted(k for k in have.keys() & weights.keys() if have[k].shape != getattr(weights[k], "shape", None))
    for keys, why in ((missing, "lacks"), (unknown, "has unknown"), (misshapen, "has other shapes for")):
        if keys:
            more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
            raise CheckpointError(f"Cannot load {file}: it {why} {', '.join(keys[:3])}{more}; give {wanted}.")
    module.load_state_dict(weights)


def write_checkpoint(values: Any, file: str | os.PathLike) -> None:
    """Save to a temporary file beside `file`, then rename it: a reader sees the old file or the new one."""
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(file) as temporary, temporary.open("wb") as stream:
        torch.save(values, stream)
        stream.flush()
        os.fsync(stream.fileno())
