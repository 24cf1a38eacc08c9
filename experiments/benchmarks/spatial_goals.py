"""Goals of localisation and separation: the rows of the spatial benchmark's table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from experiments.benchmarks.spatial_score import Scored

Pool = Callable[[Sequence[Scored]], float | None]


@dataclass(frozen=True)
class Goal:
    """A row of the table."""

    name: str
    which: Callable[[Scored], bool]
    pool: Pool
    count_given: bool = False  # whether the system knows the number of sources
    must: float | None = None
    stretch: float | None = None
    digits: int = 0
    lower_is_better: bool = False

    def value(self, scored: Sequence[Scored]) -> float | None:
        """None where there is nothing to score."""
        return self.pool([one for one in scored if self.which(one)])


def mean(name: str, scale: float = 1.0) -> Pool:
    """Mean of all values of that name, over all scenes."""

    def pool(scored: Sequence[Scored]) -> float | None:
        values = [value for one in scored for value in one.values.get(name, [])]
        return scale * float(np.mean(values)) if values else None

    return pool


def f_score(scored: Sequence[Scored]) -> float | None:
    """F score of all sources together, percent."""
    recalled = [value for one in scored for value in one.values.get("recalled", [])]
    precise = [value for one in scored for value in one.values.get("precise", [])]
    return 200.0 * sum(recalled) / (len(recalled) + len(precise)) if recalled else None


def _static(count: int | None = None, dry: bool | None = None, setup: str | None = None) -> Callable[[Scored], bool]:
    return lambda one: (
        one.kind == "static"
        and count in (None, one.count)
        and dry in (None, one.dry)
        and setup in (None, one.truth["setup"])
    )


def _moving(count: int) -> Callable[[Scored], bool]:
    return lambda one: one.kind == "moving" and one.count == count


def _goals() -> tuple[Goal, ...]:
    """In the order of the table; `must` and `stretch` are this project's own goals."""
    static = _static()
    rows = [
        Goal("setup recognised, %", lambda one: True, mean("setup", 100), must=95, stretch=98),
        Goal("side correct, static, %", static, mean("side", 100), must=91, stretch=95),
        Goal("within 10°, static, %", static, mean("recalled", 100), count_given=True, must=90, stretch=94),
        Goal("F at 10°, static, %", static, f_score, must=90, stretch=94),
        Goal("F at 10°, noisy, %", lambda one: one.kind == "noisy", f_score, must=92, stretch=95),
        Goal("number correct, static, %", static, mean("count", 100), must=83, stretch=90),
    ]
    for count, must, stretch in ((1, 0.2, 0.1), (2, 0.3, 0.2), (3, 0.5, 0.3)):
        which = _static(count, True, "panned")
        rows.append(Goal(f"error, panned dry, {count}, °", which, mean("error"), True, must, stretch, 2, True))
    for count, must, stretch in ((1, 1.5, 1), (2, 7, 4)):
        name = f"track error, one moving{' and one fixed' * (count > 1)}, °"
        rows.append(Goal(name, _moving(count), mean("track"), True, must, stretch, 1, True))
    for count, dry, must, stretch in ((2, True, 18, 25), (2, False, 6, 8), (3, True, 7, 9), (3, False, 3, 5)):
        name = f"SI-SDR improvement, {count} {'dry' if dry else 'reverberant'}, dB"
        rows.append(Goal(name, _static(count, dry), mean("sdri"), True, must, stretch, 1))
    label = Goal("label correct within 10°, 2 static, %", _static(2), mean("labelled", 100), must=75, stretch=85)
    return (*rows, label, Goal("seconds for a clip", lambda one: True, mean("wall"), False, 0.75, 0.3, 2, True))


GOALS = _goals()
