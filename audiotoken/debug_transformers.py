"""Tiny pipelines of the transformer families' true classes with random weights; see `audiotoken.debug`.

`debug_transformer(kind)` builds one from configurations alone. Sizes are the smallest that keep what matters: several
heads, two blocks of each sort, rotary axes, both CLIP encoders and T5, chat templates with words before the prompt.
"""

from functools import partial
from inspect import signature
from typing import Any

from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline

import audiotoken
from audiotoken.debug import POOLED, build_seeded, debug_embedder, debug_encoder, debug_text_encoder, debug_tokenizer
from audiotoken.debug_flux import debug_chroma, debug_flux, debug_flux2, debug_flux2_dev
from audiotoken.debug_parts import SIDE, T5_WIDTH, debug_kl_vae, debug_t5, debug_t5_tokenizer, sharpen_joint
from audiotoken.debug_qwen import debug_dreamlite, debug_qwen_image, debug_z_image
from audiotoken.loading import JOINT_CLASSES

# tokens of a prompt
MAX_WORDS = {"sd3": 32, "flux": 32, "flux2": 96, "flux2_dev": 96, "chroma": 32, "qwen": 96, "z_image": 96}

SET_AFTERWARDS = (  # what these pipelines take no argument for
    *("default_sample_size", "prompt_template_encode", "prompt_template_encode_start_idx", "system_message"),
)


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
        transformer=sharpen_joint(build_seeded(seed, transformer)),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=debug_kl_vae(seed),
        text_encoder=debug_text_encoder(tokenizers[0], seed, 16, projects=True),
        tokenizer=tokenizers[0],
        text_encoder_2=debug_text_encoder(tokenizers[1], seed + 1, 24, projects=True),
        tokenizer_2=tokenizers[1],
        text_encoder_3=debug_t5(t5, seed),
        tokenizer_3=t5,
    )


BUILDERS = {
    "sd3": debug_sd3,
    "flux": debug_flux,
    "flux2": debug_flux2,
    "flux2_dev": debug_flux2_dev,
    "chroma": debug_chroma,
    "qwen": debug_qwen_image,
    "z_image": debug_z_image,
    "dreamlite": debug_dreamlite,
}
TRANSFORMERS = tuple(kind for kind in BUILDERS if kind != "dreamlite")


def debug_transformer(kind: str, seed: int = 0, **options: Any) -> Any:
    """A diffusers pipeline of this family for 32 x 32 pictures, without audio parts; "dreamlite" has a UNet.

    options: `guidance_embeds` of "flux", `is_distilled` of "flux2".
    """
    pipe = BUILDERS[kind](seed, **options)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def debug_joint_pipeline(kind: str, seed: int = 0, learned: bool = True, **options: Any) -> Any:
    """The same with audio parts, in 2 steps: an AudioToken pipeline of the family; without `learned`, no embedder."""
    plain = debug_transformer(kind, seed, **options)
    own = getattr(audiotoken, JOINT_CLASSES[type(plain).__name__])
    parts = {name: part for name, part in plain.components.items() if name in signature(own).parameters}
    parts |= {"is_distilled": plain.config.is_distilled} if kind == "flux2" else {}
    encoder = debug_encoder(seed)
    pipe = own(**parts, audio_encoder=encoder, default_steps=2, default_guidance=3.0)
    if learned:
        pipe.register_modules(audio_embedder=debug_embedder(encoder, seed, pipe.token_width))
    for name in SET_AFTERWARDS:
        if hasattr(plain, name):
            setattr(pipe, name, getattr(plain, name))
    if kind == "sd3":
        pipe.register_to_config(max_sequence_length=MAX_WORDS[kind])
    pipe.default_words = MAX_WORDS[kind]
    pipe.set_progress_bar_config(disable=True)
    return pipe
