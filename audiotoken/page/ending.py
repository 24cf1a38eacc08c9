"""How the page ends: at Ctrl-C and within two seconds, whatever is open or runs; its files go in any case."""

import atexit
import os
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from types import FrameType
from typing import Any, NoReturn

PATIENCE = 1.0  # seconds that steps, open connections and threads of the server have to end by themselves
INTERRUPTED = 130  # exit code after Ctrl-C, as shells have it: 128 and the number of the signal
LOOK = 0.5  # seconds: some systems deliver Ctrl-C to a waiting thread only when it looks up


def obey_signals() -> None:
    """Ctrl-C ends the page even where a script started it with `&`: such a process is told to ignore it."""

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        sys.exit(0)

    with suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for name in ("SIGTERM", "SIGHUP"):  # the latter: its terminal was closed
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), leave)


def wait() -> NoReturn:
    """Until a signal raises KeyboardInterrupt or SystemExit."""
    while True:
        Event().wait(LOOK)


def end(page: Any, folder: Path, code: int) -> None:
    """Stop what runs, and see to it that the process is gone soon after; `page`: None before it is served."""
    atexit.register(_leave, folder, code)
    Thread(target=_insist, args=(folder, code), daemon=True).start()
    with suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second one would only disturb
    if page is not None:
        for session in page.sessions:
            session.end()
        page.server.should_exit = True  # not `page.close`, which waits five seconds and more for open connections


def _insist(folder: Path, code: int) -> None:
    """Threads of a server, and a step of a large model, may go on for long: Python would wait for them."""
    Event().wait(PATIENCE)
    _leave(folder, code)


def _leave(folder: Path, code: int) -> None:
    """At once: to take models and running threads apart takes Python seconds, and now and then it aborts."""
    shutil.rmtree(folder, ignore_errors=True)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
