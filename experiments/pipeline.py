"""The road from a recording to a picture, read aloud."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from numpy.typing import NDArray
from PIL.Image import Image

from audiotoken.audio import as_recording
from audiotoken.pipeline import AudioTokenPipeline
from audiotoken.prompt import TEMPLATE, Prompt


@dataclass(frozen=True, eq=False)
class Result:
    """Everything a reader of one run will ask for."""

    recording: NDArray  # (channels, frames) float32 in [-1, 1]
    rate: int  # Hz
    heard: list[tuple[str, float]]  # (label, score in [0, 1]), best first
    prompt: Prompt
    images: list[Image]  # picture i was drawn with seed + i
    seed: int
    seconds: dict[str, float]  # per stage
    subject: str | None = None  # the word that was drawn for the sound, with token="label"


def sound_to_image(
    recording: NDArray,
    rate: int,
    parts: AudioTokenPipeline,
    *,
    prompt: str | None = None,
    seed: int = 0,
    token: str | None = None,
    **sampling: Any,
) -> Result:
    """Hear a recording, (frames,) or (channels, frames) at `rate` Hz, and draw it; `sampling` as in `parts(...)`.

    `token` is what stands for the sound: "learned", "label", or None for the model's own, see `parts.sounds`.
    """
    seconds: dict[str, float] = {}
    recording, rate = as_recording(recording, rate)
    with _stage("listen", seconds):
        heard = parts.hear(recording, rate)
    with _stage("embed", seconds):
        sounds = parts.sounds(recording, rate, token)  # (1, vectors, token_width), or a word
    with _stage("prompt", seconds):
        (words,) = parts.read(prompt or TEMPLATE, sounds)
    with _stage("sample", seconds):
        images = parts(prompt=words, seed=seed, **sampling).images
    subject = sounds[0] if isinstance(sounds[0], str) else None
    return Result(recording, rate, heard, words, images, seed, seconds, subject)


@contextmanager
def _stage(name: str, seconds: dict[str, float]) -> Iterator[None]:
    start = perf_counter()
    yield
    seconds[name] = perf_counter() - start
