"""Errors that a user can mend: each is one sentence that says what came, what is wanted, what to do."""


class SpatialError(ValueError):
    """What cannot be listened to, in one sentence: what came, what is wanted, what to do."""
