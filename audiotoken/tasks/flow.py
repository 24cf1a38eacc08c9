"""Training on transformers, which predict the velocity of rectified flow, through their backbone in `guidance`."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from audiotoken.denoising import Denoising, DiffusionDenoising, scaling_factor
from audiotoken.errors import OptionError
from audiotoken.losses import flow_loss, logit_normal_levels
from audiotoken.prompt import EncodedPrompts
from guidance.backbones.base import Backbone
from guidance.backbones.transformer import TransformerBackbone


@dataclass(frozen=True, eq=False)
class FlowDenoising:
    """A transformer that predicts the velocity of rectified flow (Esser et al. 2024, arXiv 2403.03206).

    Models with a distilled guidance scale are trained at a scale of 1, where they predict the flow of the data itself.
    """

    backbone: TransformerBackbone

    @property
    def denoiser(self) -> Any:
        return self.backbone.denoiser

    @cached_property
    def dtype(self) -> torch.dtype:
        """The denoiser's, which is looked for in all of its modules."""
        dtype: torch.dtype = self.denoiser.dtype
        return dtype

    def draw_level(self, generator: torch.Generator) -> Tensor:
        return logit_normal_levels(1, generator)[0]

    def loss(
        self, latents: Tensor, condition: EncodedPrompts, noise: Tensor, levels: Tensor, weight: Tensor | None = None
    ) -> Tensor:
        dtype = self.dtype
        latents = self.backbone.standardize(latents / scaling_factor(self.backbone.pipe.vae))
        noise = self.backbone.patchify(noise)
        if weight is not None:
            weight = nn.functional.interpolate(weight, latents.shape[-2:], mode="area")
        added = {k: v.to(dtype) if v.is_floating_point() else v for k, v in condition.added.items()}
        if getattr(self.denoiser.config, "guidance_embeds", False):
            added["guidance"] = torch.ones(len(latents), device=latents.device)
        embeddings = condition.embeddings.to(dtype)

        def predict(noisy: Tensor, timesteps: Tensor) -> Tensor:
            return self.backbone.predict_raw(noisy.to(dtype), timesteps, embeddings, added)

        return flow_loss(predict, latents, noise, levels.to(latents), weight)


def find_denoising(pipe: Any, min_snr: float | None = None) -> Denoising:
    """How the denoiser of a pipeline is trained. OptionError for a setting that its kind of model does not have."""
    if pipe.components.get("transformer") is None:
        return DiffusionDenoising.of(pipe, min_snr)
    if min_snr is not None:
        raise OptionError(
            f"Got min_snr={min_snr}, but {type(pipe.transformer).__name__} is trained by rectified flow, which has no "
            "such weighting; leave it out."
        )
    return FlowDenoising(TransformerBackbone.from_pipe(pipe))


def own_size(pipe: Any) -> int:
    """Pixels along one side of the pictures that the model was made for."""
    return Backbone.from_pipe(pipe).resolve_size(None, None)[0]
