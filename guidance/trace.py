"""What happened at the steps of a run."""

from dataclasses import dataclass


@dataclass
class StepTrace:
    """What happened at a step. Tuples have one entry per row, and are empty where no energy was computed."""

    step: int
    sigma: float  # standard deviation of the noise over that of the signal
    before: tuple[float, ...] = ()  # energy, before any update of this step
    after: tuple[float, ...] = ()  # the next energy computed: before the last update of this step, or at the next step
    updates: tuple[int, ...] = ()  # number of updates
    not_finite: tuple[int, ...] = ()  # number of gradients that were not finite, and moved nothing
