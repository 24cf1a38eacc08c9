"""Read an uploaded or recorded file."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiotoken.audio import load_beginning
from audiotoken.errors import AudioError

MAX_MEGABYTES = 200  # size of a file; the player in the browser decodes all of it
MAX_SECONDS = 60.0  # the rest of a recording is ignored


def read_upload(path: str | Path) -> tuple[NDArray[np.float32], int, list[str]]:
    """The first `MAX_SECONDS` of a file: recording (channels, frames), rate in Hz, and notes.

    Raises AudioError, which names the file without its folder.
    """
    path = Path(path)
    if path.is_file() and path.stat().st_size > MAX_MEGABYTES * 2**20:
        raise AudioError(f"Cannot read {path.name}: it is larger than {MAX_MEGABYTES} MB; cut out a shorter part.")
    try:
        return load_beginning(path, MAX_SECONDS)
    except AudioError as error:
        raise AudioError(str(error).replace(str(path), path.name)) from None
