"""Tiny parts with random weights that run the whole road in seconds, with no download.

Nothing here is trained: pictures are noise, and only shapes, seeds and wiring mean something.
"""

from functools import partial
from string import ascii_lowercase, digits, punctuation
from typing import Any

import torch
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

START, END = "<|startoftext|>", "<|endoftext|>"
WIDTH = 32  # of the text encoder


def debug_tokenizer(pad_token: str = END) -> CLIPTokenizer:
    """Byte pairs: letters and one merged word, "photo"; 77 tokens, padded as SD 1 (`END`) or SD 2 ("!")."""
    letters = ascii_lowercase + digits + punctuation
    merges = [("p", "h"), ("ph", "o"), ("pho", "t"), ("phot", "o</w>")]
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


def _seeded(seed: int, build: Any) -> Any:
    """Build with this seed and leave torch's own random state as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build()
