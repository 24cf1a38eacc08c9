"""Hungarian matching of small matrices, and compared with every possible assignment."""

from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spatial.errors import SpatialError
from spatial.matching import Match, match


def pairs(similarity, threshold=0.5):
    return {(m.source, m.token) for m in match(similarity, threshold=threshold)}


def test_every_source_gets_its_own_token():
    found = match([[0.2, 0.9, 0.6], [0.8, 0.7, 0.1]], threshold=0.5)
    assert found == [Match(0, 1, 0.9), Match(1, 0, 0.8), Match(None, 2, 0.6)]


def test_the_sum_counts_not_the_first_come():
    assert pairs([[0.9, 0.85], [0.88, 0.1]]) == {(0, 1), (1, 0)}  # greedy would take 0.9 and lose the second


def test_below_the_threshold_both_stay_alone():
    found = match([[0.9, 0.2], [0.3, 0.49]], threshold=0.5)
    assert found == [Match(0, 0, 0.9), Match(1, None, 0.49), Match(None, 1, 0.49)]
    assert pairs([[0.5]]) == {(0, 0)} and pairs([[-0.2]], threshold=-0.3) == {(0, 0)}


def test_a_pair_below_the_threshold_decides_nothing():
    assert pairs([[0.6, 0.75], [0.2, 0.7]]) == {(0, 0), (1, 1)}
    assert pairs([[0.6, 0.75], [0.1, 0.49]]) == {(0, 1), (1, None), (None, 0)}  # though 0.6 + 0.49 > 0.75 + 0.1


def test_a_strong_pair_is_not_given_up_for_two_weak_ones():
    assert pairs([[0.95, 0.55], [0.55, 0.1]]) == {(0, 0), (1, None), (None, 1)}


@pytest.mark.parametrize("shape", [(0, 0), (3, 0), (0, 2)])
def test_nothing_to_match(shape):
    found = match(np.zeros(shape), threshold=0.5)
    assert found == [Match(i, None, 0.0) for i in range(shape[0])] + [Match(None, i, 0.0) for i in range(shape[1])]


def test_ties_are_stated_of_all_that_are_in_them():
    one_token = match([[0.8], [0.8], [0.8], [0.6]], threshold=0.5)
    assert [m.tied for m in one_token] == [True, True, True, False]
    assert sum(m.token == 0 for m in one_token[:3]) == 1 and one_token[3].token is None
    crossed = match([[0.7, 0.9, 0.1], [0.7, 0.9, 0.1], [0, 0, 0.6]], threshold=0.5)
    assert [m.tied for m in crossed] == [True, True, False]
    spare = match([[0.7, 0.7]], threshold=0.5)
    assert [m.tied for m in spare] == [True, True]
    assert not any(m.tied for m in match([[0.7, 0.69], [0.2, 0.5]], threshold=0.5))


@pytest.mark.parametrize(
    ("similarity", "threshold", "words"),
    [
        ([[0.3, np.nan]], 0.5, "similarity that is not finite"),
        ([[np.inf]], 0.5, "similarity that is not finite"),
        ([[0.3]], np.nan, "threshold that is not finite"),
        ([[1e308, -1e308]], 0.5, "similarity that is not finite"),
        ([[0.3]], -1.7e308, "threshold that is not finite"),
        ([0.3, 0.4], 0.5, r"shape \(2,\), expected \(sources, tokens\)"),
    ],
)
def test_invalid_similarities_are_refused(similarity, threshold, words):
    with pytest.raises(SpatialError, match=words):
        match(similarity, threshold=threshold)


def best_by_trying(scores, threshold):
    """The largest sum of similarity - threshold over all one-to-one pairings of pairs at or above it."""
    rows, columns, best = *scores.shape, 0.0
    for size in range(1, min(rows, columns) + 1):
        for some in combinations(range(rows), size):
            for others in permutations(range(columns), size):
                values = scores[list(some), list(others)]
                if (values >= threshold).all():
                    best = max(best, float((values - threshold).sum()))
    return best


matrices = st.tuples(st.integers(0, 4), st.integers(0, 4)).flatmap(
    lambda shape: arrays(float, shape, elements=st.integers(-8, 8).map(lambda i: i / 8))
)


@settings(max_examples=150, deadline=None)
@given(matrices, st.sampled_from([-0.5, 0.0, 0.3, 0.5]))
def test_it_is_one_to_one_complete_and_the_best(scores, threshold):
    found = match(scores, threshold=threshold)
    sources, tokens = [m.source for m in found], [m.token for m in found]
    assert sorted(s for s in sources if s is not None) == list(range(scores.shape[0]))
    assert sorted(t for t in tokens if t is not None) == list(range(scores.shape[1]))
    made = [m for m in found if m.source is not None and m.token is not None]
    assert all(m.score == scores[m.source, m.token] >= threshold for m in made)
    assert sum(m.score - threshold for m in made) == pytest.approx(best_by_trying(scores, threshold), abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(matrices, st.randoms(use_true_random=False))
def test_without_ties_the_order_of_rows_does_not_matter(scores, random):
    order = list(range(len(scores)))
    random.shuffle(order)
    found, again = match(scores, threshold=0.1), match(scores[order], threshold=0.1)
    moved = {(None if m.source is None else order[m.source], m.token, m.tied) for m in again}
    if not any(m.tied for m in found):
        assert moved == {(m.source, m.token, m.tied) for m in found}
    assert sum(m.tied for m in found) == 0 or any(m.tied for m in again)
