"""Stable unCLIP told by sound: a vector of each clip in the place of the image embedding that it was trained on.

The vectors are those of a file, as ImageBind's audio tower gives them (Girdhar et al. 2023, arXiv 2305.05665; 1024
wide, in the space of the CLIP of stable-diffusion-2-1-unclip), or Wav2CLIP's, where the unCLIP is of the same CLIP.
docs/evaluating.md shows how such a file is made. Towers that are trained by cosines agree in directions alone, so each
vector is made as long as the unCLIP's image embeddings are (`length`). The prompt is empty.
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
from audiotoken.evaluation.pictures import Drawing
from audiotoken.model import find_device

Array = NDArray[np.float32]
KIND = "StableUnCLIPImg2ImgPipeline"
WANTED = f'a {KIND} in the layout of diffusers, a folder or a hub id, such as "stabilityai/stable-diffusion-2-1-unclip"'
FILE = "a safetensors file with a vector under the name of each clip"


@dataclass(frozen=True, eq=False)
class Unclip:
    """What draws and what tells it; see `open_unclip`."""

    model: str
    source: str  # of the vectors, in words
    vectors: Array | None  # (examples, width); None: Wav2CLIP's

    @property
    def name(self) -> str:
        """Of its row, unless it is given one."""
        return printable(f"{self.source} + unCLIP {Path(self.model).name}").replace("|", "/")

    def drawing(self, examples: Sequence[Example], out: Path, heard: Array, **options: Any) -> "UnclipDrawing":
        """`heard` are the clips as Wav2CLIP hears them, (examples, width)."""
        vectors = heard if self.vectors is None else self.vectors
        return UnclipDrawing(examples, out, vectors, **options | {"model": self.model})


def open_unclip(
    model: str, embeddings: str | os.PathLike | None, examples: Sequence[Example], judges: "Judges"
) -> Unclip:
    """Before anything is drawn; CheckpointError or OptionError, one sentence, where model and vectors do not fit."""
    width = embedding_width(model)
    if embeddings is not None:
        source, vectors = f"vectors of {Path(embeddings).name}", read_vectors(embeddings, examples)
        gives = vectors.shape[1]
    else:
        source, vectors = f"Wav2CLIP {Path(judges.names['wav2clip']).name}", None
        gives = judges.wav2clip.embedding_width
    if gives != width:
        raise OptionError(
            f"Got {gives} numbers a clip ({source}), want {width} as the image embeddings of {model}; "
            "give embeddings=FILE and unclip=MODEL that are made for the same CLIP."
        )
    return Unclip(model, source, vectors)


def embedding_width(model: str) -> int:
    """Of the image embeddings that an unCLIP is told by, from its configurations; CheckpointError for other models."""
    from diffusers import StableUnCLIPImg2ImgPipeline, UNet2DConditionModel
    from diffusers.pipelines.stable_diffusion import StableUnCLIPImageNormalizer

    source = resolve_source(model, WANTED)
    try:
        index = StableUnCLIPImg2ImgPipeline.load_config(source)
        if (kind := index.get("_class_name")) != KIND:
            raise ValueError(f"its class is {kind}")
        if lacking := [part for part in StableUnCLIPImg2ImgPipeline.__annotations__ if not any(index.get(part) or ())]:
            raise ValueError(f"it has no {lacking[0]}")
        width = StableUnCLIPImageNormalizer.load_config(source, subfolder="image_normalizer")["embedding_dim"]
        unet = UNet2DConditionModel.load_config(source, subfolder="unet")
        takes, kind = unet.get("projection_class_embeddings_input_dim"), unet.get("class_embed_type")
        if (kind, takes) != ("projection", 2 * width):  # the vector, and as much of the noise level
            raise ValueError(f"its UNet is told {takes} numbers by {kind}, want {2 * width} by projection")
    except LOAD_ERRORS as error:
        raise make_load_error(model, error, WANTED) from error
    return width


def read_vectors(file: str | os.PathLike, examples: Sequence[Example]) -> Array:
    """(examples, width); the names in the file are those of the clips, with or without their suffix."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file  # numpy has no bfloat16

    try:
        tensors = load_file(file)
    except (OSError, SafetensorError) as error:
        raise OptionError(f"Cannot read {file}: {printable(error)}; give {FILE}.") from None
    found: list[Array] = []
    for name in [example.name for example in examples]:
        key = name if name in tensors else Path(name).with_suffix("").as_posix()
        if key not in tensors:
            raise OptionError(f"There is no vector of {name} in {file}; give {FILE}.")
        found.append(tensors[key].float().flatten().numpy())
        if len(found[-1]) != len(found[0]):
            raise OptionError(
                f"Got {len(found[-1])} numbers of {name} in {file}, want {len(found[0])} as of the others."
            )
        if not (np.isfinite(found[-1]).all() and found[-1].any()):
            raise OptionError(f"The vector of {name} in {file} is zero or not finite; make it again.")
    return np.stack(found)


class UnclipDrawing(Drawing):
    """As `Drawing`, told by `vectors` (examples, width)."""

    systems = ("unclip",)
    settings = "unclip.json"

    def __init__(self, examples: Sequence[Example], out: Path, vectors: Array, **options: Any):
        self.vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        super().__init__(examples, out, **options)

    def _asked(self) -> dict[str, Any]:
        return super()._asked() | {"vectors": hashlib.sha256(self.vectors.astype("<f4").tobytes()).hexdigest()}

    def _draw(self, system: str, chosen: Sequence[int], seed: int) -> list[Any]:
        import torch

        pipe, noise = self._loaded(), self._noise(chosen, seed)
        side, channels = pipe.unet.config.sample_size * pipe.vae_scale_factor, pipe.unet.config.in_channels
        place = {"dtype": pipe.unet.dtype, "device": pipe.unet.device}
        # drawn first, as by the other systems; what is added to the embeddings comes after
        latents = pipe.prepare_latents(len(chosen), channels, side, side, **place, generator=noise)
        vectors = torch.from_numpy(self.vectors[list(chosen)]).to(**place) * length(pipe.image_normalizer)
        given = {name: value for name, value in self.options.items() if value is not None}
        blank = [""] * len(chosen)
        return pipe(prompt=blank, image_embeds=vectors, latents=latents, generator=noise, **given).images

    def _loaded(self) -> Any:
        if self._pipe is None:
            self._pipe = load_unclip(self.model, self.device)
        return self._pipe


def load_unclip(model: str, device: str | None) -> Any:
    import torch
    from diffusers import StableUnCLIPImg2ImgPipeline

    try:
        pipe = StableUnCLIPImg2ImgPipeline.from_pretrained(os.path.expanduser(model), dtype=torch.float32)
    except LOAD_ERRORS as error:
        raise make_load_error(model, error, WANTED) from error
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(find_device(device))


def length(normalizer: Any) -> float:
    """Root mean square length of the image embeddings whose `mean` and `std` (1, width) an unCLIP keeps."""
    return float((normalizer.mean.square() + normalizer.std.square()).sum().sqrt().detach())
