"""The embedder of AudioToken (Yariv et al. 2023, arXiv 2305.13050): audio features -> a word's input embedding.

An MLP computes one candidate token per time step of the clip; attentive pooling (factor graph attention, Schwartz et
al. 2019) weighs the time steps and returns one token for the clip.
"""

import os

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from audiotoken.checkpoint import load_weights, read_checkpoint
from audiotoken.errors import CheckpointError

WANTED = "an AudioToken embedder, a state dict with fc1, fc2 and fga"
LAYER_NAMES = {  # published name -> ours
    "fc1": "hidden",
    "fc2": "output",
    "fga.un_models.0.embed": "pool.unary_hidden",
    "fga.un_models.0.feature_reduce": "pool.unary",
    "fga.pp_models.0.embed_X": "pool.query",
    "fga.pp_models.0.embed_Y": "pool.key",
    "fga.reduce_potentials.0": "pool.mix",
}


class AttentivePooling(nn.Module):
    """Factor graph attention over time (Schwartz et al. 2019).

    The potential of a time step mixes a score of the step itself (unary) with its agreement with the others (pairwise).
    """

    def __init__(self, width: int, dropout: float):
        super().__init__()
        self.unary_hidden = nn.Linear(width, width)
        self.unary = nn.Linear(width, 1)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.mix = nn.Linear(2, 1, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, steps: Float[Tensor, "batch time width"]) -> Float[Tensor, "batch width"]:
        own = self.unary(self.dropout(F.relu(self.unary_hidden(steps))))  # (batch, time, 1)
        query = F.normalize(self.query(steps), dim=-1)
        key = F.normalize(self.key(steps), dim=-1)
        agreement = query @ key.mean(dim=1)[:, :, None]  # (batch, time, 1), the mean cosine with all steps
        weights = self.mix(torch.cat([own, agreement], dim=-1)).softmax(dim=1)  # (batch, time, 1)
        return (weights * steps).sum(dim=1)


class MeanPooling(nn.Module):
    """All time steps weigh the same."""

    def forward(self, steps: Float[Tensor, "batch time width"]) -> Float[Tensor, "batch width"]:
        return steps.mean(dim=1)


class MaxPooling(nn.Module):
    """The maximum of each channel over time."""

    def forward(self, steps: Float[Tensor, "batch time width"]) -> Float[Tensor, "batch width"]:
        return steps.amax(dim=1)


POOLINGS: dict[str, type[nn.Module]] = {"mean": MeanPooling, "max": MaxPooling}


class AudioEmbedder(ModelMixin, ConfigMixin):  # type: ignore[misc]  # the two name their files differently
    """Features (batch, time, input_size) -> audio tokens (batch, tokens_per_clip, output_size).

    `output_size` is the width of the text encoder's input embeddings. Dropout is active in training mode only, so that
    a sound always gives the same token (the published code leaves it on at inference). The paper's embedder is
    2304 -> 768 with attentive pooling and one token. `pooling` is "attentive", "mean" or "max". With several tokens,
    the MLP computes separate candidates for each; all share the pooling.
    """

    @register_to_config
    def __init__(
        self,
        input_size: int,
        output_size: int,
        dropout: float = 0.5,
        pooling: str = "attentive",
        tokens_per_clip: int = 1,
    ):
        super().__init__()
        if tokens_per_clip < 1:
            raise ValueError(f"Got tokens_per_clip={tokens_per_clip}, expected 1 or more; change it.")
        self.hidden = nn.Linear(input_size, input_size)
        self.output = nn.Linear(input_size, output_size * tokens_per_clip)
        self.pool = _make_pooling(pooling, output_size, dropout)

    @property
    def tokens_per_clip(self) -> int:
        return self.config["tokens_per_clip"]

    def forward(self, features: Tensor) -> Float[Tensor, "batch tokens_per_clip output_size"]:
        if features.ndim != 3 or features.shape[2] != self.config["input_size"] or not features.shape[1]:
            raise ValueError(
                f"The embedder got features of shape {tuple(features.shape)}, "
                f"expected (batch, time, {self.config['input_size']}); use the audio encoder it was trained with."
            )
        steps = self.output(F.gelu(self.hidden(features)))  # (batch, time, tokens_per_clip * output_size)
        each = steps.unflatten(2, (self.tokens_per_clip, -1)).transpose(1, 2)  # (batch, tokens, time, output_size)
        return self.pool(each.flatten(0, 1)).unflatten(0, each.shape[:2])

    @classmethod
    def from_checkpoint(cls, file: str | os.PathLike) -> "AudioEmbedder":
        """The embedder in a published state dict, ready for inference; its sizes are read from the shapes."""
        published = read_checkpoint(file, WANTED)
        if not isinstance(published, dict) or not all(isinstance(value, Tensor) for value in published.values()):
            raise CheckpointError(f"Cannot load {file}: it does not hold a state dict; give {WANTED}.")
        weights = {
            _rename_layer(name): value.squeeze(-1) if value.ndim == 3 else value for name, value in published.items()
        }
        if weights.get("output.weight", torch.empty(0)).ndim != 2:
            raise CheckpointError(f"Cannot load {file}: it has no layer fc2; give {WANTED}.")
        output_size, input_size = weights["output.weight"].shape
        embedder = cls(input_size, output_size)
        load_weights(embedder, weights, file, WANTED)
        return embedder.eval()


def _make_pooling(pooling: str, width: int, dropout: float) -> nn.Module:
    if pooling == "attentive":
        return AttentivePooling(width, dropout)
    if pooling not in POOLINGS:
        raise ValueError(f"Got pooling={pooling!r}, expected one of attentive, {', '.join(POOLINGS)}; change it.")
    return POOLINGS[pooling]()


def _rename_layer(published: str) -> str:
    """`fga.un_models.0.embed.bias` -> `pool.unary_hidden.bias`; a 1x1 convolution is a linear layer."""
    layer, _, kind = published.rpartition(".")
    return f"{LAYER_NAMES[layer]}.{kind}" if layer in LAYER_NAMES else published
