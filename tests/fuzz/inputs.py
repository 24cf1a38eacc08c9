"""Odd inputs by the thousand: recordings, files of every container, and what becomes of them on a bad day.

Conventions: all chance is a `numpy` generator's, so that a seed is an input; a recording is (channels, frames) float32.
"""

import io
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rng = np.random.Generator

RATES = (8000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 88_200, 96_000, 192_000)
KINDS = (
    "noise",
    "noise",
    "tone",
    "tone",
    "clicks",
    "square",
    "silence",
    "constant",
    "tiny",
    "denormal",
    "huge",
    "largest",
    "clipped",
)
TWO_SIDES = ("apart", "same", "dead", "inverted", "swapped", "late", "offset", "unequal")
ODD = (0.0, -0.0, 1e-320, 1e-45, -1.0, 1.0, 0.5, 90.0, -90.0, 180.0, 1e9, -1e30, 1e308, np.inf, -np.inf, np.nan)
# (suffix, format, subtype) of libsndfile
SOUNDS = (
    *(("wav", "WAV", subtype) for subtype in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW")),
    *(("wav", "WAV", subtype) for subtype in ("ALAW", "IMA_ADPCM", "MS_ADPCM", "GSM610", "G721_32")),
    *(("flac", "FLAC", subtype) for subtype in ("PCM_S8", "PCM_16", "PCM_24")),
    *(("ogg", "OGG", subtype) for subtype in ("VORBIS", "OPUS")),
    *(("aiff", "AIFF", subtype) for subtype in ("PCM_16", "FLOAT")),
    ("mp3", "MP3", "MPEG_LAYER_III"),
    ("wav", "WAVEX", "PCM_24"),
    ("wav", "RF64", "PCM_16"),
    ("w64", "W64", "PCM_16"),
    ("au", "AU", "PCM_16"),
    ("caf", "CAF", "ALAC_16"),
    ("voc", "VOC", "PCM_16"),
)
FILMS = (("mp4", "aac"), ("mkv", "flac"), ("webm", "libopus"), ("mp4", "alac"), ("mkv", "aac"))
PICTURES = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
SUFFIXES = ("wav", "WAV", "flac", "ogg", "mp3", "mp4", "mkv", "raw", "txt", "png", "json", "")
NAMES = ("clip", "a clip", "ünïcödé", "музыка", "音 楽", "🐕", "a'b\"c", "-o", "%s{0}", "a\nb", ".hidden", "x" * 200)
PLAYLIST = b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n"
CONCAT = b"ffconcat version 1.0\nfile /etc/hostname\n"
TEXTS = (
    b"",
    b"\0" * 5000,
    b"{}",
    b"<html>404 Not Found</html>" * 20,
    PLAYLIST,
    CONCAT,
    b"RIFF",
    b"OggS",
    b"fLaC",
    b"ID3",
)


def pick(rng: Rng, choices: Sequence[Any]) -> Any:
    return choices[int(rng.integers(len(choices)))]


def odd_number(rng: Rng) -> float:
    """Mostly something reasonable, often something that is not."""
    return float(pick(rng, ODD)) if rng.random() < 0.4 else float(rng.normal() * 10 ** rng.uniform(-3, 3))


def odd_recording(rng: Rng, longest: float = 1.0, most: int = 64, poison: float = 0.1) -> tuple[NDArray, int, str]:
    """((channels, frames), rate, what it is): a few samples to `longest` seconds, rarely more than two channels."""
    rate = pick(rng, RATES) if rng.random() < 0.9 else int(rng.integers(1000, 200_000))
    frames = max(1, round(rate * 10 ** rng.uniform(-2, np.log10(longest))))
    frames = int(rng.integers(1, 9)) if rng.random() < 0.05 else frames
    channels = int(pick(rng, (1, *(2,) * 8, int(rng.integers(3, most + 1)) if most > 2 else 2)))
    kind, sides = pick(rng, KINDS), pick(rng, TWO_SIDES)
    recording = np.stack([_signal(rng, kind, frames, rate) for _ in range(channels)])
    if channels > 1:
        _two_sides(rng, recording, sides, rate)
    if rng.random() < poison:
        kind += " with NaN"
        at = rng.integers(recording.size, size=int(rng.integers(1, 20)))
        recording.ravel()[at] = pick(rng, (np.nan, np.inf, -np.inf))
    return recording.astype(np.float32), rate, f"{kind}, {sides}, {channels} x {frames} at {rate}"


def _signal(rng: Rng, kind: str, frames: int, rate: int) -> NDArray:
    time = np.arange(frames) / rate
    tone = np.sin(2 * np.pi * rng.uniform(20, rate / 2) * time)
    made = {
        "noise": lambda: 0.2 * rng.normal(size=frames),
        "tone": lambda: 0.5 * tone,
        "clicks": lambda: (rng.random(frames) < 5 / frames) * 0.9,
        "square": lambda: np.where(tone < 0, -1.0, 1.0),
        "silence": lambda: np.zeros(frames),
        "constant": lambda: np.full(frames, rng.uniform(-1, 1)),
        "tiny": lambda: 1e-6 * tone,
        "denormal": lambda: 1e-41 * tone,
        "huge": lambda: 1e30 * tone,
        "largest": lambda: np.where(tone < 0, -1, 1) * float(np.finfo(np.float32).max),
        "clipped": lambda: np.clip(5 * rng.normal(size=frames), -1, 1),
    }
    return np.asarray(made[kind](), float)


def _two_sides(rng: Rng, recording: NDArray, sides: str, rate: int) -> None:
    """Change the second channel, or both, in place."""
    if sides in ("same", "inverted", "unequal"):
        recording[1] = {"same": 1.0, "inverted": -1.0, "unequal": 10 ** rng.uniform(-6, 0)}[sides] * recording[0]
    elif sides == "dead":
        recording[int(rng.integers(2))] = 0
    elif sides == "swapped":
        recording[:2] = recording[1::-1].copy()
    elif sides == "late":  # further than any two microphones are apart
        recording[1] = np.roll(recording[0], round(rate * rng.uniform(0.005, 0.5)))
    elif sides == "offset":
        recording[0] += rng.uniform(-0.5, 0.5)


def sound_file(rng: Rng) -> tuple[bytes, str, str]:
    """(content, suffix, what it is) of a valid file, though maybe an odd one."""
    import soundfile

    recording, rate, what = odd_recording(rng, 0.4)
    if rng.random() < 0.08:
        return _film(rng)
    suffix, container, subtype = pick(rng, SOUNDS)
    try:
        with np.errstate(invalid="ignore", over="ignore"):
            return _written(recording, rate, container, subtype), suffix, f"{container} {subtype}: {what}"
    except (soundfile.LibsndfileError, ValueError, TypeError):  # this container has other rates or fewer channels
        return _written(recording, rate, "WAV", "FLOAT"), "wav", f"WAV FLOAT: {what}"


def _written(recording: NDArray, rate: int, container: str, subtype: str) -> bytes:
    import soundfile

    if subtype not in ("FLOAT", "DOUBLE"):  # encoders themselves crash on what is no sound
        recording = np.clip(np.nan_to_num(recording), -1, 1)
    file = io.BytesIO()
    soundfile.write(file, recording.T, rate, format=container, subtype=subtype)
    return file.getvalue()


def _film(rng: Rng) -> tuple[bytes, str, str]:
    """A sound in a container of films."""
    import av

    suffix, codec = pick(rng, FILMS)
    file = io.BytesIO()
    with av.open(file, "w", format={"mkv": "matroska"}.get(suffix, suffix)) as film:
        track: Any = film.add_stream(codec, rate=48_000, layout="stereo")
        frames = int(rng.integers(960, 48_000))
        samples = np.clip(0.3 * rng.normal(size=(2, frames)), -1, 1).astype(np.float32)
        for start in range(0, frames, 960):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[:, start : start + 960]), "fltp", "stereo")
            frame.rate, frame.pts = 48_000, start
            film.mux(track.encode(frame))
        film.mux(track.encode())
    return file.getvalue(), suffix, f"{suffix} {codec}: {frames} frames"


