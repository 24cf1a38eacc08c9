"""The root of what can go wrong in this package and a user can mend."""


class GuidanceError(ValueError):
    """A picture that cannot be drawn as asked; the message is one sentence: what came, what is wanted, what to do."""


class RegionError(GuidanceError):
    """A region that cannot be aimed at."""
