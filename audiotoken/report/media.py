"""Sounds, pictures and films as data URIs within a budget.

Conventions: budgets are characters of the page; a byte takes 4/3 of a character.
"""

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from audiotoken.audio import resample

PAGE = 12_000_000  # maximum characters, including
SOUNDS, PICTURES, FILM = 5_500_000, 3_500_000, 2_000_000
RATES = (8_000, 48_000)  # lowest and highest rate, in Hz, that every browser plays
MP3_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000)  # Hz
MIN_SIDE = 64  # pixels
FILM_TYPES = {".gif": "image/gif", ".mp4": "video/mp4"}


def data_uri(content: bytes, mime: str) -> str:
    """A file as a data URI of that MIME type."""
    return f"data:{mime};base64,{b64encode(content).decode()}"


def encode_sounds(
    signals: Sequence[NDArray[np.float32]], rate: int, budget: int = SOUNDS
) -> tuple[list[str], list[str]]:
    """(frames,) or (channels, frames) each at `rate` Hz -> (data URIs of 16-bit FLAC, notes about lost quality).

    Sounds beyond the budget are resampled to half the rate, repeatedly down to 8 kHz; then their end is cut off.
    """
    target = min(max(rate, RATES[0]), RATES[1])
    length = max((each.shape[-1] for each in signals), default=0) / rate
    kept = length
    while True:
        cut = [resample(each[..., : round(kept * rate)], rate, target) for each in signals]
        uris = [data_uri(encode_flac(each, target), "audio/flac") for each in cut]
        size = sum(map(len, uris))
        if size <= budget:
            break
        if target // 2 >= RATES[0]:
            target //= 2
        else:
            kept *= 0.95 * budget / size
    notes = [f"The players use {target / 1000:g} kHz instead of {rate / 1000:g} kHz to keep this page small."]
    cuts = [f"The players hold the first {kept:.0f} of {length:.0f} seconds to keep this page small."]
    return uris, [*notes * (target < min(rate, RATES[1])), *cuts * (kept < length)]


def encode_flac(signal: NDArray[np.float32], rate: int) -> bytes:
    """16-bit FLAC of a signal; signals above full scale are scaled down to it."""
    import soundfile

    content = BytesIO()
    loud = max(1.0, float(np.abs(signal).max(initial=0)))
    soundfile.write(content, (signal / loud).T, rate, format="FLAC", subtype="PCM_16")
    return content.getvalue()


def encode_excerpt(signal: NDArray[np.float32], rate: int) -> str:
    """(channels, frames) -> data URI of MP3, which every browser plays, or of FLAC where libsndfile cannot write it."""
    import soundfile

    target = next((each for each in MP3_RATES if each >= rate), MP3_RATES[-1])
    signal = resample(signal, rate, target)
    if "MP3" not in soundfile.available_formats():
        return data_uri(encode_flac(signal, target), "audio/flac")
    content = BytesIO()
    loud = max(1.0, float(np.abs(signal).max(initial=0)))
    options = {"bitrate_mode": "VARIABLE", "compression_level": 0.6}
    soundfile.write(content, (signal / loud).T, target, format="MP3", subtype="MPEG_LAYER_III", **options)
    return data_uri(content.getvalue(), "audio/mpeg")


def encode_thumbnail(image: Image.Image, side: int, budget: int) -> str:
    """Data URI of a WebP picture of at most `side` pixels, smaller ones in its own size.

    Beyond the budget it is coarser, then smaller.
    """
    image = image.convert("RGB")
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    for quality in (88, 75, 50, 25):
        uri = _encode(image, "WEBP", quality)
        if len(uri) <= budget:
            return uri
    while len(uri) > budget and max(image.size) > MIN_SIDE // 4:
        image = image.resize([max(each * 2 // 3, 1) for each in image.size])
        uri = _encode(image, "WEBP", 25)
    return uri


def encode_pictures(images: Sequence[Image.Image], budget: int = PICTURES) -> list[str]:
    """Data URIs: PNG, or beyond the budget JPEG, at ever smaller sizes."""
    uris = [_encode(image, "PNG") for image in images]
    images = [image.convert("RGB") for image in images]
    while sum(map(len, uris)) > budget:
        uris = [_encode(image, "JPEG") for image in images]
        images = [image.resize([max(side * 2 // 3, 1) for side in image.size]) for image in images]
        if min(min(image.size) for image in images) < MIN_SIDE:
            break
    return uris


def encode_heatmap(values: NDArray, highest: float) -> str:
    """(h, w) values from 0 to `highest` -> data URI of a picture with one pixel for each value."""
    from matplotlib import colormaps

    shown = colormaps["magma"](np.clip(values / max(highest, 1e-12), 0, 1), bytes=True)[..., :3]
    return _encode(Image.fromarray(shown), "PNG")


def encode_film(path: Path, budget: int = FILM) -> tuple[str, str] | None:
    """(data URI, MIME type) of a .gif or .mp4; None if it is too large."""
    kind = FILM_TYPES[path.suffix.lower()]
    uri = data_uri(path.read_bytes(), kind)
    return (uri, kind) if len(uri) <= budget else None


def _encode(image: Image.Image, kind: str, quality: int = 88) -> str:
    content = BytesIO()
    image.save(content, kind, **({"optimize": True} if kind == "PNG" else {"quality": quality}))
    return data_uri(content.getvalue(), f"image/{kind.lower()}")
