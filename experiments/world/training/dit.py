"""A sibling for the generators of today: a small MM-DiT on the latents and captions of the mini checkpoint.

Stable Diffusion 3's classes unchanged (SD3Transformer2DModel, StableDiffusion3Pipeline, flow matching), one text model
in both CLIP slots and nothing in T5's: call the pipeline with `max_sequence_length=0`, or it appends 256 empty tokens.
"""

import random

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

from experiments.world.captions import LENGTH
from experiments.world.training.autoencoder import LATENT_CHANNELS
from experiments.world.training.shards import Latents
from experiments.world.training.unet import Writer

WIDTH = 128  # of a token; the pipeline lays the two CLIP models' tokens side by side
HEADS, LAYERS = 6, 6


def build_transformer() -> SD3Transformer2DModel:
    """9 M parameters: 64 patches of 2 x 2 latents and 77 text tokens through six joint blocks, 192 wide."""
    return SD3Transformer2DModel(
        sample_size=16,
        patch_size=2,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        num_layers=LAYERS,
        attention_head_dim=32,
        num_attention_heads=HEADS,
        caption_projection_dim=32 * HEADS,
        joint_attention_dim=2 * WIDTH,
        pooled_projection_dim=2 * WIDTH,
        pos_embed_max_size=16,
    )


def build_text_model(tokenizer: CLIPTokenizer) -> CLIPTextModelWithProjection:
    """Three layers: the pipeline reads the tokens before the last one, and a projection of the end token."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=LENGTH,
        projection_dim=WIDTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModelWithProjection(config)


def build_models(tokenizer: CLIPTokenizer) -> nn.ModuleDict:
    return nn.ModuleDict({"transformer": build_transformer(), "text": build_text_model(tokenizer)})


def build_scheduler() -> FlowMatchEulerDiscreteScheduler:
    return FlowMatchEulerDiscreteScheduler(shift=1.0)  # shift is for pictures of many more tokens


def read(text: CLIPTextModelWithProjection, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Token ids (batch, 77) -> what the pipeline makes of them: (batch, 77, 256) and pooled (batch, 256)."""
    output = text(ids, output_hidden_states=True)
    return output.hidden_states[-2].repeat(1, 1, 2), output.text_embeds.repeat(1, 2)


def losses(models: nn.ModuleDict, write: Writer, scenes: Latents, seed: int) -> dict[str, Tensor]:
    """Rectified flow, noise levels drawn as in Esser et al. (arXiv 2403.03206); things weigh three times."""
    batch, generator = write(scenes, random.Random(seed)), torch.Generator().manual_seed(seed)
    latents = batch.latents
    noise = torch.randn(latents.shape, generator=generator).to(latents.device)
    level = torch.randn(len(latents), generator=generator).sigmoid().to(latents.device)  # 1 is pure noise
    noisy = latents.lerp(noise, level[:, None, None, None])
    tokens, pooled = read(models["text"], batch.ids)
    output = models["transformer"](noisy, tokens, pooled, level * 1000).sample.float()
    importance = batch.masks.sum(1, keepdim=True).clamp(max=1) * 2 + 1
    error = (output - (noise - latents)).square() * importance / importance.mean()
    return {"flow": error.mean()}
