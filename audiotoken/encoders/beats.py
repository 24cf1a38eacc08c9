"""BEATs (Chen et al. 2022, arXiv 2212.09058), the audio encoder of the AudioToken paper.

A log-mel picture is cut into 16x16 patches, read row by row in time by a transformer whose attention is biased by the
gated distance between patches (Chi et al. 2021, as in WavLM). Ours, for inference and for features with gradients;
reads the published files, which hold `{"cfg": ..., "model": ...}` and, when fine-tuned, `label_dict`.
"""

import math
import os
import re
from collections.abc import Sequence
from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import Tensor, nn
from torch.nn import functional as F
from torchaudio.compliance.kaldi import fbank

from audiotoken.checkpoint import CheckpointError, fill, read_checkpoint

RATE = 16_000
PATCH = 16  # mel bins and frames of 10 ms
MEL = 128
SHORTEST = 400 + (PATCH - 1) * 160  # samples under one patch: a window of 25 ms, then 15 steps of 10 ms
LONGEST = 30 * RATE  # longer clips are heard in pieces, because attention grows with the square of the length
MEAN, DEVIATION = 15.41663, 6.55582  # of the log-mel values of AudioSet, from the published front end
WANTED = 'a BEATs checkpoint, {"cfg": ..., "model": ...}'


class BEATs(ModelMixin, ConfigMixin):  # type: ignore[misc]  # the two name their files differently; ModelMixin wins
    """An `AudioEncoder`: 16 kHz mono in [-1, 1] -> features of the chosen `layers` (from 1), joined; class scores.

    Time runs over patches, 8 (low to high) for each 160 ms. `labels` name the classes, AudioSet's MIDs in the
    published files; `classes=0` has no class head. The defaults are the released base model's.
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
        _check_layers(layers, depth)
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
        return tuple(self.config["labels"]) or tuple(f"class {i}" for i in range(self.config["classes"]))

    @apply_forward_hook  # so that CPU offload moves the weights for these two, too
    def features(self, waveform: Tensor) -> Tensor:
        """(batch, frames) -> (batch, time, width): the outputs of the chosen layers side by side."""
        outputs = self.hidden_states(waveform)
        return torch.cat([outputs[layer] for layer in self.config["layers"]], dim=-1)

    @apply_forward_hook
    def probabilities(self, waveform: Tensor) -> Tensor:
        """(batch, frames) -> (batch, classes) in [0, 1], one independent score per class."""
        if self.head is None:
            raise ValueError("This BEATs has no class head, but scores are wanted; load a fine-tuned checkpoint.")
        return self.head(self.hidden_states(waveform)[-1]).mean(dim=1).sigmoid()

    def forward(self, waveform: Tensor) -> Tensor:
        return self.features(waveform)

    def hidden_states(self, waveform: Tensor) -> list[Tensor]:
        """(batch, frames) -> what each block gives, the input first: depth + 1 of (batch, time, hidden)."""
        _check_waveform(waveform)
        pieces = [self._read(log_mel(piece)) for piece in waveform.split(LONGEST, dim=1)]
        return [torch.cat(layer, dim=1) for layer in zip(*pieces, strict=True)]

    def _read(self, mel: Tensor) -> list[Tensor]:
        """(batch, frames, 128) -> depth + 1 of (batch, time, hidden)."""
        patches = self.patches(mel[:, None].to(self.dtype)).flatten(2).mT  # (batch, time, patch_width)
        hidden = self.project(self.patch_norm(patches))
        position = self.position(hidden.mT)[..., : hidden.shape[1]]  # an even kernel gives one too many
        outputs = [self.norm(hidden + F.gelu(position).mT)]
        bias = self._distance_bias(hidden)
        for block in self.blocks:
            outputs.append(block(outputs[-1], bias))
        return outputs

    def _distance_bias(self, hidden: Tensor) -> Tensor:
        """(batch, time, hidden) -> (heads, time, time): one learnt number per head and bucket of signed distance."""
        steps = torch.arange(hidden.shape[1], device=hidden.device)
        distance = steps[None] - steps[:, None]
        bucket = distance_bucket(distance, self.config["buckets"], self.config["max_distance"])
        return self.distance(bucket).permute(2, 0, 1)

    @classmethod
    def from_checkpoint(cls, file: str | os.PathLike, *, layers: Sequence[int] = (4, 8, 12)) -> "BEATs":
        """The encoder in a published file; its sizes come from the file. Ready for inference."""
        content = read_checkpoint(file, WANTED)
        parts = [content.get(key) for key in ("cfg", "model")] if isinstance(content, dict) else [None]
        if not all(isinstance(part, dict) for part in parts):
            raise CheckpointError(f"Cannot load {file}: it has no `cfg` and `model`; give {WANTED}.")
        weights = _our_weights(content["model"])
        beats = cls(layers=tuple(layers), **_our_config(content, file))
        fill(beats, weights, file, WANTED)
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

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:  # (batch, time, hidden), (heads, time, time)
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

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        query, key, value = (
            layer(hidden).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (batch, heads, time, size)
            for layer in (self.query, self.key, self.value)
        )
        update, reset = self.gate(query).unflatten(-1, (2, 4)).sum(-1).sigmoid().split(1, dim=-1)
        gate = update * (reset * self.gate_scale - 1) + 2  # (batch, heads, time, 1)
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=gate * bias)
        return self.out(seen.transpose(1, 2).flatten(2))


def log_mel(waveform: Tensor) -> Tensor:
    """(batch, frames) at 16 kHz -> (batch, frames of 10 ms, 128), Kaldi's log-mel filter banks, normalised.

    Computed in float32 whatever comes; a clip below one patch (175 ms) is filled up with silence.
    """
    waveform = F.pad(waveform.float(), (0, max(0, SHORTEST - waveform.shape[1]))) * 2**15
    banks = [fbank(one[None], num_mel_bins=MEL, sample_frequency=RATE) for one in waveform]
    return (torch.stack(banks) - MEAN) / (2 * DEVIATION)


def distance_bucket(distance: Tensor, buckets: int, max_distance: int) -> Tensor:
    """Signed distance -> bucket as in T5 (Raffel et al. 2020): one each when near, logarithmic when far."""
    half = buckets // 2  # for each direction
    exact = half // 2
    far = distance.abs().clamp(min=1)
    log = exact + (torch.log(far / exact) / math.log(max_distance / exact) * (half - exact)).long()
    magnitude = torch.where(distance.abs() < exact, distance.abs(), log.clamp(max=half - 1))
    return magnitude + half * (distance > 0)


def _check_layers(layers: Sequence[int], depth: int) -> None:
    if not layers or not all(isinstance(layer, int) and 1 <= layer <= depth for layer in layers):
        raise ValueError(f"Got layers={tuple(layers)}, but this BEATs has layers 1 to {depth}; choose among them.")


def _check_waveform(waveform: Tensor) -> None:
    if waveform.ndim != 2 or 0 in waveform.shape or not waveform.is_floating_point():
        raise ValueError(
            f"BEATs got a waveform {tuple(waveform.shape)} of {waveform.dtype}, "
            "wants floats (batch, frames), mono at 16 kHz; mix and resample the recording first."
        )


def _our_config(content: dict[str, Any], file: str | os.PathLike) -> dict[str, Any]:
    """The published `cfg` -> our constructor's parameters; refuses what was never released."""
    cfg = content["cfg"]
    fixed = {"layer_norm_first": False, "deep_norm": True, "activation_fn": "gelu", "input_patch_size": PATCH}
    fixed |= {"relative_position_embedding": True, "gru_rel_pos": True}
    for key, value in fixed.items():
        if cfg.get(key, value) != value:
            raise CheckpointError(f"Cannot load {file}: it has {key}={cfg[key]}, BEATs as released has {value}.")
    names = {"patch_width": "embed_dim", "hidden": "encoder_embed_dim", "depth": "encoder_layers"}
    names |= {"heads": "encoder_attention_heads", "feed_forward": "encoder_ffn_embed_dim", "buckets": "num_buckets"}
    names |= {"max_distance": "max_distance", "position_kernel": "conv_pos", "position_groups": "conv_pos_groups"}
    if lacking := sorted(name for name in names.values() if not isinstance(cfg.get(name), int)):
        raise CheckpointError(f"Cannot load {file}: its `cfg` lacks {', '.join(lacking)}; give {WANTED}.")
    labels = content.get("label_dict") or {}
    return {ours: cfg[theirs] for ours, theirs in names.items()} | {
        "patch_bias": bool(cfg.get("conv_bias", False)),
        "classes": (cfg.get("predictor_class") or 0) if cfg.get("finetuned_model") else 0,
        "labels": tuple(str(labels[index]) for index in sorted(labels, key=int)),
    }


