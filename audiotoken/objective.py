"""What training computes for a batch: the terms of the paper's loss (AudioToken, arXiv 2305.13050)."""

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from audiotoken.denoising import Denoising
from audiotoken.losses import classification_loss, token_l1, token_l2
from audiotoken.placeholder import TEMPLATE
from audiotoken.protocols import TrainablePipeline
from audiotoken.transfer import pin, send


@dataclass(frozen=True, eq=False)
class Batch:
    """Images and the sounds that go with them, one per image; with several processes, this process's part."""

    latents: Tensor  # (batch, channels, height, width)
    features: Tensor  # (batch, time, width)
    labels: Tensor  # (batch,) int64
    texts: Sequence[str] = ()  # each with one <audio>; empty: the paper's template
    weight: Tensor | None = None  # (batch, 1, height, width) of the squared error; None: 1 everywhere

    def __len__(self) -> int:
        return len(self.latents)

    def rows(self, start: int, end: int) -> "Batch":
        """The examples from `start` to `end`."""
        parts = {name: value[start:end] for name, value in vars(self).items() if value is not None and len(value)}
        return replace(self, **parts)

    def pin(self) -> "Batch":
        """The same in pinned memory; see `transfer.pin`."""
        weight = None if self.weight is None else pin(self.weight)
        return Batch(pin(self.latents), pin(self.features), pin(self.labels), self.texts, weight)


@dataclass(frozen=True)
class LossWeights:
    """Weights of the terms of the loss, see `audiotoken.losses`.

    The defaults are the paper's. The published code has the same numbers, but leaves `classification` out unless it is
    switched on, and then stops with an error: `audiotoken/configs/recipe/published.yaml` has the published settings.
    """

    diffusion: float = 1.0
    classification: float = 0.01
    token_l1: float = 0.01
    token_l2: float = 0.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise ValueError(f"Got settings.weights.{name}={value!r}, expected a number, at least 0; change it")


class Objective(nn.Module):
    """The terms of the loss, before weighting. Holds all trainable modules, so that DDP, which wraps it, sees them.

    A denoiser in bfloat16 computes without autocast, which would find nothing to convert and looks at every operation.
    `mean_over_processes` returns the mean of a number over all processes; None for a single process.
    """

    def __init__(
        self,
        pipe: TrainablePipeline,
        labels: Sequence[str],
        denoising: Denoising,
        mean_over_processes: Callable[[Tensor], Tensor] | None = None,
    ):
        super().__init__()
        self.denoising = denoising
        self.embedder, self.denoiser = pipe.audio_embedder, denoising.denoiser
        self.pipe, self.mean_over_processes = pipe, mean_over_processes
        self.device = self.denoiser.device  # asked once: it is looked for in all modules
        self.autocasts = self.denoiser.dtype != torch.bfloat16
        self.names = pipe.label_embeddings(labels).to(self.device) if labels else None  # (classes, width)

    def forward(self, batch: Batch, noise: Tensor, levels: Tensor) -> dict[str, Tensor]:
        """noise: of the shape of the latents; levels: (batch,) as `Denoising` draws them."""
        device = self.device
        latents = send(batch.latents, device).float()
        tokens = self.embedder(send(batch.features, device).float()).float()  # (batch, tokens_per_clip, width)
        texts = batch.texts or [TEMPLATE] * len(batch)
        height, width = (side * self.pipe.vae_scale_factor for side in latents.shape[-2:])
        weight = None if batch.weight is None else send(batch.weight, device)
        with nullcontext() if self.autocasts else torch.autocast(device.type, enabled=False):
            condition = self.pipe.encode(texts, [[token] for token in tokens], (height, width), device)
            error = self.denoising.loss(latents, condition, send(noise, device), send(levels, device), weight)
        return {
            "diffusion": error,
            "classification": self._classification(tokens, send(batch.labels, device)),
            "token_l1": token_l1(tokens),
            "token_l2": token_l2(tokens),
        }

    def _classification(self, tokens: Tensor, labels: Tensor) -> Tensor:
        """The classification loss; zero for data without labels."""
        if self.names is None:
            return tokens.new_zeros(())
        return classification_loss(tokens, labels, self.names, self.mean_over_processes)


def check_batch(batch: Batch, classes: int) -> None:
    """ValueError, one sentence, when sizes differ or a label has no class."""
    sizes = {len(batch.latents), len(batch.features), len(batch.labels), *([len(batch.texts)] if batch.texts else [])}
    if len(sizes) != 1 or batch.latents.ndim != 4:
        raise ValueError(
            f"Got latents {tuple(batch.latents.shape)}, features {tuple(batch.features.shape)}, {len(batch.labels)} "
            f"labels and {len(batch.texts)} texts, expected one of each per image."
        )
    if (classes and batch.labels.min() < 0) or batch.labels.max() >= classes:
        raise ValueError(
            f"Got labels {batch.labels.tolist()}, expected 0 to {classes - 1}; give the names of all classes."
        )
