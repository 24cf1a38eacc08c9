"""Stable unCLIP conditioned on sound: a vector of each clip replaces the image embedding that it was trained on.

The vectors come from a file, such as those of ImageBind's audio tower (Girdhar et al. 2023, arXiv 2305.05665; 1024
wide, in the space of the CLIP of stable-diffusion-2-1-unclip), or from Wav2CLIP if the unCLIP uses the same CLIP.
docs/evaluating.md shows how to make such a file. Encoders trained with cosine similarity agree in direction only, so
each vector is scaled to the root mean square norm of the unCLIP's image embeddings (`embedding_norm`). The prompt is
empty.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiotoken.encoders.hub import LOAD_ERRORS, make_load_error, resolve_source
from audiotoken.errors import OptionError, printable
from audiotoken.evaluation.clips import Example
from audiotoken.evaluation.judges import Judges
from audiotoken.evaluation.pictures import PictureCache
from audiotoken.model import find_device

Array = NDArray[np.float32]
KIND = "StableUnCLIPImg2ImgPipeline"
FILES = ("model_index.json", "the folders beside it")
WANTED = f'a {KIND} in the layout of diffusers, a folder or a hub id, such as "stabilityai/stable-diffusion-2-1-unclip"'
FILE = "a safetensors file with a vector under the name of each clip"


@dataclass(frozen=True, eq=False)
class Unclip:
    """A Stable unCLIP and the vectors it is conditioned on; see `prepare_unclip`."""

    model: str
    source: str  # of the vectors, as a description
    vectors: Array | None  # (examples, width); None: those of Wav2CLIP

    @property
    def name(self) -> str:
        """The default title of its row."""
        return printable(f"{self.source} + unCLIP {Path(self.model).name}").replace("|", "/")

    def make_cache(self, examples: Sequence[Example], out: Path, audio: Array, **options: Any) -> "UnclipPictureCache":
        """`audio`: the Wav2CLIP embeddings of the clips, (examples, width)."""
        vectors = audio if self.vectors is None else self.vectors
        return UnclipPictureCache(examples, out, vectors, **options | {"model": self.model})


def prepare_unclip(
    model: str, embeddings: str | os.PathLike | None, examples: Sequence[Example], judges: "Judges"
) -> Unclip:
    """Check model and vectors before anything is drawn; CheckpointError or OptionError if they do not fit."""
    width = read_embedding_width(model)
    if embeddings is not None:
        source, vectors = f"vectors of {Path(embeddings).name}", read_vectors(embeddings, examples)
        got = vectors.shape[1]
    else:
        source, vectors = f"Wav2CLIP {Path(judges.names['wav2clip']).name}", None
        got = judges.wav2clip.embedding_width
    if got != width:
        raise OptionError(
            f"Got vectors {got} wide ({source}), expected {width} as the image embeddings of {model}; "
            "pass embeddings=FILE and unclip=MODEL of the same CLIP."
        )
    return Unclip(model, source, vectors)


def read_embedding_width(model: str) -> int:
    """The width of an unCLIP's image embeddings, from its configurations; CheckpointError for other models."""
    from diffusers import StableUnCLIPImg2ImgPipeline, UNet2DConditionModel
    from diffusers.pipelines.stable_diffusion import StableUnCLIPImageNormalizer

    source = resolve_source(model, WANTED)
    try:
        index = StableUnCLIPImg2ImgPipeline.load_config(source)
        if (kind := index.get("_class_name")) != KIND:
            raise ValueError(f"its class is {kind}")
        if missing := [part for part in StableUnCLIPImg2ImgPipeline.__annotations__ if not any(index.get(part) or ())]:
            raise ValueError(f"it has no {missing[0]}")
        width = StableUnCLIPImageNormalizer.load_config(source, subfolder="image_normalizer")["embedding_dim"]
        unet = UNet2DConditionModel.load_config(source, subfolder="unet")
        takes, kind = unet.get("projection_class_embeddings_input_dim"), unet.get("class_embed_type")
        if (kind, takes) != ("projection", 2 * width):  # the vector and an embedding of the noise level
            raise ValueError(f"its UNet takes {takes} numbers by {kind}, expected {2 * width} by projection")
    except LOAD_ERRORS as error:
        raise make_load_error(model, error, WANTED, FILES) from error
    return width


