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


@runtime_checkable
class AudioTextEncoder(Protocol):
    """What listening for words needs: how well each of some words fits a recording, and each moment of it.

    A *moment* is `hop` seconds long; the first begins with the waveform.
    """

    @property
    def rate(self) -> int:
        """Sample rate of the waveform it takes, Hz."""

    @property
    def device(self) -> torch.device:
        """The device that the waveform must be on."""

    @property
    def words(self) -> Sequence[str]:
        """The words that it listens for."""

    @property
    def hop(self) -> float:
        """Seconds of a moment."""

    def score(self, waveform: Tensor) -> Tensor:
        """(batch, frames) -> (batch, words) in [0, 1]: is it there at all? From 0.5 on it is more likely than not."""

    def score_moments(self, waveform: Tensor) -> Tensor:
        """(batch, frames) -> (batch, moments, words) in [0, 1]: is it heard now?"""


def check_layers(layers: Sequence[int], depth: int, who: str) -> None:
    """ValueError, one sentence, unless `layers` are some of the 1 to `depth` that the encoder `who` has."""
    if not layers or not all(isinstance(layer, int) and 1 <= layer <= depth for layer in layers):
        raise ValueError(f"Got layers={tuple(layers)}, but this {who} has layers 1 to {depth}; choose among them.")


def check_waveform(waveform: Tensor, who: str, rate: int) -> None:
    """ValueError, one sentence, unless it is a waveform that the encoder `who` takes at `rate` Hz."""
    if waveform.ndim != 2 or 0 in waveform.shape or not waveform.is_floating_point():
        raise ValueError(
            f"{who} got a waveform {tuple(waveform.shape)} of {waveform.dtype}, "
            f"expected floats (batch, frames), mono at {rate / 1000:g} kHz; mix and resample the recording first."
        )
