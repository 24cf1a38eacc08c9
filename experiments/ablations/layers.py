"""The mini audio encoder with the features of inner layers, which BEATs and AST offer themselves."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from audiotoken.encoders.mini import MiniEncoder
from audiotoken.encoders.mini_network import normalise
from audiotoken.errors import OptionError

ENDS = (2, 6, 10, 13, 17)  # in the trunk, the activations of its convolutions
LAST = len(ENDS) + 1  # what its features are: the projection, with its context


class LayeredEncoder(MiniEncoder):
    """Layers 1 to 5 are convolutions (mean and maximum over bands), 6 is the encoder's own; at its frame rate."""

    layers: tuple[int, ...]

    @classmethod
    def from_encoder(cls, encoder: MiniEncoder, layers: Sequence[int]) -> "LayeredEncoder":
        """An encoder with the same weights; OptionError for layers that it does not have."""
        if not layers or not all(isinstance(layer, int) and 1 <= layer <= LAST for layer in layers):
            raise OptionError(f"Got layers={list(layers)}, expected some of 1 to {LAST}; change layers.")
        config: dict[str, Any] = {name: value for name, value in encoder.config.items() if name[0] != "_"}
        made = cls(**config)
        made.load_state_dict(encoder.state_dict())
        made.register_to_config(layers=list(layers))
        made.layers = tuple(layers)
        return made.eval().to(encoder.head.weight.device)

    @property
    def width(self) -> int:
        widths = [2 * channels for channels in self.config["channels"]] + [self.config["width"]]
        return sum(widths[layer - 1] for layer in self.layers)

    @torch.no_grad()
    def features(self, waveform: Tensor) -> Tensor:
        """(batch, frames) -> (batch, time, width): the layers side by side."""
        spectrogram = normalise(self.decibels(waveform)).to(self.head.weight.dtype)
        own = self.embed_alone(spectrogram)  # (batch, time, width)
        x, seen = spectrogram[:, None], {LAST: own}
        for i, part in enumerate(self.trunk):
            x = part(x)  # (batch, channels, time, bands)
            if i in ENDS:
                bands = torch.cat([x.mean(-1), x.amax(-1)], 1)  # (batch, 2 * channels, finer time)
                seen[ENDS.index(i) + 1] = F.adaptive_avg_pool1d(bands, own.shape[1]).transpose(1, 2)
        return torch.cat([seen[layer] for layer in self.layers], dim=-1)
