"""Pictures of a benchmark, kept as they are drawn: stopped, it goes on; asked again, only what is new is drawn."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiotoken.writing import write_bytes

BATCH = 8


@dataclass(frozen=True, eq=False)
class Drawn:
    """A picture, CPU seconds of this process for it, and what else is to be known of it (JSON)."""

    image: Any
    seconds: float
    facts: Any = None


def draw_all(
    settings: Sequence[dict[str, Any]], folder: Path | None, draw: Callable[[slice], tuple[list[Any], list[Any]]]
) -> list[Drawn]:
    """One picture for each of `settings`, in batches: `draw(part)` -> (pictures, facts of each).

    A batch whose pictures lie in `folder` with the same settings is read instead; a change of the code or of the
    weights of a model is not seen, so take a new folder after one.
    """
    drawn: list[Drawn] = []
    for first in range(0, len(settings), BATCH):
        part = slice(first, first + BATCH)
        paths = [folder / f"{i:04}.png" if folder else None for i in range(len(settings))[part]]
        kept = [_read(path, wanted) for path, wanted in zip(paths, settings[part], strict=True)]
        found = [each for each in kept if each]
        if len(found) < len(paths):
            start = time.process_time()
            images, facts = draw(part)
            seconds = (time.process_time() - start) / len(images)
            found = [Drawn(image, seconds, fact) for image, fact in zip(images, facts, strict=True)]
            for path, one, wanted in zip(paths, found, settings[part], strict=True):
                _write(path, one, wanted)
        drawn += found
    return drawn


def _read(path: Path | None, wanted: dict[str, Any]) -> Drawn | None:
    from PIL import Image

    if path is None or not path.is_file():
        return None
    with Image.open(path) as image:
        text = getattr(image, "text", {})
        if text.get("settings") != json.dumps(wanted):
            return None
        return Drawn(image.convert("RGB"), float(text["seconds"]), json.loads(text["facts"]))


def _write(path: Path | None, drawn: Drawn, settings: dict[str, Any]) -> None:
    """The settings lie in the picture's own text, so that the two cannot part."""
    import io

    from PIL.PngImagePlugin import PngInfo

    if path is None:
        return
    info, buffer = PngInfo(), io.BytesIO()
    texts = {"settings": settings, "seconds": drawn.seconds, "facts": drawn.facts}
    for name, value in texts.items():
        info.add_text(name, json.dumps(value))
    drawn.image.save(buffer, "PNG", pnginfo=info)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(buffer.getvalue(), path)
