"""Hides a torchaudio that is installed but cannot be loaded.

torchaudio's binary loads only with the torch release it was built for, and transformers imports torchaudio wherever it
is installed. So torchaudio is tried before transformers is imported for the first time. If it fails, it is hidden from
the process as if it were not installed, and a warning says what to do. This package does not need torchaudio, and
imports neither library before something else imports transformers.
"""

import importlib.util
import logging
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

logger = logging.getLogger(__name__)


class _BeforeTransformers(MetaPathFinder):
    """Runs the check once, when transformers is about to be imported; the finders after it do the import."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == "transformers" and self in sys.meta_path:
            sys.meta_path.remove(self)
            hide_broken_torchaudio()
        return None


def install() -> None:
    """Call this early. If transformers is loaded already, torchaudio is tried now: it may be imported later."""
    if "transformers" in sys.modules:
        hide_broken_torchaudio()
    elif not any(isinstance(each, _BeforeTransformers) for each in sys.meta_path):
        sys.meta_path.insert(0, _BeforeTransformers())


def hide_broken_torchaudio() -> bool:
    """Hide torchaudio if it is installed but fails to load, and log a warning; returns whether it was hidden."""
    if "torchaudio" in sys.modules or importlib.util.find_spec("torchaudio") is None:
        return False
    try:
        with warnings.catch_warnings():  # a warning is not a failure, even where warnings are errors
            warnings.simplefilter("ignore")
            import_module("torchaudio")
    except Exception as error:  # OSError, ImportError, RuntimeError: a binary can fail in many ways
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchaudio"]:
            del sys.modules[name]
        sys.modules["torchaudio"] = None  # type: ignore[assignment]  # find_spec and import now say "not installed"
        logger.warning(_describe(error))
        return True
    return False


def _describe(error: Exception) -> str:
    cause = error.__cause__ or error  # torch wraps the loader's error
    why = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
    pair = f"torchaudio {_version('torchaudio')} is installed but cannot be loaded with torch {_version('torch')}"
    return (
        f"{pair} ({why}). "
        "audiotoken works without it; to end this warning, run `pip uninstall torchaudio` or install the release that "
        "was built for this torch."
    )


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "of unknown version"
