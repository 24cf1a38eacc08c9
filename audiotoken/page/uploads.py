"""What was dropped, recorded or chosen -> a recording, or a sentence."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiotoken.audio import load_beginning
from audiotoken.errors import AudioError

MOST = 50  # megabytes of a file
LONGEST = 60.0  # seconds that are heard


def read_upload(path: str | Path) -> tuple[NDArray[np.float32], int, list[str]]:
    """(recording (channels, frames), rate in Hz, notes) of at most `LONGEST`; AudioError, which names the file only."""
    path = Path(path)
    if path.is_file() and path.stat().st_size > MOST * 2**20:
        raise AudioError(f"Cannot hear {path.name}: it is larger than {MOST} megabytes; cut out the part you mean.")
    try:
        return load_beginning(path, LONGEST)
    except AudioError as error:
        raise AudioError(str(error).replace(str(path), path.name)) from None
