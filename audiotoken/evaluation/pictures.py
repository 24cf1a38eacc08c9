"""Draw the pictures of each system once and keep them, so that other judges need no new pictures.

All systems draw example i from the same noise, so that pictures differ by their condition only. One file of settings
holds for the whole folder, unlike the manifest of `audiotoken.tasks.folder`, because systems can be compared only on
the same clips and options: any change draws all pictures again.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from PIL import Image

from audiotoken.data.image_file import read_image
from audiotoken.errors import OptionError
from audiotoken.evaluation.clips import Example
from audiotoken.folder_lock import locking, make_folder
from audiotoken.labels import insert_articles, insert_words
from audiotoken.manifest import fingerprint
from audiotoken.model import load_pipeline
from audiotoken.placeholder import TEMPLATE
from audiotoken.writing import encode_text, write_bytes, write_image

DRAWN = ("text", "audio", "label")  # the systems of this module
SEED_STEP = 100_000  # between the generators of two seeds


class PictureCache:
    """Pictures on disk, one for each example, system and seed; the model is loaded when one is missing."""

    systems: ClassVar[Sequence[str]] = DRAWN
    settings: ClassVar[str] = "drawn.json"

    def __init__(
        self,
        examples: Sequence[Example],
        out: Path,
        *,
        model: str,
        device: str | None = None,
        steps: int | None = None,
        guidance_scale: float | None = None,
        batch: int = 8,
        on_row: Callable[[str], None] = lambda text: None,
    ):
        self.examples, self.folder, self.model, self.device = examples, out / "pictures", model, device
        self.batch, self.on_row = batch, on_row
        self._pipe: Any = None
        self.options = {"num_inference_steps": steps, "guidance_scale": guidance_scale}
        self._remove_outdated()

    def _describe_settings(self) -> dict[str, Any]:
        clips = [[each.name, each.word, _measure_size(each)] for each in self.examples]
        return {"model": fingerprint(self.model), **self.options, "clips": clips}

    def _remove_outdated(self) -> None:
        """Delete pictures that were drawn with other settings."""
        settings, text = self.folder / self.settings, json.dumps(self._describe_settings(), indent=1)
        if settings.is_file() and settings.read_bytes() == encode_text(text):
            return
        for system in self.systems:
            for path in self.folder.glob(f"{system}-*/*.png"):
                path.unlink(missing_ok=True)
        make_folder(self.folder)
        write_bytes(encode_text(text), settings)

    def load_or_draw(self, system: str, seed: int) -> list[Image.Image]:
        """The pictures of one system and seed, in the order of the examples; waits for what another process draws."""
        files = [self.folder / f"{system}-{seed}" / f"{i:05d}.png" for i in range(len(self.examples))]
        make_folder(files[0].parent)
        with locking(self.folder, f"{system}-{seed}", wait=True):
            missing = [i for i, path in enumerate(files) if not path.is_file()]
            for start in range(0, len(missing), self.batch):
                chosen = missing[start : start + self.batch]
                for i, image in zip(chosen, self._draw(system, chosen, seed), strict=True):
                    write_image(image, files[i])
                self.on_row(f"{system}, seed {seed}: drew {start + len(chosen)} of {len(missing)}")
        return [read_image(path) for path in files]

    def _make_generators(self, chosen: Sequence[int], seed: int) -> list[torch.Generator]:
        return [torch.Generator().manual_seed(seed * SEED_STEP + i) for i in chosen]

    def _draw(self, system: str, chosen: Sequence[int], seed: int) -> list[Image.Image]:
        pipe, examples, noise = (
            self._load_pipe(),
            [self.examples[i] for i in chosen],
            self._make_generators(chosen, seed),
        )
        if system == "text":
            texts = [insert_words(insert_articles(TEMPLATE, [each.word]), [each.word]) for each in examples]
            return pipe(prompt=texts, generator=noise, **self.options).images
        rate, token = pipe.audio_encoder.rate, {"audio": "learned", "label": "label"}[system]
        signals = [each.load_signal(rate) for each in examples]
        return pipe(signals, TEMPLATE, rate=rate, token=token, generator=noise, **self.options).images

    def _load_pipe(self) -> Any:
        if self._pipe is None:
            self._pipe = load_pipeline(self.model, self.device)
            if self._pipe.audio_encoder is None:
                raise OptionError(f"The model {self.model} has no audio encoder; add one with `audiotoken assemble`.")
        return self._pipe


def _measure_size(example: Example) -> int:
    return example.sound.stat().st_size if isinstance(example.sound, Path) else len(example.sound[0])
