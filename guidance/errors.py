"""Errors of this package that a user can fix; the message is one sentence: what came, what is expected, what to do."""


class GuidanceError(ValueError):
    """A picture that cannot be drawn as requested; the root of this package's errors."""


class RegionError(GuidanceError):
    """A box or token positions that are not valid."""
