"""Tiny parts with random weights that run the whole road in seconds, with no download.

Nothing here is trained: pictures are noise, and only shapes, seeds and wiring mean something. The sizes follow the mini
checkpoint (8x autoencoder, 8 latent channels, v-prediction) with 32x32 pictures; `debug_pipeline` puts all together.
"""

from functools import partial
from string import ascii_lowercase, digits, punctuation
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from audiotoken.embedder import AudioEmbedder
from audiotoken.encoders.mini import MiniEncoder
from audiotoken.pipeline import AudioTokenPipeline

START, END = "<|startoftext|>", "<|endoftext|>"
WIDTH = 32  # of the text encoder


def debug_tokenizer(pad_token: str = END) -> CLIPTokenizer:
    """Byte pairs: letters and one merged word, "photo"; 77 tokens, padded as SD 1 (`END`) or SD 2 ("!")."""
    letters = ascii_lowercase + digits + punctuation
    merges: Any = [("p", "h"), ("ph", "o"), ("pho", "t"), ("phot", "o</w>")]
    entries = [*letters, *(f"{letter}</w>" for letter in letters), *("".join(pair) for pair in merges), START, END]
    vocab = {entry: i for i, entry in enumerate(entries)}
    return CLIPTokenizer(vocab=vocab, merges=merges, pad_token=pad_token, model_max_length=77)


def debug_text_encoder(tokenizer: Any, seed: int = 0) -> CLIPTextModel:
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=tokenizer.model_max_length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return _seeded(seed, partial(CLIPTextModel, config)).eval()


def debug_encoder(seed: int = 0) -> MiniEncoder:
    """Three classes, 24 features per 0.16 s."""
    build = partial(MiniEncoder, labels=("dog", "bell", "rain"), width=24, mels=32, channels=(4, 4, 8, 8, 8))
    return _sharpened(_seeded(seed, build), ("trunk", "project", "head"), 2.0)


def debug_embedder(encoder: MiniEncoder, seed: int = 0) -> AudioEmbedder:
    return _sharpened(_seeded(seed, partial(AudioEmbedder, encoder.width, WIDTH)), ("hidden", "output"), 2.0)


def debug_vae(seed: int = 0) -> AutoencoderKL:
    """8x, 8 latent channels."""
    blocks = (8, 8, 8, 8)
    build = partial(
        AutoencoderKL,
        down_block_types=("DownEncoderBlock2D",) * len(blocks),
        up_block_types=("UpDecoderBlock2D",) * len(blocks),
        block_out_channels=blocks,
        latent_channels=8,
        norm_num_groups=4,
        sample_size=32,
        scaling_factor=0.5,
        mid_block_add_attention=False,
    )
    return _seeded(seed, build).eval()


def debug_unet(seed: int = 0) -> UNet2DConditionModel:
    """Two levels, cross-attention at both, 4x4 latents."""
    build = partial(
        UNet2DConditionModel,
        sample_size=4,
        in_channels=8,
        out_channels=8,
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=4,
        cross_attention_dim=WIDTH,
        norm_num_groups=8,
    )
    return _sharpened(_seeded(seed, build), ("attn2.to_q", "attn2.to_k"), 4.0)


def debug_pipeline(seed: int = 0) -> AudioTokenPipeline:
    """All of it: hears 16 kHz, draws 32x32 in 4 steps."""
    tokenizer, encoder = debug_tokenizer(), debug_encoder(seed)
    pipe = AudioTokenPipeline(
        vae=debug_vae(seed),
        text_encoder=debug_text_encoder(tokenizer, seed),
        tokenizer=tokenizer,
        unet=debug_unet(seed),
        scheduler=DDIMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            prediction_type="v_prediction",
            clip_sample=False,
            set_alpha_to_one=False,
            steps_offset=1,
        ),
        audio_encoder=encoder,
        audio_embedder=debug_embedder(encoder, seed),
        default_steps=4,
        default_guidance=3.0,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _sharpened(model: Any, layers: tuple[str, ...], factor: float) -> Any:
    """Larger weights in these layers: freshly initialised, they hardly tell one input from another."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1 and any(layer in name for layer in layers):
                weight *= factor
    return model.eval()


def _seeded(seed: int, build: Any) -> Any:
    """Build with this seed and leave torch's own random state as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build()
