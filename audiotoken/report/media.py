"""Sounds, pictures and films as data URIs, in a page that stays small.

Conventions: budgets are characters of the page, of which a byte takes 4/3.
"""

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from audiotoken.audio import resample

PAGE = 12_000_000  # characters at most, of which
SOUNDS, PICTURES, FILM = 5_500_000, 3_500_000, 2_000_000
PLAYED = (8_000, 48_000)  # Hz that every browser plays
SMALLEST = 64  # pixels of a side
FILMS = {".gif": "image/gif", ".mp4": "video/mp4"}


def data_uri(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{b64encode(content).decode()}"


def sounds(signals: Sequence[NDArray[np.float32]], rate: int, budget: int = SOUNDS) -> tuple[list[str], list[str]]:
    """(frames,) or (channels, frames) each at `rate` Hz -> (data URIs of 16-bit FLAC, sentences on what was given up).

    What does not fit is resampled to half the rate again and again, down to 8 kHz; then its end is cut off.
    """
    wanted = min(max(rate, PLAYED[0]), PLAYED[1])
    length = max((each.shape[-1] for each in signals), default=0) / rate
    kept = length
    while True:
        cut = [resample(each[..., : round(kept * rate)], rate, wanted) for each in signals]
        made = [data_uri(flac(each, wanted), "audio/flac") for each in cut]
        size = sum(map(len, made))
        if size <= budget:
            break
        if wanted // 2 >= PLAYED[0]:
            wanted //= 2
        else:
            kept *= 0.95 * budget / size
    notes = [f"The players have {wanted / 1000:g} kHz instead of {rate / 1000:g} kHz, so that this page stays small."]
    cuts = [f"The players have the first {kept:.0f} of {length:.0f} seconds, so that this page stays small."]
    return made, [*notes * (wanted < min(rate, PLAYED[1])), *cuts * (kept < length)]


def flac(signal: NDArray[np.float32], rate: int) -> bytes:
    """16 bits, lossless; what is louder than full scale is scaled down to it."""
    import soundfile

    content = BytesIO()
    loud = max(1.0, float(np.abs(signal).max(initial=0)))
    soundfile.write(content, (signal / loud).T, rate, format="FLAC", subtype="PCM_16")
    return content.getvalue()


def pictures(images: Sequence[Any], budget: int = PICTURES) -> list[str]:
    """Data URIs: PNG; or where that is too much JPEG, and as small as it needs to be."""
    made = [_encoded(image, "PNG") for image in images]
    images = [image.convert("RGB") for image in images]
    while sum(map(len, made)) > budget:
        made = [_encoded(image, "JPEG") for image in images]
        images = [image.resize([max(side * 2 // 3, 1) for side in image.size]) for image in images]
        if min(min(image.size) for image in images) < SMALLEST:
            break
    return made


def heat(values: NDArray, highest: float) -> str:
    """(h, w) from 0 to `highest` -> data URI of a picture with a pixel a cell."""
    from matplotlib import colormaps

    shown = colormaps["magma"](np.clip(values / max(highest, 1e-12), 0, 1), bytes=True)[..., :3]
    return _encoded(Image.fromarray(shown), "PNG")


def film(path: Path, budget: int = FILM) -> tuple[str, str] | None:
    """(data URI, kind) of a .gif or .mp4; None where it is too large."""
    kind = FILMS[path.suffix.lower()]
    uri = data_uri(path.read_bytes(), kind)
    return (uri, kind) if len(uri) <= budget else None


def _encoded(image: Any, kind: str) -> str:
    content = BytesIO()
    image.save(content, kind, **({"quality": 88} if kind == "JPEG" else {"optimize": True}))
    return data_uri(content.getvalue(), f"image/{kind.lower()}")
