"""Tiny parts that several transformer families share; see `audiotoken.debug_transformers`."""

from functools import partial
from typing import Any

import torch
from diffusers import AutoencoderKL
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.processors import TemplateProcessing
from transformers import Qwen2Tokenizer, T5Config, T5EncoderModel, T5Tokenizer

from audiotoken.debug import build_seeded, sharpen

CHARACTERS = "▁abcdefghijklmnopqrstuvwxyz.,"
T5_WIDTH = 40
QWEN_WIDTH = 16
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PARTS = (
    "{{ bos_token }}{% for message in messages %}[{{ message.role }}]"
    "{% for part in message.content %}{{ part.text }}{% endfor %}[/{{ message.role }}]{% endfor %}"
)
START = "<s>"
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


def debug_mistral_tokenizer() -> Qwen2Tokenizer:
    """The same with a start token, which the template holds and the tokenizer adds; messages are lists of parts."""
    tokenizer = debug_qwen_tokenizer()
    tokenizer.add_special_tokens({"bos_token": START})
    start = TemplateProcessing(single=f"{START} $A", special_tokens=[(START, tokenizer.bos_token_id)])
    tokenizer.backend_tokenizer.post_processor = start
    tokenizer.chat_template = PARTS
    return tokenizer


def qwen_sizes(tokenizer: Any, layers: int) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": QWEN_WIDTH,
        "intermediate_size": 32,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 8,
    }


def rotary(sizes: dict[str, Any], **options: Any) -> dict[str, Any]:
    """With the three rotary axes of a vision and language model, which share 4 frequencies."""
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]} | options
    return sizes | {"rope_parameters": rope}


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


def sharpen_joint(model: Any) -> Any:
    """As `sharpen` for attention; every weight of a normalisation is moved from its start, 0 or 1, too."""
    sharpen(model, ("to_q", "to_k", "add_q_proj", "add_k_proj"), 4.0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm_q" in name or "norm_k" in name or "norm_added" in name:
                weight *= 2.0
    return model
