"""Write the sources of a long recording while it is heard in windows, so that memory does not grow with its length.

Neighbouring windows overlap, and a source is cross-faded between them; it is silent in windows that do not find it.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import soundfile

from audiotoken.errors import OptionError
from audiotoken.writing import cannot_write
from spatial.scene import Scene


class LongStems:
    """Temporary files in `folder` that become source1.wav, ... at the end; see `spatial.windows.OnWindow`."""

    def __init__(self, folder: Path, rate: int, overlap: float):
        self.folder, self.rate, self.overlap = folder, rate, round(overlap * rate)
        self.files: list[soundfile.SoundFile] = []
        self.tails: list[np.ndarray] = []  # (frames, channels) to be cross-faded with the next window
        self.written: list[int] = []  # frames in each file

    def add(self, start: float, scene: Scene, order: Sequence[int], more: bool) -> None:
        """Add the sources of a window; `order[i]` is the number of its i-th source in the whole recording."""
        first = round(start * self.rate)
        for number, source in zip(order, scene.sources, strict=True):
            sound = (source.signal[None] if source.image is None else source.image).T.astype(np.float32)
            self._open(number, sound.shape[1])
            self._fill(number, first)
            sound = self._fade_ends(sound, bool(first), more)
            tail = self.tails[number]
            sound[: len(tail)] += tail
            keep = len(sound) - self.overlap if more else len(sound)
            self._write(number, sound[:keep])
            self.tails[number] = sound[keep:]

    def finish(self, order: Sequence[int], frames: int) -> list[Path]:
        """Fill all files up to `frames` and give them their final names -> the paths.

        `order[i]` is the number, so far, of what becomes source i + 1.
        """
        paths = []
        for place, number in enumerate(order, 1):
            self._fill(number, frames)
            paths.append(self.folder / f"source{place}.wav")
            with self._disk_errors():
                self.files[number].close()
                self._temporary(number).replace(paths[-1])
        return paths

    def clear(self) -> None:
        """Close all files and remove those that are still temporary."""
        for number, file in enumerate(self.files):
            with suppress(OSError, soundfile.LibsndfileError):
                file.close()
            self._temporary(number).unlink(missing_ok=True)

    def _temporary(self, number: int) -> Path:
        return self.folder / f".source-{number}.{os.getpid()}.wav"

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        """Turn errors of a full disk into an OptionError; libsndfile raises a system error or writes fewer frames."""
        try:
            yield
        except OSError as error:
            raise cannot_write(self.folder, error) from None
        except (soundfile.LibsndfileError, AssertionError):
            raise OptionError(
                f"Cannot write into {self.folder}: the disk is full or gone; choose a folder that you can write to."
            ) from None

    def _open(self, number: int, channels: int) -> None:
        while len(self.files) <= number:
            path = self._temporary(len(self.files))
            with self._disk_errors():
                self.files.append(soundfile.SoundFile(path, "w", self.rate, channels, "PCM_16", format="WAV"))
            self.tails.append(np.zeros((0, channels), np.float32))
            self.written.append(0)

    def _fill(self, number: int, until: int) -> None:
        """Write the tail, then silence, up to frame `until`; write nothing if the file already reaches it."""
        if self.written[number] >= until:
            return
        tail = self.tails[number][: until - self.written[number]]
        self._write(number, tail)
        self.tails[number] = tail[:0]
        while (silence := min(until - self.written[number], self.rate)) > 0:
            self._write(number, np.zeros((silence, tail.shape[1]), np.float32))

    def _write(self, number: int, sound: np.ndarray) -> None:
        with self._disk_errors():
            self.files[number].write(np.clip(sound, -1, 1))
        self.written[number] += len(sound)

    def _fade_ends(self, sound: np.ndarray, before: bool, after: bool) -> np.ndarray:
        ramp = ((np.arange(self.overlap) + 0.5) / max(self.overlap, 1))[:, None].astype(np.float32)
        out = sound.copy()
        if before:
            out[: self.overlap] *= ramp[: len(out)]
        if after:
            out[len(out) - self.overlap :] *= ramp[::-1]
        return out
