"""Pictures of a benchmark, saved as they are drawn, so that a stopped run continues and only new pictures are drawn.

Each PNG holds its own settings, CPU seconds and facts, unlike the pictures of `audiotoken.evaluation` and of
`audiotoken.tasks.folder`: a benchmark with more cases keeps the old pictures, and its times are reported again.
"""

import io
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import PIL.Image
from PIL.PngImagePlugin import PngInfo

from audiotoken.writing import write_bytes

BATCH = 8


@dataclass(frozen=True, eq=False)
class DrawnPicture:
    """A picture, the CPU seconds of this process for it, and other facts about it (JSON)."""

    image: PIL.Image.Image
    seconds: float
    facts: Any = None


def draw_or_load(
    settings: Sequence[dict[str, Any]],
    folder: Path | None,
    draw: Callable[[slice], tuple[list[PIL.Image.Image], list[Any]]],
) -> list[DrawnPicture]:
    """One picture for each of `settings`, in batches: `draw(part)` -> (pictures, facts of each).

    A batch whose pictures are in `folder` with the same settings is loaded instead. Settings name the model by
    `manifest.fingerprint`, so other weights draw again. Changes of the code are not noticed: use a new folder.
    """
    drawn: list[DrawnPicture] = []
    for first in range(0, len(settings), BATCH):
        part = slice(first, first + BATCH)
        paths = [folder / f"{i:04}.png" if folder else None for i in range(len(settings))[part]]
        saved = [_load(path, wanted) for path, wanted in zip(paths, settings[part], strict=True)]
        batch = [each for each in saved if each]
        if len(batch) < len(paths):
            start = time.process_time()
            images, facts = draw(part)
            seconds = (time.process_time() - start) / len(images)
            batch = [DrawnPicture(image, seconds, fact) for image, fact in zip(images, facts, strict=True)]
            for path, one, wanted in zip(paths, batch, settings[part], strict=True):
                _save(path, one, wanted)
        drawn += batch
    return drawn


def _load(path: Path | None, wanted: dict[str, Any]) -> DrawnPicture | None:
    if path is None or not path.is_file():
        return None
    with PIL.Image.open(path) as image:
        text = getattr(image, "text", {})
        if text.get("settings") != json.dumps(wanted):
            return None
        return DrawnPicture(image.convert("RGB"), float(text["seconds"]), json.loads(text["facts"]))


def _save(path: Path | None, drawn: DrawnPicture, settings: dict[str, Any]) -> None:
    """The settings are in the text of the PNG, so that the two stay together."""
    if path is None:
        return
    info, buffer = PngInfo(), io.BytesIO()
    texts = {"settings": settings, "seconds": drawn.seconds, "facts": drawn.facts}
    for name, value in texts.items():
        info.add_text(name, json.dumps(value))
    drawn.image.save(buffer, "PNG", pnginfo=info)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(buffer.getvalue(), path)
