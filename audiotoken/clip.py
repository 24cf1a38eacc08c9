"""CLIP (Radford et al. 2021, arXiv 2103.00020) as a judge: embeddings of pictures and sentences in one space.

Any CLIPModel of transformers: "mini" (ships with this package, knows the painted world), a folder, or a hub id such as
"openai/clip-vit-base-patch32". Embeddings are (examples, width) float32 of length 1.
"""

import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from audiotoken.encoders.hub import FILES, LOAD_ERRORS, load_complete, make_load_error, resolve_source
from audiotoken.errors import CheckpointError
from audiotoken.labels import choose_article

if TYPE_CHECKING:
    from PIL.Image import Image

Embeddings = NDArray[np.float32]

SENTENCE = "a photo of {}"
BATCH = 64  # pictures or sentences
FEATURE_FILES = (*FILES, "preprocessor_config.json")  # on the hub
CLIP_FILES = (*FEATURE_FILES, "vocab.json", "merges.txt", "tokenizer_config.json")
WANTED = '"mini", a folder of a CLIPModel of transformers or its hub id, such as "openai/clip-vit-base-patch32"'


class Clip:
    """Both encoders with their tokenizer and image processor; see `load_clip`."""

    def __init__(self, model: Any, tokenizer: Any, processor: Any, name: str):
        self.model, self.tokenizer, self.processor, self.name = model.eval(), tokenizer, processor, name

    @property
    def width(self) -> int:
        return int(self.model.config.projection_dim)

    @torch.no_grad()
    def embed_images(self, images: "Sequence[Image]") -> Embeddings:
        """Pictures of any size -> (pictures, width)."""
        embeddings = [np.empty((0, self.width), np.float32)]
        for start in range(0, len(images), BATCH):
            some = [image.convert("RGB") for image in images[start : start + BATCH]]
            pixels = self.processor(images=some, return_tensors="pt")["pixel_values"].to(self.model.device)
            embeddings.append(_normalise(self.model.visual_projection(self.model.vision_model(pixels).pooler_output)))
        return np.concatenate(embeddings)

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str]) -> Embeddings:
        """Sentences -> (sentences, width); longer ones are truncated."""
        embeddings = [np.empty((0, self.width), np.float32)]
        for start in range(0, len(texts), BATCH):
            some = list(texts[start : start + BATCH])
            tokens = self.tokenizer(some, padding=True, truncation=True, return_tensors="pt").to(self.model.device)
            hidden = self.model.text_model(tokens["input_ids"], tokens["attention_mask"]).pooler_output
            embeddings.append(_normalise(self.model.text_projection(hidden)))
        return np.concatenate(embeddings)

    def embed_classes(self, labels: Sequence[str]) -> Embeddings:
        """Labels -> (labels, width) of "a photo of a LABEL", as in zero-shot classification."""
        words = [label.replace("_", " ") for label in labels]
        return self.embed_texts([SENTENCE.format(f"{choose_article(word)} {word}".strip()) for word in words])


def load_clip(model: str | os.PathLike = "mini", device: str | torch.device = "cpu") -> Clip:
    """Load a CLIP; raises CheckpointError if it is none of `WANTED`, or lacks weights."""
    from transformers import CLIPModel, CLIPTokenizer
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    where = Path(str(files("audiotoken.mini"))) / "clip" if str(model) == "mini" else model
    clip = load_complete(CLIPModel.from_pretrained, where, ("clip",), WANTED, CLIP_FILES, dtype=torch.float32)
    try:
        tokenizer, processor = (each.from_pretrained(where) for each in (CLIPTokenizer, CLIPImageProcessorPil))
    except CheckpointError:
        raise
    except LOAD_ERRORS as error:
        raise make_load_error(model, error, WANTED, CLIP_FILES) from error
    return Clip(clip.to(device), tokenizer, processor, str(model))


def _normalise(vectors: torch.Tensor) -> Embeddings:
    return F.normalize(vectors.float(), dim=-1).cpu().numpy()


class Features:
    """Any image model of transformers, for a Fréchet distance; see `load_features`."""

    def __init__(self, model: Any, processor: Any):
        self.model, self.processor = model.eval(), processor

    @torch.no_grad()
    def __call__(self, images: "Sequence[Image]") -> Embeddings:
        """Pictures -> (pictures, width): the pooled output, or the mean over the positions of the last layer."""
        embeddings = []
        for start in range(0, len(images), BATCH):
            some = [image.convert("RGB") for image in images[start : start + BATCH]]
            pixels = self.processor(images=some, return_tensors="pt")["pixel_values"].to(self.model.device)
            output = self.model(pixels)
            pooled = getattr(output, "pooler_output", None)
            pooled = output.last_hidden_state.mean(1) if pooled is None else pooled
            embeddings.append(pooled.flatten(1).float().cpu().numpy())
        return np.concatenate(embeddings)


def load_features(model: str | os.PathLike, device: str | torch.device = "cpu") -> Features:
    """Load a folder or hub id, such as "facebook/dinov2-small", which Stein et al. (2023) prefer to Inception."""
    from transformers import AutoImageProcessor, AutoModel

    wanted = 'an image model of transformers, a folder or a hub id, such as "facebook/dinov2-small"'
    source = resolve_source(model, wanted)
    try:
        encoder = AutoModel.from_pretrained(source, dtype=torch.float32)
        processor = AutoImageProcessor.from_pretrained(source, backend="pil")
    except LOAD_ERRORS as error:
        raise make_load_error(model, error, wanted, FEATURE_FILES) from error
    if getattr(encoder.config, "model_type", "") == "clip":
        encoder = encoder.vision_model
    return Features(encoder.to(device), processor)
