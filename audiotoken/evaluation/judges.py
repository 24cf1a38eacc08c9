"""Who judges: CLIP, Wav2CLIP, a feature model for FID, and for the painted world its detector and painted scenes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiotoken.clip import load_clip, load_features
from audiotoken.data.image_file import read_image
from audiotoken.errors import OptionError
from audiotoken.evaluation.clips import Example
from audiotoken.mini.object_detector import SIDE, detect, load_detector
from audiotoken.mini.things import WORDS
from audiotoken.model import find_device, silence_library_logs
from audiotoken.wav2clip import load_wav2clip

Array = NDArray[np.float32]
REFERENCE = "painted.safetensors"  # in the folder of the mini CLIP: painted scenes as it and the detector see them


@dataclass(frozen=True)
class Reference:
    """Real pictures as the judges see them; row i of `clip` is of example i, all rows are for the distances."""

    clip: Array  # (examples, width)
    all_clip: Array  # (pictures, width)
    all_features: Array  # (pictures, features)


class Judges:
    """Loaded when they are asked; each by "mini", a folder or a hub id."""

    def __init__(self, clip: str, wav2clip: str, features: str, device: str | None):
        silence_library_logs()
        self.names = {"clip": clip, "wav2clip": wav2clip, "features": features}
        self.device = find_device(device)

    @cached_property
    def clip(self) -> Any:
        return load_clip(self.names["clip"], self.device)

    @cached_property
    def wav2clip(self) -> Any:
        model = load_wav2clip(self.names["wav2clip"], self.device)
        if model.embedding_width != self.clip.width:
            raise OptionError(
                f"Wav2CLIP {self.names['wav2clip']} gives {model.embedding_width} numbers, CLIP {self.names['clip']} "
                f"{self.clip.width}; give those made for each other: the published one is of ViT-B/32."
            )
        return model

    def sounds(self, examples: Sequence[Example]) -> Array:
        """(examples, width)."""
        return self.wav2clip.embed([example.signal(self.wav2clip.rate) for example in examples])

    def features(self, images: Sequence[Any]) -> Array:
        """What the feature model sees, averaged over the picture: (pictures, features)."""
        if self.names["features"] == "mini":
            return seen_by_detector(images)[0]
        return self._feature_model(images)

    def named(self, images: Sequence[Any], words: Sequence[str]) -> dict[str, Array]:
        """`named`: 1 where the painted world's detector calls the largest thing by the word; nothing elsewhere."""
        if self.names["features"] != "mini" or not set(words) <= set(WORDS):
            return {}
        return {"named": (seen_by_detector(images)[1] == [WORDS.index(word) for word in words]).astype(np.float32)}

    def reference(self, examples: Sequence[Example]) -> Reference | None:
        """The examples' real pictures; without, painted scenes of their words for the mini judges; else None."""
        if all(example.real is not None for example in examples):
            images = [read_image(example.real) for example in examples if example.real is not None]
            seen = self.clip.images(images)
            return Reference(seen, seen, self.features(images))
        if {self.names["clip"], self.names["features"]} == {"mini"}:
            return painted(examples)
        return None

    @cached_property
    def _feature_model(self) -> Any:
        return load_features(self.names["features"], self.device)


def painted(examples: Sequence[Example]) -> Reference | None:
    """Painted scenes of the same words; None when one is not of the painted world."""
    from safetensors.numpy import load_file

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
    among = np.isin(kinds, [WORDS.index(example.word) for example in examples])
    return Reference(clip[rows], clip[among], features[among])


def painted_of(things: int) -> dict[str, Array]:
    """`clip` and `features` of painted scenes of one or of two things, (pictures, width) each."""
    from safetensors.numpy import load_file

    tensors = load_file(Path(str(files("audiotoken.mini"))) / "clip" / REFERENCE)
    prefix = "" if things == 1 else "pair_"
    return {name: tensors[prefix + name].astype(np.float32) for name in ("clip", "features")}


def seen_by_detector(images: Sequence[Any], at_once: int = 32) -> tuple[Array, NDArray[np.int64]]:
    """Features (pictures, 128) before its last layer, and the thing that covers most of each picture."""
    import torch

    detector, features, top = load_detector(), [], []
    for start in range(0, len(images), at_once):
        arrays = [np.asarray(image.resize((SIDE, SIDE)), np.float32) for image in images[start : start + at_once]]
        batch = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2) / 127.5 - 1
        with torch.no_grad():
            features.append(detector.body(batch).mean((2, 3)).numpy())
        top.append(detect(detector, batch).top().numpy())
    return np.concatenate(features), np.concatenate(top)
