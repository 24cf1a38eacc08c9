"""VGGSound (Chen et al., ICASSP 2020): a table of ten-second YouTube clips, and the videos that are available.

The table, `vggsound.csv`, has no header: YouTube ID, start in seconds, label, train or test. A header is skipped,
so that other tables with the same columns can be read. Videos lie anywhere below one folder, named as the
usual downloaders do (`NAMES`), as .mp4, .mkv, .webm or .mov.

Filters. AudioToken's published data code (data/dataloader.py of its repository) leaves out the videos of two lists,
constants/unmatch_videos.pkl (picture and sound do not agree) and constants/low_quality_videos.pkl, and draws its frames
from constants/best_frames.json. We found the code but not these three files. Whoever has them gives the JSON file as
`best_frames`; the other two are pickles, which can run code when they are opened, so they are not opened here: write
their IDs to a text file, one a line, and give that as `drop`. Lists of one's own are given the same way.
"""

import csv
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np

from audiotoken.audio import MAX_SECONDS, prepare_recording
from audiotoken.audio_file import open_plain
from audiotoken.data.folders import Example, list_files
from audiotoken.data.video_file import KINDS, Moment, read_duration, read_frame, read_sound
from audiotoken.errors import AudioError, DataError
from audiotoken.json_file import FormError, read_json

SECONDS = 10  # of a clip
VIDEOS = (".mp4", ".mkv", ".webm", ".mov")
NAMES = (  # of a clip from second s to e = s + 10; the first that exists is used
    "{id}_{s:06d}",
    "{id}_{s}",
    "{id}_{s}_{e}",
    "{id}_{s:06d}_{e:06d}",
    "{id}_{s}.0_{e}.0",
    "{id}_{ms}_{me}",  # the same in milliseconds, as AudioToken's sample files are named
    "{id}-{s:06d}",
    "{id}-{s}",
    "{id}-{s}-{e}",
)
WHOLE = "{id}"  # the whole video: the clip is cut out of it, unless the file is not longer than a clip


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    id: str
    start: int  # seconds
    label: str
    split: str  # "" where the table has no fourth column

    @property
    def key(self) -> str:
        return f"{self.id}_{self.start:06d}"


class VGGSound:
    """The clips of the table whose video is there, in the order of the table; `missing` has the keys of the others.

    A key is `ID_SSSSSS`, ID and start. split: "train", "test" or None for both. keep, drop: files of `read_ids`; clips
    that they exclude are not missing. frame: "middle"; "random", drawn with (seed, key), so that a clip
    keeps its frame whatever else is there; or a number from 0 (first) to 1 (last). best_frames: a JSON file, ID or file
    name -> numbers of frames of the clip's file; one of them is drawn, also with (seed, key), and `frame` is for the
    clips that are not in it. The recording keeps the channels of the video.
    """

    def __init__(
        self,
        csv: str | os.PathLike,
        videos: str | os.PathLike,
        *,
        split: str | None = "train",
        frame: str | float = "middle",
        keep: str | os.PathLike | None = None,
        drop: str | os.PathLike | None = None,
        best_frames: str | os.PathLike | None = None,
        seed: int = 0,
    ):
        self.frame, self.seed = _check_frame(frame), seed
        kept, dropped = (None if path is None else read_ids(path) for path in (keep, drop))
        self._best = {} if best_frames is None else read_best_frames(best_frames)
        rows = [row for row in read_rows(csv) if split is None or row.split == split]
        rows = [
            row
            for row in rows
            if (kept is None or _is_listed(row, kept)) and not (dropped and _is_listed(row, dropped))
        ]
        found = {path.stem: path for path in reversed(list_files(Path(videos), VIDEOS))}  # the first of each name
        clips = [(row, *_find_file(row, found)) for row in rows]
        self._clips = [(row, path, whole) for row, path, whole in clips if path is not None]
        self.missing = tuple(row.key for row, path, _ in clips if path is None)
        if not self._clips:
            raise DataError(
                f"Found none of the {len(rows)} clips of {csv} (split {split}) in {videos}, expected files named "
                f"such as {rows[0].key if rows else 'ID_000030'}.mp4; check the folder, the split and the lists."
            )

    def __len__(self) -> int:
        return len(self._clips)

    def key(self, i: int) -> str:
        return self._clips[i][0].key

    def label(self, i: int) -> str:
        return self._clips[i][0].label

    def __getitem__(self, i: int) -> Example:
        row, path, whole = self._clips[i]
        try:
            with open_plain(path, KINDS) as file:
                start = row.start if whole and not 0 < read_duration(file) <= SECONDS + 0.5 else None
                samples, rate = read_sound(file, start, SECONDS, MAX_SECONDS)
                image = read_frame(file, self._choose_moment(row, path), start, SECONDS)
        except OSError as error:
            raise DataError(f"Cannot read {path}: {error.strerror or error}; check the file and the disk.") from None
        except (AudioError, DataError) as error:
            raise type(error)(f"Cannot read {path}: {error}") from None
        recording, rate = prepare_recording(samples, rate, None, str(path))
        return Example(row.key, row.label, recording, rate, image)

    def _choose_moment(self, row: Row, path: Path) -> Moment:
        """The function that chooses the second of the frame."""
        rng = np.random.default_rng([self.seed, crc32(row.key.encode())])
        best = self._best.get(path.stem) or self._best.get(row.key) or self._best.get(row.id)
        if best:
            number = best[int(rng.integers(len(best)))]
            return lambda length, rate: (number + 0.5) / rate  # in the middle of the frame's time
        fraction = {"middle": 0.5, "random": float(rng.uniform())}.get(str(self.frame), self.frame)
        return lambda length, rate: float(fraction) * length


