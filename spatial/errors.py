"""The root of what can go wrong in this package and a user can mend."""


class SpatialError(ValueError):
    """What cannot be listened to; the message is one sentence: what came, what is wanted, what to do."""
