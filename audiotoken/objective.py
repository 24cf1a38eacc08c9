"""What training computes for a batch: the terms of the paper's loss (AudioToken, arXiv 2305.13050)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from diffusers import DDPMScheduler
from torch import Tensor, nn

from audiotoken.losses import classification_loss, diffusion_loss, min_snr_weight, token_l1, token_l2
from audiotoken.placeholder import TEMPLATE


@dataclass(frozen=True, eq=False)
class Batch:
    """Pictures and the sounds that go with them; one sound per picture. Of several processes, each has its part."""

    latents: Tensor  # (batch, channels, height, width)
    features: Tensor  # (batch, time, width)
    labels: Tensor  # (batch,) int64
    texts: Sequence[str] = ()  # each with one <audio>; none: the paper's template
    weight: Tensor | None = None  # (batch, 1, height, width) of the squared error; none: 1 everywhere

    def __len__(self) -> int:
        return len(self.latents)

    def rows(self, start: int, end: int) -> "Batch":
        """A part of it."""
        parts = {name: value[start:end] for name, value in vars(self).items() if value is not None and len(value)}
        return replace(self, **parts)


@dataclass(frozen=True)
class LossWeights:
    """What each term of `audiotoken.losses` counts.

    The defaults are the paper's. The published code has the same numbers, but leaves `classification` out unless asked
    (and with it on does not run): `audiotoken/configs/train/published.yaml` is that.
    """

    diffusion: float = 1.0
    classification: float = 0.01
    token_l1: float = 0.01
    token_l2: float = 0.0


class Objective(nn.Module):
    """The terms of the loss, before weighting; holds all that learns, so that what wraps it (DDP) sees every gradient.

    `across` gives the mean of a number over processes.
    """

    def __init__(
        self, pipe: Any, labels: Sequence[str], min_snr: float | None, across: Callable[[Tensor], Tensor] | None = None
    ):
        super().__init__()
        self.embedder, self.unet = pipe.audio_embedder, pipe.unet
        self.pipe, self.min_snr, self.across = pipe, min_snr, across
        self.scheduler = DDPMScheduler.from_config(pipe.scheduler.config)  # same noise levels; some know no velocity
        self.names = pipe.label_embeddings(labels).to(pipe.unet.device) if labels else None  # (classes, width)

    def forward(self, batch: Batch, noise: Tensor, timesteps: Tensor) -> dict[str, Tensor]:
        device = self.unet.device
        latents = batch.latents.to(device).float()
        tokens = self.embedder(batch.features.to(device).float()).float()  # (batch, tokens_per_clip, width)
        texts = batch.texts or [TEMPLATE] * len(batch)
        size = tuple(side * self.pipe.vae_scale_factor for side in latents.shape[-2:])
        condition = self.pipe.encode(texts, [[token] for token in tokens], size)
        noise, timesteps = noise.to(device), timesteps.to(device)
        weight = None if batch.weight is None else batch.weight.to(device)
        if self.min_snr is not None:
            weight = min_snr_weight(self.scheduler, timesteps, self.min_snr) * (1 if weight is None else weight)
        embeddings = condition.embeddings.to(self.unet.dtype)
        return {
            "diffusion": diffusion_loss(
                self.unet, self.scheduler, latents, embeddings, noise, timesteps, weight, condition.added
            ),
            "classification": self._classification(tokens, batch.labels.to(device)),
            "token_l1": token_l1(tokens),
            "token_l2": token_l2(tokens),
        }

    def _classification(self, tokens: Tensor, labels: Tensor) -> Tensor:
        """Zero where nothing has a label."""
        return (
            tokens.new_zeros(()) if self.names is None else classification_loss(tokens, labels, self.names, self.across)
        )


def check_batch(batch: Batch, classes: int) -> None:
    """One sentence at the door for what does not belong together."""
    sizes = {len(batch.latents), len(batch.features), len(batch.labels), *([len(batch.texts)] if batch.texts else [])}
    if len(sizes) != 1 or batch.latents.ndim != 4:
        raise ValueError(
            f"Got latents {tuple(batch.latents.shape)}, features {tuple(batch.features.shape)}, {len(batch.labels)} "
            f"labels and {len(batch.texts)} texts; want one of each per picture."
        )
    if (classes and batch.labels.min() < 0) or batch.labels.max() >= classes:
        raise ValueError(f"Got labels {batch.labels.tolist()}, want 0 to {classes - 1}; give the names of all classes.")
