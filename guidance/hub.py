"""Folders and hub ids of models beside the pipeline: where they are, and why one cannot be loaded, in a sentence."""

import os
from pathlib import Path

from guidance.errors import GuidanceError

BROKEN = (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError)  # what from_pretrained raises


def source_of(name: str | os.PathLike, kind: str, wanted: str) -> str:
    """The folder with a config.json that `name` is, else the hub id; GuidanceError where it can be neither.

    kind and wanted, in words: "detector", "a folder or hub id of OWLv2".
    """
    folder = Path(name).expanduser()
    if (folder / "config.json").is_file():
        return str(folder)
    if folder.exists() or str(name).count("/") != 1 or str(name)[0] in "./~":
        what = "it holds no config.json" if folder.exists() else "there is no such folder"
        raise GuidanceError(f"Cannot load the {kind} {name}: {what}; give {wanted}.")
    return str(name)


def refusal(name: str | os.PathLike, error: BaseException, kind: str, wanted: str) -> GuidanceError:
    """Of what others say in paragraphs, the first line."""
    what = str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__
    return GuidanceError(f"Cannot load the {kind} {name}: {what}; give {wanted}.")
