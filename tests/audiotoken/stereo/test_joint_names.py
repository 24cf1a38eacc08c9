"""The names of all sources of a scene, decided together."""

import pytest

from audiotoken.stereo.joint_names import combine_channels, is_supported, name_together


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