OUR_NAME = (  # patterns of the published names, in this order
    (r"^patch_embedding\.", "patches."),
    (r"^layer_norm\.", "patch_norm."),
    (r"^post_extract_proj\.", "project."),
    (r"^predictor\.", "head."),
    (r"^encoder\.pos_conv\.0\.", "position."),
    (r"^encoder\.layer_norm\.", "norm."),
    (r"^encoder\.layers\.0\.self_attn\.relative_attention_bias\.", "distance."),
    (r"^encoder\.layers\.(\d+)\.", r"blocks.\1."),
    (r"\.self_attn\.q_proj\.", ".attention.query."),
    (r"\.self_attn\.k_proj\.", ".attention.key."),
    (r"\.self_attn\.v_proj\.", ".attention.value."),
    (r"\.self_attn\.out_proj\.", ".attention.out."),
    (r"\.self_attn\.grep_linear\.", ".attention.gate."),
    (r"\.self_attn\.grep_a$", ".attention.gate_scale"),
    (r"\.self_attn_layer_norm\.", ".attention_norm."),
    (r"\.final_layer_norm\.", ".final_norm."),
    (r"\.fc1\.", ".widen."),
    (r"\.fc2\.", ".narrow."),
)


def _our_weights(published: dict[str, Tensor]) -> dict[str, Tensor]:
    """Published names -> ours; the weight-normalised convolution multiplied out, the shared distance bias once."""
    weights = {}
    for name, value in published.items():
        for pattern, ours in OUR_NAME:
            name = re.sub(pattern, ours, name)
        if not re.search(r"^blocks\.\d+\.self_attn\.relative_attention_bias\.", name):
            weights[name] = value
    if {"position.weight_g", "position.weight_v"} <= weights.keys():
        scale, direction = weights.pop("position.weight_g"), weights.pop("position.weight_v")
        weights["position.weight"] = scale * direction / direction.norm(dim=(0, 1), keepdim=True)
    return weights
