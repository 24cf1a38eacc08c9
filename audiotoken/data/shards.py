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


def write_shard(file: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> None:
    """Save to a temporary neighbour, then rename; DataError, and no file, when it cannot be written."""
    sums = {name: _sum(tensor) for name, tensor in tensors.items()}
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as stream:  # by ourselves: safetensors' own file is for one user's eyes only
            stream.write(save(dict(tensors), {"notes": json.dumps({**notes, "sums": sums})}))
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, file)
    except OSError as error:
        raise cannot_write(file, error) from None
    finally:
        temporary.unlink(missing_ok=True)


def write_text(file: Path, text: str) -> None:
    """The same for a small text."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, file)
    except OSError as error:
        raise cannot_write(file, error) from None
    finally:
        temporary.unlink(missing_ok=True)


def open_shard(file: Path) -> Any:
    """Memory-mapped; DataError when it is no shard, or shorter than its header says."""
    try:
        return safe_open(file, "pt")
    except (OSError, SafetensorError):
        why = "is cut off, damaged or no shard" if file.exists() else "is missing"
        raise DataError(f"{file.name} {why}; delete it and prepare again.") from None


def read_notes(file: Path) -> dict[str, Any]:
    """What was written beside the tensors; DataError as `open_shard`. Reads the header only."""
    try:
        return json.loads((open_shard(file).metadata() or {})["notes"])
    except (KeyError, json.JSONDecodeError):
        raise DataError(f"{file.name} is not a shard of prepared examples; delete it and prepare again.") from None


def check_shard(file: Path) -> str | None:
    """Read all of it: None when every byte is as it was written, else what is wrong."""
    try:
        sums, shard = read_notes(file)["sums"], open_shard(file)
        changed = [name for name, number in sums.items() if _sum(shard.get_tensor(name)) != number]
    except (DataError, OSError, SafetensorError) as error:
        return str(error)
    return f"{file.name} has changed {' and '.join(changed)}; delete it and prepare again." if changed else None


def cannot_write(file: Path, error: OSError) -> DataError:
    return DataError(
        f"Cannot write {file}: {error.strerror or error}; "
        "make room, or choose another folder, and run it again: it goes on where it stopped."
    )


def _sum(tensor: Tensor) -> int:
    """CRC-32 of its bytes."""
    return zlib.crc32(tensor.contiguous().view(-1).view(torch.uint8).numpy().data)
