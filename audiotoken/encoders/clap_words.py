"""CLAP as a listener for any words: each half second is scored with the two seconds around it.

CLAP embeds a whole clip, so a moment is what it says of a short excerpt, which it hears repeated to ten seconds.
"""

import os
from collections.abc import Sequence

import torch
from torch import Tensor

from audiotoken.encoders import check_waveform
from audiotoken.encoders.clap import CLAP, RATE
from audiotoken.encoders.excerpts import cut_excerpts

EXCERPT = 2.0  # seconds


class ClapWords:
    """An `AudioTextEncoder` of a CLAP that was given the words as its names."""

    hop = 0.5
    rate = RATE

    def __init__(self, clap: CLAP):
        self.clap = clap

    @classmethod
    def from_pretrained(cls, model: str | os.PathLike, words: Sequence[str]) -> "ClapWords":
        """Of a published CLAP; CheckpointError, one sentence, when it cannot be loaded."""
        return cls(CLAP.from_pretrained(model, names=words))

    @property
    def device(self) -> torch.device:
        return self.clap.device

    @property
    def words(self) -> tuple[str, ...]:
        return self.clap.labels

    @torch.no_grad()
    def score(self, waveform: Tensor) -> Tensor:
        """(batch, words): the best of the moments, so that a short sound is not averaged away."""
        return self.score_moments(waveform).amax(dim=1)

    @torch.no_grad()
    def score_moments(self, waveform: Tensor) -> Tensor:
        """(batch, moments, words): does the name fit the excerpt better than "This is a sound."?"""
        check_waveform(waveform, "CLAP", RATE)
        excerpts = cut_excerpts(waveform, round(self.hop * RATE), round(EXCERPT * RATE))
        return self.clap.probabilities(excerpts.flatten(0, 1)).unflatten(0, excerpts.shape[:2])
