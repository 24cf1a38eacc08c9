"""The pictures of each system, drawn once and kept: called again with other judges, nothing is drawn anew.

Example i is drawn from the same noise by every system, so that they differ by what they were told.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from audiotoken.errors import OptionError
from audiotoken.evaluation.clips import Example
from audiotoken.labels import insert_articles, insert_words
from audiotoken.manifest import fingerprint
from audiotoken.model import load_pipeline
from audiotoken.placeholder import TEMPLATE
from audiotoken.writing import write_bytes, write_image

DRAWN = {
    "text": "the label as text: the upper bound",
    "audio": "AudioToken, mono: the learned token",
    "label": "label tokens: the name of what was heard",
}
SEED_STEP = 100_000  # between the noises of two seeds


class Drawing:
    """`pictures(system, seed)`, one for each example; the model is loaded when the first is missing."""

    systems: ClassVar[Sequence[str]] = tuple(DRAWN)
    settings: ClassVar[str] = "drawn.json"

    def __init__(
        self,
        examples: Sequence[Example],
        out: Path,
        *,
        model: str,
        device: str | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        batch: int = 8,
        on_row: Callable[[str], None] = lambda text: None,
    ):
        self.examples, self.folder, self.model, self.device = examples, out / "pictures", model, device
        self.batch, self.on_row = batch, on_row
        self._pipe: Any = None
        self.options = {"num_inference_steps": steps, "guidance_scale": guidance}
        self._begin()

    def _asked(self) -> dict[str, Any]:
        clips = [[each.name, each.word, _size(each)] for each in self.examples]
        return {"model": fingerprint(self.model), **self.options, "clips": clips}

    def _begin(self) -> None:
        """What was drawn in another way does not count."""
        settings, text = self.folder / self.settings, json.dumps(self._asked(), indent=1)
        if settings.is_file() and settings.read_text() == text:
            return
        for system in self.systems:
            for path in self.folder.glob(f"{system}-*/*.png"):
                path.unlink()
        self.folder.mkdir(parents=True, exist_ok=True)
        write_bytes(text.encode(), settings)

    def pictures(self, system: str, seed: int) -> list[Any]:
        from PIL import Image

        files = [self.folder / f"{system}-{seed}" / f"{i:05d}.png" for i in range(len(self.examples))]
        files[0].parent.mkdir(exist_ok=True)
        missing = [i for i, path in enumerate(files) if not path.is_file()]
        for start in range(0, len(missing), self.batch):
            some = missing[start : start + self.batch]
            for i, image in zip(some, self._draw(system, some, seed), strict=True):
                write_image(image, files[i])
            self.on_row(f"{system}, seed {seed}: drew {start + len(some)} of {len(missing)}")
        return [Image.open(path).convert("RGB") for path in files]

    def _noise(self, chosen: Sequence[int], seed: int) -> list[Any]:
        import torch

        return [torch.Generator().manual_seed(seed * SEED_STEP + i) for i in chosen]

    def _draw(self, system: str, chosen: Sequence[int], seed: int) -> list[Any]:
        pipe, some, noise = self._loaded(), [self.examples[i] for i in chosen], self._noise(chosen, seed)
        if system == "text":
            texts = [insert_words(insert_articles(TEMPLATE, [each.word]), [each.word]) for each in some]
            return pipe(prompt=texts, generator=noise, **self.options).images
        rate, token = pipe.audio_encoder.rate, {"audio": "learned", "label": "label"}[system]
        signals = [each.signal(rate) for each in some]
        return pipe(signals, TEMPLATE, rate=rate, token=token, generator=noise, **self.options).images

    def _loaded(self) -> Any:
        if self._pipe is None:
            self._pipe = load_pipeline(self.model, self.device)
            if self._pipe.audio_encoder is None:
                raise OptionError(f"The model {self.model} has no ears; `audiotoken assemble` adds some.")
        return self._pipe


def _size(example: Example) -> int:
    return example.sound.stat().st_size if isinstance(example.sound, Path) else len(example.sound[0])
