"""What is evaluated: clips with their labels, a word to draw each, and perhaps a real picture of each."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiotoken.audio import as_recording, to_mono
from audiotoken.data import read_esc_rows
from audiotoken.errors import OptionError
from audiotoken.manifest import picture_names
from audiotoken.mini.sounds import synthesise
from audiotoken.mini.things import AUDIBLE_WORDS, WORD_OF_ESC10

PICTURES = (".png", ".jpg", ".jpeg", ".webp")
MADE = "made"  # instead of a folder: synthesised sounds of the painted world
MADE_RATE = 22_050
MADE_SEED = 1_500_001  # apart from all that trains or tunes anything


@dataclass(frozen=True, eq=False)
class Example:
    """One clip; `sound` is a file, or a signal (frames,) with its rate."""

    name: str
    sound: Path | tuple[Any, int]
    label: str  # empty where there is none
    word: str  # the label as a prompt says it
    real: Path | None = None

    def signal(self, rate: int) -> Any:
        """Mono (frames,) float32 at `rate`."""
        sound, own = (self.sound, None) if isinstance(self.sound, Path) else self.sound
        return to_mono(as_recording(sound, own, resample_to=rate)[0])


def gather(
    clips: str | os.PathLike,
    n: int | None = None,
    *,
    folds: Sequence[int] | None = None,
    real: str | os.PathLike | None = None,
    words: Mapping[str, str] | None = None,
) -> list[Example]:
    """At most `n` clips, as evenly as the labels allow, in a fixed order.

    `clips` is "made", a folder of ESC (its table gives labels, `folds` chooses), or any folder of sounds, whose
    sub-folders are labels. Pictures in `real` have the names of their clips. `words` says what to draw for a label; by
    default ESC-10's are called as the painted world calls them, all others by their own name.
    """
    found = _made(n) if str(clips) == MADE else _labelled(Path(clips), folds)
    called = WORD_OF_ESC10 if words is None else words
    examples = []
    for name, sound, label in _evenly(found, n):
        picture = None if real is None else picture_of(Path(real), name)
        examples.append(Example(name, sound, label, called.get(label, label.replace("_", " ")), picture))
    if len(examples) < 2:
        raise OptionError(f"Got {len(examples)} clips in {clips}, want 2 or more to compare; give more clips.")
    return examples


def picture_of(folder: Path, name: str) -> Path:
    """The picture of a clip: of the same name and sub-folder, or of its name alone."""
    stems = [folder / Path(name).with_suffix(""), folder / name, folder / Path(name).stem]
    for stem in stems:
        for suffix in PICTURES:
            if (path := stem.with_name(stem.name + suffix)).is_file():
                return path
    raise OptionError(f"There is no picture of {name} in {folder}, want {stems[0].name}.png or .jpg; add it.")


def _made(n: int | None) -> list[tuple[str, Any, str]]:
    """`n` sounds (by default 2 of each), the words taking turns."""
    found = []
    for i in range(n or 2 * len(AUDIBLE_WORDS)):
        word = AUDIBLE_WORDS[i % len(AUDIBLE_WORDS)]
        found.append(
            (f"{word}-{i // len(AUDIBLE_WORDS)}", (synthesise(word, MADE_RATE, 4.0, MADE_SEED + i), MADE_RATE), word)
        )
    return found


def _labelled(folder: Path, folds: Sequence[int] | None) -> list[tuple[str, Any, str]]:
    if not folder.is_dir():
        raise OptionError(f"There is no folder {folder}; give a folder of sounds, or clips={MADE}.")
    if (folder / "metadata.csv").is_file() or (folder / "meta" / "esc50.csv").is_file():
        rows = read_esc_rows(folder, folds)
        return [(path.relative_to(folder).as_posix(), path, label) for path, label, _ in rows]
    if folds is not None:
        raise OptionError(f"Got folds={list(folds)}, but {folder} has no table that knows them; leave it out.")
    names = picture_names(folder)
    return [(name, folder / name, Path(name).parent.name) for name in names]


def _evenly(found: Sequence[tuple[str, Any, str]], n: int | None) -> list[tuple[str, Any, str]]:
    """The first of every label, the second of every label, and so on; then in the order of the labels."""
    turn: dict[str, int] = {}
    keyed = []
    for row in found:
        turn[row[2]] = turn.get(row[2], -1) + 1
        keyed.append((turn[row[2]], row))
    chosen = [row for _, row in sorted(keyed, key=lambda each: each[0])][:n]
    return sorted(chosen, key=lambda row: (row[2], row[0]))
