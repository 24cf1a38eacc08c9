"""Write files whole or not at all, and check before the long work that they can be written."""

import errno
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from audiotoken.errors import OptionError

if TYPE_CHECKING:  # what takes seconds to import is imported when it is needed
    from PIL.Image import Image


SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def write_image(image: "Image", path: Path) -> None:
    """Save the picture, whole or not at all."""
    with _reporting_errors(path), replace_file(path) as temporary:
        image.save(temporary, quality=95)  # of JPEG and WebP


def write_bytes(content: bytes, path: Path) -> None:
    """Save the bytes, whole or not at all."""
    with _reporting_errors(path), replace_file(path) as temporary:
        temporary.write_bytes(content)


def encode_text(text: str) -> bytes:
    """UTF-8; names of files that are none keep their bytes as escapes, which JSON reads back."""
    return text.encode("utf-8", "backslashreplace")


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Context manager: a temporary path beside `path` that replaces it at the end; its folder is made.

    Ctrl-C or a full disk leaves the old file or none. What libraries raise when the disk is full becomes an OSError.
    """
    temporary = _temporary_path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield temporary
        os.replace(temporary, path)
    except Exception as error:
        if not is_write_failure(error):
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _reporting_errors(path: Path) -> Iterator[None]:
    """Context manager: OptionError if `path` cannot be written."""
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from None


def is_write_failure(error: BaseException) -> bool:
    """Whether torch or safetensors could not write a file, for which their writers have errors of their own."""
    if not isinstance(error, RuntimeError) and type(error).__name__ != "SafetensorError":
        return False
    return any(
        words in str(error) for words in ("inline_container", "PytorchStreamWriter", "No space left", "I/O error")
    )


def check_output(output: str | os.PathLike, suffixes: Sequence[str] = SUFFIXES) -> None:
    """Check that `output` can be written, its folder made if need be; OptionError otherwise. Nothing is left behind."""
    path = Path(output)
    if path.suffix.lower() not in suffixes:
        kinds = ", ".join(suffixes)
        raise OptionError(f"Cannot write {path}: got the suffix {path.suffix!r}, expected one of {kinds}; rename it.")
    try:
        with _trying_folder(path.parent):
            if path.is_dir():
                raise OptionError(
                    f"Cannot write {path}: it is a folder; give a file name such as {path / f'out{path.suffix}'}."
                )
            trial = _temporary_path(path.with_stem(f"{path.stem}-report"))  # the longest name that will be written
            trial.touch()
            trial.unlink()
    except OSError as error:
        raise cannot_write(path, error) from None


@contextmanager
def _trying_folder(folder: Path) -> Iterator[None]:
    """Context manager: the folder is there, and what was made for that is removed at the end unless it was filled."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        with suppress(OSError):
            for each in missing:
                each.rmdir()


def check_inputs_kept(
    outputs: Iterable[str | os.PathLike | None],
    inputs: Iterable[str | os.PathLike | None],
    replaced: str | os.PathLike | None = None,
) -> None:
    """OptionError if an output is an input, also through a link or under another spelling, or is named twice.

    replaced: a folder that is written as a whole, so that it may neither be an input nor hold one. None among the
    paths, and what is not on this disk (a hub id), is passed over.
    """
    sources = {_identify(path): path for path in inputs if path}
    sources.pop(None, None)
    written: set[str] = set()
    for path in (each for each in outputs if each):
        if (source := sources.get(_identify(path))) is not None:
            raise OptionError(f"Cannot write {path}: it is the input {source}; choose another name.")
        if (place := os.path.realpath(path)) in written:
            raise OptionError(f"Cannot write {path} twice; give each output a name of its own.")
        written.add(place)
    target = None if replaced is None else _identify(replaced)
    for identity, source in sources.items() if target is not None else ():
        above = Path(os.path.realpath(_expand(source))).parents
        if identity == target or target in map(_identify, above):
            relation = "is" if identity == target else "holds"
            raise OptionError(f"Cannot write {replaced}: it {relation} the input {source}; choose another folder.")


def _identify(path: str | os.PathLike) -> tuple[int, int] | None:
    """What all names and links of one file share; None for one that does not exist."""
    try:
        state = os.stat(_expand(path))
    except (OSError, ValueError):
        return None
    return state.st_dev, state.st_ino


def _expand(path: str | os.PathLike) -> str:
    return os.path.expanduser(os.fspath(path))


def list_model_paths(model: str | os.PathLike | None) -> list[Path]:
    """A model's folder and its files, as inputs for `check_inputs_kept`; nothing for "mini" and a hub id."""
    folder = Path(_expand(model or "mini"))
    return [] if str(folder) == "mini" or not os.path.isdir(folder) else [folder, *folder.rglob("*")]


def check_output_folder(folder: str | os.PathLike) -> None:
    """OptionError unless `folder`, which need not exist, can hold new files; it is not made yet."""
    path = Path(os.path.expanduser(folder)).absolute()
    existing = next(each for each in (path, *path.parents) if each.exists())
    if not existing.is_dir():
        raise OptionError(f"Cannot write into {folder}: {existing} is a file; choose another folder.")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise cannot_write(Path(folder), PermissionError(13, os.strerror(13)))


def _temporary_path(path: Path) -> Path:
    """A path beside `path` that no other process uses; its name is as short as file systems want it."""
    stem = os.fsencode(path.stem)[:100].decode("utf-8", "ignore")
    number = zlib.crc32(os.fsencode(path.name)) if len(os.fsencode(path.stem)) > 100 else 0
    return path.with_name(f".{stem}.{f'{number:08x}.' if number else ''}{os.getpid()}{path.suffix}")


def cannot_write(path: Path, error: OSError) -> OptionError:
    """The error for a file that cannot be written."""
    if isinstance(error, FileExistsError | NotADirectoryError):
        for file in filter(Path.is_file, (path, *path.parents)):
            return OptionError(f"Cannot write {path}: {file} is a file; choose another folder.")
    return OptionError(f"{format_write_error(path, error)}; choose a folder that you can write to.")


def format_write_error(path: Path, error: OSError) -> str:
    """The beginning of the error for a file that cannot be written; callers add what to do."""
    return f"Cannot write {path}: {error.strerror or error}"


def format_size(size: float) -> str:
    """Bytes in powers of 1000, as disks are sold: "2.35 MB"."""
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if size < 999.5 or unit == "TB":
            break
        size /= 1000
    return f"{size:.3g} {unit}"
