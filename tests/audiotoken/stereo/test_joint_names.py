"""The names of all sources of a scene, decided together."""

import numpy as np
import pytest

from audiotoken.stereo.joint_names import TWIN, combine_channels, is_supported, name_together, price_twins
from spatial.scene import Direction, Scene, Source


def best(heard):
    return [each[0][0] for each in heard]


def test_the_neighbour_s_name_comes_once():
    """The second stem is mostly its neighbour: it gets its own second best."""
    heard = [[("dog", 0.98), ("rain", 0.02)], [("dog", 0.8), ("rain", 0.6), ("bell", 0.1)]]
    assert best(name_together(heard)) == best(name_together(heard[::-1]))[::-1] == ["dog", "rain"]
    assert name_together(heard)[0][0] == heard[0][0]  # a name that is one's own keeps its score
    assert dict(name_together(heard)[1])["dog"] < 0.6 == dict(name_together(heard)[1])["rain"]


def test_the_better_claim_wins_not_the_first():
    heard = [[("dog", 0.9), ("rain", 0.8)], [("dog", 0.97), ("rain", 0.01)]]
    assert best(name_together(heard)) == ["rain", "dog"]


def test_two_clearly_of_a_kind_stay_two():
    heard = [[("dog", 0.99), ("rain", 0.02)], [("dog", 0.97), ("rain", 0.01)]]
    assert name_together(heard) == heard
    assert best(name_together([*heard, [("dog", 0.7), ("rain", 0.3)]])) == ["dog", "dog", "rain"]


def make_scene(*signals, images=True):
    sources = [
        Source(x, Direction(10.0 * i), image=np.stack([x, x]) if images else None) for i, x in enumerate(signals)
    ]
    return Scene(tuple(sources), 16_000, "panned")


def test_one_sound_heard_twice_is_hardly_two_of_a_kind():
    """By their own evidence both are a dog; what comes and goes as the other does is its remainder."""
    first, second = np.random.default_rng(0).normal(size=(2, 2, 20, 1600))
    swells = np.random.default_rng(1).uniform(0.01, 1, (2, 20, 1))
    own, other = (first[0] * swells[0]).ravel(), (second[0] * swells[1]).ravel()
    heard = [[("dog", 0.98), ("rain", 0.02)], [("dog", 0.8), ("rain", 0.3)], [("bell", 0.9), ("rain", 0.2)]]
    left, apart = (
        price_twins(make_scene(own, 0.3 * own + 0.01 * other, other)),
        price_twins(make_scene(own, other, -own)),
    )
    assert best(name_together(heard, prices=left)) == ["dog", "rain", "bell"]
    assert left[2] < 2 < left[0] == left[1] and apart[1] < 2 < apart[0] == apart[2]
    assert best(name_together(heard[:2], prices=[apart[1]] * 2)) == ["dog", "dog"]
    assert best(name_together(heard[:2])) == ["dog", "dog"]  # so without prices, as the dog is clear enough


def test_signals_of_other_moments_have_no_price():
    noise = np.random.default_rng(0).normal(size=16_000)
    assert price_twins(make_scene(noise, noise, images=False)) is None and price_twins(make_scene(noise)) is None
    assert price_twins(make_scene(noise, 0 * noise)) == pytest.approx([TWIN, TWIN], abs=1e-3)


def test_sounds_that_take_turns_may_well_be_two_of_a_kind():
    turns, noise = np.arange(16_000) // 4000 % 2, np.random.default_rng(0).normal(size=(2, 16_000))
    assert max(price_twins(make_scene(noise[0] * turns, noise[1] * (1 - turns)))) < 0.5 * TWIN


def test_labels_of_one_subject_are_one_name():
    heard = [[("Bark", 0.95), ("Rain", 0.02)], [("Dog", 0.8), ("Rain", 0.6), ("Animal", 0.5)]]
    named = name_together(heard)
    assert best(named) == ["Bark", "Rain"]
    assert dict(named[1])["Animal"] == 0.5  # too general to belong to one of them


def test_words_of_a_prompt_are_names_that_are_taken():
    heard = [[("dog", 0.9), ("rain", 0.1)], [("dog", 0.7), ("rain", 0.5)]]
    assert best(name_together(heard, {0: "dog"})) == ["dog", "rain"]
    assert best(name_together(heard, {0: "puppy"})) == ["dog", "dog"]


@pytest.mark.parametrize("heard", [[], [[]], [[("dog", 1.0), ("rain", 0.0)]], [[], [("Echo", 0.7)]]])
def test_one_source_or_none_stays_as_it_is(heard):
    assert name_together(heard) == heard


def test_a_faint_name_is_known_if_the_whole_recording_has_it():
    mixture = combine_channels([[("dog", 0.9), ("rain", 0.2)], [("rain", 0.8), ("dog", 0.1)]])
    assert mixture == [("dog", 0.9), ("rain", 0.8)]
    assert is_supported([("rain", 0.2)], mixture) and not is_supported([("rain", 0.01)], mixture)
    assert not is_supported([("bell", 0.4)], mixture) and not is_supported([], mixture)
