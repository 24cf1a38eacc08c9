"""Sounds in rooms and stems for the audio encoder: what is said to be in them is in them."""

import json

import numpy as np
import pytest

from audiotoken.mini.sounds import synthesise
from audiotoken.mini.things import AUDIBLE_WORDS
from experiments.world.training.audio_mels import MELS, RATE, Clips, TrainingBatches, compute_targets, load_rendered
from experiments.world.training.places import Room
from experiments.world.training.render_audio import (
    Sounds,
    compute_spectrograms,
    cut_sound,
    find_audible_channels,
    save_spectrograms,
)
from spatial.setups import make_setup

DOG, RAIN = AUDIBLE_WORDS.index("dog"), AUDIBLE_WORDS.index("rain")


@pytest.fixture(scope="module")
def scene():
    """A dog at -30 degrees that barks in the first half only, rain at 30, from a mixing desk."""
    bark, rain = synthesise("dog", RATE, 1.0, 1), synthesise("rain", RATE, 2.0, 1)
    bark = np.concatenate([bark, np.zeros(RATE, np.float32)])
    images = []
    for signal, azimuth in ((bark, -30), (rain, 30)):
        angle = np.deg2rad(azimuth + 45)
        images.append(np.outer([np.cos(angle), np.sin(angle)], signal / np.sqrt(np.mean(signal**2)) / 20))
    both = np.float32(images)
    classes = np.array([DOG, RAIN, -1], np.int8)
    return list(
        compute_spectrograms(both, both.sum(0), [-30.0, 30.0], make_setup("panned"), classes, {"setup": "panned"})
    )


def level(rendered, source, half):
    """Mean level in dB of a source in the first or the second half."""
    part = rendered.levels[source].astype(float)[105 * half :][:90]
    return 10 * np.log10(np.mean(10 ** (part / 10)))


def test_a_scene_gives_both_channels_of_images_stems_and_the_mixture(scene):
    kinds = [("image", 0), ("image", 1), ("stem", 0), ("stem", 1), ("mixture", -1)]
    assert [(one.facts["kind"], one.own) for one in scene] == [kind for kind in kinds for _ in range(2)]
    quiet, loud = scene[2].mels.astype(float), scene[3].mels.astype(float)  # rain on the right
    assert np.median(loud - quiet) == pytest.approx(20 * np.log10(np.tan(np.deg2rad(75))), abs=0.5)
    assert all(one.mels.shape[1] == MELS and one.levels.shape == (3, len(one.mels)) for one in scene)


def test_a_channel_in_which_hardly_anything_is_heard_is_left_out():
    image = np.array([[0.5], [1.0]]) * np.ones(100)
    assert find_audible_channels(image) == [0, 1]
    assert find_audible_channels(image * [[0.05], [1.0]]) == [1]
    assert find_audible_channels(np.zeros((2, 100))) == [0, 1]


def test_levels_say_which_source_is_heard_and_when(scene):
    _, _, _, rain, dog_stem, _, _, rain_stem, mixture, _ = scene  # the louder channels
    assert level(rain, 0, 0) == pytest.approx(-100, abs=0.1)
    assert level(dog_stem, 0, 0) > level(dog_stem, 1, 0) + 10
    assert level(rain_stem, 1, 0) > level(rain_stem, 0, 0) + 10
    assert level(mixture, 0, 0) > level(mixture, 0, 1) + 40  # it barks in the first half only
    assert level(mixture, 1, 1) == pytest.approx(level(mixture, 1, 0), abs=3)  # and it always rains


def test_a_crop_in_which_a_source_is_silent_does_not_count_as_it(scene):
    *_, mixture, _ = scene
    early, late = mixture.levels[:, :90], mixture.levels[:, 105:]
    targets, shares = compute_targets(early, mixture.classes, -1, stem=False)
    assert targets[DOG] == 1 and shares[DOG] > 0.4
    targets, shares = compute_targets(late, mixture.classes, -1, stem=False)
    assert targets[DOG] == 0 and shares[DOG] == 0 and targets[RAIN] == 1 and shares[RAIN] == 1


def test_a_stem_counts_as_its_own_source_though_a_neighbour_is_as_loud():
    levels, classes = np.full((3, 10), -40.0), np.array([DOG, RAIN, -1])
    levels[2] = -100
    _, fair = compute_targets(levels, classes, 0, stem=False)
    targets, favoured = compute_targets(levels, classes, 0, stem=True)
    assert fair[DOG] == pytest.approx(0.5) == fair[RAIN]
    assert targets[DOG] == 1 and targets[RAIN] < 0.8 and favoured[DOG] > 0.7
    levels[0] = -75  # nothing of it is left: even a stem does not count as what it does not hold
    targets, _ = compute_targets(levels, classes, 0, stem=True)
    assert targets[DOG] == 0 and targets[RAIN] == 1


def test_a_room_of_the_bank_is_heard_as_it_was_stored(tmp_path):
    """A response at 24 kHz that delays the right channel by 3 ms does so at 16 kHz as well."""
    full = np.zeros((1, 2, 480), np.float16)
    full[0, 0, 318], full[0, 1, 390] = 1, 0.5  # the direct sound at the middle of the setup comes after 288
    facts = {"setup": "spaced", "spacing": 0.7, "rt60": 0.2, "azimuths": [-20.0]}
    np.savez(tmp_path / "room.npz", facts=json.dumps(facts), full=full, dry=full)
    room = Room(tmp_path / "room.npz", RATE)
    assert room.setup.name == "spaced" and room.setup.spacing == 0.7
    click = np.zeros(2000, np.float32)
    click[500] = 1
    left, right = room.render(click, 0)
    assert (np.argmax(left), np.argmax(right)) == (520, 568) and right.max() == pytest.approx(
        0.5 * left.max(), rel=0.01
    )


def test_batches_with_scenes_are_whole_and_repeat(scene, tmp_path):
    save_spectrograms(scene, tmp_path / "0-00000.npz")
    rendered = load_rendered(tmp_path)
    assert len(rendered.mels) == 10 and rendered.facts[8]["kind"] == "mixture"
    dog, rain = Clips([[scene[0].mels]], [DOG]), Clips([[scene[3].mels]] * 2, [RAIN, DOG])
    dog.add([scene[3].mels], RAIN)
    words = Clips([*rain.mels, [scene[0].mels]], [*rain.classes, AUDIBLE_WORDS.index("frog")])
    supply = TrainingBatches(dog, words, Clips([[scene[0].mels]], [-1]), seed=3, size=16, rendered=rendered)
    one, again, other = supply.batch(5), supply.batch(5), supply.batch(6)
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    assert len(one[0]) == len(one[1]) == len(one[2]) == 16 and not np.array_equal(one[1], other[1])
    assert one[2].sum(1).max() <= 1.001  # shares of one sound


def test_a_click_is_repeated():
    """Some recordings of other things are shorter than the steps in which their level is measured."""
    sound = cut_sound(np.ones(RATE // 1000, np.float32), np.random.default_rng(0))
    assert len(sound) == 3 * RATE and np.mean(sound**2) == pytest.approx(1, rel=1e-3)


def test_a_silence_is_drawn_again():
    class Gaps(Sounds):
        def __init__(self):
            self.left = [(np.zeros(RATE, np.float32), DOG)] * 2 + [(np.ones(RATE, np.float32), RAIN)]

        def _draw(self, rng):
            return self.left.pop(0)

    sound, word = Gaps().draw(np.random.default_rng(0))
    assert word == RAIN and sound.max() == 1
