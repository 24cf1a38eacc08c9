"""Tiny models with random weights that run everything in seconds, with no download.

Nothing here is trained: pictures are noise, and only shapes, seeds and wiring are meaningful. `debug_pipeline` combines
all parts, for 32x32 pictures, in four kinds: "mini" like the mini checkpoint (many latent channels, v-prediction), and
"sd1", "sd2" and "xl" like the published models, with the same parts and settings but small sizes.
"""

from functools import partial
from pathlib import Path
from string import ascii_lowercase, digits, punctuation
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    EulerDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from audiotoken.audio_mixin import AUDIO_PARTS
from audiotoken.embedder import AudioEmbedder
from audiotoken.encoders.mini import MiniEncoder
from audiotoken.pipeline import AudioTokenPipeline
from audiotoken.pipeline_xl import AudioTokenXLPipeline

START, END = "<|startoftext|>", "<|endoftext|>"
WIDTH = 32  # of the text encoder
WIDTHS = {"mini": (32,), "sd1": (32,), "sd2": (40,), "xl": (32, 48)}  # of each text encoder of a kind
KINDS = tuple(WIDTHS)
POOLED = 24  # width of SDXL's pooled text embedding
NOISE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
LEVELS = ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"), ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D")
UNETS: dict[str, dict[str, Any]] = {  # settings of each kind
    "mini": {"in_channels": 8, "out_channels": 8, "attention_head_dim": 4},
    "sd1": {"attention_head_dim": 4},
    "sd2": {"attention_head_dim": [2, 4], "use_linear_projection": True, "upcast_attention": True},
    "xl": {
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "attention_head_dim": [2, 4],
        "transformer_layers_per_block": [1, 2],
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": POOLED + 6 * 8,
    },
}
SCALING = {"mini": 0.5, "sd1": 0.18215, "sd2": 0.18215, "xl": 0.13025}  # of latents


def debug_tokenizer(pad_token: str = END) -> CLIPTokenizer:
    """A byte-pair tokenizer: letters and one merged word, "photo"; 77 tokens, padded as SD 1 (`END`) or SD 2 ("!")."""
    letters = ascii_lowercase + digits + punctuation
    merges: Any = [("p", "h"), ("ph", "o"), ("pho", "t"), ("phot", "o</w>")]
    entries = [*letters, *(f"{letter}</w>" for letter in letters), *("".join(pair) for pair in merges), START, END]
    vocab = {entry: i for i, entry in enumerate(entries)}
    return CLIPTokenizer(vocab=vocab, merges=merges, pad_token=pad_token, model_max_length=77)


def debug_text_encoder(tokenizer: Any, seed: int = 0, width: int = WIDTH, projects: bool = False) -> Any:
    """A CLIP text encoder of 2 layers; `projects` gives SDXL's second, with its wrong published end token."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=tokenizer.model_max_length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=2 if projects else tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        projection_dim=POOLED,
    )
    return build_seeded(seed, partial(CLIPTextModelWithProjection if projects else CLIPTextModel, config)).eval()


def debug_encoder(seed: int = 0, width: int = 24) -> MiniEncoder:
    """An audio encoder with three classes and features of this width every 0.16 s."""
    build = partial(MiniEncoder, labels=("dog", "bell", "rain"), width=width, mels=32, channels=(4, 4, 8, 8, 8))
    return sharpen(build_seeded(seed, build), ("trunk", "project", "head"), 2.0)


def debug_embedder(encoder: Any, seed: int = 0, width: int = WIDTH, **options: Any) -> AudioEmbedder:
    """`width` is the pipeline's `token_width`; `options` as in AudioEmbedder."""
    build = partial(AudioEmbedder, encoder.width, width, **options)
    return sharpen(build_seeded(seed, build), ("hidden", "output"), 2.0)


