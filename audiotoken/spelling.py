"""Paths whose accents are written in another way than on the disk: as one letter (NFC) or as two (NFD, as by macOS)."""

import os
import unicodedata
from pathlib import Path


def find_spelling(path: str | os.PathLike) -> Path:
    """The path as it is on the disk if exactly one file or folder is called so in any Unicode form, else as given."""
    given = Path(path)
    if str(given).isascii() or os.path.lexists(given):
        return given
    found = Path(given.anchor)
    for name in given.parts[len(found.parts) :]:
        if not os.path.lexists(found / name):
            name = _find_only(found, name) or name
        found /= name
    return found if os.path.lexists(found) else given


def _find_only(folder: Path, name: str) -> str | None:
    """The only name in the folder that differs from `name` in its Unicode form alone."""
    try:
        names = os.listdir(folder)
    except (OSError, ValueError):  # no such folder, one that may not be read, a name that no path may have
        return None
    wanted = unicodedata.normalize("NFC", name)
    same = [each for each in names if unicodedata.normalize("NFC", each) == wanted]
    return same[0] if len(same) == 1 else None
