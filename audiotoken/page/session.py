"""What one open page knows, and where its files are; gone when the page is closed."""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from threading import Event, Lock
from typing import Any

from audiotoken.page.edits import Place
from audiotoken.stereo.generation import Result
from audiotoken.stereo.planning import Plan

MOST = 16  # pages open at once


@dataclass(eq=False)
class Session:
    """State of one open page."""

    folder: Path
    stop: Event = field(default_factory=Event)  # set: the running job ends
    running: bool = False
    waiting: int = 0  # jobs that were asked for and did not begin
    dropped: int = 0  # of those before them, that are not to begin
    plan: "Plan | None" = None  # as heard, matched with `prompt`
    prompt: str = ""
    places: list[Place] = field(default_factory=list)
    fov: float = 90.0  # of the last picture, degrees
    drawn: "Plan | None" = None  # what was painted last, with all changes
    result: "Result | None" = None
    plain: Any = None  # the same picture without places
    painting: list[Any] = field(default_factory=list)  # pictures of the steps
    uploads: dict[str, Path] = field(default_factory=dict)  # what is listened to, by the place it was dropped on
    made: set[str] = field(default_factory=set)  # files of the last picture that are offered, by name
    mixed: dict[str, Any] = field(default_factory=dict)  # of the panner: recording, voices, edge, path
    mixes: int = 0  # so far

    @property
    def busy(self) -> bool:
        return self.running or self.waiting > 0

    def begins(self) -> bool:
        """Called by a job when its turn has come: may it begin?"""
        if self.dropped:
            self.dropped -= 1
            return False
        self.waiting = max(0, self.waiting - 1)
        self.running = True
        self.stop.clear()
        return True

    def end(self) -> bool:
        """Stop what runs, drop what waits; True where nothing runs that has to end first."""
        self.stop.set()
        self.dropped, self.waiting = self.dropped + self.waiting, 0
        return not self.running

    def take(self, where: str, upload: Path | None) -> None:
        """Another file instead of the one before, which is removed if it lies in the page's folder."""
        old = self.uploads.pop(where, None)
        if old is not None and old != upload and old.is_relative_to(self.folder.parent):
            old.unlink(missing_ok=True)
            with suppress(OSError):  # others are in its folder
                old.parent.rmdir()
        if upload is not None:
            self.uploads[where] = upload

    def forget(self) -> None:
        """Everything about the last recording."""
        self.plan, self.prompt, self.places = None, "", []
        self.clear_result()

    def clear_result(self) -> None:
        self.drawn, self.result, self.plain, self.painting = None, None, None, []
        self.made = set()


class Sessions:
    """By the name that Gradio gives to a page."""

    def __init__(self, folder: Path):
        self.folder, self._lock = folder, Lock()
        self._open: dict[str, Session] = {}

    def of(self, name: str) -> Session:
        """The one of that page; of too many the oldest is ended."""
        with self._lock:
            if name not in self._open:
                self._open[name] = Session(Path(mkdtemp(dir=self.folder)))
            over = list(self._open)[:-MOST]
        for old in over:
            self.end(old)
        return self._open[name]

    def end(self, name: str) -> None:
        """Stop its job, remove its files."""
        with self._lock:
            session = self._open.pop(name, None)
        if session is not None:
            session.end()
            for where in list(session.uploads):
                session.take(where, None)
            shutil.rmtree(session.folder, ignore_errors=True)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._open.values()))
