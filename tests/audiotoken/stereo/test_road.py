"""From recording to picture with tiny models: a recording in, a picture out, and what the result says about it."""

from importlib.resources import files

import numpy as np
import pytest

from audiotoken.debug import debug_pipeline
from audiotoken.mini.sounds import synthesise
from audiotoken.model import load_pipeline
from audiotoken.report.figure import contact_sheet, draw_report, spectrogram
from audiotoken.stereo.generation import sound_to_image

RATE = 22_050
SIGNAL = (0.3 * np.sin(2 * np.pi * 1234 * np.arange(RATE) / RATE)).astype(np.float32)


@pytest.fixture(scope="module")
def pipe():
    return debug_pipeline()


def test_the_road_is_the_pipeline(pipe):
    result = sound_to_image(SIGNAL, RATE, pipe, prompt="<audio> at night", seed=3, count=2)
    direct = pipe(SIGNAL, "<audio> at night", rate=RATE, seed=3, num_images_per_prompt=2).images
    assert [image.tobytes() for image in result.images] == [image.tobytes() for image in direct]
    assert result.heard == [pipe.classify(SIGNAL, RATE)] and result.rate == RATE
    assert result.recording.shape == (1, len(SIGNAL))
    assert result.prompt.text == "<audio> at night" and result.prompt.positions == ((1,),)
    assert list(result.seconds) == ["listen", "embed", "match", "write", "place", "sample"]
    assert not result.prompt.embeddings.requires_grad


def test_both_channels_are_one_sound(pipe):
    mono = sound_to_image(SIGNAL, RATE, pipe)
    stereo = sound_to_image(np.stack([SIGNAL, SIGNAL]), RATE, pipe)
    assert mono.prompt.text == "a photo of <audio>"
    assert mono.images[0].tobytes() == stereo.images[0].tobytes()


def test_the_spectrogram_has_the_tone_in_its_place():
    seconds, hertz, decibels = spectrogram(SIGNAL, RATE)
    assert decibels.shape == (len(hertz), len(seconds)) and decibels.max() == 0
    assert abs(hertz[decibels.mean(axis=1).argmax()] - 1234) < 1 / 0.045
    assert abs(seconds[0]) < 0.05 and abs(seconds[-1] - 1.0) < 0.05


@pytest.mark.parametrize("frames", [1, 3, 8, 500])
def test_the_spectrogram_of_next_to_nothing(frames):
    seconds, hertz, decibels = spectrogram(SIGNAL[1 : 1 + frames], RATE)
    assert np.isfinite(decibels).all() and decibels.shape == (len(hertz), len(seconds))


@pytest.mark.parametrize(("count", "size"), [(1, (32, 32)), (2, (68, 32)), (3, (68, 68)), (5, (104, 68))])
def test_a_contact_sheet_holds_them_all(pipe, count, size):
    images = sound_to_image(SIGNAL, RATE, pipe, count=count, num_inference_steps=1).images
    sheet = contact_sheet(images)
    assert sheet.size == size
    columns = (size[0] + 4) // 36
    for i, image in enumerate(images):
        left, top = 36 * (i % columns), 36 * (i // columns)
        assert sheet.crop((left, top, left + 32, top + 32)).tobytes() == image.tobytes()


def test_the_report_shows_something_for_any_result(pipe):
    result = sound_to_image(SIGNAL, RATE, pipe, num_inference_steps=1)
    report = np.asarray(draw_report(result))
    assert report.shape[2] == 3 and report.std() > 10


@pytest.fixture(scope="module")
def mini():
    if not (files("audiotoken.mini") / "model_index.json").is_file():
        pytest.skip("the mini checkpoint is not in this checkout: make mini")
    return load_pipeline("mini")


def test_the_mini_checkpoint_hears_and_draws(mini):
    result = sound_to_image(synthesise("frog", RATE, 4.0, seed=3), RATE, mini, seed=1, num_inference_steps=5)
    label, score = result.heard[0][0]
    assert label == "frog" and score >= 0.5
    assert result.images[0].size == (128, 128) and np.asarray(result.images[0]).std() > 10


def test_the_mini_checkpoint_keeps_what_is_heard_apart(mini):
    tokens = mini.audio_tokens(
        [synthesise(word, RATE, 4.0, seed) for word in ("frog", "bell") for seed in (1, 2)], RATE
    )
    frog, other_frog, bell, other_bell = tokens[:, 0] / tokens[:, 0].norm(dim=-1, keepdim=True)
    assert frog @ other_frog > frog @ bell and bell @ other_bell > bell @ other_frog
