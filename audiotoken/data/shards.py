"""One file of prepared examples: safetensors, with notes in its header; written whole or not at all."""

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from audiotoken.errors import DataError
from audiotoken.json_file import FormError, parse_object
from audiotoken.writing import format_write_error, replace_file


def write_shard(file: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> None:
    """Write the shard whole or not at all; DataError if it cannot be written. `notes` go into its header as JSON."""
    sums = {name: _sum(tensor) for name, tensor in tensors.items()}
    try:
        # not safetensors' own save_file, whose files only their owner may read
        with replace_file(file) as temporary, temporary.open("wb") as stream:
            stream.write(save(dict(tensors), {"notes": json.dumps({**notes, "sums": sums})}))
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise cannot_continue(file, error) from None


def write_text(file: Path, text: str) -> None:
    """Write a small text file whole or not at all; DataError if it cannot be written."""
    try:
        with replace_file(file) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise cannot_continue(file, error) from None


def open_shard(file: Path) -> Any:
    """Open memory-mapped; DataError if it is no shard, or shorter than its header says."""
    try:
        return safe_open(file, "pt")
    except (OSError, SafetensorError):
        why = "is cut off, damaged or no shard" if file.exists() else "is missing"
        raise DataError(f"{file.name} {why}; delete it and prepare again.") from None


def read_notes(file: Path) -> dict[str, Any]:
    """Read the notes in the header of a shard; errors as in `open_shard`."""
    try:
        return parse_object((open_shard(file).metadata() or {})["notes"])
    except (KeyError, FormError):
        raise DataError(f"{file.name} is not a shard of prepared examples; delete it and prepare again.") from None


def check_shard(file: Path) -> str | None:
    """Read all of it: None when every byte is as it was written, else what is wrong."""
    try:
        sums, shard = read_notes(file)["sums"], open_shard(file)
        changed = [name for name, number in sums.items() if _sum(shard.get_tensor(name)) != number]
    except (DataError, OSError, SafetensorError) as error:
        return str(error)
    return f"{file.name} has changed {' and '.join(changed)}; delete it and prepare again." if changed else None


def cannot_continue(file: Path, error: OSError) -> DataError:
    """The error for a file that cannot be written while data are prepared."""
    return DataError(
        f"{format_write_error(file, error)}; "
        "make room, or choose another folder, and run it again: it goes on where it stopped."
    )


def _sum(tensor: Tensor) -> int:
    """CRC-32 of its bytes."""
    return zlib.crc32(tensor.contiguous().view(-1).view(torch.uint8).numpy().data)
