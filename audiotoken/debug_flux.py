"""Tiny FLUX.1, FLUX.2 and Chroma pipelines; see `audiotoken.debug_transformers`."""

from functools import partial
from typing import Any

from diffusers import (
    AutoencoderKLFlux2,
    ChromaPipeline,
    ChromaTransformer2DModel,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Pipeline,
    Flux2Transformer2DModel,
    FluxPipeline,
    FluxTransformer2DModel,
)
from transformers import Mistral3Config, Mistral3ForConditionalGeneration, Qwen3Config, Qwen3ForCausalLM

from audiotoken.debug import build_seeded, debug_text_encoder, debug_tokenizer
from audiotoken.debug_parts import (
    QWEN_WIDTH,
    SIDE,
    T5_WIDTH,
    debug_kl_vae,
    debug_mistral_tokenizer,
    debug_qwen_tokenizer,
    debug_t5,
    debug_t5_tokenizer,
    qwen_sizes,
    sharpen_joint,
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
        transformer=sharpen_joint(build_seeded(seed, transformer)),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        vae=debug_kl_vae(seed),
        text_encoder=debug_text_encoder(tokenizer, seed, 16),
        tokenizer=tokenizer,
        text_encoder_2=debug_t5(t5, seed),
        tokenizer_2=t5,
    )
    pipe.default_sample_size = SIDE
    return pipe


def debug_flux2(seed: int = 0, is_distilled: bool = False) -> Flux2KleinPipeline:
    """FLUX.2 Klein; its text encoder has the 27 layers of which three are read."""
    tokenizer = debug_qwen_tokenizer()
    config = Qwen3Config(**qwen_sizes(tokenizer, 27), tie_word_embeddings=True)
    pipe = Flux2KleinPipeline(
        **_flux2_parts(seed, guidance_embeds=False),
        text_encoder=build_seeded(seed, partial(Qwen3ForCausalLM, config)).eval(),
        tokenizer=tokenizer,
        is_distilled=is_distilled,
    )
    pipe.default_sample_size = SIDE
    return pipe


def debug_flux2_dev(seed: int = 0) -> Flux2Pipeline:
    """FLUX.2 dev, with a shorter system message, and a tokenizer in the place of a processor, which needs torchvision.

    Its text encoder has the 30 layers of which three are read.
    """
    tokenizer = debug_mistral_tokenizer()
    text = {"model_type": "mistral"} | qwen_sizes(tokenizer, 30)
    vision = {"model_type": "pixtral", "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    vision |= {"num_attention_heads": 2, "head_dim": 8}
    config = Mistral3Config(text_config=text, vision_config=vision)
    pipe = Flux2Pipeline(
        **_flux2_parts(seed, guidance_embeds=True),
        text_encoder=build_seeded(seed, partial(Mistral3ForConditionalGeneration, config)).eval(),
        tokenizer=tokenizer,
    )
    pipe.default_sample_size = SIDE
    pipe.system_message = "ok"
    return pipe


def _flux2_parts(seed: int, guidance_embeds: bool) -> dict[str, Any]:
    """Transformer, scheduler and VAE."""
    transformer = partial(
        Flux2Transformer2DModel,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=3 * QWEN_WIDTH,
        timestep_guidance_channels=16,
        guidance_embeds=guidance_embeds,
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
    return {
        "transformer": sharpen_joint(build_seeded(seed, transformer)),
        "scheduler": FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        "vae": build_seeded(seed, vae).eval(),
    }


def debug_chroma(seed: int = 0) -> ChromaPipeline:
    """Chroma: FLUX.1's blocks with T5 alone, whose padding is masked after its first token."""
    transformer = partial(
        ChromaTransformer2DModel,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=T5_WIDTH,
        axes_dims_rope=(4, 6, 6),
        approximator_num_channels=16,
        approximator_hidden_dim=16,
        approximator_layers=1,
    )
    t5 = debug_t5_tokenizer()
    pipe = ChromaPipeline(
        transformer=sharpen_joint(build_seeded(seed, transformer)),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=debug_kl_vae(seed),
        text_encoder=debug_t5(t5, seed),
        tokenizer=t5,
    )
    pipe.default_sample_size = SIDE
    return pipe