def read_vectors(file: str | os.PathLike, examples: Sequence[Example]) -> Array:
    """The vector of each clip, (examples, width); names in the file are those of the clips, with or without suffix."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file  # numpy has no bfloat16

    try:
        tensors = load_file(file)
    except (OSError, SafetensorError) as error:
        raise OptionError(f"Cannot read {file}: {printable(error)}; pass {FILE}.") from None
    vectors: list[Array] = []
    for name in [example.name for example in examples]:
        key = name if name in tensors else Path(name).with_suffix("").as_posix()
        if key not in tensors:
            raise OptionError(f"There is no vector of {name} in {file}; pass {FILE}.")
        vectors.append(tensors[key].float().flatten().numpy())
        if len(vectors[-1]) != len(vectors[0]):
            raise OptionError(
                f"The vector of {name} in {file} is {len(vectors[-1])} wide, expected {len(vectors[0])} like the "
                "others; replace it."
            )
        if not (np.isfinite(vectors[-1]).all() and vectors[-1].any()):
            raise OptionError(f"The vector of {name} in {file} is zero or not finite; compute it again.")
    return np.stack(vectors)


class UnclipPictureCache(PictureCache):
    """Pictures conditioned on `vectors` (examples, width)."""

    systems = ("unclip",)
    settings = "unclip.json"

    def __init__(self, examples: Sequence[Example], out: Path, vectors: Array, **options: Any):
        self.vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        super().__init__(examples, out, **options)

    def _describe_settings(self) -> dict[str, Any]:
        return super()._describe_settings() | {
            "vectors": hashlib.sha256(self.vectors.astype("<f4").tobytes()).hexdigest()
        }

    def _draw(self, system: str, chosen: Sequence[int], seed: int) -> list[Any]:
        import torch

        pipe, noise = self._load_pipe(), self._make_generators(chosen, seed)
        side, channels = pipe.unet.config.sample_size * pipe.vae_scale_factor, pipe.unet.config.in_channels
        target = {"dtype": pipe.unet.dtype, "device": pipe.unet.device}
        # first, as in the other systems; the noise that is added to the embeddings comes after
        latents = pipe.prepare_latents(len(chosen), channels, side, side, **target, generator=noise)
        vectors = torch.from_numpy(self.vectors[list(chosen)]).to(**target) * embedding_norm(pipe.image_normalizer)
        options = {name: value for name, value in self.options.items() if value is not None}
        blank = [""] * len(chosen)
        return pipe(prompt=blank, image_embeds=vectors, latents=latents, generator=noise, **options).images

    def _load_pipe(self) -> Any:
        if self._pipe is None:
            self._pipe = load_unclip(self.model, self.device)
        return self._pipe


def load_unclip(model: str, device: str | None) -> Any:
    """A Stable unCLIP pipeline in float32 from a folder or hub id; CheckpointError if it cannot be loaded."""
    import torch
    from diffusers import StableUnCLIPImg2ImgPipeline

    try:
        pipe = StableUnCLIPImg2ImgPipeline.from_pretrained(os.path.expanduser(model), dtype=torch.float32)
    except LOAD_ERRORS as error:
        raise make_load_error(model, error, WANTED, FILES) from error
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(find_device(device))


def embedding_norm(normalizer: Any) -> float:
    """Root mean square norm of the image embeddings, from the `mean` and `std` (1, width) that an unCLIP holds."""
    return float((normalizer.mean.square() + normalizer.std.square()).sum().sqrt().detach())
