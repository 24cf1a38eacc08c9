"""Reads picture files of any mode as upright RGB; files that cannot be decoded completely are refused.

A message here is the second half of a sentence; the caller puts the name of the file before it.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from audiotoken.audio_file import open_plain
from audiotoken.errors import AudioError, DataError

if TYPE_CHECKING:
    from PIL.Image import Image


KINDS = "a JPEG, PNG or WebP picture"
FORMATS = ("JPEG", "PNG", "WEBP")  # few, because every decoder is an attack surface
# how the files of other kinds begin
OTHERS = re.compile(
    rb"(?P<GIF>GIF8[79]a)|(?P<BMP>BM.{4}\0{4})|(?P<TIFF>II\*\0|MM\0\*)|(?P<PDF>%PDF-)|(?P<SVG><svg)"
    rb"|.{4}ftyp(?:(?P<AVIF>avi[fs])|(?P<HEIC>hei[cmsx]|mif1))",
    re.DOTALL,
)
MAX_PIXELS = 100_000_000


def read_image(path: Path) -> "Image":
    """A picture file -> RGB, upright; DataError names the file."""
    try:
        with open_plain(path, KINDS) as file:
            return decode_image(file)
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror or error}; check the file and the disk.") from None
    except (AudioError, DataError) as error:
        raise DataError(f"Cannot read {path}: {error}") from None


def decode_image(file: BinaryIO) -> "Image":
    """The same from an open file, which can be sought."""
    import struct

    from PIL import Image

    try:
        image = Image.open(file, formats=FORMATS)
        check_size(*image.size)
        image.load()
        return as_rgb(image)
    except DataError:
        raise
    except Image.DecompressionBombError:
        raise DataError(f"it has more than {MAX_PIXELS:,} pixels; make it smaller.") from None
    except (OSError, ValueError, SyntaxError, struct.error, EOFError, IndexError, KeyError, OverflowError, TypeError):
        file.seek(0)
        if other := OTHERS.match(file.read(16)):
            raise DataError(f"its format is {other.lastgroup}, expected {KINDS}; convert it, a film to MP4.") from None
        raise DataError(f"it is damaged, truncated or not a picture; give {KINDS}.") from None


def check_size(width: int, height: int) -> None:
    """DataError for a picture without pixels or with more than `MAX_PIXELS`."""
    if width * height > MAX_PIXELS:
        raise DataError(f"it is {width} x {height} pixels, expected at most {MAX_PIXELS:,} in all; make it smaller.")
    if width < 1 or height < 1:
        raise DataError("it has no pixels; get it again.")


def as_rgb(image: "Image") -> "Image":
    """Any mode -> RGB: rotated by its EXIF, transparency on white, 16 bits and floats scaled to 8 bits."""
    image = _apply_rotation(image)
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_eight_bits(image)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        return _paste_on_white(image)
    try:
        return image if image.mode == "RGB" else image.convert("RGB")
    except ValueError:
        raise DataError(f"its colours are {image.mode}, which cannot be made RGB; convert it.") from None


def _apply_rotation(image: "Image") -> "Image":
    """Apply the rotation that the camera stored in EXIF; damaged EXIF is ignored."""
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # EXIF comes from untrusted bytes: too many kinds of errors to list
        return image


def _to_eight_bits(image: "Image") -> "Image":
    """Grey of 16 or 32 bits, or floats: full scale is 65535, or 1.0 for floats; PIL alone would cut off at 255."""
    from PIL import Image

    values = np.asarray(image, np.float64)
    scale = 255.0 if image.mode == "F" else 255 / 65535
    return Image.fromarray(np.clip(np.nan_to_num(values) * scale + 0.5, 0, 255).astype(np.uint8))


def _paste_on_white(image: "Image") -> "Image":
    from PIL import Image

    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
