"""Files of ours appear whole or not at all, and whether they can be made is asked before the long work."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from audiotoken.errors import OptionError

if TYPE_CHECKING:  # what takes seconds to import is imported when it is needed
    from PIL.Image import Image


SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def write_image(image: "Image", path: Path) -> None:
    """Save it, whole or not at all."""
    with _whole(path) as temporary:
        image.save(temporary, quality=95)  # of JPEG and WebP


def write_bytes(content: bytes, path: Path) -> None:
    with _whole(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A temporary neighbour, renamed in the end: Ctrl-C or a full disk leaves the old file or none."""
    temporary = _temporary(path)
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise cannot_write(path, error) from None
    finally:
        temporary.unlink(missing_ok=True)


def check_output(output: str | os.PathLike, suffixes: Sequence[str] = SUFFIXES) -> None:
    """Make the folder and see that a file can be made in it; OptionError otherwise."""
    path = Path(output)
    if path.suffix.lower() not in suffixes:
        kinds = ", ".join(suffixes)
        raise OptionError(f"Cannot write {path}: got the suffix {path.suffix!r}, want one of {kinds}; rename it.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise OptionError(f"Cannot write {path}: it is a folder; give a file name such as {path / 'out.png'}.")
        trial = _temporary(path.with_stem(f"{path.stem}-report"))  # the longest name there will be
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise cannot_write(path, error) from None


def _temporary(path: Path) -> Path:
    """A neighbour that nobody else uses."""
    return path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")


def cannot_write(path: Path, error: OSError) -> OptionError:
    """The sentence for a file that cannot be made."""
    return OptionError(f"Cannot write {path}: {error.strerror or error}; choose a folder where files can be made.")
