"""A stereo recording -> who is where and what it is, and the files that a user may want of it.

Conventions: those of `spatial.scene`: degrees, positive to the right; seconds; dB of full scale.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from experiments.generate import OptionError, check_output, no_place, write_bytes, write_image
from spatial.scene import Direction, Scene, Source, SpatialError

COLUMNS = 1200  # of the waveform that is kept for a plot
LONG = 30.0  # seconds: longer is heard in windows
SILENT = 1e-4  # of full scale, as in `audiotoken.audio`
DEAD = 1e-3  # of the louder channel, 60 dB below it
MOST = 16  # sources: two channels cannot tell more apart
PICTURES = (".png", ".jpg", ".jpeg", ".webp")
STDOUT = Path("-")


@dataclass(frozen=True)
class Label:
    """What a source sounds like."""

    name: str
    score: float  # 0..1, calibrated
    sure: bool  # False: none of the sounds the encoder knows; `name` is the nearest

    def __str__(self) -> str:
        return f"{self.name} {self.score:.2f}" if self.sure else f"not sure (nearest: {self.name})"


@dataclass(frozen=True, eq=False)
class Listening:
    """A scene with its labels, and the outline of the recording."""

    file: str
    seconds: float
    scene: Scene
    labels: tuple[Label | None, ...]  # of the scene's sources; None: nobody was asked
    outline: np.ndarray  # (channels, columns, 2): lowest and highest sample of each column


def listen_to(
    clip: str | os.PathLike,
    *,
    setup: str = "auto",
    spacing: float | None = None,
    max_sources: int = 4,
    count: int | None = None,
    labels: bool = True,
    model: str = "mini",
    on_progress: Callable[[float, int], None] | None = None,
) -> Listening:
    """Everything that `audiotoken listen` tells; AudioError or OptionError for what cannot be listened to.

    A file longer than `LONG` is read and heard in windows, in bounded memory; `on_progress(seconds done, of)`.
    """
    _check(setup, spacing, max_sources=max_sources, count=count)
    options = {"setup": setup, "spacing": spacing, "max_sources": max_sources, "count": count}
    tell = on_progress or (lambda done, total: None)
    try:
        seconds, scene, shape = _heard(Path(clip), options, tell)
    except SpatialError as error:
        raise OptionError(str(error)) from None
    scene = _said(scene, shape)
    known = name_sources(scene, model) if labels else (None,) * len(scene.sources)
    return Listening(str(clip), seconds, scene, known, shape)


def _heard(clip: Path, options: dict[str, Any], tell: Callable[[float, int], None]) -> tuple[float, Scene, np.ndarray]:
    """Seconds, scene and outline of a file of any length."""
    from audiotoken.audio import load_audio
    from audiotoken.audio_file import length_of

    length = length_of(clip)
    if length and length[0] > LONG * length[1]:
        return _heard_in_windows(clip, *length, options, tell)
    recording, rate = load_audio(clip)
    if len(recording) == 1:
        scene = _mono(recording[0], rate)
    elif recording.shape[1] <= LONG * rate:
        from spatial.listen import listen

        scene = listen(recording, rate, **options, progress=lambda share: tell(round(100 * share), 100))
    else:  # of a video
        from spatial.windows import listen_long

        scene = listen_long([recording], rate, **options)
    return recording.shape[1] / rate, scene, outline(recording)


def _heard_in_windows(
    clip: Path, frames: int, rate: int, options: dict[str, Any], tell: Callable[[float, int], None]
) -> tuple[float, Scene, np.ndarray]:
    from audiotoken.audio_file import AudioError, blocks_of
    from spatial.windows import listen_long

    shape: list[np.ndarray] = []

    def blocks() -> Iterator[np.ndarray]:
        done = 0
        for block in blocks_of(clip, -(-frames // COLUMNS)):
            shape.append(np.stack([block.min(axis=1), block.max(axis=1)], axis=-1))
            done += block.shape[1]
            tell(round(done / rate), round(frames / rate))
            yield block

    try:
        scene = listen_long(blocks(), rate, **options)
    except AudioError as error:
        raise AudioError(f"Cannot hear {clip}: {error}") from None
    if np.abs(shape).max() < SILENT:
        raise AudioError(f"Cannot hear {clip}: it is silent (never above {SILENT:g}); record it louder.")
    return frames / rate, scene, np.stack(shape, axis=1)


def _mono(signal: np.ndarray, rate: int) -> Scene:
    """One source ahead: a single channel says nothing of directions."""
    level = 10 * np.log10(max(float(np.mean(np.square(signal))), 1e-20))
    note = "There is only one channel, so nothing can be said of directions."
    return Scene((Source(signal, Direction(0.0), level),), rate, "mono", notes=(note,))


def _said(scene: Scene, shape: np.ndarray) -> Scene:
    """With a note on a channel that is dead, unless there is one already."""
    loud = np.abs(shape).max(axis=(1, 2), initial=0)
    if len(loud) != 2 or loud.min() > DEAD * loud.max() or any("silent" in note for note in scene.notes):
        return scene
    side = "left" if loud[0] < loud[1] else "right"
    note = f"The {side} channel is silent, so that all seems to come from the other side; check the cable."
    return replace(scene, notes=(*scene.notes, note))


def _check(setup: str, spacing: float | None, **numbers: int | None) -> None:
    from spatial.setups import NAMES

    if setup not in ("auto", *NAMES):
        raise OptionError(f"Got setup={setup}, want auto or one of {', '.join(NAMES)}; change it.")
    if spacing is not None and setup == "auto":
        raise OptionError(f"Got spacing={spacing:g} alone, but --spacing goes with --setup spaced; say both.")
    for name, value in numbers.items():
        if value is not None and not 1 <= value <= MOST:
            raise OptionError(f"Got {name}={value}, want a whole number from 1 to {MOST}; change it.")


def name_sources(scene: Scene, model: str = "mini") -> tuple[Label | None, ...]:
    """What each source of a scene sounds like to the audio encoder of a model; None where it names no sounds."""
    from experiments.naming import namer

    name = namer(model)
    return tuple(name(source.signal, scene.rate) for source in scene.sources)


def outline(recording: np.ndarray, columns: int = COLUMNS) -> np.ndarray:
    """(channels, frames) -> (channels, columns, 2), lowest and highest sample."""
    edges = np.linspace(0, recording.shape[1], min(columns, recording.shape[1]) + 1).astype(int)[:-1]
    ends = [np.minimum.reduceat(recording, edges, axis=1), np.maximum.reduceat(recording, edges, axis=1)]
    return np.stack(ends, axis=-1)


@dataclass(frozen=True)
class Places:
    """Where the results go; None: nowhere."""

    plot: Path | None = None
    json: Path | None = None  # STDOUT: printed instead of the table
    stems: Path | None = None  # a folder

    def check(self) -> None:
        """Before the long work: OptionError unless each can be written."""
        if self.plot is not None:
            check_output(self.plot)
        if self.json not in (None, STDOUT):
            _check_json(Path(str(self.json)))
        if self.stems is not None:
            check_folder(self.stems)

    def write(self, heard: Listening) -> str:
        """Each file whole or not at all -> what is printed."""
        from experiments.listening_text import as_json, say_listening

        written: list[Path] = [] if self.stems is None else write_stems(heard, self.stems)
        if self.json not in (None, STDOUT):
            write_bytes(as_json(heard).encode(), Path(str(self.json)))
            written.append(Path(str(self.json)))
        if self.plot is not None:
            from experiments.plots import draw_listening

            write_image(draw_listening(heard), self.plot)
            written.append(self.plot)
        if self.json == STDOUT:
            return as_json(heard).rstrip()
        return "\n".join([say_listening(heard), *(f"wrote  {path}" for path in written)])


def write_stems(heard: Listening, folder: Path) -> list[Path]:
    """A WAV of each source into `folder`: as it stands in the recording, or its signal where that is not known."""
    from io import BytesIO

    import soundfile

    written = []
    for number, source in enumerate(heard.scene.sources, 1):
        sound = source.signal if source.image is None else source.image.T
        file = BytesIO()
        soundfile.write(file, sound, heard.scene.rate, format="WAV", subtype="FLOAT")
        path = folder / f"source{number}.wav"
        write_bytes(file.getvalue(), path)
        written.append(path)
    return written


def check_folder(folder: Path) -> None:
    """Make it and see that files can be made in it; OptionError otherwise."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise no_place(folder, error) from None
    check_output(folder / "source1.png")


def _check_json(path: Path) -> None:
    if path.suffix.lower() != ".json":
        raise OptionError(f"Cannot write {path}: got the suffix {path.suffix!r}, want .json or - alone; rename it.")
    if path.is_dir():
        raise OptionError(f"Cannot write {path}: it is a folder; give a file name such as {path / 'out.json'}.")
    check_output(path.with_suffix(".png"))
