"""Usual shapes of what words and labels name."""

import math

import pytest

from spatial.errors import SpatialError
from spatial.shapes import ASPECTS, FLYING, SQUARE, Shape, find_shape


@pytest.mark.parametrize(
    ("name", "aspect", "lift"),
    [
        ("car", 1.7, 0.0),
        ("two Cars", 1.7, 0.0),
        ("Fire engine, fire truck (siren)", 1.7, 0.0),  # not a fire
        ("Bird vocalization, bird call, bird song", 1.2, FLYING),
        ("Fixed-wing aircraft, airplane", 1.5, FLYING),
        ("buses", 1.7, 0.0),
        ("bees", 1.0, FLYING),
        ("sneezing person", 0.7, 0.0),
    ],
)
def test_the_last_word_that_is_known_decides(name, aspect, lift):
    assert find_shape(name) == Shape(aspect, lift)


@pytest.mark.parametrize("name", [None, "", "sound", "carpet", "...", "\u9752\u86d9"])
def test_what_is_not_known_is_a_square_on_the_ground(name):
    assert find_shape(name) == SQUARE


def test_every_aspect_is_a_shape():
    assert all(find_shape(word).aspect == aspect for word, aspect in ASPECTS.items())


@pytest.mark.parametrize(
    ("aspect", "lift", "words"),
    [
        (0.1, 0.0, "aspect=0.1, expected 0.2 to 5"),
        (math.nan, 0.0, "aspect=nan"),
        (1.0, 1.5, "lift=1.5, expected 0"),
        (1.0, math.nan, "lift=nan"),
    ],
)
def test_impossible_shapes_are_refused(aspect, lift, words):
    with pytest.raises(SpatialError, match=words):
        Shape(aspect, lift)
