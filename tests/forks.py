"""Runs work in a child that has imported everything already."""

import multiprocessing
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def run_forked(work: Callable[..., Any], *arguments: Any, folder: Path, seconds: float = 600) -> tuple[Any, str, str]:
    """(exit code, stdout, stderr) of `work(*arguments)`; the code is None after that many seconds."""

    def redirected() -> None:
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT), number)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        work(*arguments)

    child = multiprocessing.get_context("fork").Process(target=redirected)
    child.start()
    child.join(seconds)
    code = child.exitcode
    child.kill()
    child.join()
    return code, (folder / "out").read_text(), (folder / "err").read_text()
