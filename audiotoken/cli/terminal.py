"""What every command does around its work: library logs, progress on stderr, errors as one line."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from audiotoken.errors import printable
from audiotoken.light_imports import collecting_rarely, postponing
from audiotoken.tasks.sentences import errors_as_sentences

SOME_BROKEN = 1  # exit code

if TYPE_CHECKING:  # imports numpy, and `--help` must stay light
    from audiotoken.tasks.clip_folder import FolderResult


class Bar:
    """A progress bar on stderr that disappears at the end; hidden when `quiet` or when stderr is no terminal."""

    def __init__(self, label: str = "drawing", quiet: bool = False) -> None:
        # a third-party import inside a function: `--help` must stay light
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        console = Console(stderr=True, quiet=quiet, highlight=False, markup=False, soft_wrap=True)
        self.progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self.label = label
        self.task = self.progress.add_task("loading", total=None)

    def update(self, done: float, total: int) -> None:
        self.progress.update(self.task, description=self.label, completed=done, total=total)

    def write_note(self, sentence: str) -> None:
        """Print a line on stderr, above the bar."""
        self.progress.console.print(sentence)


@contextmanager
def progress(label: str = "drawing", quiet: bool = False) -> Iterator[Bar]:
    """A `Bar` that is shown inside the `with` block."""
    bar = Bar(label, quiet)
    with bar.progress:
        yield bar


@contextmanager
def handling_errors(verbose: bool) -> Iterator[None]:
    """Every command runs in here: a user error ends it with one line and exit code 2, Ctrl-C with exit code 130.

    verbose: the libraries log, and errors show a traceback as well.
    """
    set_library_logs(verbose)
    with errors_as_sentences(traceback=verbose):
        yield


@contextmanager
def running(label: str, quiet: bool, verbose: bool) -> Iterator[Bar]:
    """`handling_errors` with a progress bar, and with imports that are `postponing` and `collecting_rarely`."""
    with handling_errors(verbose), postponing(), collecting_rarely(), progress(label, quiet) as bar:
        yield bar


def set_library_logs(verbose: bool) -> None:
    """Set the verbosity of diffusers and transformers before they are imported; the user's own setting wins.

    Unless verbose, what they ask of huggingface_hub in a way that it has given up is no line on the terminal.
    """
    if not (verbose or sys.warnoptions):
        warnings.filterwarnings("ignore", category=UserWarning, module=r"huggingface_hub\.")
    for library in ("DIFFUSERS_VERBOSITY", "TRANSFORMERS_VERBOSITY"):
        os.environ.setdefault(library, "info" if verbose else "error")


def describe_folder(result: "FolderResult", report: Path | None, notes: bool) -> tuple[str, int]:
    """(the summary of a folder of clips, with the page that was written and, if wanted, notes; the exit code)."""
    lines = [str(result), *(map(printable, result.format_notes()) if notes else ())]
    lines += [f"report {printable(report)}"] if report is not None else []
    return "\n".join(lines), SOME_BROKEN if result.broken else 0
