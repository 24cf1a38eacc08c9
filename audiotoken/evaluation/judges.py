"""The judges: CLIP, Wav2CLIP and a feature model for FID; for the painted world its detector and painted scenes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.Image import Image
from safetensors.numpy import load_file

from audiotoken.clip import Clip, Features, load_clip, load_features
from audiotoken.data.image_file import read_image
from audiotoken.errors import OptionError
from audiotoken.evaluation.clips import Example
from audiotoken.mini.object_detector import SIDE, Detector, detect, load_detector
from audiotoken.mini.things import WORDS
from audiotoken.model import find_device, silence_library_logs
from audiotoken.wav2clip import Wav2CLIP, load_wav2clip

Array = NDArray[np.float32]
REFERENCE = "painted.safetensors"  # beside the mini CLIP: embeddings and features of painted scenes


@dataclass(frozen=True)
class Reference:
    """Embeddings of real pictures; row i of `clip` belongs to example i, the others are for distances."""

    clip: Array  # (examples, width)
    all_clip: Array  # (pictures, width)
    all_features: Array  # (pictures, features)


class Judges:
    """Each judge is "mini", a folder or a hub id, and is loaded on first use."""

    def __init__(self, clip: str, wav2clip: str, features: str, device: str | None):
        silence_library_logs()
        self.names = {"clip": clip, "wav2clip": wav2clip, "features": features}
        self.device = find_device(device)

    @cached_property
    def clip(self) -> Clip:
        return load_clip(self.names["clip"], self.device)

    @cached_property
    def wav2clip(self) -> Wav2CLIP:
        model = load_wav2clip(self.names["wav2clip"], self.device)
        if model.embedding_width != self.clip.width:
            raise OptionError(
                f"Got embeddings {model.embedding_width} wide from Wav2CLIP {self.names['wav2clip']} and "
                f"{self.clip.width} from CLIP {self.names['clip']}, expected one width; pass a matching pair, such as "
                "the published Wav2CLIP and ViT-B/32."
            )
        return model

    def embed_sounds(self, examples: Sequence[Example]) -> Array:
        """Wav2CLIP embeddings of the clips, (examples, width)."""
        return self.wav2clip.embed([example.load_signal(self.wav2clip.rate) for example in examples])

    def extract_features(self, images: Sequence[Image]) -> Array:
        """Features for FID, averaged over each picture: (pictures, features)."""
        if self.names["features"] == "mini":
            return run_detector(images)[0]
        return self._feature_model(images)

    def score_names(self, images: Sequence[Image], words: Sequence[str]) -> dict[str, Array]:
        """`named`: 1 if the detector's largest object is the word; empty for other feature models and words."""
        if self.names["features"] != "mini" or not set(words) <= set(WORDS):
            return {}
        return {"named": (run_detector(images)[1] == [WORDS.index(word) for word in words]).astype(np.float32)}

    def load_reference(self, examples: Sequence[Example]) -> Reference | None:
        """The real pictures of the examples; without them painted scenes for the mini judges, else None."""
        if all(example.real is not None for example in examples):
            images = [read_image(example.real) for example in examples if example.real is not None]
            embeddings = self.clip.embed_images(images)
            return Reference(embeddings, embeddings, self.extract_features(images))
        if {self.names["clip"], self.names["features"]} == {"mini"}:
            return load_painted_reference(examples)
        return None

    @cached_property
    def _feature_model(self) -> Features:
        return load_features(self.names["features"], self.device)


def load_painted_reference(examples: Sequence[Example]) -> Reference | None:
    """Painted scenes of the same words; None if a word is not of the painted world."""
    if not {example.word for example in examples} <= set(WORDS):
        return None
    tensors = load_file(Path(str(files("audiotoken.mini"))) / "clip" / REFERENCE)
    kinds, clip, features = tensors["kinds"], *(tensors[n].astype(np.float32) for n in ("clip", "features"))
    used: dict[str, int] = {}
    rows = []
    for example in examples:
        own = np.flatnonzero(kinds == WORDS.index(example.word))
        rows.append(own[used.setdefault(example.word, 0) % len(own)])
        used[example.word] += 1
    shared = np.isin(kinds, [WORDS.index(example.word) for example in examples])
    return Reference(clip[rows], clip[shared], features[shared])


def load_painted_features(num_objects: int) -> dict[str, Array]:
    """`clip` and `features` of painted scenes with one or two objects, (pictures, width) each."""
    tensors = load_file(Path(str(files("audiotoken.mini"))) / "clip" / REFERENCE)
    prefix = "" if num_objects == 1 else "pair_"
    return {name: tensors[prefix + name].astype(np.float32) for name in ("clip", "features")}


def run_detector(
    images: Sequence[Image], batch_size: int = 32, detector: Detector | None = None
) -> tuple[Array, NDArray[np.int64]]:
    """The detector's features before its last layer, (pictures, 128), and the largest object of each picture.

    detector: the shipped one by default.
    """
    features, top = [], []
    detector = detector or load_detector()
    for start in range(0, len(images), batch_size):
        arrays = [np.asarray(image.resize((SIDE, SIDE)), np.float32) for image in images[start : start + batch_size]]
        batch = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2) / 127.5 - 1
        with torch.no_grad():
            features.append(detector.body(batch).mean((2, 3)).numpy())
        top.append(detect(detector, batch).largest().numpy())
    return np.concatenate(features), np.concatenate(top)
