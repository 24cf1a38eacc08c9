"""Several processes draw one folder together: each clip is drawn by the one that claims it, and never twice.

A claim is a lock on a file, so that a process that is killed loses its claims, also on another machine that shares the
folder.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path

from filelock import FileLock, Timeout

from audiotoken.manifest import Line, parse_lines


class Claims:
    """What this process draws, and what others have drawn since it began."""

    def __init__(self, output: Path, manifest: Path, offset: int = 0):
        self.output, self.manifest, self.offset = output, manifest, offset
        self.held: dict[str, FileLock] = {}  # by clip
        self.done: set[str] = set()  # clips that were claimed here, and are drawn
        self.drawn: dict[str, Line] = {}  # lines beyond the offset, by others
        self.missed: list[Line] = []  # what others had claimed; kept by the caller

    def take(self, clip: str, wait: bool = False) -> bool:
        """Whether the clip is claimed now; with `wait`, as soon as the other process is done with it or ends."""
        name = blake2b(os.fsencode(clip), digest_size=12).hexdigest()
        lock = FileLock(self.output / f".{name}.claim")
        try:
            lock.acquire(timeout=-1 if wait else 0)
        except Timeout:
            return False
        self.held[clip] = lock
        return True

    def read_drawn(self) -> dict[str, Line]:
        """Lines that others have added to the manifest beyond the offset."""
        if self.manifest.is_file():
            with self.manifest.open("rb") as file:
                file.seek(self.offset)
                added = file.read()
            whole = added[: added.rfind(b"\n") + 1]
            self.offset += len(whole)
            added_lines = parse_lines(whole.decode("utf-8", errors="replace"))
            self.drawn |= {clip: line for clip, line in added_lines.items() if clip not in self.done}
        return self.drawn

    def release(self) -> None:
        """Give up the claims, after their clips are drawn."""
        for lock in self.held.values():
            with suppress(OSError):
                os.unlink(lock.lock_file)
            lock.release()
        self.done |= self.held.keys()
        self.held.clear()


@contextmanager
def claiming(output: Path, manifest: Path, offset: int) -> Iterator[Claims]:
    """Context manager: claims for a folder, of whose manifest `offset` bytes are known; exit gives up what is left."""
    claims = Claims(output, manifest, offset)
    try:
        yield claims
    finally:
        claims.release()
