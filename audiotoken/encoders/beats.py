"""BEATs (Chen et al. 2022, arXiv 2212.09058), the audio encoder of the AudioToken paper.

A log-mel spectrogram is cut into 16x16 patches, in order of time, for a transformer whose attention is biased by the
gated distance between patches (Chi et al. 2021, as in WavLM). Our own implementation, for inference and for features
with gradients; `beats_file` reads the published weights.
"""

import math
import os
from collections.abc import Sequence

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from audiotoken.checkpoint import load_weights
from audiotoken.encoders import check_layers, check_waveform
from audiotoken.encoders.audioset import resolve_mids
from audiotoken.encoders.beats_file import WANTED, read_beats
from audiotoken.encoders.kaldi import fbank, povey, window_width

RATE = 16_000
PATCH = 16  # mel bins and frames of 10 ms
MEL = 128
SHORTEST = 400 + (PATCH - 1) * 160  # samples of one patch: a window of 25 ms, then 15 steps of 10 ms
LONGEST = 30 * RATE  # longer clips are processed in pieces, because attention grows with the square of the length
MEAN, DEVIATION = 15.41663, 6.55582  # of the log-mel values of AudioSet, from the published front end


class BEATs(ModelMixin, ConfigMixin):  # type: ignore[misc]  # the two name their files differently; ModelMixin wins
    """An `AudioEncoder`: 16 kHz mono in [-1, 1] -> features of the chosen `layers` (from 1), joined; class scores.

    Time runs over patches, 8 (low to high) for each 160 ms. `labels` name the classes; the published files have
    AudioSet's MIDs, which become names; `classes=0` means no class head. The defaults are the released base model's.
    """

    rate = RATE

    @register_to_config
    def __init__(
        self,
        layers: Sequence[int] = (4, 8, 12),
        patch_width: int = 512,
        hidden: int = 768,
        depth: int = 12,
        heads: int = 12,
        feed_forward: int = 3072,
        buckets: int = 320,
        max_distance: int = 800,
        position_kernel: int = 128,
        position_groups: int = 16,
        patch_bias: bool = False,
        classes: int = 527,
        labels: Sequence[str] = (),
    ):
        super().__init__()
        check_layers(layers, depth, "BEATs")
        self.patches = nn.Conv2d(1, patch_width, PATCH, stride=PATCH, bias=patch_bias)
        self.patch_norm = nn.LayerNorm(patch_width)
        self.project = nn.Linear(patch_width, hidden) if patch_width != hidden else nn.Identity()
        self.position = nn.Conv1d(hidden, hidden, position_kernel, padding=position_kernel // 2, groups=position_groups)
        self.norm = nn.LayerNorm(hidden)
        self.distance = nn.Embedding(buckets, heads)
        alpha = (2 * depth) ** 0.25  # DeepNorm (Wang et al. 2022), encoder only
        self.blocks = nn.ModuleList(Block(hidden, heads, feed_forward, alpha) for _ in range(depth))
        self.head = nn.Linear(hidden, classes) if classes else None

    @property
    def width(self) -> int:
        return len(self.config["layers"]) * self.config["hidden"]

    @property
    def labels(self) -> tuple[str, ...]:
        return resolve_mids(self.config["labels"]) or tuple(f"class {i}" for i in range(self.config["classes"]))

    def features(self, waveform: Tensor) -> Float[Tensor, "batch time width"]:
        """(batch, frames) -> (batch, time, width): the outputs of the chosen layers side by side."""
        outputs = self.hidden_states(waveform)
        return torch.cat([outputs[layer] for layer in self.config["layers"]], dim=-1)

    def probabilities(self, waveform: Tensor) -> Float[Tensor, "batch classes"]:
        """(batch, frames) -> (batch, classes) in [0, 1], one independent score per class."""
        if self.head is None:
            raise ValueError("This BEATs has no class head, so it has no scores; load a fine-tuned checkpoint.")
        return self.head(self.hidden_states(waveform)[-1]).mean(dim=1).sigmoid()

    def forward(self, waveform: Tensor) -> Tensor:
        return self.features(waveform)

    def hidden_states(self, waveform: Tensor) -> list[Float[Tensor, "batch time hidden"]]:
        """(batch, frames) -> the input and the output of each block: depth + 1 of (batch, time, hidden)."""
        check_waveform(waveform, "BEATs", RATE)
        pieces = [self._encode_piece(log_mel(piece)) for piece in waveform.split(LONGEST, dim=1)]
        return [torch.cat(layer, dim=1) for layer in zip(*pieces, strict=True)]

    def _encode_piece(self, mel: Float[Tensor, "batch frames 128"]) -> list[Float[Tensor, "batch time hidden"]]:
        """One spectrogram through all layers."""
        patches = self.patches(mel[:, None].to(self.dtype)).flatten(2).mT  # (batch, time, patch_width)
        hidden = self.project(self.patch_norm(patches))
        position = self.position(hidden.mT)[..., : hidden.shape[1]]  # an even kernel gives one too many
        outputs = [self.norm(hidden + F.gelu(position).mT)]
        bias = self._distance_bias(hidden)
        for block in self.blocks:
            outputs.append(block(outputs[-1], bias))
        return outputs

    def _distance_bias(self, hidden: Float[Tensor, "batch time hidden"]) -> Float[Tensor, "heads time time"]:
        """One learnt number per head and bucket of signed distance."""
        steps = torch.arange(hidden.shape[1], device=hidden.device)
        distance = steps[None] - steps[:, None]
        bucket = distance_bucket(distance, self.config["buckets"], self.config["max_distance"])
        return self.distance(bucket).permute(2, 0, 1)

    @classmethod
    def from_checkpoint(cls, file: str | os.PathLike, *, layers: Sequence[int] = (4, 8, 12)) -> "BEATs":
        """The encoder in a published file, ready for inference; its sizes are read from the file."""
        config, weights = read_beats(file)
        beats = cls(layers=tuple(layers), **config)
        load_weights(beats, weights, file, WANTED)
        return beats.eval()


class Block(nn.Module):
    """A transformer layer with DeepNorm: residual times alpha, normalised after the sum."""

    def __init__(self, hidden: int, heads: int, feed_forward: int, alpha: float):
        super().__init__()
        self.alpha = alpha
        self.attention = Attention(hidden, heads)
        self.attention_norm = nn.LayerNorm(hidden)
        self.widen = nn.Linear(hidden, feed_forward)
        self.narrow = nn.Linear(feed_forward, hidden)
        self.final_norm = nn.LayerNorm(hidden)

    def forward(
        self, hidden: Float[Tensor, "batch time hidden"], bias: Float[Tensor, "heads time time"]
    ) -> Float[Tensor, "batch time hidden"]:
        hidden = self.attention_norm(self.alpha * hidden + self.attention(hidden, bias))
        return self.final_norm(self.alpha * hidden + self.narrow(F.gelu(self.widen(hidden))))


class Attention(nn.Module):
    """Self-attention whose distance bias is gated by the query (gated relative position bias, BEATs sec. 3.2)."""

    def __init__(self, hidden: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(hidden, hidden)
        self.key = nn.Linear(hidden, hidden)
        self.value = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, hidden)
        self.gate = nn.Linear(hidden // heads, 8)
        self.gate_scale = nn.Parameter(torch.ones(1, heads, 1, 1))

    def forward(
        self, hidden: Float[Tensor, "batch time hidden"], bias: Float[Tensor, "heads time time"]
    ) -> Float[Tensor, "batch time hidden"]:
        query, key, value = (
            layer(hidden).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (batch, heads, time, size)
            for layer in (self.query, self.key, self.value)
        )
        update, reset = self.gate(query).unflatten(-1, (2, 4)).sum(-1).sigmoid().split(1, dim=-1)
        gate = update * (reset * self.gate_scale - 1) + 2  # (batch, heads, time, 1)
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=gate * bias)
        return self.out(attended.transpose(1, 2).flatten(2))


def log_mel(waveform: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch frames 128"]:
    """16 kHz -> Kaldi's log-mel filter banks, normalised, a frame each 10 ms.

    Computed in float32 for any input; a clip shorter than one patch (175 ms) is padded with silence.
    """
    waveform = F.pad(waveform.float(), (0, max(0, SHORTEST - waveform.shape[1]))) * 2**15
    window = povey(window_width(RATE)).to(waveform.device)
    banks = [fbank(one, RATE, MEL, window) for one in waveform]
    return (torch.stack(banks) - MEAN) / (2 * DEVIATION)


def distance_bucket(distance: Int[Tensor, "*shape"], buckets: int, max_distance: int) -> Int[Tensor, "*shape"]:
    """Signed distance -> bucket as in T5 (Raffel et al. 2020): one each when near, logarithmic when far."""
    half = buckets // 2  # for each direction
    exact = half // 2
    far = distance.abs().clamp(min=1)
    log = exact + (torch.log(far / exact) / math.log(max_distance / exact) * (half - exact)).long()
    magnitude = torch.where(distance.abs() < exact, distance.abs(), log.clamp(max=half - 1))
    return magnitude + half * (distance > 0)
