"""Clips that are stereo files are scored by place; mono ones are not."""

import numpy as np
import pytest
import soundfile
from PIL import Image

from audiotoken.evaluation.clips import Example
from audiotoken.evaluation.stereo_examples import hear_example, score_places
from guidance.metrics import Detection
from spatial.camera import Camera

RATE, CAMERA = 16_000, Camera()
PICTURE = Image.new("RGB", (8, 8))


@pytest.fixture
def clip(tmp_path):
    """A noise in bursts, 12 dB louder on the right."""
    rng = np.random.default_rng(4)
    bursts = np.repeat(rng.uniform(0, 1, 20) > 0.4, RATE // 10)
    noise = 0.2 * rng.standard_normal(len(bursts)) * bursts
    soundfile.write(tmp_path / "right.wav", np.stack([0.25 * noise, noise], axis=1), RATE)
    soundfile.write(tmp_path / "mono.wav", noise, RATE)
    return tmp_path


def see_right(pictures, words):
    return [[Detection(word, (0.8, 0.5), (0.6, 0.3, 1.0, 0.7)) for word in each] for each in words]


def test_a_stereo_file_is_heard_under_its_word(clip):
    (heard,) = hear_example(Example("right.wav", clip / "right.wav", "dog", "dog"), CAMERA)
    assert heard.word == "dog" and heard.source.direction.azimuth > 10 and heard.box[0] > 0.3


def test_mono_and_arrays_are_not_heard(clip):
    assert hear_example(Example("mono.wav", clip / "mono.wav", "dog", "dog"), CAMERA) == []
    assert hear_example(Example("right.wav", clip / "right.wav", "", ""), CAMERA) == []
    assert hear_example(Example("a", (np.zeros(9), RATE), "dog", "dog"), CAMERA) == []


def test_the_score_is_that_of_the_check(clip):
    heard = hear_example(Example("right.wav", clip / "right.wav", "dog", "dog"), CAMERA)
    scores = score_places([PICTURE, PICTURE], [heard, []], see_right, CAMERA)
    assert scores["placed"].tolist() == [1.0, 0.5]
    wrong = score_places([PICTURE], [heard], lambda pictures, words: [[Detection("dog", (0.1, 0.5))]], CAMERA)
    assert wrong["placed"].tolist() == [0.0]
    assert score_places([PICTURE], [[]], see_right, CAMERA) == {}
