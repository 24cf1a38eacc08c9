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
from audiotoken.encoders import AudioTextEncoder
from audiotoken.encoders.load_words import load_word_listener
from audiotoken.errors import AudioError, OptionError
from audiotoken.stereo.labelled_scene import COLUMNS, HeardWord, Label, Listening, compute_outline
from audiotoken.stereo.long_words import LongWords
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
    word_encoder: str = "mini",
    stems: Path | None = None,
    on_progress: Callable[[float, int], None] | None = None,
) -> Listening:
    """Find the sources of `clip` and, with `labels`, classify them; the other options are those of `spatial.listen`.

    With `words` the encoder `word_encoder` listens for each of them; a source that is one of them gets it as its label.

    A file longer than `LONG` is read and heard in windows, in bounded memory; its sources are written into the folder
    `stems` meanwhile. `on_progress(done, total)`. Raises AudioError, SpatialError or OptionError.
    """
    _check_options(setup, spacing, max_sources=max_sources, count=count)
    listener = load_word_listener(word_encoder, words) if words else None
    options = ListenOptions(setup=setup, spacing=spacing, max_sources=max_sources, count=count)
    report_progress = on_progress or (lambda done, total: None)
    found = _find_sources(Path(clip), options, listener, stems, report_progress)
    named = classify_sources(found.scene, model) if labels else found.labels
    return replace(found, labels=_prefer_words(named, found.words))


def _prefer_words(labels: Sequence[Label | None], words: Sequence[HeardWord]) -> tuple[Label | None, ...]:
    """The labels, and instead of them the words that sources are; of several words of one, the best."""
    ranked = sorted((word for word in words if word.heard), key=lambda word: word.score)
    of_source = {word.source: Label(word.word, word.score, sure=True) for word in ranked}
    return tuple(of_source.get(number, label) for number, label in enumerate(labels))


OnProgress = Callable[[float, int], None]  # (done, total)


def _find_sources(
    clip: Path,
    options: ListenOptions,
    listener: AudioTextEncoder | None,
    stems: Path | None,
    report_progress: OnProgress,
) -> Listening:
    """The sources of a file of any length, without labels; stems are written of a long one only."""
    length = read_length(clip)
    if length and length[0] > LONG * length[1]:
        mix = find_stereo(_read_start(clip, round(LONG * length[1])))
        pieces: Iterator[np.ndarray] = map(mix.apply, read_blocks(clip, -(-length[0] // COLUMNS)))
        notes = [mix.note] if mix.note else []
        options = _with_setup(options, mix)
        found = _find_in_windows(clip, pieces, *length, options, listener, stems, report_progress)
        return _add_notes(notes, found)
    recording, rate, notes = load_beginning(clip, MAX_SECONDS)
    mix, frames = find_stereo(recording), recording.shape[1]
    recording, options = mix.apply(recording), _with_setup(options, mix)
    notes += [mix.note] if mix.note else []
    if frames > LONG * rate:  # the sound of a video
        pieces = iter(np.array_split(recording, COLUMNS, axis=1))
        found = _find_in_windows(clip, pieces, frames, rate, options, listener, stems, report_progress)
        return _add_notes(notes, found)
    scene = listen(recording, rate, **options, progress=lambda share: report_progress(round(100 * share), 100))
    words = listen_for_words(scene, listener) if listener else ()
    labels = (None,) * len(scene.sources)
    return _add_notes(notes, Listening(str(clip), frames / rate, scene, labels, compute_outline(recording), words))


def _read_start(clip: Path, frames: int) -> np.ndarray:
    try:
        return next(read_blocks(clip, frames))
    except AudioError as error:
        raise AudioError(f"Cannot read {clip}: {error}") from None


def _with_setup(options: ListenOptions, mix: StereoMix) -> ListenOptions:
    """The options with the setup that two channels were made by, unless another one was asked for."""
    return ListenOptions(**(options | {"setup": mix.setup})) if mix.setup and options["setup"] == "auto" else options


def _add_notes(notes: Sequence[str], found: Listening) -> Listening:
    return replace(found, scene=replace(found.scene, notes=(*notes, *found.scene.notes)))


def _find_in_windows(
    clip: Path,
    pieces: Iterator[np.ndarray],
    frames: int,
    rate: int,
    options: ListenOptions,
    listener: AudioTextEncoder | None,
    stems: Path | None,
    report_progress: OnProgress,
) -> Listening:
    outline: list[np.ndarray] = []
    ranks: list[int] = []

    def blocks() -> Iterator[np.ndarray]:
        for block in pieces:
            outline.append(np.stack([block.min(axis=1), block.max(axis=1)], axis=-1))
            report_progress(round(len(outline) / COLUMNS * frames / rate), round(frames / rate))
            yield block

    def on_window(start: float, scene: Scene, order: Sequence[int], more: bool) -> None:
        for each in (writer, long_words):
            if each:
                each.add(start, scene, order, more)

    writer = LongStems(stems, rate, OVERLAP) if stems else None
    long_words = LongWords(listener, OVERLAP) if listener else None
    try:
        scene = listen_long(blocks(), rate, **options, on_window=on_window, on_end=ranks.extend)
        if np.abs(outline).max() < SILENCE:
            raise AudioError(f"it is silent (never above {SILENCE:g}); record it louder.")
        files = writer.finish(ranks, frames) if writer else []
    except AudioError as error:
        raise AudioError(f"Cannot read {clip}: {error}") from None
    finally:
        if writer:
            writer.clear()
    words = long_words.finish(ranks, scene) if long_words else ()
    labels = (None,) * len(scene.sources)
    return Listening(str(clip), frames / rate, scene, labels, np.stack(outline, axis=1), words, tuple(files))


def _check_options(setup: str, spacing: float | None, **numbers: int | None) -> None:
    check_setup(setup, spacing)
    for name, value in numbers.items():
        if value is not None and not 1 <= value <= MAX_SOURCES:
            raise OptionError(f"Got {name}={value}, expected a whole number from 1 to {MAX_SOURCES}; change it.")


def classify_sources(scene: Scene, model: str = "mini") -> tuple[Label | None, ...]:
    """The label of each source by the audio encoder of a model; None where the encoder has no labels."""
    return stereo.make_scene_labeller(model)(scene)
