"""Tiny pipelines of the transformer families' true classes with random weights; see `audiotoken.debug`.

`debug_transformer(kind)` builds one from configurations alone. Sizes are the smallest that keep what matters: several
heads, two blocks of each sort, rotary axes, both CLIP encoders and T5, chat templates with words before the prompt.
"""

from functools import partial
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
)
from transformers import T5Config, T5EncoderModel, T5Tokenizer

from audiotoken.debug import POOLED, build_seeded, debug_text_encoder, debug_tokenizer, sharpen

CHARACTERS = "▁abcdefghijklmnopqrstuvwxyz.,"
T5_WIDTH = 40
SIDE = 8  # latents along one side: 4 x 4 pixels of attention


def debug_t5_tokenizer() -> T5Tokenizer:
    """Letters and a few whole words; padded on the right."""
    words = ["▁a", "▁and", "▁dog", "▁frog", "▁photo"]
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0)]
    pieces += [(letter, -5.0) for letter in CHARACTERS] + [(word, -2.0) for word in words]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=64)


def debug_t5(tokenizer: Any, seed: int = 0) -> T5EncoderModel:
    """One layer, `T5_WIDTH` wide."""
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=T5_WIDTH,
        d_kv=8,
        d_ff=32,
        num_layers=1,
        num_heads=4,
        decoder_start_token_id=0,
    )
    return build_seeded(seed, partial(T5EncoderModel, config)).eval()


def debug_kl_vae(seed: int = 0, channels: int = 4) -> AutoencoderKL:
    """A VAE with a factor of 4, shifted latents and no layers around them, as of SD3, FLUX.1 and Z-Image."""
    build = partial(
        AutoencoderKL,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(8, 8, 8),
        latent_channels=channels,
        norm_num_groups=4,
        sample_size=32,
        scaling_factor=1.5305,
        shift_factor=0.0609,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )
    return build_seeded(seed, build).eval()


def debug_sd3(seed: int = 0) -> StableDiffusion3Pipeline:
    """Stable Diffusion 3.5 Medium: normalised queries and keys, attention among pixels alone in the first block."""
    transformer = partial(
        SD3Transformer2DModel,
        sample_size=SIDE,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=4,
        caption_projection_dim=32,
        joint_attention_dim=T5_WIDTH,
        pooled_projection_dim=2 * POOLED,
        pos_embed_max_size=16,
        dual_attention_layers=(0,),
        qk_norm="rms_norm",
    )
    tokenizers = debug_tokenizer(), debug_tokenizer("!")
    t5 = debug_t5_tokenizer()
    return StableDiffusion3Pipeline(
        transformer=_sharpen_joint(build_seeded(seed, transformer)),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=debug_kl_vae(seed),
        text_encoder=debug_text_encoder(tokenizers[0], seed, 16, projects=True),
        tokenizer=tokenizers[0],
        text_encoder_2=debug_text_encoder(tokenizers[1], seed + 1, 24, projects=True),
        tokenizer_2=tokenizers[1],
        text_encoder_3=debug_t5(t5, seed),
        tokenizer_3=t5,
    )


BUILDERS = {"sd3": debug_sd3}
TRANSFORMERS = tuple(BUILDERS)


def debug_transformer(kind: str, seed: int = 0) -> Any:
    """A diffusers pipeline of this family for 32 x 32 pictures, without audio parts."""
    pipe = BUILDERS[kind](seed)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _sharpen_joint(model: Any) -> Any:
    """As `sharpen` for attention; every weight of a normalisation is moved from its start, 0 or 1, too."""
    sharpen(model, ("to_q", "to_k", "add_q_proj", "add_k_proj"), 4.0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm_q" in name or "norm_k" in name or "norm_added" in name:
                weight *= 2.0
    return model
