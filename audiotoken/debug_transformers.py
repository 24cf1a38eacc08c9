"""Tiny pipelines of the transformer families' true classes with random weights; see `audiotoken.debug`.

`debug_transformer(kind)` builds one from configurations alone. Sizes are the smallest that keep what matters: several
heads, two blocks of each sort, rotary axes, both CLIP encoders and T5, chat templates with words before the prompt.
"""

from functools import partial
from inspect import signature
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    AutoencoderKLQwenImage,
    AutoencoderTiny,
    DreamLitePipeline,
    DreamLiteUNetModel,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
    FluxPipeline,
    FluxTransformer2DModel,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3Model,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

from audiotoken import pipeline_transformers
from audiotoken.debug import (
    POOLED,
    build_seeded,
    debug_embedder,
    debug_encoder,
    debug_text_encoder,
    debug_tokenizer,
    sharpen,
)
from audiotoken.loading import JOINT_CLASSES

MAX_WORDS = {"sd3": 32, "flux": 32, "flux2": 96, "qwen": 96, "z_image": 96}  # tokens of a prompt
CHARACTERS = "▁abcdefghijklmnopqrstuvwxyz.,"
T5_WIDTH = 40
QWEN_WIDTH = 16
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TEMPLATE = "<|im_start|>system\nok<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
SIDE = 8  # latents along one side: 4 x 4 pixels of attention


def debug_t5_tokenizer() -> T5Tokenizer:
    """Letters and a few whole words; padded on the right."""
    words = ["▁a", "▁and", "▁dog", "▁frog", "▁photo", "▁x"]
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


def debug_flux(seed: int = 0, guidance_embeds: bool = True) -> FluxPipeline:
    """FLUX.1, "dev" with and "schnell" without the distilled guidance scale."""
    transformer = partial(
        FluxTransformer2DModel,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=T5_WIDTH,
        pooled_projection_dim=16,
        guidance_embeds=guidance_embeds,
        axes_dims_rope=(4, 6, 6),
    )
    tokenizer, t5 = debug_tokenizer(), debug_t5_tokenizer()
    pipe = FluxPipeline(
        transformer=_sharpen_joint(build_seeded(seed, transformer)),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        vae=debug_kl_vae(seed),
        text_encoder=debug_text_encoder(tokenizer, seed, 16),
        tokenizer=tokenizer,
        text_encoder_2=debug_t5(t5, seed),
        tokenizer_2=t5,
    )
    pipe.default_sample_size = SIDE
    return pipe


def debug_qwen_tokenizer() -> Qwen2Tokenizer:
    """Bytes and a few whole words, with a chat template; padded on the right."""
    vocab = {entry: i for i, entry in enumerate(sorted(ByteLevel.alphabet()))}
    merges = []
    for word in ("Ġx", "Ġdog", "Ġand", "Ġa", "Ġfrog"):
        for end in range(1, len(word)):
            if word[: end + 1] not in vocab:
                merges.append((word[:end], word[end]))
                vocab[word[: end + 1]] = len(vocab)
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    vocab |= {entry: len(vocab) + i for i, entry in enumerate(special)}
    tokenizer = Qwen2Tokenizer(vocab=vocab, merges=merges, extra_special_tokens=special[1:], padding_side="right")
    tokenizer.chat_template = CHAT
    return tokenizer


def _qwen_sizes(tokenizer: Any, layers: int) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": QWEN_WIDTH,
        "intermediate_size": 32,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 8,
    }


def debug_flux2(seed: int = 0, is_distilled: bool = False) -> Flux2KleinPipeline:
    """FLUX.2 Klein; its text encoder has the 27 layers of which three are read."""
    tokenizer = debug_qwen_tokenizer()
    transformer = partial(
        Flux2Transformer2DModel,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=3 * QWEN_WIDTH,
        timestep_guidance_channels=16,
        guidance_embeds=False,
        axes_dims_rope=(4, 4, 4, 4),
    )
    vae = partial(
        AutoencoderKLFlux2,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(8, 8, 8),
        latent_channels=4,
        norm_num_groups=4,
        sample_size=32,
    )
    pipe = Flux2KleinPipeline(
        transformer=_sharpen_joint(build_seeded(seed, transformer)),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        vae=build_seeded(seed, vae).eval(),
        text_encoder=build_seeded(
            seed, partial(Qwen3ForCausalLM, Qwen3Config(**_qwen_sizes(tokenizer, 27), tie_word_embeddings=True))
        ).eval(),
        tokenizer=tokenizer,
        is_distilled=is_distilled,
    )
    pipe.default_sample_size = SIDE
    return pipe


