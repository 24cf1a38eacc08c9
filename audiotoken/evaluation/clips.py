"""Clips to evaluate on: each with its label, the word that a prompt uses, and optionally a real picture."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiotoken.audio import as_recording, to_mono
from audiotoken.data import read_esc_rows
from audiotoken.errors import OptionError
from audiotoken.manifest import file_names, find_file
from audiotoken.mini.sounds import synthesise
from audiotoken.mini.things import AUDIBLE_WORDS, SYNTHETIC, SYNTHETIC_NAMES, WORD_OF_ESC10

PICTURES = (".png", ".jpg", ".jpeg", ".webp")
SYNTHETIC_RATE = 22_050  # Hz
SYNTHETIC_SEED = 1_500_001  # not used in any training or tuning


@dataclass(frozen=True, eq=False)
class Example:
    """One clip; `sound` is a file, or a signal (frames,) with its rate."""

    name: str
    sound: Path | tuple[Any, int]
    label: str  # empty if there is none
    word: str  # of the label in a prompt
    real: Path | None = None

    def load_signal(self, rate: int) -> Any:
        """Mono (frames,) float32 at `rate` Hz."""
        sound, own = (self.sound, None) if isinstance(self.sound, Path) else self.sound
        return to_mono(as_recording(sound, own, resample_to=rate)[0])


def collect_examples(
    clips: str | os.PathLike,
    n: int | None = None,
    *,
    folds: Sequence[int] | None = None,
    real: str | os.PathLike | None = None,
    words: Mapping[str, str] | None = None,
) -> list[Example]:
    """At most `n` clips, distributed evenly over the labels, in a fixed order.

    clips: "synthetic", a folder of ESC (its table gives the labels, `folds` selects), or any folder of sounds with
        a sub-folder for each label.
    real: a folder of real pictures, named like their clips.
    words: the word to draw for each label; by default the painted world's words for ESC-10, else the label itself.
    """
    rows = _synthesise_clips(n) if str(clips) in SYNTHETIC_NAMES else _list_folder(Path(clips), folds)
    called = WORD_OF_ESC10 if words is None else words
    examples = []
    for name, sound, label in select_evenly(rows, n):
        picture = None if real is None else find_picture(Path(real), name)
        examples.append(Example(name, sound, label, called.get(label, label.replace("_", " ")), picture))
    if len(examples) < 2:
        raise OptionError(f"Got {len(examples)} clips in {clips}, expected at least 2; add clips.")
    return examples


def find_picture(folder: Path, name: str) -> Path:
    """The picture with the name and sub-folder of a clip, or with its name alone."""
    stems = [folder / Path(name).with_suffix(""), folder / name, folder / Path(name).stem]
    for stem in stems:
        if (path := find_file(stem, PICTURES)) is not None:
            return path
    raise OptionError(f"There is no picture of {name} in {folder}; add {stems[0].name}.png or .jpg.")


def _synthesise_clips(n: int | None) -> list[tuple[str, Any, str]]:
    """`n` sounds, by default 2 of each word, cycling through the words."""
    rows = []
    for i in range(n or 2 * len(AUDIBLE_WORDS)):
        word = AUDIBLE_WORDS[i % len(AUDIBLE_WORDS)]
        signal = synthesise(word, SYNTHETIC_RATE, 4.0, SYNTHETIC_SEED + i)
        rows.append((f"{word}-{i // len(AUDIBLE_WORDS)}", (signal, SYNTHETIC_RATE), word))
    return rows


def _list_folder(folder: Path, folds: Sequence[int] | None) -> list[tuple[str, Any, str]]:
    if not folder.is_dir():
        raise OptionError(f"There is no folder {folder}; pass a folder of sounds, or clips={SYNTHETIC}.")
    if (folder / "metadata.csv").is_file() or (folder / "meta" / "esc50.csv").is_file():
        rows = read_esc_rows(folder, folds)
        return [(path.relative_to(folder).as_posix(), path, label) for path, label, _ in rows]
    if folds is not None:
        raise OptionError(f"Got folds={list(folds)}, but {folder} has no table with folds; leave them out.")
    names = file_names(folder)
    return [(name, folder / name, Path(name).parent.name) for name in names]


def select_evenly(rows: Sequence[tuple[str, Any, str]], n: int | None) -> list[tuple[str, Any, str]]:
    """Take the first clip of every label, then the second of every label, and so on; sort them by label."""
    turn: dict[str, int] = {}
    keyed = []
    for row in rows:
        turn[row[2]] = turn.get(row[2], -1) + 1
        keyed.append((turn[row[2]], row))
    chosen = [row for _, row in sorted(keyed, key=lambda each: each[0])][:n]
    return sorted(chosen, key=lambda row: (row[2], row[0]))
