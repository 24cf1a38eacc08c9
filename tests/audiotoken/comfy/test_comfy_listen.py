"""The node Listen: what it gives to other nodes, and what it says about recordings that it cannot place."""

import asyncio

import numpy as np
import pytest
import torch
from comfy_api.latest.io import run_node

from audiotoken.comfy import nodes
from audiotoken.comfy.audio import read_audio
from audiotoken.errors import AudioError, OptionError

RATE = 16_000
LEFT, RIGHT = 0.28, 0.83  # shares of the power law's quarter turn: -20 and 30 degrees of 45


def make_bursts(seed: int, every: float) -> np.ndarray:
    """A second of noise in bursts, as a sound that is easy to tell from another."""
    noise = np.random.default_rng(seed).standard_normal(RATE) * 0.2
    time = np.arange(len(noise)) / RATE
    return noise * (np.sin(2 * np.pi * time / every) > 0)


def pan(signal: np.ndarray, share: float) -> np.ndarray:
    return np.stack([np.cos(share * np.pi / 2), np.sin(share * np.pi / 2)])[:, None] * signal


@pytest.fixture(scope="module")
def stereo() -> torch.Tensor:
    """(1, 2, frames): a sound at 20 degrees left and one at 30 degrees right."""
    mixed = pan(make_bursts(1, 0.7), LEFT) + pan(make_bursts(2, 0.45), RIGHT)
    return torch.from_numpy(mixed.astype(np.float32))[None]


def listen(waveform: torch.Tensor, **inputs) -> dict:
    return run_node(nodes.Listen, audio={"waveform": waveform, "sample_rate": RATE}, **{"model": "", **inputs})


@pytest.fixture(scope="module")
def heard(stereo) -> dict:
    return listen(stereo, words="frog, bell", setting="in a meadow", width=768, height=512, setup="panned")


def test_two_sounds_become_two_boxes_from_left_to_right(heard):
    frog, bell = heard["boxes"]
    assert [each["metadata"]["desc"] for each in (frog, bell)] == ["a frog", "a bell"]
    assert frog["x"] + frog["width"] / 2 < 0.45 * 768 < 0.65 * 768 < bell["x"] + bell["width"] / 2
    assert all(each["x"] >= 0 and each["x"] + each["width"] <= 768 for each in (frog, bell))
    assert all(each["y"] >= 0 and each["y"] + each["height"] <= 512 for each in (frog, bell))
    assert heard["caption"] == "a frog on the left and a bell on the right, in a meadow"


def test_stems_follow_the_names_and_sum_to_the_recording(heard, stereo):
    assert heard["names"] == ["frog", "bell"]
    frog, bell = heard["stems"]
    assert frog["sample_rate"] == RATE and frog["waveform"].shape == stereo.shape
    power = [stem["waveform"].square().mean(dim=(0, 2)) for stem in (frog, bell)]
    assert power[0][0] > 2 * power[0][1] and power[1][1] > 2 * power[1][0]
    torch.testing.assert_close(frog["waveform"] + bell["waveform"], stereo, atol=1e-4, rtol=0)


def test_the_picture_is_an_image_with_the_boxes_where_they_are(heard):
    picture = heard["picture"]
    assert picture.dtype == torch.float32 and picture.ndim == 4 and picture.shape[::3] == (1, 3)
    assert picture.min() >= 0 and picture.max() <= 1
    frog = heard["boxes"][0]
    scale = picture.shape[2] / 768
    inside = picture[
        0, round((frog["y"] + 0.7 * frog["height"]) * scale), round((frog["x"] + 0.5 * frog["width"]) * scale)
    ]
    assert inside[0] > inside[2] + 0.05  # tinted by the first colour, a red
    outside = picture[0, 8, 8]
    assert outside.max() - outside.min() < 0.05


def test_exchanged_channels_mirror_the_boxes(heard, stereo):
    mirrored = listen(stereo.flip(1), words="bell, frog", width=768, height=512, setup="panned")["boxes"]
    spans = [(each["x"], each["x"] + each["width"]) for each in heard["boxes"]]
    back = [(768 - each["x"] - each["width"], 768 - each["x"]) for each in mirrored[::-1]]
    np.testing.assert_allclose(spans, back, atol=8)


def test_without_names_a_note_says_what_to_do(stereo):
    found = listen(stereo, setup="panned")
    assert set(found["names"]) == {"thing"} and "write them into words" in found["notes"]


def test_mono_has_a_stem_and_no_box(stereo):
    found = listen(stereo[:, :1], words="frog")
    assert found["boxes"] == [] and len(found["stems"]) == 1 and found["names"] == ["frog"]
    assert "one channel" in found["notes"] and found["caption"] == "a frog"


def test_of_a_batch_the_first_is_heard_and_of_a_long_one_the_first_minute():
    batch = torch.arange(3.0)[:, None, None].expand(3, 2, 61 * 100) + 1
    recording, rate, notes = read_audio({"waveform": batch, "sample_rate": 100})
    assert recording.shape == (2, 6000) and rate == 100 and np.all(recording == 1)
    assert len(notes) == 2 and "3 recordings in a batch" in notes[0] and "first 60 s" in notes[1]


def test_surround_is_mixed_down():
    channels = torch.zeros(1, 6, 8)
    channels[0, 2], channels[0, 3], channels[0, 5] = 0.4, 9.0, 0.2  # centre, low frequencies, right behind
    recording, _, notes = read_audio({"waveform": channels, "sample_rate": 8000})
    np.testing.assert_allclose(recording[:, 0], [0.4 * 0.5**0.5, 0.6 * 0.5**0.5], rtol=1e-6)
    assert "6 channels" in notes[0]


def test_half_precision_is_read():
    recording, _, _ = read_audio({"waveform": torch.ones(1, 2, 4, dtype=torch.bfloat16), "sample_rate": 8000})
    assert recording.dtype == np.float32 and recording.shape == (2, 4)


@pytest.mark.parametrize(
    ("audio", "text"),
    [
        (None, "connect Load Audio"),
        ({"waveform": torch.zeros(1, 2, 9)}, "connect Load Audio"),
        ({"waveform": torch.zeros(2, 9), "sample_rate": 8000}, r"shape \(2, 9\)"),
        ({"waveform": torch.zeros(1, 2, 0), "sample_rate": 8000}, r"shape \(1, 2, 0\)"),
        ({"waveform": torch.zeros(1, 4, 9), "sample_rate": 8000}, "4 channels"),
        ({"waveform": torch.zeros(1, 2, 9), "sample_rate": 0}, "0 Hz"),
        ({"waveform": torch.zeros(1, 2, 8000), "sample_rate": 8000}, "silent"),
    ],
)
def test_what_cannot_be_heard_is_a_sentence(audio, text):
    with pytest.raises(AudioError, match=text):
        run_node(nodes.Listen, audio=audio)


def test_words_that_do_not_fit_are_a_sentence(stereo):
    with pytest.raises(OptionError, match="commas"):
        listen(stereo, words="frog,,bell")
    with pytest.raises(OptionError, match="2 words for 1 sound"):
        listen(stereo[:, :1], words="frog, bell")


def test_comfyui_finds_the_nodes():
    extension = asyncio.run(nodes.comfy_entrypoint())
    found = asyncio.run(extension.get_node_list())
    ids = [each.GET_SCHEMA().node_id for each in found]
    assert ids[0] == "SpatialListen" and len(set(ids)) == len(ids) and all(each.startswith("Spatial") for each in ids)
