"""Folders and data sets -> examples: a picture and the recording that goes with it, unchanged.

Conventions: a *source* is anything with the members of the protocol `Source`; its order, keys and pairs are the same
each time it is opened. A recording is (channels, frames) float32 in [-1, 1], all channels kept; a picture is RGB,
upright, of any size. Reading a
broken file raises a `DataError` or `AudioError` of one sentence that names it.
"""

import csv
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from audiotoken.audio import load_audio
from audiotoken.data.image_file import as_rgb, check_size, read_image
from audiotoken.errors import DataError
from audiotoken.manifest import match_names, normalise

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

__all__ = ["DataError", "EscFolder", "Example", "PairFolder", "Source", "fit_image", "fit_signal", "read_esc_rows"]

SOUNDS = (".wav", ".flac", ".ogg", ".mp3")
PICTURES = (".jpg", ".jpeg", ".png", ".webp")
ESC10 = (
    *("chainsaw", "clock_tick", "crackling_fire", "crying_baby", "dog"),
    *("helicopter", "rain", "rooster", "sea_waves", "sneezing"),
)


@dataclass(frozen=True, eq=False)
class Example:
    """A picture and the recording that goes with it."""

    key: str  # unique in its source, safe as a file name
    label: str  # name of the class, "" if unknown
    recording: NDArray[np.float32]  # (channels, frames)
    rate: int  # Hz
    image: "Image"  # RGB


class Source(Protocol):
    """A data set that training and `prepare` read; safe to read from several threads."""

    def __len__(self) -> int: ...

    def key(self, i: int) -> str:
        """Unique in the source, safe as a file name."""

    def label(self, i: int) -> str:
        """Name of the class, "" if unknown; nothing is decoded for it."""

    def __getitem__(self, i: int) -> Example:
        """Raises DataError or AudioError, a sentence that names the file, when it is broken."""


def fit_image(image: "Image", size: int, rng: np.random.Generator | None = None) -> "Tensor":
    """Any picture -> (3, size, size) float32 in [-1, 1]: the largest square of it, resized with Lanczos' filter.

    The square is the middle one, or anywhere along the longer side with `rng`; pictures are never stretched.
    """
    import torch
    from PIL.Image import Resampling

    check_size(*image.size)
    image = as_rgb(image)
    side, spare = min(image.size), max(image.size) - min(image.size)
    offset = spare / 2 if rng is None else float(rng.uniform(0, spare))
    left, top = (offset, 0.0) if image.width > image.height else (0.0, offset)
    square = image.resize((size, size), Resampling.LANCZOS, box=(left, top, left + side, top + side))
    pixels = torch.from_numpy(np.array(square, np.float32))  # (size, size, 3)
    return pixels.permute(2, 0, 1).contiguous() / 127.5 - 1


