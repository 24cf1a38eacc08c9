"""Opens local files and files at `http(s)://` addresses; of the downloads, two are kept at a time."""

import os
import shutil
import tempfile
import threading
import time
import weakref
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from audiotoken.audio_file import open_plain
from audiotoken.errors import AudioError, DataError

MAX_DOWNLOADS = 2  # kept at a time
WAITS = (1.0, 5.0)  # seconds before the second and the third try
TIMEOUT = 60.0


def is_url(place: str) -> bool:
    """Whether this is an HTTP address rather than a path."""
    return place.lower().startswith(("http://", "https://"))


def names_shards(place: str) -> bool:
    """Whether this is an address, a .tar file or a pattern of them, rather than a folder."""
    return is_url(place) or place.endswith(".tar")


def redact_url(place: str) -> str:
    """An address for messages and indices: without password and query, which may hold a key."""
    if not is_url(place):
        return place
    address = urlsplit(place)
    port = f":{address.port}" if address.port else ""
    return f"{address.scheme}://{address.hostname}{port}{address.path}"


class FileCache:
    """Opens local and remote files; thread-safe; a forked process, or one that receives it, has its own downloads."""

    def __init__(self, folder: str | os.PathLike | None = None):
        self._parent, self._lock = folder, threading.Lock()
        self._pid, self._folder = 0, Path()
        self._files: dict[str, Path] = {}  # address -> file, least recently used first

    def __getstate__(self) -> dict:
        return {"folder": self._parent}

    def __setstate__(self, state: dict) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def open(self, place: str) -> BinaryIO:
        """The open file, which stays readable after its removal from the cache; DataError when it cannot be opened."""
        if not is_url(place):
            try:
                return open_plain(Path(place), "a tar file")
            except (AudioError, OSError) as error:
                raise DataError(f"Cannot open {place}: {error}") from None
        try:
            with self._lock:
                self._ensure_folder()
                path = self._files.pop(place, None) or self._download(place)
                self._files[place] = path
                return path.open("rb")
        except OSError as error:
            raise DataError(
                f"Cannot keep {redact_url(place)} on this disk: {error}; choose another temporary."
            ) from None

    def _ensure_folder(self) -> None:
        if self._pid == os.getpid():
            return
        self._files, self._pid = {}, os.getpid()
        self._folder = Path(tempfile.mkdtemp(prefix="audiotoken-", dir=self._parent))
        weakref.finalize(self, _remove, self._folder, self._pid)

    def _download(self, url: str) -> Path:
        while len(self._files) >= MAX_DOWNLOADS:
            self._files.pop(next(iter(self._files))).unlink(missing_ok=True)
        handle, name = tempfile.mkstemp(".tar", dir=self._folder)
        os.close(handle)
        why = ""
        for wait in (0.0, *WAITS):
            time.sleep(wait)
            try:
                download(url, Path(name))
                return Path(name)
            except (OSError, HTTPException, ValueError) as error:
                why = str(error) or type(error).__name__
                if isinstance(error, HTTPError) and error.code < 500:
                    break  # missing or forbidden: a retry does not help
        os.unlink(name)
        raise DataError(f"Cannot fetch {redact_url(url)}: {why}; check the address, the network and the disk.")


def download(url: str, path: Path) -> None:
    """Write the content of `url` to `path`; OSError when the transfer is incomplete."""
    request = Request(url, headers={"User-Agent": "spatial-audiotoken"})
    with urlopen(request, timeout=TIMEOUT) as answer, path.open("wb") as file:
        shutil.copyfileobj(answer, file, 1 << 20)
        promised = answer.headers.get("Content-Length", "")
        if promised.isdecimal() and file.tell() != int(promised):
            raise OSError(f"it broke off after {file.tell()} of {promised} bytes")


def _remove(folder: Path, pid: int) -> None:
    if os.getpid() == pid:  # a forked child must not remove its parent's files
        shutil.rmtree(folder, ignore_errors=True)
