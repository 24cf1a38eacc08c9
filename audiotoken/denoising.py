"""How a denoiser is trained: a `Denoising` draws noise levels and computes the error of its prediction.

The rest of training is the same for all. UNets are here; `audiotoken.tasks.flow` has transformers.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, Self

import torch
from diffusers import DDPMScheduler
from torch import Tensor

from audiotoken.losses import diffusion_loss, min_snr_weight
from audiotoken.prompt import EncodedPrompts


class Denoising(Protocol):
    """What training asks about the denoiser of a pipeline."""

    @property
    def denoiser(self) -> Any:
        """The UNet or transformer."""

    def draw_level(self, generator: torch.Generator) -> Tensor:
        """One noise level, a scalar: a timestep, or the share of noise."""

    def loss(
        self, latents: Tensor, condition: EncodedPrompts, noise: Tensor, levels: Tensor, weight: Tensor | None = None
    ) -> Tensor:
        """Mean squared error of the prediction for `latents` (batch, channels, height, width), as training stores them.

        noise: of the same shape. levels: (batch,) of `draw_level`. weight: (batch, 1, height, width) of the error.
        """


@dataclass(frozen=True, eq=False)
class DiffusionDenoising:
    """A UNet that predicts the noise or the velocity (Ho et al. 2020, arXiv 2006.11239)."""

    denoiser: Any
    scheduler: DDPMScheduler
    min_snr: float | None = None  # gamma of the min-SNR weighting

    @classmethod
    def of(cls, pipe: Any, min_snr: float | None = None) -> Self:
        """With the noise levels of the pipeline's scheduler, which itself may not be able to compute velocities."""
        return cls(pipe.unet, DDPMScheduler.from_config(pipe.scheduler.config), min_snr)

    @cached_property
    def dtype(self) -> torch.dtype:
        """The denoiser's, which is looked for in all of its modules."""
        dtype: torch.dtype = self.denoiser.dtype
        return dtype

    def draw_level(self, generator: torch.Generator) -> Tensor:
        return torch.randint(self.scheduler.config.num_train_timesteps, (), generator=generator)

    def loss(
        self, latents: Tensor, condition: EncodedPrompts, noise: Tensor, levels: Tensor, weight: Tensor | None = None
    ) -> Tensor:
        if self.min_snr is not None:
            weight = min_snr_weight(self.scheduler, levels, self.min_snr) * (1 if weight is None else weight)
        embeddings = condition.embeddings.to(self.dtype)
        return diffusion_loss(
            self.denoiser, self.scheduler, latents, embeddings, noise, levels, weight, condition.added
        )


def scaling_factor(vae: Any) -> float:
    """What training multiplies a VAE's latents by; 1 for those that are standardized in another way."""
    return float(getattr(vae.config, "scaling_factor", None) or 1.0)


def latent_channels(vae: Any) -> int:
    """Channels of a VAE's latents; those of films call them otherwise."""
    return int(getattr(vae.config, "latent_channels", None) or vae.config.z_dim)
