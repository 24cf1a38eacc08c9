"""Several processes that write one folder: locks on files in it, which end with the process, on any machine."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from audiotoken.errors import OptionError
from audiotoken.writing import cannot_write


@contextmanager
def locking(folder: Path, name: str, wait: bool = False) -> Iterator[bool]:
    """Context manager: whether this process has the lock `name` of the folder; with `wait` it has, in the end.

    A file system without locks has none for anybody. Raises OptionError if nothing can be written there.
    """
    lock = FileLock(folder / f".{name}.lock")
    try:
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout:
        yield False
        return
    except NotImplementedError:
        yield True
        return
    except OSError as error:
        raise cannot_write(folder, error) from None
    try:
        yield True
    finally:
        with suppress(OSError):
            os.unlink(lock.lock_file)
        lock.release()


@contextmanager
def writing_alone(folder: Path) -> Iterator[None]:
    """Context manager: makes the folder; OptionError if another process is inside such a block for it."""
    make_folder(folder)
    with locking(folder, "writing") as alone:
        _check_alone(alone, folder)
        yield


@contextmanager
def replacing_alone(folder: Path) -> Iterator[None]:
    """The same for a folder that is replaced as a whole: the lock lies beside it, in a folder that is made.

    What was made and is empty in the end, after an error, is removed.
    """
    parents = folder.absolute().parents
    missing = [each for each in parents if not each.exists()]
    make_folder(parents[0])
    try:
        with locking(parents[0], f"{folder.absolute().name}.writing") as alone:
            _check_alone(alone, folder)
            yield
    finally:
        for each in missing:
            with suppress(OSError):
                each.rmdir()


def _check_alone(alone: bool, folder: Path) -> None:
    if not alone:
        raise OptionError(
            f"Cannot write into {folder}: another process is writing there now; wait for it, or choose another folder."
        )


def make_folder(folder: Path) -> None:
    """OptionError if the folder cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from None
