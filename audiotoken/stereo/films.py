"""Pictures that follow each other -> a file that plays, or one picture of all of them."""

from collections.abc import Sequence
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from audiotoken.audio import resample
from audiotoken.writing import write_bytes

SOUND_RATE = 44_100  # Hz, which every player takes
LEAST = 256  # pixels of a film's sides: players blur what is smaller
HANG = 0.15  # of a box's width: how far its thing reaches beyond it
FAINT, CLEAR = 0.5, 1.0  # how clear the first and the last of a trail are
APART = 0.06  # of full scale: how far a pixel is from the world's to be the thing's


def write_film(images: Sequence[Any], recording: NDArray[np.float32], rate: int, path: Path) -> None:
    """A .gif, or an .mp4 (H.264) with the recording (channels, frames) in it; as long as the recording."""
    seconds = recording.shape[1] / rate
    content = _gif(images, seconds) if path.suffix.lower() == ".gif" else _mp4(images, recording, rate)
    write_bytes(content, path)


def trail(images: Sequence[Any], regions: Sequence[Sequence[Any]]) -> Image.Image:
    """All frames in one picture: the world, and the thing wherever it was, the last the clearest.

    As in a chronophotograph (Marey 1882). `regions[frame]` have the boxes of that frame. The world at a pixel is the
    mean of the frames in which nothing is there; a frame's thing is what in its boxes differs from the world.
    """
    frames = np.stack([np.asarray(image.convert("RGB"), np.float32) / 255 for image in images])  # (frames, h, w, 3)
    inside = np.stack([_inside(each, *frames.shape[1:3]) for each in regions])[..., None]  # (frames, h, w, 1)
    free = (1 - inside) ** 2 + 1e-4
    world = (free * frames).sum(axis=0) / free.sum(axis=0)
    out = world.copy()
    for frame, there, clear in zip(frames, inside, np.linspace(FAINT, CLEAR, len(frames)), strict=True):
        share = clear * there * _soft(np.abs(frame - world).max(axis=-1))[..., None]
        out = out * (1 - share) + frame * share
    return Image.fromarray(np.round(out * 255).astype(np.uint8))


def _inside(regions: Sequence[Any], h: int, w: int) -> NDArray[np.float32]:
    """(h, w) in [0, 1]: in any box or a little beside it, as things hang over."""
    from scipy.ndimage import gaussian_filter

    mask = np.zeros((h, w), np.float32)
    for region in regions:
        x0, y0, x1, y1 = region.box
        hang = HANG * (x1 - x0)
        rows = slice(max(0, round((y0 - hang) * h)), round((y1 + hang) * h))
        mask[rows, max(0, round((x0 - hang) * w)) : round((x1 + hang) * w)] = 1
    return gaussian_filter(mask, w / 64, mode="nearest")


def _soft(difference: NDArray[np.float32]) -> NDArray[np.float32]:
    """(h, w) differences -> (h, w) in [0, 1]: which pixels are the thing's; specks are none, edges are soft."""
    from scipy.ndimage import gaussian_filter

    wide = max(1.0, len(difference) / 128)
    near = gaussian_filter(difference, wide)
    return gaussian_filter(np.clip((near - APART) / APART, 0, 1), wide / 2)


def _gif(images: Sequence[Any], seconds: float) -> bytes:
    content = BytesIO()
    first, *others = (image.convert("RGB") for image in images)
    first.save(
        content, "GIF", save_all=True, append_images=others, duration=round(1000 * seconds / len(images)), loop=0
    )
    return content.getvalue()


def _mp4(images: Sequence[Any], recording: NDArray[np.float32], rate: int) -> bytes:
    import av

    content = BytesIO()
    with av.open(content, "w", format="mp4") as film:
        pictures = [_even(image) for image in images]
        video: Any = film.add_stream(
            "libx264", rate=Fraction(len(images) * rate, recording.shape[1]).limit_denominator(1000)
        )
        video.width, video.height = pictures[0].size
        video.pix_fmt, video.options = "yuv420p", {"crf": "16"}
        sound: Any = film.add_stream("aac", rate=SOUND_RATE, layout="stereo")
        for picture in pictures:
            film.mux(video.encode(av.VideoFrame.from_image(picture)))
        film.mux(video.encode())
        for packet in _encoded(sound, recording, rate):
            film.mux(packet)
    return content.getvalue()


def _encoded(stream: Any, recording: NDArray[np.float32], rate: int) -> Any:
    """Packets of the first two channels, at `SOUND_RATE`."""
    import av

    both = np.repeat(recording, 2, axis=0) if len(recording) == 1 else recording[:2]
    samples = np.ascontiguousarray(np.clip(resample(both, rate, SOUND_RATE), -1, 1), np.float32)
    for start in range(0, samples.shape[1], 1024):
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[:, start : start + 1024]), "fltp", "stereo")
        frame.rate, frame.pts = SOUND_RATE, start
        yield from stream.encode(frame)
    yield from stream.encode()


def _even(image: Any) -> Image.Image:
    """Large enough to be played sharp, with even sides as H.264 wants them."""
    factor = max(1, -(-LEAST // min(image.size)))
    width, height = (side * factor // 2 * 2 for side in image.size)
    return image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
