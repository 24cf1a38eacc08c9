"""The files that a user may want of a listening; each appears whole or not at all."""

from dataclasses import dataclass
from pathlib import Path

from audiotoken import report
from audiotoken.errors import OptionError, printable
from audiotoken.report.listening_text import format_listening, to_json
from audiotoken.stereo.labelled_scene import Listening
from audiotoken.writing import cannot_write, check_output, write_bytes, write_image

STDOUT = Path("-")


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
        written = list(heard.stems)
        if self.stems is not None and not written:
            written = write_stems(heard, self.stems)
        if self.json not in (None, STDOUT):
            write_bytes(to_json(heard).encode(), Path(str(self.json)))
            written.append(Path(str(self.json)))
        if self.plot is not None:
            write_image(report.listening_figure.draw_listening(heard), self.plot)
            written.append(self.plot)
        if self.json == STDOUT:
            return to_json(heard).rstrip()
        return "\n".join([format_listening(heard), *(f"wrote  {printable(path)}" for path in written)])


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
        raise cannot_write(folder, error) from None
    check_output(folder / "source1.png")


def _check_json(path: Path) -> None:
    if path.suffix.lower() != ".json":
        raise OptionError(f"Cannot write {path}: got the suffix {path.suffix!r}, want .json or - alone; rename it.")
    if path.is_dir():
        raise OptionError(f"Cannot write {path}: it is a folder; give a file name such as {path / 'out.json'}.")
    check_output(path, (".json",))
