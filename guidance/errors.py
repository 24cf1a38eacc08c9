"""Errors that a user can mend: each is one sentence that says what came, what is wanted, what to do."""


class RegionError(ValueError):
    """A region that cannot be aimed at; the message says what came, what is wanted, what to do."""


class GuidanceError(ValueError):
    """A picture that cannot be drawn as asked; the message says what came, what is wanted, what to do."""
