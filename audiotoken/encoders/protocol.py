"""What the rest of the project needs of an audio encoder.

Conventions: a waveform is `(batch, frames)` float32 in [-1, 1], mono, at the encoder's own `rate`; features are
`(batch, time, width)`; probabilities are `(batch, classes)` in [0, 1], one independent score per class (several
sounds may be present at once, or none).
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class AudioEncoder(Protocol):
    """What the rest of the project needs of an audio encoder."""

    @property
    def rate(self) -> int:
        """Sample rate of the waveform it takes, Hz."""

    @property
    def width(self) -> int:
        """Width of the features."""

    @property
    def device(self) -> torch.device:
        """The device that the waveform must be on."""

    @property
    def labels(self) -> Sequence[str]:
        """Names of the classes, in the order of `probabilities`; empty without a class head."""

    def features(self, waveform: Tensor) -> Tensor:
        """(batch, frames) -> (batch, time, width), for the embedder."""

    def probabilities(self, waveform: Tensor) -> Tensor:
        """(batch, frames) -> (batch, classes) in [0, 1]."""


def check_waveform(waveform: Tensor, who: str, rate: int) -> None:
    """ValueError, one sentence, unless it is a waveform that the encoder `who` takes at `rate` Hz."""
    if waveform.ndim != 2 or 0 in waveform.shape or not waveform.is_floating_point():
        raise ValueError(
            f"{who} got a waveform {tuple(waveform.shape)} of {waveform.dtype}, "
            f"expected floats (batch, frames), mono at {rate / 1000:g} kHz; mix and resample the recording first."
        )
