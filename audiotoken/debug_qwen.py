"""Tiny Qwen-Image, Z-Image and DreamLite pipelines; see `audiotoken.debug_transformers`."""

from functools import partial

from diffusers import (
    AutoencoderKLQwenImage,
    AutoencoderTiny,
    DreamLitePipeline,
    DreamLiteUNetModel,
    FlowMatchEulerDiscreteScheduler,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3Config,
    Qwen3Model,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

from audiotoken.debug import build_seeded, sharpen
from audiotoken.debug_parts import (
    QWEN_WIDTH,
    SIDE,
    TEMPLATE,
    debug_kl_vae,
    debug_qwen_tokenizer,
    qwen_sizes,
    rotary,
    sharpen_joint,
)

VISION = {
    "depth": 1,
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_heads": 2,
    "out_hidden_size": QWEN_WIDTH,
}  # of a model that also sees


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
    text = rotary(qwen_sizes(tokenizer, 2))
    text |= {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id}
    config = Qwen2_5_VLConfig(text_config=text, vision_config=VISION)
    pipe = QwenImagePipeline(
        transformer=sharpen_joint(build_seeded(seed, transformer)),
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
        transformer=sharpen_joint(build_seeded(seed, transformer)),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=debug_kl_vae(seed),
        text_encoder=build_seeded(seed, partial(Qwen3Model, Qwen3Config(**qwen_sizes(tokenizer, 2)))).eval(),
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
    vision, text = VISION | {"deepstack_visual_indexes": [0]}, rotary(qwen_sizes(tokenizer, 2), mrope_interleaved=True)
    config = Qwen3VLConfig(text_config=text, vision_config=vision)
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
