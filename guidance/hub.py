"""Local folders and hub ids of models other than the pipeline, and one-sentence errors when one cannot be loaded."""

import os
from pathlib import Path

from guidance.errors import GuidanceError

LOAD_ERRORS = (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError)  # raised by from_pretrained


def resolve_source(name: str | os.PathLike, kind: str, expected: str) -> str:
    """The folder with a config.json that `name` is, else the hub id; GuidanceError where it can be neither.

    kind and expected, in words for the error: "detector", "a folder or hub id of OWLv2".
    """
    folder = Path(os.path.expanduser(name))
    if (folder / "config.json").is_file():
        return str(folder)
    if folder.exists() or str(name).count("/") != 1 or str(name)[0] in "./~":
        reason = "it holds no config.json" if folder.exists() else "there is no such folder"
        raise GuidanceError(f"Cannot load the {kind} {name}: {reason}; give {expected}.")
    return str(name)


def load_error(name: str | os.PathLike, error: BaseException, kind: str, expected: str) -> GuidanceError:
    """A one-sentence error with the first line of `error`, as other libraries' messages are paragraphs."""
    reason = str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__
    return GuidanceError(f"Cannot load the {kind} {name}: {reason}; give {expected}.")
