"""A scene with labels, and the outline of its recording for a plot."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spatial.scene import Scene

COLUMNS = 1200  # of an outline


@dataclass(frozen=True)
class Label:
    """What a source sounds like."""

    name: str
    score: float  # 0..1, calibrated
    sure: bool  # False: the encoder does not know such sounds; `name` is the nearest label

    def __str__(self) -> str:
        return f"{self.name} {self.score:.2f}" if self.sure else f"not sure (nearest: {self.name})"


@dataclass(frozen=True)
class HeardWord:
    """A word that was listened for."""

    word: str
    score: float  # 0..1: is it in the recording?
    heard: bool
    azimuth: float | None = None  # degrees, positive right; None: not heard, or no directions
    active: tuple[tuple[float, float], ...] = ()  # (start, stop) seconds in which it is heard
    source: int | None = None  # the source of the scene that it is, if it is one


@dataclass(frozen=True, eq=False)
class Listening:
    """A scene with labels, and the outline of its recording."""

    file: str
    seconds: float
    scene: Scene
    labels: tuple[Label | None, ...]  # one for each source of the scene; None: not labelled
    outline: NDArray[np.float32]  # (channels, columns, 2): lowest and highest sample of each column
    words: tuple[HeardWord, ...] = ()  # those that were listened for
    stems: tuple[Path, ...] = ()  # written while a long file was read


def compute_outline(recording: NDArray[np.float32], columns: int = COLUMNS) -> NDArray[np.float32]:
    """(channels, frames) -> (channels, columns, 2), lowest and highest sample."""
    edges = np.linspace(0, recording.shape[1], min(columns, recording.shape[1]) + 1).astype(int)[:-1]
    ends = [np.minimum.reduceat(recording, edges, axis=1), np.maximum.reduceat(recording, edges, axis=1)]
    return np.stack(ends, axis=-1)