def debug_qwen_image(seed: int = 0) -> QwenImagePipeline:
    """Qwen-Image, with a shorter chat template."""
    tokenizer = debug_qwen_tokenizer()
    transformer = partial(
        QwenImageTransformer2DModel,
        in_channels=16,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=QWEN_WIDTH,
        axes_dims_rope=(4, 6, 6),
    )
    vae = partial(
        AutoencoderKLQwenImage,
        base_dim=8,
        z_dim=4,
        dim_mult=[1, 1, 1],
        num_res_blocks=1,
        temperal_downsample=[False, True],
        latents_mean=[0.1, -0.2, 0.3, 0.0],
        latents_std=[1.5, 0.8, 1.1, 2.0],
    )
    text = {"text_config": _rotary(_qwen_sizes(tokenizer, 2))}
    vision: dict[str, Any] = {
        "depth": 1,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_heads": 2,
        "out_hidden_size": QWEN_WIDTH,
    }
    text["text_config"] |= {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id}
    config = Qwen2_5_VLConfig(**text, vision_config=vision)
    pipe = QwenImagePipeline(
        transformer=_sharpen_joint(build_seeded(seed, transformer)),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=1.0, use_dynamic_shifting=True),
        vae=build_seeded(seed, vae).eval(),
        text_encoder=build_seeded(seed, partial(Qwen2_5_VLForConditionalGeneration, config)).eval(),
        tokenizer=tokenizer,
    )
    pipe.default_sample_size = SIDE
    pipe.prompt_template_encode = TEMPLATE
    pipe.prompt_template_encode_start_idx = len(tokenizer(TEMPLATE.split("{}")[0]).input_ids)
    return pipe


def debug_z_image(seed: int = 0) -> ZImagePipeline:
    """Z-Image; its own pictures are 1024 pixels large, so give a size."""
    tokenizer = debug_qwen_tokenizer()
    transformer = partial(
        ZImageTransformer2DModel,
        in_channels=4,
        dim=32,
        n_layers=2,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=QWEN_WIDTH,
        axes_dims=[4, 6, 6],
        axes_lens=[256, 64, 64],
    )
    return ZImagePipeline(
        transformer=_sharpen_joint(build_seeded(seed, transformer)),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=debug_kl_vae(seed),
        text_encoder=build_seeded(seed, partial(Qwen3Model, Qwen3Config(**_qwen_sizes(tokenizer, 2)))).eval(),
        tokenizer=tokenizer,
    )


def debug_dreamlite(seed: int = 0) -> DreamLitePipeline:
    """DreamLite: a UNet with grouped queries, separable convolutions and blocks without self-attention."""
    tokenizer = debug_qwen_tokenizer()
    unet = partial(
        DreamLiteUNetModel,
        sample_size=SIDE,
        in_channels=4,
        out_channels=4,
        block_out_channels=(16, 32, 32),
        layers_per_block=1,
        attention_head_dim=[2, 4, 4],
        norm_num_groups=4,
        cross_attention_dim=QWEN_WIDTH,
        ff_mult=2,
        use_linear_projection=True,
    )
    vae = partial(
        AutoencoderTiny,
        encoder_block_out_channels=(8, 8, 8),
        decoder_block_out_channels=(8, 8, 8),
        num_encoder_blocks=(1, 1, 1),
        num_decoder_blocks=(1, 1, 1),
        latent_channels=4,
    )
    vision: dict[str, Any] = {
        "depth": 1,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_heads": 2,
        "out_hidden_size": QWEN_WIDTH,
    }
    vision |= {"deepstack_visual_indexes": [0]}
    config = Qwen3VLConfig(text_config=_rotary(_qwen_sizes(tokenizer, 2), mrope_interleaved=True), vision_config=vision)
    pipe = DreamLitePipeline(
        text_encoder=build_seeded(seed, partial(Qwen3VLForConditionalGeneration, config)).eval(),
        tokenizer=tokenizer,
        processor=None,
        vae=build_seeded(seed, vae).eval(),
        unet=sharpen(build_seeded(seed, unet), ("attn2.to_q", "attn2.to_k"), 4.0),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
    )
    pipe.default_sample_size = SIDE
    pipe.prompt_template_encode_generate = TEMPLATE
    pipe.prompt_template_encode_generate_start_idx = len(tokenizer(TEMPLATE.split("{}")[0]).input_ids)
    return pipe


def _rotary(sizes: dict[str, Any], **options: Any) -> dict[str, Any]:
    """With the three rotary axes of a vision and language model, which share 4 frequencies."""
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]} | options
    return sizes | {"rope_parameters": rope}


BUILDERS = {
    "sd3": debug_sd3,
    "flux": debug_flux,
    "flux2": debug_flux2,
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
    own = getattr(pipeline_transformers, JOINT_CLASSES[type(plain).__name__])
    parts = {name: part for name, part in plain.components.items() if name in signature(own).parameters}
    parts |= {"is_distilled": plain.config.is_distilled} if kind == "flux2" else {}
    encoder = debug_encoder(seed)
    pipe = own(**parts, audio_encoder=encoder, default_steps=2, default_guidance=3.0)
    if learned:
        pipe.register_modules(audio_embedder=debug_embedder(encoder, seed, pipe.token_width))
    for name in ("default_sample_size", "prompt_template_encode", "prompt_template_encode_start_idx"):
        if hasattr(plain, name):
            setattr(pipe, name, getattr(plain, name))
    if kind == "sd3":
        pipe.register_to_config(max_sequence_length=MAX_WORDS[kind])
    pipe.default_words = MAX_WORDS[kind]
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
