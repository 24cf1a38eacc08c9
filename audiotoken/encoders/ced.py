"""CED (Dinkel et al. 2024, arXiv 2308.11957): small audio taggers, distilled from an ensemble of large ones.

The hub ids are "mispeech/ced-tiny", "-mini", "-small" and "-base". A log-mel spectrogram of 64 bands is normalised band
by band and cut into 16x16 patches, for a plain vision transformer with a learnt position for each time and one for each
band. Our own implementation for inference and for features with gradients; `ced_file` reads the published weights.
"""

import os
from collections.abc import Sequence

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.audio_utils import mel_filter_bank

from audiotoken.checkpoint import load_weights
from audiotoken.encoders import check_layers, check_waveform
from audiotoken.encoders.audioset import load_classes
from audiotoken.encoders.ced_file import WANTED, read_ced
from audiotoken.encoders.hub import split_evenly

RATE = 16_000
WINDOW, HOP, MEL = 512, 160, 64  # samples, samples (10 ms), bands from 0 Hz to half the rate
PATCH = 16  # bands and frames
BANDS = MEL // PATCH  # patches that lie above each other
SHORTEST = (PATCH - 1) * HOP  # samples of one patch
RANGE = 120.0  # dB below the loudest moment at which the spectrogram is cut off
EPSILON = 1e-6  # of the norms within the transformer


class CED(ModelMixin, ConfigMixin):  # type: ignore[misc]  # the two name their files differently; ModelMixin wins
    """An `AudioEncoder`: 16 kHz mono in [-1, 1] -> features of the chosen `layers` (from 1), joined; class scores.

    Time runs over patches, 4 (low to high) for each 160 ms. Features are as the blocks give them, before the last norm.
    `longest`: frames of 10 ms that the positions reach; a longer clip is processed in pieces. The classes are
    AudioSet's, in its order, unless there are `labels`. The defaults are those of the mini model.
    """

    rate = RATE

    @register_to_config
    def __init__(
        self,
        layers: Sequence[int] = (4, 8, 12),
        hidden: int = 256,
        depth: int = 12,
        heads: int = 4,
        feed_forward: int = 1024,
        longest: int = 1012,
        classes: int = 527,
        labels: Sequence[str] = (),
    ):
        super().__init__()
        check_layers(layers, depth, "CED")
        self.mel_norm = nn.BatchNorm1d(MEL)
        self.patches = nn.Conv2d(1, hidden, PATCH, stride=PATCH)
        self.time_position = nn.Parameter(torch.zeros(1, hidden, 1, longest // PATCH))
        self.band_position = nn.Parameter(torch.zeros(1, hidden, BANDS, 1))
        self.blocks = nn.ModuleList(Block(hidden, heads, feed_forward) for _ in range(depth))
        self.norm = nn.LayerNorm(hidden, eps=EPSILON)
        self.head = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, classes))

    @property
    def width(self) -> int:
        return len(self.config["layers"]) * self.config["hidden"]

    @property
    def labels(self) -> tuple[str, ...]:
        named, classes = tuple(self.config["labels"]), load_classes()
        if named or len(classes) != self.config["classes"]:
            return named or tuple(f"class {i}" for i in range(self.config["classes"]))
        return tuple(name for _, name, _ in classes)

    def features(self, waveform: Tensor) -> Float[Tensor, "batch time width"]:
        """(batch, frames) -> (batch, time, width): the outputs of the chosen layers side by side."""
        pieces = []
        for piece in self._split(waveform):
            states = self.hidden_states(piece)
            pieces.append(torch.cat([_order_by_time(states[layer]) for layer in self.config["layers"]], dim=-1))
        return torch.cat(pieces, dim=1)

    def probabilities(self, waveform: Tensor) -> Float[Tensor, "batch classes"]:
        """(batch, frames) -> (batch, classes) in [0, 1], one independent score per class.

        A long clip takes its highest score over pieces, so that one bark in a minute of rain is not averaged away.
        """
        scores = [self.head(self.norm(self.hidden_states(piece)[-1]).mean(dim=1)) for piece in self._split(waveform)]
        return torch.stack(scores).amax(dim=0).sigmoid()

    def forward(self, waveform: Tensor) -> Tensor:
        return self.features(waveform)

    def hidden_states(self, waveform: Tensor) -> list[Float[Tensor, "batch patches hidden"]]:
        """The input and the output of each block, for up to `longest` frames; patches run band by band."""
        mel = self.mel_norm(log_mel(waveform).to(self.dtype))
        patches = self.patches(mel[:, None])  # (batch, hidden, bands, times)
        patches = patches + self.time_position[..., : patches.shape[-1]] + self.band_position
        outputs = [patches.flatten(2).mT]
        for block in self.blocks:
            outputs.append(block(outputs[-1]))
        return outputs

    def _split(self, waveform: Tensor) -> tuple[Tensor, ...]:
        check_waveform(waveform, "CED", RATE)
        return split_evenly(waveform, (self.config["longest"] - 1) * HOP)

    @classmethod
    def from_published(cls, model: str | os.PathLike, *, layers: Sequence[int] | None = None) -> "CED":
        """The encoder of a hub id or its folder, ready for inference; CheckpointError, one sentence, if it is none."""
        config, weights = read_ced(model)
        ced = cls(layers=(4, 8, 12) if layers is None else tuple(layers), **config)
        load_weights(ced, weights, model, WANTED)
        return ced.eval()


class Block(nn.Module):
    """A transformer layer of ViT: norm, attention, sum; norm, two linear layers, sum."""

    def __init__(self, hidden: int, heads: int, feed_forward: int):
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(hidden, eps=EPSILON)
        self.query_key_value = nn.Linear(hidden, 3 * hidden)
        self.out = nn.Linear(hidden, hidden)
        self.norm = nn.LayerNorm(hidden, eps=EPSILON)
        self.widen = nn.Linear(hidden, feed_forward)
        self.narrow = nn.Linear(feed_forward, hidden)

    def forward(self, hidden: Float[Tensor, "batch patches hidden"]) -> Float[Tensor, "batch patches hidden"]:
        joined = self.query_key_value(self.attention_norm(hidden))
        query, key, value = joined.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(query, key, value)  # (batch, heads, patches, size)
        hidden = hidden + self.out(attended.transpose(1, 2).flatten(2))
        return hidden + self.narrow(F.gelu(self.widen(self.norm(hidden))))


def log_mel(waveform: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch 64 frames"]:
    """16 kHz -> mel power in dB (HTK's scale), at most 120 dB below the loudest of the clip, a frame each 10 ms.

    Computed in float32 for any input; a clip shorter than one patch (160 ms) is padded with silence.
    """
    waveform = F.pad(waveform.float(), (0, max(0, SHORTEST - waveform.shape[1])))
    window = torch.hann_window(WINDOW, device=waveform.device)
    power = torch.stft(waveform, WINDOW, HOP, window=window, return_complex=True).abs().square()
    bands = mel_filter_bank(WINDOW // 2 + 1, MEL, 0.0, RATE / 2, RATE, mel_scale="htk")  # (257, 64)
    mel = torch.from_numpy(bands).to(power).mT @ power
    decibels = 10 * mel.clamp(min=1e-10).log10()
    return decibels.maximum(decibels.amax(dim=(1, 2), keepdim=True) - RANGE)


def _order_by_time(patches: Float[Tensor, "batch patches hidden"]) -> Float[Tensor, "batch patches hidden"]:
    """Band by band -> time by time."""
    return patches.unflatten(1, (BANDS, -1)).transpose(1, 2).flatten(1, 2)