def fit_signal(signal: NDArray[np.float32], frames: int, rng: np.random.Generator | None = None) -> NDArray[np.float32]:
    """(any number,) -> (frames,): the middle of a long one, or any stretch with `rng`; a short one is repeated."""
    if signal.ndim != 1 or not len(signal):
        raise DataError(f"Got a signal {signal.shape}, expected (frames,), not empty; mix it down to one channel.")
    if len(signal) < frames:
        return np.tile(signal, -(-frames // len(signal)))[:frames]
    spare = len(signal) - frames
    start = spare // 2 if rng is None else int(rng.integers(spare + 1))
    return np.ascontiguousarray(signal[start : start + frames])


def make_safe_keys(names: Iterable[str]) -> list[str]:
    """Any names -> as many different ones that every file system accepts: letters, digits, `.`, `-`, `_`.

    Names that were changed, are too long or are taken (ignoring case) get eight hexadecimal digits, a CRC of the name.
    """
    keys: list[str] = []
    taken: set[str] = set()
    for name in names:
        plain = unicodedata.normalize("NFC", name)
        key = re.sub(r"[^\w.-]", "_", plain.replace("/", "--")).strip(".")
        key = key.encode()[:100].decode(errors="ignore")  # bytes: file systems count those
        if not key or key.casefold() in taken or key.replace("--", "/") != plain:
            key += f"-{crc32(name.encode(errors='surrogateescape')):08x}"
        while key.casefold() in taken:
            key += "_"
        taken.add(key.casefold())
        keys.append(key)
    return keys


def read_pair(key: str, label: str, sound: Path, picture: Path) -> Example:
    """Read a sound and its picture; AudioError or DataError for one that cannot be read."""
    recording, rate = load_audio(sound)
    return Example(key, label, recording, rate, read_image(picture))


class PairFolder:
    """A folder of `name.wav` (flac, ogg, mp3) with `name.jpg` (jpeg, png, webp) beside it, in sub-folders as well.

    The label is the name of the folder that holds the pair, "" at the top. Hidden files are skipped. `missing`
    names the files without a partner. DataError for two sounds or two pictures of one name, or no pair.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)
        sounds, pictures = _index_by_stem(self.folder, SOUNDS), _index_by_stem(self.folder, PICTURES)
        pairs = match_names(sounds, pictures)
        names = sorted(pairs)
        unpaired = sorted(
            [
                *(sounds[n] for n in sounds.keys() - names),
                *(each for each in pictures.values() if each not in set(pairs.values())),
            ]
        )
        if not names:
            raise DataError(
                f"Found no pair in {folder}, expected name.wav (flac, ogg, mp3) and name.jpg (png, webp) side by side; "
                f"{len(unpaired)} files have no partner."
            )
        self.missing = tuple(path.relative_to(self.folder).as_posix() for path in unpaired)
        self._pairs = [(sounds[name], pairs[name]) for name in names]
        self._keys = make_safe_keys(names)

    def __len__(self) -> int:
        return len(self._pairs)

    def key(self, i: int) -> str:
        return self._keys[i]

    def label(self, i: int) -> str:
        parent = self._pairs[i][0].parent
        return "" if parent == self.folder else parent.name

    def __getitem__(self, i: int) -> Example:
        return read_pair(self.key(i), self.label(i), *self._pairs[i])


def _index_by_stem(folder: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    """Path below `folder` without its suffix -> the file."""
    files: dict[str, Path] = {}
    for path in list_files(folder, suffixes):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in files:
            raise DataError(f"Got both {files[name]} and {path.name}, expected one of each name; remove one.")
        files[name] = path
    return files


def list_files(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """All files with these suffixes, at any depth, sorted, none of them hidden; DataError when there is no folder."""
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}; check the spelling.")
    files = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += [Path(place, n) for n in names if n.lower().endswith(tuple(suffixes)) and not n.startswith(".")]
    return sorted(files)


class EscFolder:
    """ESC-50 or ESC-10 recordings, paired with pictures from a folder per class.

    audio: the folder that `read_esc_rows` reads. pictures: one sub-folder per class; `clock_tick`, `clock tick` and
    `Clock-Tick` are the same name. ESC has no pictures of its own, so this class pairs them: the pictures of a class
    are shuffled with (seed, name of the class), and clip n of the class in the whole table, in the order of the paths,
    gets picture n, starting over after the last. The choice of folds does not change the pairs.
    """

    def __init__(
        self,
        audio: str | os.PathLike,
        pictures: str | os.PathLike,
        *,
        folds: Iterable[int] | None = None,
        esc10_only: bool = False,
        seed: int = 0,
    ):
        self.audio, wanted = Path(audio), None if folds is None else set(folds)
        rows = sorted(row for row in read_esc_rows(audio) if not esc10_only or row[1] in ESC10)
        self._rows = [row for row in rows if wanted is None or row[2] in wanted]
        if not self._rows:
            raise DataError(
                f"Found no clip of folds {sorted(wanted or ())} in {audio}, expected one or more; change folds."
            )
        picture = _assign_pictures(rows, _list_pictures(Path(pictures), {label for _, label, _ in self._rows}), seed)
        self._pictures = [picture[path] for path, _, _ in self._rows]
        self._keys = make_safe_keys(f"{label}/{path.stem}" for path, label, _ in self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def key(self, i: int) -> str:
        return self._keys[i]

    def label(self, i: int) -> str:
        return self._rows[i][1]

    def __getitem__(self, i: int) -> Example:
        return read_pair(self.key(i), self.label(i), self._rows[i][0], self._pictures[i])


def read_esc_rows(folder: str | os.PathLike, folds: Iterable[int] | None = None) -> list[tuple[Path, str, int]]:
    """(file, class, fold) of the clips of `folds` (all by default), in the order of the table.

    The folder is ESC-50 as published (`meta/esc50.csv` and `audio/`), or holds a `metadata.csv` with the columns path,
    label and fold. Only the table is checked, not the files; DataError names the line that cannot be read.
    """
    folder, wanted = Path(folder), None if folds is None else set(folds)
    tables = {folder / "metadata.csv": ("path", "label"), folder / "meta" / "esc50.csv": ("filename", "category")}
    table = next((path for path in tables if path.is_file()), None)
    if table is None:
        raise DataError(
            f"Found neither metadata.csv nor meta/esc50.csv in {folder}, expected one; give the folder of ESC."
        )
    below = folder if table.parent == folder else folder / "audio"
    rows = []
    for number, row in read_table(table, (*tables[table], "fold")):
        name, label, fold = (row[column] for column in (*tables[table], "fold"))
        if not fold.isdecimal() or not label or Path(name).is_absolute() or ".." in Path(name).parts:
            raise DataError(
                f"Cannot read line {number} of {table}: expected a file below, a class, a fold; correct it."
            )
        if wanted is None or int(fold) in wanted:
            rows.append((below / name, label, int(fold)))
    return rows


def read_table(table: Path, columns: Sequence[str]) -> Iterable[tuple[int, dict[str, str]]]:
    """(line, row) of a csv file with a header; DataError when a column of `columns` or a value is missing."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if lacking := [c for c in columns if c not in (reader.fieldnames or ())]:
                raise DataError(f"Cannot read {table}: it has no column {lacking[0]}; expected {', '.join(columns)}.")
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeError, csv.Error) as error:
        raise DataError(f"Cannot read {table}: {error}; expected a csv file in UTF-8.") from None
    if short := [number for number, row in rows if any(row[column] is None for column in columns)]:
        raise DataError(f"Cannot read line {short[0]} of {table}: it is too short; expected {', '.join(columns)}.")
    return rows


def _list_pictures(folder: Path, labels: Iterable[str]) -> dict[str, list[Path]]:
    """Class -> its pictures, sorted by name."""
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}; make one, with a folder of pictures for each class in it.")
    folders = {_normalise_name(path.name): path for path in sorted(folder.iterdir()) if path.is_dir()}
    by_label = {
        label: list_files(folders[_normalise_name(label)], PICTURES)
        for label in labels
        if _normalise_name(label) in folders
    }
    if lacking := sorted(label for label in labels if not by_label.get(label)):
        raise DataError(
            f"Found no picture of {', '.join(lacking)} in {folder}, expected a folder of pictures for each class."
        )
    return by_label


def _normalise_name(name: str) -> str:
    return re.sub(r"[\W_]+", " ", normalise(name)).strip()


def _assign_pictures(
    rows: Iterable[tuple[Path, str, int]], pictures: dict[str, list[Path]], seed: int
) -> dict[Path, Path]:
    """Clip -> picture, as `EscFolder` describes."""
    assigned: dict[Path, Path] = {}
    for label, files in pictures.items():
        order = np.random.default_rng([seed, crc32(label.encode())]).permutation(len(files))
        clips = [path for path, own, _ in rows if own == label]
        assigned |= {clip: files[order[n % len(files)]] for n, clip in enumerate(clips)}
    return assigned
