"""Who is where and what it is: a scene with its labels, and the outline of the recording."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spatial.scene import Scene

COLUMNS = 1200  # of the waveform that is kept for a plot


@dataclass(frozen=True)
class Label:
    """What a source sounds like."""

    name: str
    score: float  # 0..1, calibrated
    sure: bool  # False: none of the sounds the encoder knows; `name` is the nearest

    def __str__(self) -> str:
        return f"{self.name} {self.score:.2f}" if self.sure else f"not sure (nearest: {self.name})"


@dataclass(frozen=True, eq=False)
class Listening:
    """A scene with its labels, and the outline of the recording."""

    file: str
    seconds: float
    scene: Scene
    labels: tuple[Label | None, ...]  # of the scene's sources; None: nobody was asked
    outline: np.ndarray  # (channels, columns, 2): lowest and highest sample of each column
    stems: tuple[Path, ...] = ()  # of a long file, which were written while it was heard


def outline(recording: np.ndarray, columns: int = COLUMNS) -> np.ndarray:
    """(channels, frames) -> (channels, columns, 2), lowest and highest sample."""
    edges = np.linspace(0, recording.shape[1], min(columns, recording.shape[1]) + 1).astype(int)[:-1]
    ends = [np.minimum.reduceat(recording, edges, axis=1), np.maximum.reduceat(recording, edges, axis=1)]
    return np.stack(ends, axis=-1)
