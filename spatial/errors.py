"""The base class of this package's errors."""


class SpatialError(ValueError):
    """Invalid input; the message is one sentence: what came, what was expected, what to do."""
