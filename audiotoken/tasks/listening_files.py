"""The files that `audiotoken listen` writes, each whole or not at all."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import soundfile

from audiotoken import report
from audiotoken.errors import OptionError, printable
from audiotoken.report.listening_text import format_listening, to_json
from audiotoken.stereo.labelled_scene import Listening
from audiotoken.tasks.picture_files import check_report
from audiotoken.writing import cannot_write, check_inputs_kept, check_output, encode_text, write_bytes, write_image

STDOUT = Path("-")
NUMBERS = range(1, 10)  # of stems: more than a recording has


@dataclass(frozen=True)
class ListeningFiles:
    """Where the results go; None writes no file."""

    plot: Path | None = None
    json: Path | None = None  # STDOUT prints it instead of the table
    stems: Path | None = None  # a folder
    report: Path | None = None

    def check(self, *inputs: str | os.PathLike | None) -> None:
        """Check before the long work that each file can be written and is none of the inputs; OptionError otherwise."""
        if self.plot is not None:
            check_output(self.plot)
        if self.json not in (None, STDOUT):
            _check_json(Path(str(self.json)))
        if self.stems is not None:
            check_folder(self.stems)
        if self.report is not None:
            check_report(self.report)
        stems = [] if self.stems is None else [stem_path(self.stems, number) for number in NUMBERS]
        check_inputs_kept([self.plot, self.report, None if self.json == STDOUT else self.json, *stems], inputs)

    def write(self, listening: Listening, notes: bool = True, options: Mapping[str, object] | None = None) -> str:
        """Write the files -> the text to print, without the notes if they are not wanted; options: for the report."""
        paths = list(listening.stems)
        if self.stems is not None and not paths:
            paths = write_stems(listening, self.stems)
        if self.json not in (None, STDOUT):
            write_bytes(encode_text(to_json(listening)), Path(str(self.json)))
            paths.append(Path(str(self.json)))
        if self.plot is not None:
            write_image(report.listening_figure.draw_listening(listening), self.plot)
            paths.append(self.plot)
        if self.report is not None:
            report.listening_page.write_listening_page(listening, self.report, options=options)
            paths.append(self.report)
        if self.json == STDOUT:
            return encode_text(to_json(listening)).decode().rstrip()
        table = format_listening(listening if notes else _without_notes(listening))
        return "\n".join([table, *(f"wrote  {printable(path)}" for path in paths)])


def _without_notes(listening: Listening) -> Listening:
    return replace(listening, scene=replace(listening.scene, notes=()))


def write_stems(listening: Listening, folder: Path) -> list[Path]:
    """Write a WAV file of each source: as it sounds in the recording, or its mono signal if that is unknown."""
    paths = []
    for number, source in enumerate(listening.scene.sources, 1):
        sound = source.signal if source.image is None else source.image.T
        file = BytesIO()
        soundfile.write(file, sound, listening.scene.rate, format="WAV", subtype="FLOAT")
        path = stem_path(folder, number)
        write_bytes(file.getvalue(), path)
        paths.append(path)
    return paths


def stem_path(folder: Path, number: int) -> Path:
    """The file of a source, counted from 1."""
    return folder / f"source{number}.wav"


def check_folder(folder: Path) -> None:
    """Make the folder and check that files can be written into it; OptionError otherwise."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from None
    check_output(folder / "source1.png")


def _check_json(path: Path) -> None:
    if path.suffix.lower() != ".json":
        raise OptionError(f"Cannot write {path}: got the suffix {path.suffix!r}, expected .json or - alone; rename it.")
    if path.is_dir():
        raise OptionError(f"Cannot write {path}: it is a folder; give a file name such as {path / 'out.json'}.")
    check_output(path, (".json",))
