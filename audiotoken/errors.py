"""Errors that a user can mend: each is one sentence that says what came, what is wanted, what to do.

All derive from `AudioTokenError`. `spatial` and `guidance` know nothing of this package and have roots of their own,
`SpatialError` and `GuidanceError`, that look alike.
"""

from typing import TYPE_CHECKING

import torch


class MetricError(ValueError):
    """What cannot be scored; the message is one sentence: what came, what is wanted, what to do."""


class DataError(ValueError):
    """Data that cannot be used; the message is one sentence: what came, what is wanted, what to do."""


class PromptError(ValueError):
    """A prompt and sounds that do not go together; the message says what came, what is wanted, what to do."""


class CheckpointError(ValueError):
    """A weight file that cannot be used; the message is one sentence: what came, what is wanted, what to do."""


class AudioError(ValueError):
    """A recording that cannot be used; the message is one sentence: what came, what is wanted, what to do."""


if TYPE_CHECKING:  # what takes seconds to import is imported when it is needed
    import torch


class OptionError(ValueError):
    """An option that cannot be followed; the message is one sentence: what came, what is wanted, what to do."""


def printable(text: object) -> str:
    """One line: a file's name may hold line ends, or what a terminal would obey."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in str(text))


def out_of_memory(error: BaseException) -> bool:
    """Of the device's, or of the computer's, which torch tells as a RuntimeError."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)
