"""Sound source localisation: a stereo file -> the sources, their directions and labels.

Conventions: those of `spatial.scene`: degrees, positive to the right; seconds; dB of full scale.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audiotoken import encoders, stereo
from audiotoken.audio import MAX_SECONDS, SILENCE
from audiotoken.audio_file import read_blocks, read_length
from audiotoken.channels import StereoMix, find_stereo
from audiotoken.data.shard_clips import Member, read_beginning
from audiotoken.errors import AudioError
from audiotoken.stereo.labelled_scene import COLUMNS, HeardWord, Label, Listening, compute_outline
from audiotoken.tasks.checks import check_setup
from audiotoken.tasks.long_stems import LongStems
from spatial.listening import ListenOptions, listen
from spatial.scene import Scene, check_source_count
from spatial.setups import make_setup
from spatial.windows import LONG, OVERLAP, listen_long

if TYPE_CHECKING:  # needs torch, which a command without names and words does not wait for
    from audiotoken.encoders import AudioTextEncoder

OnProgress = Callable[[float, int], None]  # (done, total)


@dataclass(frozen=True)
class Listener:
    """How clips are listened to. The encoders are loaded when the first clip needs them, and only once.

    setup, spacing, max_sources, count: as in `spatial.listen`. labels: classify the sources, by the audio encoder of
    `model`. words: the encoder `word_encoder` listens for each of them; a source that is one of them gets it as its
    label. Raises SpatialError or OptionError.
    """

    setup: str = "auto"
    spacing: float | None = None  # metres
    max_sources: int = 4
    count: int | None = None
    labels: bool = True
    model: str = "mini"
    words: Sequence[str] = ()
    word_encoder: str = "mini"

    def __post_init__(self) -> None:
        check_setup(self.setup, self.spacing)
        if self.setup != "auto":
            make_setup(self.setup, spacing=self.spacing)
        check_source_count(self.max_sources, self.count)

    @cached_property
    def label_scene(self) -> Callable[[Scene], tuple[Label | None, ...]]:
        return stereo.make_scene_labeller(self.model)

    @cached_property
    def word_listener(self) -> "AudioTextEncoder | None":
        return encoders.load_word_listener(self.word_encoder, self.words) if self.words else None

    def listen(
        self, clip: str | os.PathLike | Member, stems: Path | None = None, on_progress: OnProgress | None = None
    ) -> Listening:
        """Find the sources of a file, or of a member of a shard, and classify them.

        A file longer than `LONG` is read and heard in windows, in bounded memory; its sources are written into the
        folder `stems` meanwhile. Raises AudioError, CheckpointError, SpatialError or OptionError.
        """
        report_progress = on_progress or (lambda done, total: None)
        options = ListenOptions(setup=self.setup, spacing=self.spacing, max_sources=self.max_sources, count=self.count)
        found = _find_sources(clip, options, self.word_listener, stems, report_progress)
        labels = self.label_scene(found.scene) if self.labels else found.labels
        return replace(found, labels=_prefer_words(labels, found.words))


def listen_to(
    clip: str | os.PathLike, *, stems: Path | None = None, on_progress: OnProgress | None = None, **options: Any
) -> Listening:
    """`Listener.listen` for one clip; options: the fields of `Listener`."""
    return Listener(**options).listen(clip, stems, on_progress)


def _prefer_words(labels: Sequence[Label | None], words: Sequence[HeardWord]) -> tuple[Label | None, ...]:
    """The labels, and instead of them the words that sources are; of several words of one, the best."""
    ranked = sorted((word for word in words if word.heard), key=lambda word: word.score)
    of_source = {word.source: Label(word.word, word.score, sure=True) for word in ranked}
    return tuple(of_source.get(number, label) for number, label in enumerate(labels))


def _find_sources(
    clip: str | os.PathLike | Member,
    options: ListenOptions,
    listener: "AudioTextEncoder | None",
    stems: Path | None,
    report_progress: OnProgress,
) -> Listening:
    """The sources of a clip of any length, without labels; stems are written of a long one only."""
    length = None if isinstance(clip, Member) else read_length(Path(clip))
    if not isinstance(clip, Member) and length and length[0] > LONG * length[1]:
        path = Path(clip)
        mix = find_stereo(_read_start(path, round(LONG * length[1])))
        pieces: Iterator[np.ndarray] = map(mix.apply, read_blocks(path, -(-length[0] // COLUMNS)))
        notes = [mix.note] if mix.note else []
        options = _with_setup(options, mix)
        found = _find_in_windows(str(clip), pieces, *length, options, listener, stems, report_progress)
        return _add_notes(notes, found)
    recording, rate, notes = read_beginning(clip, MAX_SECONDS)
    mix, frames = find_stereo(recording), recording.shape[1]
    recording, options = mix.apply(recording), _with_setup(options, mix)
    notes += [mix.note] if mix.note else []
    if frames > LONG * rate:  # the sound of a video, or of a shard
        pieces = iter(np.array_split(recording, COLUMNS, axis=1))
        found = _find_in_windows(str(clip), pieces, frames, rate, options, listener, stems, report_progress)
        return _add_notes(notes, found)
    scene = listen(recording, rate, **options, progress=lambda share: report_progress(round(100 * share), 100))
    words = stereo.listen_for_words(scene, listener) if listener else ()
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
    clip: str,
    pieces: Iterator[np.ndarray],
    frames: int,
    rate: int,
    options: ListenOptions,
    listener: "AudioTextEncoder | None",
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
    long_words = stereo.LongWords(listener, OVERLAP) if listener else None
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
    return Listening(clip, frames / rate, scene, labels, np.stack(outline, axis=1), words, tuple(files))