def debug_vae(seed: int = 0, kind: str = "mini") -> AutoencoderKL:
    """A VAE with a factor of 8 and 8 latent channels (mini) or 4 (other kinds)."""
    blocks = (8, 8, 8, 8)
    build = partial(
        AutoencoderKL,
        down_block_types=("DownEncoderBlock2D",) * len(blocks),
        up_block_types=("UpDecoderBlock2D",) * len(blocks),
        block_out_channels=blocks,
        latent_channels=8 if kind == "mini" else 4,
        norm_num_groups=4,
        sample_size=32,
        scaling_factor=SCALING[kind],
        mid_block_add_attention=kind != "mini",
    )
    return build_seeded(seed, build).eval()


def debug_unet(seed: int = 0, kind: str = "mini") -> UNet2DConditionModel:
    """A UNet of two levels with cross-attention at both (SDXL: at the lower one), for 4x4 latents."""
    same = {
        "sample_size": 4,
        "block_out_channels": (16, 32),
        "layers_per_block": 1,
        "down_block_types": LEVELS[0],
        "up_block_types": LEVELS[1],
        "cross_attention_dim": sum(WIDTHS[kind]),
        "norm_num_groups": 8,
    }
    build = partial(UNet2DConditionModel, **(same | UNETS[kind]))
    return sharpen(build_seeded(seed, build), ("attn2.to_q", "attn2.to_k"), 4.0)


def debug_scheduler(kind: str = "mini") -> Any:
    """The scheduler of the published folder: PNDM and Euler for noise, DDIM for velocity."""
    if kind == "sd1":
        return PNDMScheduler(**NOISE, skip_prk_steps=True, set_alpha_to_one=False)
    if kind == "xl":
        return EulerDiscreteScheduler(**NOISE, timestep_spacing="leading")
    return DDIMScheduler(**NOISE, prediction_type="v_prediction", clip_sample=False, set_alpha_to_one=False)


def debug_pipeline(seed: int = 0, kind: str = "mini") -> Any:
    """A complete pipeline that reads sounds at 16 kHz and draws 32x32 in 4 steps; "xl" is an AudioTokenXLPipeline."""
    encoder = debug_encoder(seed)
    pipe = (AudioTokenXLPipeline if kind == "xl" else AudioTokenPipeline)(
        **_build_text_parts(seed, kind),
        vae=debug_vae(seed, kind),
        unet=debug_unet(seed, kind),
        scheduler=debug_scheduler(kind),
        audio_encoder=encoder,
        audio_embedder=debug_embedder(encoder, seed, sum(WIDTHS[kind])),
        default_steps=4,
        default_guidance=3.0,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def debug_folder(kind: str, folder: Path, seed: int = 0) -> Path:
    """Write a plain diffusers folder, as such models are published, without audio parts; returns `folder`."""
    pipe = debug_pipeline(seed, kind)
    parts = {name: part for name, part in pipe.components.items() if name not in AUDIO_PARTS}
    if kind == "xl":
        plain = StableDiffusionXLPipeline(**parts, add_watermarker=False)
    else:
        plain = StableDiffusionPipeline(**parts, requires_safety_checker=False)
    plain.save_pretrained(folder)
    return folder


def _build_text_parts(seed: int, kind: str) -> dict[str, Any]:
    """Tokenizers and text encoders; the first of SD 1 and SDXL is padded with the end token, the others with "!"."""
    tokenizers = [debug_tokenizer("!" if kind == "sd2" else END), debug_tokenizer("!")]
    parts: dict[str, Any] = {}
    for i, width in enumerate(WIDTHS[kind]):
        name = "_2" if i else ""
        parts[f"tokenizer{name}"] = tokenizers[i]
        parts[f"text_encoder{name}"] = debug_text_encoder(tokenizers[i], seed, width, projects=i == 1)
    return parts


def sharpen(model: Any, layers: tuple[str, ...], factor: float) -> Any:
    """Scale up the weights of these layers: freshly initialised ones give nearly the same output for all inputs."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1 and any(layer in name for layer in layers):
                weight *= factor
    return model.eval()


def build_seeded(seed: int, build: Any) -> Any:
    """Call `build` with this seed, without changing torch's global random state."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build()