def picture_file(rng: Rng) -> tuple[bytes, str]:
    """(content, what it is) of a valid picture."""
    from PIL import Image

    kind, mode = pick(rng, PICTURES), pick(rng, ("RGB", "L", "RGBA", "P", "1", "CMYK", "LA", "I;16", "F"))
    size = int(rng.integers(1, 40)), int(rng.integers(1, 40))
    picture, file = Image.new(mode, size), io.BytesIO()
    try:
        picture.save(file, kind)
    except (OSError, ValueError, KeyError):
        file = io.BytesIO()
        picture.convert("RGB").save(file, kind)
    return file.getvalue(), f"{kind} {mode} {size[0]} x {size[1]}"


def zip_bomb(rng: Rng) -> bytes:
    """A zip of a few kilobytes that wants to be 64 MB of nothing, named as torch names things."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("archive/data.pkl", b"\0" * 64_000_000)
        bomb.writestr("archive/version", b"3\n")
    return file.getvalue()


def spoilt(rng: Rng, content: bytes) -> tuple[bytes, str]:
    """(content, how it was spoilt): flipped, cut, longer, or lying in its header."""
    how = pick(rng, ("flip", "flip", "header", "header", "cut", "longer", "zeros", "twice", "hole"))
    data = bytearray(content)
    if how == "flip" and data:
        for at in rng.integers(len(data), size=int(rng.integers(1, 33))):
            data[at] ^= 1 << int(rng.integers(8))
    elif how == "header" and len(data) > 8:
        at = int(rng.integers(min(len(data) - 4, 120)))
        number = pick(rng, (0, 1, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, int(rng.integers(2**32))))
        data[at : at + 4] = struct.pack(pick(rng, ("<I", ">I")), number)
    elif how == "cut":
        del data[int(rng.integers(len(data) + 1)) :]
    elif how == "longer":
        data += rng.bytes(int(rng.integers(1, 5000)))
    elif how == "twice":
        data += bytes(data)
    elif how in ("zeros", "hole") and data:
        start = int(rng.integers(len(data)))
        length = int(rng.integers(1, 1000))
        data[start : start + length] = b"\0" * length if how == "zeros" else b""
    return bytes(data), how


def any_file(rng: Rng, folder: Path) -> tuple[Path, str]:
    """(a file in `folder`, what it is): valid, spoilt, or not a sound at all; the name may be anything."""
    content, suffix, what = sound_file(rng)
    chance = rng.random()
    if chance < 0.05:
        content, what = pick(rng, TEXTS), "text"
    elif chance < 0.1:
        content, what = rng.bytes(int(rng.integers(1, 5000))), "random bytes"
    elif chance < 0.12:
        content, what = zip_bomb(rng), "zip bomb"
    elif chance < 0.14:
        content, what = picture_file(rng)
    elif chance < 0.75:
        content, how = spoilt(rng, content)
        what = f"{how}; {what}"
    if rng.random() < 0.15:
        suffix = pick(rng, SUFFIXES)
        what += f"; called .{suffix}"
    path = folder / (pick(rng, NAMES) + (f".{suffix}" if suffix else ""))
    path.write_bytes(content)
    return path, what
