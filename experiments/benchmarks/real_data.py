"""Real recordings with known directions: the stereo set of DCASE 2025 task 3, and Ambisonic sets such as STARSS23.

A folder holds `stereo_dev` (two channels) or `foa_dev` (four: W, Y, Z, X), and beside it `metadata_dev`; in each of
them a folder for each split, such as "dev-test-tau", with files of the same names, .wav and .csv. A row of metadata is
an event that sounds in a frame of 0.1 s: frame, class, source, azimuth, distance, onscreen under a head line (stereo),
or frame, class, source, azimuth, elevation, distance without one (Ambisonics); degrees, centimetres, all from 0.

Conventions: the files count azimuths counter-clockwise: "azimuth angle is increasing counter-clockwise (90 degrees at
the left)", says the README of STARSS23 (Zenodo 7880637). The generator of the stereo set, as read and not copied
(SonyResearch/dcase2025_stereo_seld_data_generator), keeps that sign, turns the labels as it turns the sound, folds what
is behind to the front, and writes W + Y as the left channel; Y of a source at azimuth a is sin(a). In `Row`, as in
`spatial.scene`, an azimuth is positive right; the sign is changed by `read_rows` and `write_rows`, nowhere else.
"""

import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiotoken.errors import OptionError
from audiotoken.writing import write_bytes
from spatial.setups import Setup

HOP = 0.1  # seconds between frames
CLIP_SECONDS = 5.0  # of a clip of the stereo set, and of an excerpt of an Ambisonic recording
CLIPPED = 0.9999  # an excerpt whose stereo version would be louder is left out, as the task does
SETUP = Setup("xy", aim=90.0)  # W + Y and W - Y: cardioids that look to the left and to the right
STEREO_COLUMNS = ("frame", "class", "source", "azimuth", "distance", "onscreen")
AMBISONIC_COLUMNS = ("frame", "class", "source", "azimuth", "elevation", "distance")
ROW_COLUMNS = ("frame", "class", "source", "azimuth", "distance")  # those of a `Row`

# The classes of STARSS23, and the names of AudioSet whose sounds they hold, after its README; last those of the mini
# encoder's labels that are such sounds.
CLASSES: dict[str, tuple[str, ...]] = {
    "Female speech, woman speaking": ("Female speech, woman speaking",),
    "Male speech, man speaking": ("Male speech, man speaking",),
    "Clapping": ("Clapping",),
    "Telephone": ("Telephone", "Telephone bell ringing", "Ringtone"),
    "Laughter": ("Laughter",),
    "Domestic sounds": ("Vacuum cleaner", "Mechanical fan", "Boiling"),
    "Walk, footsteps": ("Walk, footsteps",),
    "Door, open or close": ("Door", "Cupboard open or close"),
    "Music": ("Music", "Background music", "Pop music"),
    "Musical instrument": (
        *("Musical instrument", "Acoustic guitar", "Guitar", "Marimba, xylophone", "Cowbell", "Piano"),
        *("Rattle (instrument)", "drum"),
    ),
    "Water tap, faucet": ("Water tap, faucet",),
    "Bell": ("Bell", "Bicycle bell", "Chime"),
    "Knock": ("Knock",),
}
_CLASS_OF = {name.lower(): number for number, names in enumerate(CLASSES.values()) for name in names}

Recording = NDArray[np.float32]


@dataclass(frozen=True)
class Row:
    """An event in one frame."""

    frame: int  # of `HOP` seconds, from 0
    kind: int  # class, as an index into `CLASSES`
    source: int  # number of who makes it
    azimuth: float  # degrees, positive right, -90 to 90
    distance: float = float("nan")  # metres


@dataclass(frozen=True, eq=False)
class Clip:
    """A stereo recording with its rows."""

    name: str
    recording: Recording  # (2, frames)
    rate: int  # Hz
    rows: tuple[Row, ...]

    @property
    def frames(self) -> int:
        """Number of frames of `HOP` seconds."""
        return round(self.recording.shape[1] / self.rate / HOP)


def find_class(label: str) -> int | None:
    """The class of a label of AudioSet or of the mini encoder; None if its sounds are of none."""
    return _CLASS_OF.get(label.lower())


def list_labels(labels: Iterable[str]) -> list[str]:
    """Those of an encoder's labels that name a class."""
    return [label for label in labels if find_class(label) is not None]


