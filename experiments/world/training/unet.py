"""Text-to-image on the painted world: the models, their noise schedule and what training lowers.

v-prediction with even weights on a cosine schedule: after its last step nothing of the picture is left, so backdrop and
number of things, which are decided at high noise, are learned from noise as they are drawn from noise.
"""

import random
from dataclasses import dataclass

import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from experiments.world.captions import LENGTH, find_noun_positions, list_word_ids, write_caption
from experiments.world.training.attention import PlainAttention, attention_losses
from experiments.world.training.autoencoder import LATENT_CHANNELS
from experiments.world.training.shards import Latents

WIDTH = 128  # size of a token
WIDTHS = (64, 128, 192)  # at 16x16, 8x8 and 4x4
DROP = 0.1  # captions left out, for classifier-free guidance
ATTENTION = 0.02  # weight of each attention term


def build_unet() -> UNet2DConditionModel:
    """11 M parameters. Attention at 4x4, where it is nearly free, lets a picture know itself: a thing is drawn once.

    None at 16x16 on the way down, where it costs most; on the way up the 16x16 and 8x8 maps can be steered.
    """
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=WIDTHS,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D",) * 3,
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        attention_head_dim=(2, 4, 4),  # heads, not their size: an old misnomer of diffusers
        norm_num_groups=16,
    )


def build_text_model(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=LENGTH,
        projection_dim=WIDTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel._from_config(config, attn_implementation="eager")


def build_models(tokenizer: CLIPTokenizer) -> nn.ModuleDict:
    return nn.ModuleDict({"unet": build_unet(), "text": build_text_model(tokenizer)})


def build_scheduler() -> DDIMScheduler:
    return DDIMScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=1,
    )


def build_sampler() -> DPMSolverMultistepScheduler:
    """The scheduler that draws, of the same noise: SDE-DPM-Solver++ of second order (Lu et al., arXiv 2211.01095).

    The noise that it adds in each step lets later steps correct what an earlier one got wrong (Karras et al. 2022,
    arXiv 2206.00364, section 4); of a short training that is much.
    """
    return DPMSolverMultistepScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        steps_offset=1,
        algorithm_type="sde-dpmsolver++",
        euler_at_final=True,  # the last step adds no noise
    )


@dataclass(frozen=True, eq=False)
class Batch:
    latents: Tensor  # (batch, 16, 16, 16), scaled
    masks: Tensor  # (batch, 4, 16, 16) in [0, 1]
    ids: Tensor  # (batch, 77)
    positions: Tensor  # (batch, 4)


class CaptionWriter:
    """Scenes -> batches: a new caption every time that a scene is seen."""

    def __init__(self, tokenizer: CLIPTokenizer, scale: float, device: torch.device):
        self.tokenizer, self.scale, self.device = tokenizer, scale, device
        self.words = list_word_ids(tokenizer)

    def __call__(self, scenes: Latents, rng: random.Random) -> Batch:
        kinds, backdrops = scenes.kinds.tolist(), scenes.backdrops.tolist()
        told = [rng.random() >= DROP for _ in kinds]
        texts = [write_caption(k, b, rng) if t else "" for k, b, t in zip(kinds, backdrops, told, strict=True)]
        ids = self.tokenizer(texts, padding="max_length", truncation=True).input_ids
        positions = [
            find_noun_positions(i, k, self.words) if t else [-1] * len(k)
            for i, k, t in zip(ids, kinds, told, strict=True)
        ]
        return Batch(
            scenes.latents.to(self.device).float() * self.scale,
            scenes.masks.to(self.device).float() / 255,
            torch.tensor(ids, device=self.device),
            torch.tensor(positions, device=self.device),
        )


def compute_losses(
    models: nn.ModuleDict,
    readers: list[PlainAttention],
    scheduler: DDIMScheduler,
    batch: Batch,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """The error of the velocity, things weighing three times, and how far the nouns look off their things."""
    noise = torch.randn(batch.latents.shape, generator=generator).to(batch.latents.device)
    t = draw_timesteps(len(noise), generator).to(noise.device)
    noisy = scheduler.add_noise(batch.latents, noise, t).contiguous(memory_format=torch.channels_last)
    velocity = scheduler.get_velocity(batch.latents, noise, t)
    text = models["text"](batch.ids).last_hidden_state
    error = (models["unet"](noisy, t, text).sample.float() - velocity).square()  # (batch, 16, 16, 16)
    importance = batch.masks.sum(1, keepdim=True).clamp(max=1) * 2 + 1
    terms = {"diffusion": (error * importance / importance.mean()).mean()}
    clear = scheduler.alphas_cumprod.to(noise.device)[t].sqrt()  # in pure noise no place is right or wrong
    pairs = [attention_losses(r.map, batch.masks, batch.positions, clear) for r in readers if r.map is not None]
    if pairs:
        inside, own = zip(*pairs, strict=True)
        terms["inside"] = ATTENTION * sum(inside) / len(pairs)
        terms["own"] = ATTENTION * sum(own) / len(pairs)
    return terms


def draw_timesteps(count: int, generator: torch.Generator) -> Tensor:
    """(count,) timesteps, stratified: every batch sees all noise levels."""
    ticks = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    return (ticks * 1000).long().clamp(max=999)[torch.randperm(count, generator=generator)]
