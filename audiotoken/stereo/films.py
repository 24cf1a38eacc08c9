"""Consecutive pictures as a film file, or all of them in one picture."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from audiotoken.audio import resample
from audiotoken.writing import write_bytes
from guidance.regions import Region

SOUND_RATE = 44_100  # Hz; every player supports it
MIN_SIDE = 256  # pixels of a film's shorter side: players blur smaller pictures
OVERHANG = 0.15  # of a box's width: how far its thing may reach beyond it
FIRST_OPACITY, LAST_OPACITY = 0.5, 1.0  # of the first and the last frame in a trail
MIN_DIFFERENCE = 0.06  # of full scale: pixels that differ less from the background belong to it


def write_film(images: Sequence[Image.Image], recording: NDArray[np.float32], rate: int, path: Path) -> None:
    """Write a .gif, or an .mp4 (H.264) with the recording (channels, frames) in it; as long as the recording."""
    seconds = recording.shape[1] / rate
    is_gif = path.suffix.lower() == ".gif"
    write_bytes(_encode_gif(images, seconds) if is_gif else _encode_mp4(images, recording, rate), path)


def draw_trail(images: Sequence[Image.Image], regions: Sequence[Sequence[Region]]) -> Image.Image:
    """Combine all frames: the background once, and the thing in each place where it was, the last one clearest.

    As in a chronophotograph (Marey 1882). `regions[frame]` have the boxes of that frame. The background at a pixel is
    the mean of the frames whose boxes do not cover it; the thing of a frame is whatever in its boxes differs from the
    background.
    """
    frames = np.stack([np.asarray(image.convert("RGB"), np.float32) / 255 for image in images])  # (frames, h, w, 3)
    inside = np.stack([_mask_boxes(each, *frames.shape[1:3]) for each in regions])[..., None]  # (frames, h, w, 1)
    weights = (1 - inside) ** 2 + 1e-4
    background = (weights * frames).sum(axis=0) / weights.sum(axis=0)
    out = background.copy()
    opacities = np.linspace(FIRST_OPACITY, LAST_OPACITY, len(frames))
    for frame, mask, opacity in zip(frames, inside, opacities, strict=True):
        share = opacity * mask * _segment_thing(np.abs(frame - background).max(axis=-1))[..., None]
        out = out * (1 - share) + frame * share
    return Image.fromarray(np.round(out * 255).astype(np.uint8))


def _mask_boxes(regions: Sequence[Region], h: int, w: int) -> NDArray[np.float32]:
    """(h, w) in [0, 1]: inside any box or a little beside it, with soft edges."""
    mask = np.zeros((h, w), np.float32)
    for region in regions:
        x0, y0, x1, y1 = region.box
        overhang = OVERHANG * (x1 - x0)
        rows = slice(max(0, round((y0 - overhang) * h)), round((y1 + overhang) * h))
        mask[rows, max(0, round((x0 - overhang) * w)) : round((x1 + overhang) * w)] = 1
    return gaussian_filter(mask, w / 64, mode="nearest")


def _segment_thing(difference: NDArray[np.float32]) -> NDArray[np.float32]:
    """(h, w) differences from the background -> (h, w) in [0, 1], without specks and with soft edges."""
    sigma = max(1.0, len(difference) / 128)
    smooth = gaussian_filter(difference, sigma)
    return gaussian_filter(np.clip((smooth - MIN_DIFFERENCE) / MIN_DIFFERENCE, 0, 1), sigma / 2)


def _encode_gif(images: Sequence[Image.Image], seconds: float) -> bytes:
    content = BytesIO()
    first, *others = (image.convert("RGB") for image in images)
    duration = round(1000 * seconds / len(images))  # milliseconds of a frame
    first.save(content, "GIF", save_all=True, append_images=others, duration=duration, loop=0)
    return content.getvalue()


def _encode_mp4(images: Sequence[Image.Image], recording: NDArray[np.float32], rate: int) -> bytes:
    content = BytesIO()
    with av.open(content, "w", format="mp4") as film:
        pictures = [_enlarge(image) for image in images]
        frame_rate = Fraction(len(images) * rate, recording.shape[1]).limit_denominator(1000)
        video: Any = film.add_stream("libx264", rate=frame_rate)
        video.width, video.height = pictures[0].size
        video.pix_fmt, video.options = "yuv420p", {"crf": "16"}
        sound: Any = film.add_stream("aac", rate=SOUND_RATE, layout="stereo")
        for picture in pictures:
            film.mux(video.encode(av.VideoFrame.from_image(picture)))
        film.mux(video.encode())
        for packet in _encode_sound(sound, recording, rate):
            film.mux(packet)
    return content.getvalue()


def _encode_sound(stream: Any, recording: NDArray[np.float32], rate: int) -> Iterator[Any]:
    """Packets of the first two channels, at `SOUND_RATE`."""
    both = np.repeat(recording, 2, axis=0) if len(recording) == 1 else recording[:2]
    samples = np.ascontiguousarray(np.clip(resample(both, rate, SOUND_RATE), -1, 1), np.float32)
    for start in range(0, samples.shape[1], 1024):
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[:, start : start + 1024]), "fltp", "stereo")
        frame.rate, frame.pts = SOUND_RATE, start
        yield from stream.encode(frame)
    yield from stream.encode()


def _enlarge(image: Image.Image) -> Image.Image:
    """Large enough to be played sharp, with the even sides that H.264 requires."""
    factor = max(1, -(-MIN_SIDE // min(image.size)))
    width, height = (side * factor // 2 * 2 for side in image.size)
    return image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
