"""The learning rate of the long trainings."""

from itertools import pairwise

import pytest

from experiments.world.training.loop import COOLING, LEVEL, compute_learning_rate

BATCH, SCENES, PEAK = 100, 80_000, 2e-3


def at(share: float) -> float:
    return compute_learning_rate(round(share * SCENES / BATCH) - 1, BATCH, SCENES, PEAK)


def test_the_rate_rises_stays_and_falls_to_zero():
    assert compute_learning_rate(0, BATCH, SCENES, PEAK) == pytest.approx(PEAK / 100)
    assert at(0.3) == at(1 - COOLING) == PEAK
    assert at(1 - COOLING * 3 / 4) == pytest.approx(PEAK / 2)  # one minus a root: half is lost in the first quarter
    assert at(1) == 0


def test_the_way_down_never_rises():
    rates = [at(1 - COOLING + COOLING * share / 20) for share in range(21)]
    assert all(after < before for before, after in pairwise(rates))


def test_a_long_training_slows_down_before_it_cools():
    assert compute_learning_rate(4 * LEVEL // BATCH - 1, BATCH, 10_000_000, PEAK) == pytest.approx(PEAK / 2)
