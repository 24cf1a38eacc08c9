"""From a scene with names to a layout, and its sentence."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from audiotoken.stereo.captions import add_article, make_plural, write_caption
from audiotoken.stereo.layouts import make_layout, parse_words, place_boxes
from guidance.boxes import mirror_box
from guidance.layout import Entry
from spatial.camera import Camera
from spatial.scene import Direction, Scene, Source
from spatial.shapes import find_shape


def source(azimuth: float, spread: float = 2.0, path=()) -> Source:
    return Source(np.zeros(1, np.float32), Direction(azimuth, spread), -20.0, path)


def entry(word: str, x: float, path=()) -> Entry:
    return Entry(word, (x - 0.1, 0.3, x + 0.1, 0.8), path=path)


SCENE = Scene((source(31.0), source(-25.0), source(0.0, 40.0)), 16_000, "ortf")


def test_sounds_are_placed_where_they_are_heard():
    names = ["bell", "frog", "rain"]
    layout = make_layout(SCENE, names, place_boxes(SCENE, range(3), names), canvas=(640, 480))
    assert layout.words == ["bell", "frog"] and layout.canvas == (640, 480)  # rain comes from everywhere
    assert layout.entries[0].centre[0] > 0.5 > layout.entries[1].centre[0]
    assert layout.entries[0].description == "a bell"
    assert layout.caption == "a frog on the left and a bell on the right, with rain"


def test_swapped_channels_mirror_the_boxes():
    swapped = [
        replace(each, direction=replace(each.direction, azimuth=-each.direction.azimuth)) for each in SCENE.sources
    ]
    scene = replace(SCENE, sources=tuple(swapped))
    names = ["bell", "frog", None]
    straight, mirrored = (make_layout(one, names, place_boxes(one, range(2), names)) for one in (SCENE, scene))
    for before, after in zip(straight.entries, mirrored.entries, strict=True):
        assert after.box == pytest.approx(mirror_box(before.box))
    assert mirrored.caption == "a bell on the left and a frog on the right"


def test_without_directions_or_names_there_is_no_box():
    assert place_boxes(replace(SCENE, setup="mono"), range(3), [None] * 3) == {}
    assert make_layout(SCENE, [None] * 3, place_boxes(SCENE, range(3), [None] * 3)).entries == ()
    assert make_layout(SCENE, ["bell", "frog", None], {}).caption == "a bell and a frog"


def test_boxes_have_the_shapes_of_what_they_are_called():
    bird, car = (place_boxes(SCENE, [0], [name] * 3)[0] for name in ("bird", "car"))
    assert bird[1] < car[1] and bird[3] < car[3]  # it flies
    assert (car[2] - car[0]) / (car[3] - car[1]) == pytest.approx(find_shape("car").aspect)


def test_what_moves_has_a_path():
    car = source(0.0, path=((0.0, -40.0), (2.0, 0.0), (4.0, 40.0)))
    scene = Scene((car,), 16_000, "ortf")
    moving = make_layout(scene, ["car"], place_boxes(scene, [0], ["car"])).entries[0]
    assert [seconds for seconds, _ in moving.path] == [0.0, 2.0, 4.0]
    assert moving.path[1][1] == pytest.approx(Camera().box(car, 2.0, shape=find_shape("car")))
    assert make_layout(scene, ["car"], {0: moving.box}).caption == "a car moving from the left to the right"


@pytest.mark.parametrize(
    ("entries", "others", "setting", "caption"),
    [
        (
            [entry("bell", 0.8), entry("frog", 0.2)],
            [],
            "in a meadow",
            "a frog on the left and a bell on the right, in a meadow",
        ),
        ([entry("owl", 0.5)], [], "", "an owl in the middle"),
        ([entry("frog", 0.2), entry("frog", 0.3)], [], "", "two frogs on the left"),
        ([entry("frog", 0.2), entry("frog", 0.8)], [], "", "a frog on the left and another frog on the right"),
        (
            [entry("a", 0.2), entry("b", 0.5), entry("c", 0.8)],
            [],
            "",
            "an a on the left, a b in the middle and a c on the right",
        ),
        ([], ["dog", "rain"], "at night.", "a dog and rain, at night"),
        ([], [], "at night", "a landscape at night"),
        ([entry("fire", 0.2)], ["rain", "dog", "dog"], "", "a fire on the left, with rain and two dogs"),
        ([entry("rain", 0.2), entry("rain", 0.8)], [], "", "rain on the left and more rain on the right"),
        (
            [entry("pair of scissors", 0.2), entry("pair of scissors", 0.3), entry("hourglass", 0.8)],
            [],
            "",
            "two pairs of scissors on the left and an hourglass on the right",
        ),
        (
            [entry("Vehicle horn, car horn, honking", 0.2), entry("Domestic animals, pets", 0.8)],
            ["Zipper (clothing)"],
            "",
            "a vehicle horn on the left and domestic animals on the right, with a zipper",
        ),
        ([entry("two frogs", 0.2), entry("the sea", 0.8)], [], "", "two frogs on the left and the sea on the right"),
        ([entry("dog barking", 0.2), entry("dog barking", 0.3)], [], "", "two dogs barking on the left"),
        ([entry("狗", 0.2), entry("🐸", 0.8)], [], "", "狗 on the left and 🐸 on the right"),
    ],
)
def test_a_sentence_for_the_whole_scene(entries, others, setting, caption):
    assert write_caption(entries, others, setting) == caption


@pytest.mark.parametrize(
    ("one", "many"),
    [
        ("dog", "dogs"),
        ("crying baby", "crying babies"),
        ("glass of water", "glasses of water"),
        ("person brushing teeth", "people brushing teeth"),
        ("church choir", "church choirs"),
        ("goose", "geese"),
        ("woman", "women"),
        ("wolf", "wolves"),
        ("bus", "buses"),
        ("rain", "rain"),
        ("keys", "keys"),
        ("human", "humans"),
        ("sheep", "sheep"),
        ("kitchen knife", "kitchen knives"),
        ("half", "halves"),
        ("roof", "roofs"),
        ("tomato", "tomatoes"),
        ("piano", "pianos"),
        ("mongoose", "mongooses"),
        ("lens", "lenses"),
        ("man speaking", "men speaking"),
        ("rock and roll band", "rock and roll bands"),
        ("bow and arrow", "bows and arrow"),
        ("snowman", "snowmen"),
        ("TV", "TVs"),
        ("mice", "mice"),
        ("die", "dice"),
        ("Person singing", "People singing"),
        ("washing machine", "washing machines"),
        ("狗", "狗"),
    ],
)
def test_plurals(one, many):
    assert make_plural(one) == many


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("Tom's dog", "Tom's dog"),
        ("Tom's dog (old), barking", "Tom's dog"),
        ("Baby's cry, sobbing", "a baby's cry"),
        ("Owl, hoot", "an owl"),
        ("Big Ben, bell", "a Big Ben"),
        ("Harley-Davidson (motorcycle)", "a Harley-Davidson"),
        ("SUV, car", "an SUV"),
    ],
)
def test_owners_and_names_keep_their_capitals_and_take_the_article(word, said):
    assert add_article(word) == said


@pytest.mark.parametrize(
    "text", ["frog, bell", "frog;bell", "frog，bell", "frog、 bell", "frog； bell", "frog،bell", '"frog", “bell”']
)
def test_words_are_apart_by_any_comma(text):
    assert parse_words(text) == ["frog", "bell"]


def test_layouts_and_captions_need_no_torch():
    code = "import sys, audiotoken.stereo.layouts, audiotoken.labels; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
