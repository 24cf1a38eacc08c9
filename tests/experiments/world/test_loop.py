"""The learning rate of the long trainings."""

from itertools import pairwise

import pytest

from experiments.world.training.loop import COOLING, LEVEL, WARM_UP, Schedule, compute_learning_rate

BATCH, SCENES, PEAK = 100, 80_000, 2e-3
USUAL = Schedule(SCENES, BATCH, PEAK)


def at(share: float, schedule: Schedule = USUAL) -> float:
    return compute_learning_rate(round(share * SCENES / BATCH) - 1, schedule)


def test_the_rate_rises_stays_and_falls_to_zero():
    assert compute_learning_rate(0, USUAL) == pytest.approx(PEAK / 100)
    assert at(0.3) == at(1 - COOLING) == PEAK
    assert at(1 - COOLING * 3 / 4) == pytest.approx(PEAK / 2)  # one minus a root: half is lost in the first quarter
    assert at(1) == 0


def test_the_way_down_never_rises():
    rates = [at(1 - COOLING + COOLING * share / 20) for share in range(21)]
    assert all(after < before for before, after in pairwise(rates))


def test_a_long_training_slows_down_before_it_cools():
    assert compute_learning_rate(4 * LEVEL // BATCH - 1, Schedule(10_000_000, BATCH, PEAK)) == pytest.approx(PEAK / 2)


def test_weights_that_have_seen_scenes_go_on_from_there():
    late = Schedule(SCENES, BATCH, PEAK, seen=SCENES // 2, cooling=SCENES // 10)
    assert late.first == SCENES // 2 // BATCH
    assert compute_learning_rate(late.first, late) == pytest.approx(PEAK / WARM_UP)
    assert at(0.9, late) == PEAK > at(0.91, late)
    assert at(1, late) == 0
