"""Errors that the user can fix end a command with one line on stderr and exit code 2."""

import errno
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from traceback import print_exc
from typing import NoReturn, TextIO

from audiotoken.errors import STOPPED, AudioTokenError, out_of_memory, printable
from audiotoken.writing import is_write_failure
from guidance.errors import GuidanceError
from spatial.errors import SpatialError

USER_ERRORS = (AudioTokenError, SpatialError, GuidanceError)
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.ENAMETOOLONG)  # no mistake in the code
OWN = tuple(f"{Path(__file__).parents[2] / name}{os.sep}" for name in ("audiotoken", "spatial", "guidance"))
SAVE_MEMORY = "lower --count or --batch, use --dtype float16, a smaller model or --device cpu"


@contextmanager
def errors_as_sentences(traceback: bool = False) -> Iterator[None]:
    """Print a user error as one line on stderr and exit with code 2; other exceptions are bugs and pass through.

    Running out of memory counts as a user error. Ctrl-C prints one line and exits with code 130. traceback: print the
    traceback of a user error, too, and the place of a warning.
    """
    try:
        with nullcontext() if traceback else warnings_as_notes():
            yield
    except KeyboardInterrupt:
        _exit(STOPPED, 130, traceback=False)
    except USER_ERRORS as error:
        _exit(printable(error), 2, traceback)
    except OSError as error:
        if error.errno not in DISK:
            raise
        where = f" {error.filename}" if error.filename else ""
        if error.errno == errno.ENAMETOOLONG:  # of an input or an output
            _exit(printable(f"Cannot use{where}: {error.strerror}; choose a shorter name."), 2, traceback)
        _exit(printable(f"Cannot write{where}: {error.strerror}; make room, or choose another place."), 2, traceback)
    except (MemoryError, RuntimeError) as error:
        if is_write_failure(error):
            _exit("Cannot write a file: no space is left; make room, or choose another place.", 2, traceback)
        if not out_of_memory(error):
            raise
        _exit(f"Out of memory ({printable(error) or 'no details'}): {SAVE_MEMORY}.", 2, traceback)


@contextmanager
def warnings_as_notes() -> Iterator[None]:
    """Print each warning of this project once, as a line on stderr without its place in the code."""
    with warnings.catch_warnings():
        usual, told = warnings.showwarning, set[str]()

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if not filename.startswith(OWN):
                usual(message, category, filename, lineno, file, line)
            elif str(message) not in told:
                told.add(str(message))
                print(f"note   {printable(message)}", file=sys.stderr)

        warnings.showwarning = show
        yield


def _exit(message: str, code: int, traceback: bool) -> NoReturn:
    if traceback:
        print_exc()
    print(message, file=sys.stderr)
    raise SystemExit(code) from None