def fold_azimuth(azimuth: float) -> float:
    """Any azimuth in degrees -> -90 to 90: what is behind is mirrored to the front, as two channels hear it."""
    turned = (azimuth + 180) % 360 - 180
    return float(np.sign(turned) * 180 - turned) if abs(turned) > 90 else float(turned)


def to_stereo(ambisonic: Recording, degrees: float = 0.0) -> Recording:
    """(4, frames) W, Y, Z, X -> (2, frames): turned by so many degrees to the left, then mid-side.

    The formula of the task (arXiv 2507.12042): mid is W, side is Y after the turn; left = W + Y, right = W - Y.
    """
    omni, y, _, x = ambisonic
    angle = np.deg2rad(degrees)
    side = np.sin(angle) * x + np.cos(angle) * y
    return np.stack([omni + side, omni - side]).astype(np.float32)


def read_rows(path: Path, ambisonic: bool = False) -> list[Row]:
    """The rows of a metadata file; Ambisonic ones are not folded yet. None of a file without events.

    Columns are found by the head line, if there is one; only the Ambisonic kind may lack it. OptionError, one sentence,
    for another file.
    """
    expected = AMBISONIC_COLUMNS if ambisonic else STEREO_COLUMNS
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = [(number, [cell.strip() for cell in line]) for number, line in enumerate(csv.reader(file), 1)]
        lines = [(number, line) for number, line in table if any(line)]
        if not lines:
            return []
        columns = _find_columns(lines[0][1], ambisonic)
        return [_parse_row(number, line, columns) for number, line in lines[lines[0][1][0] == expected[0] :]]
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        raise OptionError(f"Cannot read {path}: {error}; expected rows of {','.join(expected)}.") from None


def _find_columns(first: Sequence[str], ambisonic: bool) -> list[int]:
    """Where the `ROW_COLUMNS` are, given the first line of a file."""
    if first[0] != STEREO_COLUMNS[0]:
        if not ambisonic:
            raise ValueError(f"its first line is {','.join(first)}, no head line")
        return [AMBISONIC_COLUMNS.index(name) for name in ROW_COLUMNS]
    if missing := [name for name in ROW_COLUMNS if name not in first]:
        raise ValueError(f"it has no column {', '.join(missing)}")
    return [first.index(name) for name in ROW_COLUMNS]


def _parse_row(number: int, line: Sequence[str], columns: Sequence[int]) -> Row:
    """The row on that line; ValueError, which names the line, for numbers that cannot be."""
    try:
        if len(line) <= max(columns):
            raise ValueError(f"{len(line)} columns are too few")
        frame, kind, source, azimuth, distance = (line[column] for column in columns)
        if not -180 <= (degrees := float(azimuth)) <= 180:
            raise ValueError(f"azimuth {azimuth} is not from -180 to 180")
        if not 0 <= (centimetres := float(distance)) < np.inf:
            raise ValueError(f"distance {distance} is not from 0 on")
        return Row(
            _parse_number(frame), _parse_number(kind, len(CLASSES)), _parse_number(source), -degrees, centimetres / 100
        )
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from None


def _parse_number(text: str, below: int | None = None) -> int:
    """A whole number from 0."""
    number = int(text)
    if number < 0 or (below is not None and number >= below):
        raise ValueError(f"{number} is not from 0 on" if below is None else f"{number} is not from 0 to {below - 1}")
    return number


def write_rows(rows: Iterable[Row], path: Path) -> None:
    """A file of predictions or of truth in the stereo set's format; whole degrees and centimetres, onscreen 0."""
    lines = [",".join(STEREO_COLUMNS)]
    for row in sorted(rows, key=lambda row: (row.frame, row.kind, row.source)):
        centimetres = 0 if np.isnan(row.distance) else round(100 * row.distance)
        lines.append(f"{row.frame},{row.kind},{row.source},{round(-row.azimuth)},{centimetres},0")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(("\n".join(lines) + "\n").encode(), path)


