"""What one open page knows, and where its files are; gone when the page is closed."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

from experiments.page.edits import Place

if TYPE_CHECKING:
    from experiments.pipeline import Plan, Result

MOST = 16  # pages open at once


@dataclass(eq=False)
class Session:
    """State of one open page."""

    folder: Path
    busy: bool = False  # a picture is painted, or waits to be
    stop: Event = field(default_factory=Event)  # set: the running job, or the one that waits, ends
    plan: "Plan | None" = None  # as heard, matched with `prompt`
    prompt: str = ""
    places: list[Place] = field(default_factory=list)
    drawn: "Plan | None" = None  # what was painted last, with all changes
    result: "Result | None" = None
    plain: Any = None  # the same picture without places
    painting: list[Any] = field(default_factory=list)  # pictures of the steps
    upload: Path | None = None  # what is listened to
    mixed: dict[str, Any] = field(default_factory=dict)  # of the panner: recording, voices, edge, path
    mixes: int = 0  # so far

    def take(self, upload: Path | None) -> None:
        """Another file instead of the one before, which is removed if it lies in the page's folder."""
        if self.upload is not None and self.upload != upload and self.upload.is_relative_to(self.folder.parent):
            self.upload.unlink(missing_ok=True)
        self.upload = upload

    def forget(self) -> None:
        """Everything about the last recording."""
        self.plan, self.prompt, self.places = None, "", []
        self.clear_result()

    def clear_result(self) -> None:
        self.drawn, self.result, self.plain, self.painting = None, None, None, []


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
            session.stop.set()
            session.take(None)
            shutil.rmtree(session.folder, ignore_errors=True)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._open.values()))
