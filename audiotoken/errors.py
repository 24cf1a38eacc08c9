"""Errors that a user can mend: each is one sentence that says what came, what is wanted, what to do.

All derive from `AudioTokenError`. `spatial` and `guidance` know nothing of this package and have roots of their own,
`SpatialError` and `GuidanceError`, that look alike.
"""


class AudioTokenError(ValueError):
    """What a user can mend; the message is one sentence: what came, what is wanted, what to do."""


class AudioError(AudioTokenError):
    """A recording that cannot be used."""


class CheckpointError(AudioTokenError):
    """A weight file that cannot be used."""


class DataError(AudioTokenError):
    """Data that cannot be used."""


class MetricError(AudioTokenError):
    """What cannot be scored."""


class OptionError(AudioTokenError):
    """An option that cannot be followed."""


class PromptError(AudioTokenError):
    """A prompt and sounds that do not go together."""


def out_of_memory(error: BaseException) -> bool:
    """Of the device's, or of the computer's, which torch tells as a RuntimeError; asked without importing torch."""
    names = [kind.__name__ for kind in type(error).__mro__]
    return "OutOfMemoryError" in names or "MemoryError" in names or "can't allocate memory" in str(error)


def printable(text: object) -> str:
    """One line: a file's name may hold line ends, or what a terminal would obey."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in str(text))