def find_files(data: Path, split: str) -> tuple[bool, list[tuple[Path, Path]]]:
    """(whether it is Ambisonic, (recording, metadata) of each file of the splits that begin so, sorted)."""
    kinds = [kind for kind in ("stereo_dev", "foa_dev") if (data / kind).is_dir()]
    if not kinds:
        raise OptionError(
            f"Cannot find recordings in {data}: it has no folder stereo_dev or foa_dev; unpack one there."
        )
    files = sorted(file for file in (data / kinds[0]).glob(f"{split}*/*.wav") if file.name[0] != ".")
    if not files:
        raise OptionError(f"Found no .wav in {data / kinds[0]}/{split}*, expected some; change split.")
    pairs = [(file, data / "metadata_dev" / file.parent.name / f"{file.stem}.csv") for file in files]
    if missing := next((rows for _, rows in pairs if not rows.is_file()), None):
        raise OptionError(f"Cannot find {missing}, expected the metadata of each recording; unpack metadata_dev there.")
    return kinds[0] == "foa_dev", pairs


def read_clips(
    files: Sequence[tuple[Path, Path]], ambisonic: bool, seed: int = 0, most: int | None = None
) -> Iterator[Clip]:
    """The clips of those files; an Ambisonic recording gives one for each 5 s, each with a view of its own.

    The view is drawn by `seed` and the name, as whole degrees. `most`: number of clips of one recording, the first.
    OptionError for a file that is not as it should be.
    """
    for file, metadata in files:
        rows = read_checked_rows(file, metadata, ambisonic)
        samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
        recording = np.ascontiguousarray(samples.T)
        if ambisonic:
            yield from islice(cut_clips(file.stem, recording, rate, rows, seed), most)
        else:
            folded = tuple(replace(row, azimuth=fold_azimuth(row.azimuth)) for row in rows)
            yield Clip(file.stem, recording, rate, folded)


def read_checked_rows(file: Path, metadata: Path, ambisonic: bool) -> list[Row]:
    """The rows of a recording; OptionError unless it has the right channels and is as long as the rows say."""
    facts = read_facts(file)
    kinds = {2: "stereo_dev", 4: "foa_dev"}
    if facts.channels != (wanted := 4 if ambisonic else 2):
        where = f"it belongs into {kinds[facts.channels]}" if facts.channels in kinds else "check the folder"
        raise OptionError(f"Got {file} with channels: {facts.channels}, expected {wanted} in {kinds[wanted]}; {where}.")
    rows = read_rows(metadata, ambisonic)
    last, seconds = max((row.frame for row in rows), default=0), facts.frames / facts.samplerate
    if rows and last * HOP >= seconds + HOP:
        raise OptionError(
            f"Got {metadata} with an event at {last * HOP:.1f} s, but {file.name} lasts {seconds:.1f} s; unpack both "
            "of the same set."
        )
    return rows


def read_facts(file: Path) -> Any:
    """soundfile's facts about a recording; OptionError if it cannot be read."""
    try:
        return soundfile.info(file)
    except (OSError, soundfile.SoundFileError) as error:
        raise OptionError(f"Cannot read {file}: {error}; unpack it again.") from None


def count_clips(files: Sequence[tuple[Path, Path]], ambisonic: bool, most: int | None = None) -> int:
    """How many clips `read_clips` gives at most: excerpts that would clip are left out."""
    if not ambisonic:
        return len(files)
    lengths = (read_facts(file).duration for file, _ in files)
    return sum(min(int(seconds / CLIP_SECONDS), most or sys.maxsize) for seconds in lengths)


def cut_clips(name: str, ambisonic: Recording, rate: int, rows: Sequence[Row], seed: int) -> Iterator[Clip]:
    """Excerpts of 5 s in stereo, each turned to a random view; those that would clip are left out."""
    random = np.random.default_rng([seed, *name.encode()])
    length, steps = round(CLIP_SECONDS * rate), round(CLIP_SECONDS / HOP)
    for number in range(ambisonic.shape[1] // length):
        degrees, first = int(random.integers(360)), number * steps
        stereo = to_stereo(ambisonic[:, number * length : (number + 1) * length], degrees)
        if np.abs(stereo).max() > CLIPPED:
            continue
        turned = tuple(
            Row(row.frame - first, row.kind, row.source, fold_azimuth(row.azimuth - degrees), row.distance)
            for row in rows
            if first <= row.frame < first + steps
        )
        yield Clip(f"{name}_deg{degrees:03}_start{first:04}", stereo, rate, turned)
