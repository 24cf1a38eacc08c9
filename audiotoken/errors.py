"""Errors that the user can fix; each message is one sentence: what came, what was expected, what to do.

All derive from `AudioTokenError`. `spatial` and `guidance` do not depend on this package; their errors derive from
`SpatialError` and `GuidanceError`.
"""

import re

STOPPED = "Stopped; no file is left half-written."  # what Ctrl-C ends with, which is no error


class AudioTokenError(ValueError):
    """Base class of all errors that the user can fix."""


class AudioError(AudioTokenError):
    """A recording that cannot be used."""


class CheckpointError(AudioTokenError):
    """A weight file that cannot be used."""


class DataError(AudioTokenError):
    """Data that cannot be used."""


class MetricError(AudioTokenError):
    """Input for which a metric is not defined."""


class OptionError(AudioTokenError):
    """An option with an invalid value, or options that exclude each other."""


class PromptError(AudioTokenError):
    """A prompt that does not fit the sounds."""


def out_of_memory(error: BaseException) -> bool:
    """Whether a device or the computer ran out of memory, for which torch has a RuntimeError; torch is not imported."""
    names = [kind.__name__ for kind in type(error).__mro__]
    return "OutOfMemoryError" in names or "MemoryError" in names or "can't allocate memory" in str(error)


def printable(text: object) -> str:
    """The text as one line: file names may hold line breaks and control characters."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in str(text))


def first_sentence(error: BaseException) -> str:
    """The first sentence of a library's error, or its type if it has no text."""
    return re.split(r"\.?\n|\. ", str(error).strip())[0].rstrip(".:") or type(error).__name__
