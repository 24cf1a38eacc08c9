"""How each family's own pipeline encodes a text and draws it, to compare with `guidance.sample`."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from audiotoken.debug_transformers import debug_transformer

TEXT = "a dog and a frog"
WORDS = {
    "sd3": 16,
    "flux": 16,
    "flux2": 40,
    "flux2_dev": 40,
    "chroma": 16,
    "qwen": 64,
    "z_image": 64,
}  # max_sequence_length: short, so that the tests are fast


@dataclass(frozen=True, eq=False)
class Encoded:
    """What `guidance.sample` reads of a prompt."""

    embeddings: Tensor
    pooled: Tensor | None = None
    mask: Tensor | None = None


@torch.no_grad()  # as the pipelines: with gradients other kernels run, which round another way
def encode(pipe: Any, kind: str, text: str = TEXT) -> Encoded:
    if kind == "sd3":
        options = {"prompt_2": None, "prompt_3": None, "do_classifier_free_guidance": False}
        embeddings, _, pooled, _ = pipe.encode_prompt(text, max_sequence_length=WORDS[kind], **options)
        return Encoded(embeddings, pooled)
    if kind == "flux":
        embeddings, pooled, _ = pipe.encode_prompt(text, max_sequence_length=WORDS[kind])
        return Encoded(embeddings, pooled)
    if kind == "chroma":
        options = {"do_classifier_free_guidance": False}
        embeddings, _, mask, *_ = pipe.encode_prompt(text, max_sequence_length=WORDS[kind], **options)
        return Encoded(embeddings, mask=mask)
    if kind in ("flux2", "flux2_dev", "qwen"):
        return Encoded(pipe.encode_prompt(text, max_sequence_length=WORDS[kind])[0])
    assert kind == "z_image"
    (row,), _ = pipe.encode_prompt(text, do_classifier_free_guidance=False, max_sequence_length=WORDS[kind])
    return Encoded(row[None])


def draw_stock(pipe: Any, kind: str, texts: list[str], seed: int, scale: float, **options: Any) -> list[Any]:
    """Pictures of the family's own pipeline, each with this seed, as `guidance.sample` draws them."""
    generators = [torch.Generator().manual_seed(seed) for _ in texts]
    negative = options.pop("negative_prompt", None)
    if kind in ("sd3", "chroma"):
        negatives = None if negative is None else [negative] * len(texts)
        options |= {"guidance_scale": scale, "negative_prompt": negatives}
    if kind == "flux":
        options |= {"guidance_scale": scale}
        if negative is not None:
            options |= {"guidance_scale": 1.0, "true_cfg_scale": scale, "negative_prompt": [negative] * len(texts)}
    if kind in ("flux2", "flux2_dev"):
        options |= {"guidance_scale": scale}
        if negative is not None and kind == "flux2":
            options["negative_prompt_embeds"] = encode(pipe, kind, negative).embeddings
    if kind == "qwen":
        options |= {"true_cfg_scale": scale, "negative_prompt": [negative or " "] * len(texts)}
    if kind == "z_image":
        own = {"height": 32, "width": 32}  # its own pictures are larger
        options = own | options | {"guidance_scale": scale, "negative_prompt": [negative or ""] * len(texts)}
    return pipe(prompt=list(texts), generator=generators, max_sequence_length=WORDS[kind], **options).images


def build(kind: str) -> Any:
    return debug_transformer(kind)