def read_rows(path: str | os.PathLike) -> list[Row]:
    """The table; DataError names the line that is not ID, start, label, split."""
    rows, seen = [], set()
    for number, cells in _read_lines(path):
        if number == 1 and len(cells) > 1 and not _is_second(cells[1]):
            continue  # a header
        if len(cells) < 3 or not re.fullmatch(r"[\w-]+", cells[0], re.ASCII) or not _is_second(cells[1]):
            raise DataError(
                f"Cannot read line {number} of {path}: expected YouTube ID, start in seconds, label, split."
            )
        row = Row(cells[0], int(float(cells[1])), cells[2].strip(), cells[3].strip() if len(cells) > 3 else "")
        if row.key not in seen:
            rows.append(row)
        seen.add(row.key)
    return rows


def read_ids(path: str | os.PathLike) -> set[tuple[str, int | None]]:
    """A list of clips, one a line: an ID for all clips of that video, or a csv line that begins with ID and start."""
    ids: set[tuple[str, int | None]] = set()
    for number, cells in _read_lines(path):
        name, second = cells[0], cells[1] if len(cells) > 1 else ""
        if number == 1 and name.lower() in ("id", "ytid", "youtube_id", "video_id", "youtube id"):
            continue
        if not re.fullmatch(r"[\w-]+", name, re.ASCII):
            raise DataError(
                f"Cannot read line {number} of {path}: expected a YouTube ID, or ID,start; correct the list."
            )
        ids.add((name, int(float(second)) if _is_second(second) else None))
    return ids


def read_best_frames(path: str | os.PathLike) -> dict[str, Sequence[int]]:
    """{name: [numbers]} or, as published, {name: [[numbers], ...]}, of which the first list counts."""
    try:
        content = read_json(Path(path))
    except FormError as error:
        raise DataError(f"Cannot read {path}: {error}; expected a JSON object, ID -> numbers of frames.") from None
    frames: dict[str, Sequence[int]] = {}
    for name, numbers in content.items():
        if isinstance(numbers, list) and numbers and isinstance(numbers[0], list):
            numbers = numbers[0]
        if not isinstance(numbers, list) or not all(type(n) is int and n >= 0 for n in numbers):
            raise DataError(f"Cannot read {path}: {name} has no list of whole numbers from 0; correct or remove it.")
        frames[name] = numbers
    return frames


def _read_lines(path: str | os.PathLike) -> Iterator[tuple[int, list[str]]]:
    """(number from 1, cells) of the lines of a csv file that are not empty."""
    try:
        with open_plain(Path(path), "a csv file") as file:
            text = file.read().decode("utf-8-sig")
        reader = csv.reader(text.splitlines())
        yield from ((reader.line_num, [cell.strip() for cell in cells]) for cells in reader if "".join(cells).strip())
    except (OSError, UnicodeError, csv.Error, AudioError) as error:
        raise DataError(f"Cannot read {path}: {error} Expected a csv file in UTF-8.") from None


def _is_second(cell: str) -> bool:
    return re.fullmatch(r"\d{1,6}(\.\d*)?", cell.strip(), re.ASCII) is not None


def _is_listed(row: Row, ids: set[tuple[str, int | None]]) -> bool:
    return (row.id, None) in ids or (row.id, row.start) in ids


def _find_file(row: Row, found: Mapping[str, Path]) -> tuple[Path | None, bool]:
    """The clip's file, and whether it is the whole video."""
    s, e = row.start, row.start + SECONDS
    for name in (*NAMES, WHOLE):
        path = found.get(name.format(id=row.id, s=s, e=e, ms=1000 * s, me=1000 * e))
        if path is not None:
            return path, name == WHOLE
    return None, False


def _check_frame(frame: str | float) -> str | float:
    number = isinstance(frame, int | float) and not isinstance(frame, bool) and 0 <= frame <= 1
    if not number and frame not in ("middle", "random"):
        raise DataError(f"Got frame={frame!r}, expected middle, random, or a number from 0 to 1; change it.")
    return frame
