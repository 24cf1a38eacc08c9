"""The terms of the paper's loss (AudioToken, arXiv 2305.13050): denoising, the class of the sound, a small token.

Conventions: latents and noise are (batch, channels, height, width), latents already multiplied by the VAE's
`scaling_factor`; audio tokens are (batch, tokens, width) of the text encoder's input embeddings, `tokens` per clip.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F


def diffusion_loss(
    unet: nn.Module,
    scheduler: Any,
    latents: Float[Tensor, "batch channels height width"],
    embeddings: Float[Tensor, "batch prompt features"],
    noise: Float[Tensor, "batch channels height width"],
    timesteps: Int[Tensor, " batch"],
    weight: Float[Tensor, "batch 1 #height #width"] | None = None,
    added: dict[str, Tensor] | None = None,
) -> Float[Tensor, ""]:
    """Mean squared error of the denoiser, of the noise or of the velocity, whichever it predicts.

    `weight` multiplies the squared error of each pixel; `added` are SDXL's conditions besides the text.
    """
    targets = {"epsilon": lambda: noise, "v_prediction": lambda: scheduler.get_velocity(latents, noise, timesteps)}
    kind = scheduler.config.prediction_type
    if kind not in targets:
        raise ValueError(f"The scheduler predicts {kind!r}, expected epsilon or v_prediction; use such a model.")
    noisy = scheduler.add_noise(latents, noise, timesteps).to(embeddings)
    conditions = {"added_cond_kwargs": added} if added else {}
    predicted = unet(noisy, timesteps, embeddings, **conditions).sample.float()
    error = (predicted - targets[kind]()).square()  # (batch, channels, height, width)
    return _mean_weighted(error, weight)


def flow_loss(
    predict: Callable[[Tensor, Tensor], Tensor],
    latents: Float[Tensor, "batch channels height width"],
    noise: Float[Tensor, "batch channels height width"],
    levels: Float[Tensor, " batch"],
    weight: Float[Tensor, "batch 1 #height #width"] | None = None,
) -> Float[Tensor, ""]:
    """Rectified flow (Liu et al. 2023, arXiv 2209.03003, eq. 1): mean squared error of the velocity noise - latents.

    predict: (noisy latents, timesteps in [0, 1000]) -> velocity. levels: share of noise s in [0, 1], of the latents
    (1 - s) x + s noise; `logit_normal_levels` draws them. weight: as in `diffusion_loss`.
    """
    noisy = latents.lerp(noise, levels.view(-1, 1, 1, 1))
    error = (predict(noisy, 1000 * levels).float() - (noise - latents)).square()
    return _mean_weighted(error, weight)


def logit_normal_levels(count: int, generator: torch.Generator | None = None) -> Float[Tensor, " {count}"]:
    """Levels of noise that training draws most in the middle (Esser et al. 2024, arXiv 2403.03206, sec. 3.1)."""
    return torch.randn(count, generator=generator).sigmoid()


def _mean_weighted(error: Tensor, weight: Tensor | None) -> Tensor:
    return (error if weight is None else error * weight).mean()


def min_snr_weight(scheduler: Any, timesteps: Int[Tensor, " batch"], gamma: float) -> Float[Tensor, "batch 1 1 1"]:
    """Min-SNR weighting (Hang et al. 2023, arXiv 2303.09556, sec. 3.4): limits the weight of low noise levels.

    min(SNR, gamma) / SNR for the error of the noise; divided by SNR + 1 instead for the error of the velocity.
    """
    alphas = scheduler.alphas_cumprod.to(timesteps.device)[timesteps].float()
    snr = alphas / (1 - alphas)
    velocity = scheduler.config.prediction_type == "v_prediction"
    return (snr.clamp(max=gamma) / (snr + 1 if velocity else snr))[:, None, None, None]


def classification_loss(
    tokens: Float[Tensor, "batch tokens width"],
    labels: Int[Tensor, " batch"],
    names: Float[Tensor, "classes width"],
    mean_over_processes: Callable[[Tensor], Tensor] | None = None,
) -> Float[Tensor, ""]:
    """(1 - cosine)^2 between the audio tokens and `names[labels]`, the embeddings of the clips' labels.

    As published, the cosine is averaged over the batch before the square. When the batch is spread over processes,
    `mean_over_processes` returns the mean of a number over them; the mean gradient is then that of the whole batch.
    """
    cosine = F.cosine_similarity(tokens.mean(dim=1), names[labels], dim=-1).mean()
    if mean_over_processes is not None:
        cosine = cosine + (mean_over_processes(cosine.detach()) - cosine.detach())
    return (1 - cosine).square()


def token_l1(tokens: Float[Tensor, "batch tokens width"]) -> Float[Tensor, ""]:
    """Mean absolute value: keeps the token in the range of word embeddings, which are small."""
    return tokens.abs().mean()


def token_l2(tokens: Float[Tensor, "batch tokens width"]) -> Float[Tensor, ""]:
    """Mean squared length; off by default, as published."""
    return tokens.square().sum(dim=-1).mean()


@torch.no_grad()
def label_embeddings(names: Sequence[str], tokenizer: Any, text_encoder: Any) -> Float[Tensor, "classes width"]:
    """The mean of the input embeddings of each label's words; ValueError for a label without words."""
    table = text_encoder.get_input_embeddings().weight
    ids = [tokenizer(name.replace("_", " "), add_special_tokens=False).input_ids for name in names]
    if empty := [name for name, words in zip(names, ids, strict=True) if not words]:
        raise ValueError(f"The label {empty[0]!r} has no words for the tokenizer; give each class a name.")
    return torch.stack([table[words].float().mean(dim=0) for words in ids])
