"""Sound source localisation: a stereo file -> the sources, their directions and labels.

Conventions: those of `spatial.scene`: degrees, positive to the right; seconds; dB of full scale.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from audiotoken import stereo
from audiotoken.audio import MAX_SECONDS, load_beginning
from audiotoken.audio_file import read_blocks, read_length
from audiotoken.channels import StereoMix, find_stereo
from audiotoken.encoders.load_words import load_word_listener
from audiotoken.errors import AudioError, OptionError
from audiotoken.stereo.labelled_scene import COLUMNS, HeardWord, Label, Listening, compute_outline
from audiotoken.stereo.word_listening import listen_for_words
from audiotoken.tasks.checks import check_setup
from audiotoken.tasks.long_stems import LongStems
from spatial.listening import ListenOptions, listen
from spatial.scene import MAX_SOURCES, Scene
from spatial.windows import LONG, OVERLAP, listen_long

SILENCE = 1e-4  # of full scale, as in `audiotoken.audio`


def listen_to(
    clip: str | os.PathLike,
    *,
    setup: str = "auto",
    spacing: float | None = None,
    max_sources: int = 4,
    count: int | None = None,
    labels: bool = True,
    model: str = "mini",
    words: Sequence[str] = (),
    ears: str = "mini",
    stems: Path | None = None,
    on_progress: Callable[[float, int], None] | None = None,
) -> Listening:
    """Find the sources of `clip` and, with `labels`, classify them; the other options are those of `spatial.listen`.

    With `words` the encoder `ears` listens for each of them, and a source that is one of them gets it as its label.

    A file longer than `LONG` is read and heard in windows, in bounded memory; its sources are written into the folder
    `stems` meanwhile. `on_progress(done, total)`. Raises AudioError, SpatialError or OptionError.
    """
    _check_options(setup, spacing, max_sources=max_sources, count=count)
    listener = load_word_listener(ears, words) if words else None
    options = ListenOptions(setup=setup, spacing=spacing, max_sources=max_sources, count=count)
    report_progress = on_progress or (lambda done, total: None)
    seconds, scene, shape, files = _find_sources(Path(clip), options, stems, report_progress)
    named = classify_sources(scene, model) if labels else (None,) * len(scene.sources)
    heard = listen_for_words(scene, listener) if listener else ()
    return Listening(str(clip), seconds, scene, _prefer_words(named, heard), shape, heard, files)


def _prefer_words(labels: Sequence[Label | None], heard: Sequence[HeardWord]) -> tuple[Label | None, ...]:
    of_source = {each.source: Label(each.word, each.score, sure=True) for each in heard if each.heard}
    return tuple(of_source.get(number, label) for number, label in enumerate(labels))


Estimate = tuple[float, Scene, np.ndarray, tuple[Path, ...]]  # seconds, scene, outline, stems already written
OnProgress = Callable[[float, int], None]  # (done, total)


def _find_sources(clip: Path, options: ListenOptions, stems: Path | None, report_progress: OnProgress) -> Estimate:
    """The sources of a file of any length."""
    length = read_length(clip)
    if length and length[0] > LONG * length[1]:
        mix = find_stereo(_read_start(clip, round(LONG * length[1])))
        pieces: Iterator[np.ndarray] = map(mix.apply, read_blocks(clip, -(-length[0] // COLUMNS)))
        notes = [mix.note] if mix.note else []
        options = _with_setup(options, mix)
        return _add_notes(notes, _find_in_windows(clip, pieces, *length, options, stems, report_progress))
    recording, rate, notes = load_beginning(clip, MAX_SECONDS)
    mix, frames = find_stereo(recording), recording.shape[1]
    recording, options = mix.apply(recording), _with_setup(options, mix)
    notes += [mix.note] if mix.note else []
    if frames > LONG * rate:  # the sound of a video
        pieces = iter(np.array_split(recording, COLUMNS, axis=1))
        return _add_notes(notes, _find_in_windows(clip, pieces, frames, rate, options, stems, report_progress))
    scene = listen(recording, rate, **options, progress=lambda share: report_progress(round(100 * share), 100))
    return _add_notes(notes, (frames / rate, scene, compute_outline(recording), ()))


def _read_start(clip: Path, frames: int) -> np.ndarray:
    try:
        return next(read_blocks(clip, frames))
    except AudioError as error:
        raise AudioError(f"Cannot read {clip}: {error}") from None


def _with_setup(options: ListenOptions, mix: StereoMix) -> ListenOptions:
    """The options with the setup that two channels were made by, unless another one was asked for."""
    return ListenOptions(**(options | {"setup": mix.setup})) if mix.setup and options["setup"] == "auto" else options


def _add_notes(notes: Sequence[str], found: Estimate) -> Estimate:
    seconds, scene, shape, files = found
    return seconds, replace(scene, notes=(*notes, *scene.notes)), shape, files


def _find_in_windows(
    clip: Path,
    pieces: Iterator[np.ndarray],
    frames: int,
    rate: int,
    options: ListenOptions,
    stems: Path | None,
    report_progress: OnProgress,
) -> Estimate:
    shape: list[np.ndarray] = []
    ranks: list[int] = []

    def blocks() -> Iterator[np.ndarray]:
        for block in pieces:
            shape.append(np.stack([block.min(axis=1), block.max(axis=1)], axis=-1))
            report_progress(round(len(shape) / COLUMNS * frames / rate), round(frames / rate))
            yield block

    writer = LongStems(stems, rate, OVERLAP) if stems else None
    try:
        scene = listen_long(blocks(), rate, **options, on_window=writer.add if writer else None, on_end=ranks.extend)
        if np.abs(shape).max() < SILENCE:
            raise AudioError(f"it is silent (never above {SILENCE:g}); record it louder.")
        files = writer.finish(ranks, frames) if writer else []
    except AudioError as error:
        raise AudioError(f"Cannot read {clip}: {error}") from None
    finally:
        if writer:
            writer.clear()
    return frames / rate, scene, np.stack(shape, axis=1), tuple(files)


def _check_options(setup: str, spacing: float | None, **numbers: int | None) -> None:
    check_setup(setup, spacing)
    for name, value in numbers.items():
        if value is not None and not 1 <= value <= MAX_SOURCES:
            raise OptionError(f"Got {name}={value}, expected a whole number from 1 to {MAX_SOURCES}; change it.")


def classify_sources(scene: Scene, model: str = "mini") -> tuple[Label | None, ...]:
    """The label of each source by the audio encoder of a model; None where the encoder has no labels."""
    return stereo.make_scene_labeller(model)(scene)
