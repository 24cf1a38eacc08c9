"""Files behind `http(s)://` addresses, as open local files; of those that were fetched, two are kept at a time."""

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

KEPT = 2
WAITS = (1.0, 5.0)  # seconds before the second and the third try
TIMEOUT = 60.0


def is_url(place: str) -> bool:
    return place.lower().startswith(("http://", "https://"))


def shown(place: str) -> str:
    """An address as messages and indices may show it: without a password, and without a query, which may be a key."""
    if not is_url(place):
        return place
    address = urlsplit(place)
    port = f":{address.port}" if address.port else ""
    return f"{address.scheme}://{address.hostname}{port}{address.path}"


class Fetched:
    """Opens files here or elsewhere; safe for threads, and each process that is forked or sent one fetches its own."""

    def __init__(self, folder: str | os.PathLike | None = None):
        self._parent, self._lock = folder, threading.Lock()
        self._pid, self._folder = 0, Path()
        self._files: dict[str, Path] = {}  # address -> file, the longest unused first

    def __getstate__(self) -> dict:
        return {"folder": self._parent}

    def __setstate__(self, state: dict) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def open(self, place: str) -> BinaryIO:
        """The file, open; it stays readable when it is dropped meanwhile. DataError: not there, not to be had."""
        if not is_url(place):
            try:
                return open_plain(Path(place), "a tar file")
            except (AudioError, OSError) as error:
                raise DataError(f"Cannot open {place}: {error}") from None
        try:
            with self._lock:
                self._own_folder()
                path = self._files.pop(place, None) or self._fetch(place)
                self._files[place] = path
                return path.open("rb")
        except OSError as error:
            raise DataError(f"Cannot keep {shown(place)} on this disk: {error}; choose another temporary.") from None

    def _own_folder(self) -> None:
        if self._pid == os.getpid():
            return
        self._files, self._pid = {}, os.getpid()
        self._folder = Path(tempfile.mkdtemp(prefix="audiotoken-", dir=self._parent))
        weakref.finalize(self, _remove, self._folder, self._pid)

    def _fetch(self, url: str) -> Path:
        while len(self._files) >= KEPT:
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
                    break  # not there, or not for us: asking again does not help
        os.unlink(name)
        raise DataError(f"Cannot fetch {shown(url)}: {why}; check the address, the network and the disk.")


def download(url: str, path: Path) -> None:
    """Write what is behind `url`; OSError when it breaks off."""
    request = Request(url, headers={"User-Agent": "spatial-audiotoken"})
    with urlopen(request, timeout=TIMEOUT) as answer, path.open("wb") as file:
        shutil.copyfileobj(answer, file, 1 << 20)
        promised = answer.headers.get("Content-Length", "")
        if promised.isdecimal() and file.tell() != int(promised):
            raise OSError(f"it broke off after {file.tell()} of {promised} bytes")


def _remove(folder: Path, pid: int) -> None:
    if os.getpid() == pid:  # a forked child leaves its parent's files alone
        shutil.rmtree(folder, ignore_errors=True)
