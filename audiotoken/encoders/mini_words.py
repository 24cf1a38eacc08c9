"""The mini audio encoder as a listener for words: those that are its labels, in the singular or plural."""

from collections.abc import Sequence

import torch
from torch import Tensor

from audiotoken.encoders.audioset import find_label
from audiotoken.encoders.mini_network import BLOCK, MiniNetwork, normalise
from audiotoken.encoders.saliency import COLUMN
from audiotoken.errors import OptionError


class MiniWords:
    """An `AudioTextEncoder` of a mini network; OptionError for words that are not among its labels."""

    hop = BLOCK * COLUMN

    def __init__(self, network: MiniNetwork, words: Sequence[str]):
        found = [find_label(word, network.labels) for word in words]
        if unknown := [word for word, label in zip(words, found, strict=True) if label is None]:
            raise OptionError(
                f"Got the words {', '.join(unknown)}, but the mini encoder knows only {', '.join(network.labels)}; "
                "choose among these, or another encoder with --word-encoder."
            )
        self.network, self.words = network, tuple(words)
        self.classes = [network.labels.index(label) for label in found if label]

    @property
    def rate(self) -> int:
        return self.network.rate

    @property
    def device(self) -> torch.device:
        return self.network.device

    @torch.no_grad()
    def score(self, waveform: Tensor) -> Tensor:
        """(batch, words): the calibrated probabilities of the labels."""
        return self.network.probabilities(waveform)[:, self.classes]

    @torch.no_grad()
    def score_moments(self, waveform: Tensor) -> Tensor:
        """(batch, moments, words): the class scores of each 0.16 s, calibrated as those of the whole are."""
        features = self.network.embed(normalise(self.network.decibels(waveform)))
        scores = self.network.score(features).float()
        return torch.sigmoid(scores * self.network.scale.float() + self.network.offset.float())[..., self.classes]
