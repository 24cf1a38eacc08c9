"""The state of one open page and its files, which are removed when the page is closed."""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from threading import Event, Lock

from PIL.Image import Image

from audiotoken.page.edits import Placement
from audiotoken.page.panning import Mix
from audiotoken.stereo.generation import Result
from audiotoken.stereo.planning import Plan

MAX_PAGES = 16  # open at once


@dataclass(eq=False)
class Session:
    """State of one open page."""

    folder: Path
    stop: Event = field(default_factory=Event)  # set: the running job ends
    running: bool = False
    closed: bool = False  # the page is gone, and so are its files
    waiting: int = 0  # jobs in the queue
    dropped: int = 0  # jobs in front of them that were cancelled before they began
    plan: Plan | None = None  # of the recording, matched with `prompt`
    prompt: str = ""
    placements: list[Placement] = field(default_factory=list)
    fov: float = 90.0  # of the last picture, degrees
    edited_plan: Plan | None = None  # of the last picture, with all edits
    result: Result | None = None
    unguided: Image | None = None  # the same picture without guidance
    previews: list[Image] = field(default_factory=list)  # of the steps; the last one is the picture
    uploads: dict[str, Path] = field(default_factory=dict)  # by the element that received each file
    downloads: set[str] = field(default_factory=set)  # names of the files of the last picture that are offered
    mix: Mix | None = None  # of the panner
    mix_count: int = 0  # mixes so far

    @property
    def busy(self) -> bool:
        return self.running or self.waiting > 0

    def try_begin(self) -> bool:
        """Called by a job when its turn has come: True if it may begin, False if it was cancelled."""
        if self.dropped:
            self.dropped -= 1
            return False
        self.waiting = max(0, self.waiting - 1)
        self.running = True
        self.stop.clear()
        return True

    def cancel_jobs(self) -> bool:
        """Stop the running job and drop those that wait; True if no job is running that has to end first."""
        self.stop.set()
        self.dropped, self.waiting = self.dropped + self.waiting, 0
        return not self.running

    def replace_upload(self, element: str, upload: Path | None) -> None:
        """Keep another file for an element, and delete the one before if it lies in the page's folder."""
        old = self.uploads.pop(element, None)
        if old is not None and old != upload and old.is_relative_to(self.folder.parent):
            old.unlink(missing_ok=True)
            with suppress(OSError):  # other files are in its folder
                old.parent.rmdir()
        if upload is not None:
            self.uploads[element] = upload

    def clear(self) -> None:
        """Forget the last recording."""
        self.plan, self.prompt, self.placements = None, "", []
        self.clear_result()

    def clear_result(self) -> None:
        self.edited_plan, self.result, self.unguided, self.previews = None, None, None, []
        self.downloads = set()


class Sessions:
    """The open sessions, by the name that Gradio gives to a page."""

    def __init__(self, folder: Path):
        self.folder, self._lock = folder, Lock()
        self._open: dict[str, Session] = {}

    def get(self, name: str) -> Session:
        """The session of a page, new if necessary; beyond `MAX_PAGES` the oldest is closed."""
        with self._lock:
            if name not in self._open:
                self._open[name] = Session(Path(mkdtemp(dir=self.folder)))
            over = list(self._open)[:-MAX_PAGES]
        for old in over:
            self.close(old)
        return self._open[name]

    def close(self, name: str) -> None:
        """Stop its jobs and delete its files."""
        with self._lock:
            session = self._open.pop(name, None)
        if session is not None:
            session.closed = True
            session.cancel_jobs()
            for element in list(session.uploads):
                session.replace_upload(element, None)
            shutil.rmtree(session.folder, ignore_errors=True)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._open.values()))
