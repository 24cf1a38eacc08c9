"""A sibling for the generators of today: a small MM-DiT on the latents and captions of the mini checkpoint.

Stable Diffusion 3's classes unchanged (SD3Transformer2DModel, StableDiffusion3Pipeline, flow matching), one text model
in both CLIP slots and nothing in T5's: call the pipeline with `max_sequence_length=0`, or it appends 256 empty tokens.
Prompts are 32 tokens long, not 77: every one of them costs as much as a patch of the picture.

In training, a linear layer names the thing in every patch from what two thirds of the blocks make of it: aligned with
what there is to see, a transformer learns to draw sooner (after Yu et al., "Representation Alignment for Generation",
arXiv 2410.06940; with the truth of the scene in the place of another model's features).
"""

import random
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

from audiotoken.mini.things import WORDS
from experiments.world.training.autoencoder import LATENT_CHANNELS
from experiments.world.training.shards import Latents
from experiments.world.training.unet import CaptionWriter

WIDTH = 128  # of a token; the pipeline lays the two CLIP models' tokens side by side
HEADS, LAYERS = 6, 6
TOKENS = 32  # of a prompt; the longest of 8,000 captions with four things has 30
NAMING = 0.1  # weight of the naming loss


def build_transformer() -> SD3Transformer2DModel:
    """9 M parameters: 64 patches of 2 x 2 latents and 32 text tokens through six joint blocks, 192 wide."""
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
        max_position_embeddings=TOKENS,
        projection_dim=WIDTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModelWithProjection(config)


def build_models(tokenizer: CLIPTokenizer) -> nn.ModuleDict:
    """What is trained; `name` is of no use afterwards."""
    name = nn.Linear(32 * HEADS, 1 + len(WORDS))
    return nn.ModuleDict({"transformer": build_transformer(), "text": build_text_model(tokenizer), "name": name})


def build_scheduler() -> FlowMatchEulerDiscreteScheduler:
    return FlowMatchEulerDiscreteScheduler(shift=1.0)  # shift is for pictures of many more tokens


def shorten_tokenizer(tokenizer: CLIPTokenizer) -> CLIPTokenizer:
    """The same tokenizer, padding and cutting to the length of this model's prompts."""
    tokenizer.model_max_length = TOKENS
    return tokenizer


def encode_text(text: CLIPTextModelWithProjection, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Token ids (batch, 32) -> what the pipeline makes of them: (batch, 32, 256) and pooled (batch, 256)."""
    output = text(ids, output_hidden_states=True)
    return output.hidden_states[-2].repeat(1, 1, 2), output.text_embeds.repeat(1, 2)


def compute_losses(models: nn.ModuleDict, write: CaptionWriter, scenes: Latents, seed: int) -> dict[str, Tensor]:
    """Rectified flow, noise levels drawn as in Esser et al. (arXiv 2403.03206), things weighing three times; naming."""
    batch, generator = write(scenes, random.Random(seed)), torch.Generator().manual_seed(seed)
    latents = batch.latents
    noise = torch.randn(latents.shape, generator=generator).to(latents.device)
    level = torch.randn(len(latents), generator=generator).sigmoid().to(latents.device)  # 1 is pure noise
    noisy = latents.lerp(noise, level[:, None, None, None])
    tokens, pooled = encode_text(models["text"], batch.ids)
    patches: list[Tensor] = []  # (batch, 64, 192)
    blocks: Any = models["transformer"].transformer_blocks
    with blocks[2 * LAYERS // 3 - 1].register_forward_hook(lambda module, inputs, outputs: patches.append(outputs[1])):
        output = models["transformer"](noisy, tokens, pooled, level * 1000).sample.float()
    importance = batch.masks.sum(1, keepdim=True).clamp(max=1) * 2 + 1
    error = (output - (noise - latents)).square() * importance / importance.mean()
    named = models["name"](patches[0]).transpose(1, 2).float()  # (batch, 25, 64)
    truth = label_patches(scenes).to(named.device)
    return {"flow": error.mean(), "naming": NAMING * nn.functional.cross_entropy(named, truth)}


def label_patches(scenes: Latents) -> Tensor:
    """(batch, 25, 64): how much of each patch shows nothing, and each thing of WORDS."""
    shares = nn.functional.avg_pool2d(scenes.masks.float() / 255, 2).flatten(2)  # (batch, 4, 64)
    kinds = nn.functional.one_hot(scenes.kinds.long() + 1, 1 + len(WORDS))  # (batch, 4, 25); an empty slot is nothing
    things = torch.einsum("bsp,bsk->bkp", shares, kinds.float())
    things[:, 0] = (1 - things[:, 1:].sum(1)).clamp(min=0)
    return things / things.sum(1, keepdim=True)
