"""AudioSet's names in the order of the class heads, and a word to draw for each, or none."""

import pytest

from audiotoken.encoders.audioset import (
    GENERIC_SUBJECTS,
    MARGIN,
    find_best_subject,
    find_label,
    find_subject,
    list_subjects,
    load_classes,
    resolve_mids,
)

NAMES = [name for _, name, _ in load_classes()]


def test_the_table_is_whole_and_in_order():
    """Places known from the published class heads; a shifted row would give every sound its neighbour's name."""
    assert len(load_classes()) == len({mid for mid, *_ in load_classes()}) == len(set(NAMES)) == 527
    for place, mid, name in (
        (0, "/m/09x0r", "Speech"),
        (74, "/m/0bt9lr", "Dog"),
        (137, "/m/04rlf", "Music"),
        (300, "/m/07yv9", "Vehicle"),
        (433, "/g/122z_qxw", "Firecracker"),
        (500, "/m/028v0c", "Silence"),
        (526, "/m/07hvw1", "Field recording"),
    ):
        assert load_classes()[place][:2] == (mid, name)
    assert all(mid.startswith(("/m/", "/t/", "/g/")) for mid, *_ in load_classes())


def test_mids_become_names_and_the_rest_stays():
    assert resolve_mids(["/m/0bt9lr", "dog", "/m/nobody", ""]) == ("Dog", "dog", "/m/nobody", "")
    assert resolve_mids(mid for mid, *_ in load_classes()) == tuple(NAMES)


@pytest.mark.parametrize(
    ("label", "word"),
    [
        ("Dog", "dog"),
        ("Bark", "dog"),
        ("Meow", "cat"),
        ("/m/07qrkrw", "cat"),
        ("Male speech, man speaking", "man"),
        ("Child speech, kid speaking", "child"),
        ("Crying, sobbing", "crying person"),
        ("Vehicle horn, car horn, honking", "car"),
        ("Vehicle_horn,_car_horn,_honking", "car"),
        ("Fire engine, fire truck (siren)", "fire truck"),
        ("Hammond organ", "Hammond organ"),
        ("Boat, Water vehicle", "boat"),
        ("crying_baby", "crying baby"),
        ("door_wood_knock", "wooden door"),
        ("can_opening", "tin can"),
        ("sheep", "sheep"),
        ("Somebody's  kettle (old), pot", "somebody's kettle"),
        ("Tom's_dog, bark", "Tom's dog"),
        ("Children's choir", "children's choir"),
    ],
)
def test_the_word_to_draw(label, word):
    assert find_subject(label) == word


@pytest.mark.parametrize("word", ["Tom's dog", "tom's dog", "TOM'S DOG", "Tom's dogs"])
def test_a_label_whose_subject_keeps_its_capital_is_named_in_any_case(word):
    assert find_label(word, ["Cat", "Tom's_dog, bark"]) == "Tom's_dog, bark"


@pytest.mark.parametrize(
    "label", ["Silence", "Inside, small room", "Noise", "Echo", "Static", "Music", "/m/04rlf", "", " "]
)
def test_what_cannot_be_drawn_has_no_word(label):
    assert find_subject(label) is None


def test_words_are_words():
    """Each can stand in "a photo of ...", and is its own word, so that lists of subjects are labels as well."""
    assert 250 < len(list_subjects()) < 400
    for word in list_subjects():
        assert word == word.strip() and word and not set(word) & set(',;()/_"')
        assert find_subject(word) == word
    assert set(list_subjects()) >= GENERIC_SUBJECTS
    assert sum(find_subject(name) is None for name in NAMES) == 82


def test_an_umbrella_gives_way_to_what_is_under_it():
    heard = [("Music", 0.99), ("Animal", 0.8), ("Dog", 0.8 * MARGIN), ("Cat", 0.1)]
    assert find_best_subject(heard) == ("dog", 0.8 * MARGIN)
    assert find_best_subject([("Animal", 0.8), ("Dog", 0.8 * MARGIN - 0.01)]) == ("animal", 0.8)
    assert find_best_subject([("Vehicle", 0.7), ("Bark", 0.71), ("Animal", 0.2)]) == ("dog", 0.71)
    assert find_best_subject([("Animal", 0.8), ("Vehicle", 0.7)]) == ("animal", 0.8)
    assert find_best_subject([("Silence", 0.9)]) is None
    assert find_best_subject([]) is None
