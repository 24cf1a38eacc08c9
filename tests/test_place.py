"""From a stereo clip to a picture with everything on its side."""

import numpy as np
import pytest
import soundfile
from PIL import Image
from typer.testing import CliRunner

from experiments.cli import app
from experiments.generate import load_parts
from experiments.place import said
from experiments.placing import named_words, place, placed
from experiments.world.sounds import synthesise
from spatial.scene import Direction, Scene, Source
from spatial.simulate import simulate

RATE = 22_050


@pytest.fixture(scope="module")
def parts():
    return load_parts("mini", "cpu")


@pytest.fixture(scope="module")
def street():
    """A frog on the left, a bell on the right."""
    frog, bell = (synthesise(word, RATE, 3.0, 9) for word in ("frog", "bell"))
    return simulate([(frog, -28.0), (bell, 28.0)], "panned", rate=RATE)


def centres(result):
    return {region.label: region.centre[0] for region in result.regions.values()}


def test_the_frog_is_left_and_the_bell_is_right(parts, street):
    result = place(street, RATE, parts, steps=2)
    assert set(result.subjects) == {"frog", "bell"}
    assert centres(result)["frog"] < 0.4 < 0.6 < centres(result)["bell"]
    assert result.text == "a photo of <audio> and <audio>"


def test_channels_swapped_the_places_are_swapped(parts, street):
    result = place(street[::-1], RATE, parts, steps=1)
    assert centres(result)["bell"] < 0.4 < 0.6 < centres(result)["frog"]


def test_words_of_the_prompt_go_where_they_are_heard(parts, street):
    result = place(street, RATE, parts, prompt="a bell and a frog by a river", steps=1)
    assert result.text == "a bell and a frog by a river"
    assert centres(result)["frog"] < 0.4 < 0.6 < centres(result)["bell"]
    bell, frog = (next(r.positions for r in result.regions.values() if r.label == name) for name in ("bell", "frog"))
    assert bell < frog  # each its own word


def test_a_sound_that_no_word_names_is_added_or_dropped(parts, street):
    added = place(street, RATE, parts, prompt="a frog at night", steps=1)
    dropped = place(street, RATE, parts, prompt="a frog at night", unmatched="drop", steps=1)
    assert added.text == "a frog at night and <audio>" and len(added.regions) == 2
    assert dropped.text == "a frog at night" and [region.label for region in dropped.regions.values()] == ["frog"]


def test_a_sound_stands_where_the_prompt_keeps_a_place(parts, street):
    result = place(street, RATE, parts, prompt="a frog and (<audio>:1.2) by a river", steps=1)
    assert result.text == "a frog and (<audio>:1.2) by a river"
    assert centres(result)["frog"] < 0.4 < 0.6 < centres(result)["bell"]


def test_one_channel_has_no_place_and_is_still_drawn(parts):
    result = place(synthesise("frog", RATE, 2.0, 9)[None], RATE, parts, steps=1)
    assert not result.regions and len(result.images) == 1
    assert any("nothing can be said of directions" in note for note in result.notes)


def test_what_comes_from_everywhere_has_no_place():
    rain = Source(np.zeros(4, np.float32), Direction(0.0, 60.0))
    regions, notes = placed(Scene((rain,), RATE, "binaural"), ["rain"], {0: (4,)}, 90.0)
    assert not regions and "everywhere" in notes[0]


def test_two_of_a_kind_are_two_words_in_two_places(parts):
    left, right = (synthesise("dog", RATE, 3.0, seed) for seed in (4, 11))
    recording = simulate([(left, -30.0), (right, 30.0)], "panned", rate=RATE)
    result = place(recording, RATE, parts, prompt="a dog and a dog", steps=1)
    assert result.subjects == ["dog", "dog"] and len(result.regions) == 2
    assert {region.positions for region in result.regions.values()} == {(2,), (5,)}
    assert sorted(region.centre[0] < 0.5 for region in result.regions.values()) == [False, True]
    text = said(result, "out.png", False)
    assert "30° left" in text and "30° right" in text and text.count("box") == 2 and "box 0.0" in text


def test_the_same_seed_draws_the_same_picture(parts, street):
    first, second = (place(street, RATE, parts, seed=3, steps=2).images[0] for _ in range(2))
    assert np.array_equal(np.asarray(first), np.asarray(second))


def test_words_are_found_whole_and_as_often_as_they_stand():
    heard = [{"dog": 0.9, "cat": 0.1}, {"dog": 0.8}]
    assert named_words("a Dog, a cat and a dogma of dogs", heard) == ["Dog", "cat"]
    assert named_words("a dog and a dog", heard) == ["dog", "dog"]


def test_the_command_draws_and_says_where(tmp_path, street):
    soundfile.write(tmp_path / "street.wav", street.T, RATE)
    out = tmp_path / "street.png"
    ran = CliRunner().invoke(app, ["place", str(tmp_path / "street.wav"), "-o", str(out), "--steps", "1", "--boxes"])
    assert ran.exit_code == 0, ran.output
    assert out.exists() and (tmp_path / "street-boxes.png").exists()
    assert "28° left" in ran.output and "28° right" in ran.output


@pytest.mark.parametrize(
    ("options", "word"),
    [(["--unmatched", "keep"], "unmatched"), (["--setup", "quad"], "setup"), (["--energy", "brute"], "energy")],
)
def test_wrong_options_are_one_sentence(tmp_path, street, options, word):
    soundfile.write(tmp_path / "street.wav", street.T, RATE)
    out = tmp_path / "out.png"
    ran = CliRunner().invoke(app, ["place", str(tmp_path / "street.wav"), "-o", str(out), *options])
    assert ran.exit_code == 2 and word in ran.output and not out.exists()


def test_what_passes_by_passes_by_in_the_picture(tmp_path):
    passing = simulate([(synthesise("car", RATE, 4.0, 3), [(0.0, -40.0), (4.0, 40.0)])], "ortf", rate=RATE)
    soundfile.write(tmp_path / "car.wav", passing.T, RATE)
    out = tmp_path / "car.gif"
    options = ["--frames", "3", "--steps", "4", "--token", "label"]
    ran = CliRunner().invoke(app, ["animate", str(tmp_path / "car.wav"), "-o", str(out), *options])
    assert ran.exit_code == 0, ran.output
    with Image.open(out) as film:
        assert film.n_frames == 3
    assert "car" in ran.output


def test_a_film_has_frames_and_ends_in_gif(tmp_path, street):
    soundfile.write(tmp_path / "street.wav", street.T, RATE)
    ran = CliRunner().invoke(app, ["animate", str(tmp_path / "street.wav"), "-o", str(tmp_path / "film.mp4")])
    assert ran.exit_code == 2 and ".gif" in ran.output and not (tmp_path / "film.mp4").exists()
