"""Label tokens in words: which subject, which article."""

import pytest

from audiotoken.errors import CheckpointError, PromptError
from audiotoken.labels import choose_article, choose_subject, insert_articles, insert_words


def test_the_best_label_that_can_be_drawn():
    assert choose_subject([("Echo", 0.9), ("Meow", 0.3), ("Dog", 0.2)]) == "cat"
    nearest = [("church_bells", 0.04), ("frog", 0.01)]
    assert choose_subject(nearest) == "church bells"  # however low its score


@pytest.mark.parametrize("heard", [[], [("class 0", 0.9), ("class 11", 0.1)]])
def test_an_encoder_without_names_says_so(heard):
    with pytest.raises(CheckpointError, match=r"has no class names.*token=learned"):
        choose_subject(heard)


def test_what_cannot_be_drawn_is_said():
    with pytest.raises(PromptError, match=r"Heard Echo 0.90, but none of the encoder's 2 labels"):
        choose_subject([("Echo", 0.9), ("Silence", 0.1)])


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("dog", "a"),
        ("owl", "an"),
        ("ukulele", "a"),
        ("umbrella", "an"),
        ("SLR camera", "an"),
        ("DJ", "a"),
        ("bus", "a"),
        ("glass of water", "a"),
        ("person brushing teeth", "a"),
        ("sports car", "a"),
        ("Christmas tree", "a"),
        ("rain", ""),
        ("broken glass", ""),
        ("keys", ""),
        ("trees in the wind", ""),
        ("children playing", ""),
        ("hourglass", "an"),
        ("honest man", "an"),
        ("unicorn", "a"),
        ("uninvited guest", "an"),
        ("usher", "an"),
        ("utensil", "a"),
        ("one-man band", "a"),
        ("European car", "a"),
        ("UFO", "a"),
        ("X-ray machine", "an"),
        ("8-bit computer", "an"),
        ("18-wheeler", "an"),
        ("10 drums", ""),
        ("écureuil", "an"),
        ("'hello'", "a"),
        ("pair of scissors", "a"),
        ("scissors", ""),
        ("sheep", "a"),
        ("mice", ""),
        ("firemen", ""),
        ("specimen", "a"),
        ("gas", "a"),
        ("iris", "an"),
        ("wine glass", "a"),
        ("glass bottle", "a"),
        ("thunder", ""),
        ("thunderstorm", "a"),
        ("applause", ""),
        ("typing", ""),
        ("washing machine", "a"),
        ("old sewing machine", "an"),
        ("dog barking", "a"),
        ("birds chirping", ""),
        ("rain falling", ""),
        ("wedding ring", "a"),
        ("two frogs", ""),
        ("the sea", ""),
        ("Tom's dog", ""),
        ("O'Brien’s owl", ""),
        ("somebody's dog", ""),
        ("baby's cry", "a"),
        ("children's choir", "a"),
        ("狗", ""),
        ("🐸 frog", "a"),
    ],
)
def test_articles(subject, expected):
    assert choose_article(subject) == expected


@pytest.mark.parametrize(
    ("text", "subjects", "said"),
    [
        ("a photo of <audio>", ["dog"], "a photo of a dog"),
        ("a photo of <audio>", ["rain"], "a photo of rain"),
        ("<audio> beside <audio>", ["owl", "keys"], "an owl beside keys"),
        ("A <audio>, an <audio>", ["owl", "dog"], "An owl, a dog"),
        ("a photo of a <audio> at night", ["rain"], "a photo of rain at night"),
        ("a car, (<audio>:1.3)", ["dog"], "a car, a dog"),
        ("a photo of a (<audio>:1.3)", ["owl"], "a photo of an owl"),
        ("the <audio> and two <audio> in a red-<audio>", ["dog", "dog", "dog"], "the dog and two dog in a red-dog"),
        ("<audio><audio>", ["dog", "bell"], "a dogbell"),
    ],
)
def test_an_article_where_one_fits(text, subjects, said):
    assert insert_words(insert_articles(text, subjects), subjects) == said
