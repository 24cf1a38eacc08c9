"""Listening for words in recordings that are heard in windows."""

import numpy as np
import pytest
import soundfile
import torch

from audiotoken.mini.sounds import synthesise
from audiotoken.stereo.long_words import LongWords
from audiotoken.tasks.listen import listen_to
from spatial.scene import Direction, Scene, Source
from spatial.simulation import simulate

RATE = 16_000


def test_a_word_that_sounds_late_in_a_long_clip_is_heard_then_and_there(tmp_path):
    """70 seconds in five windows: a frog at the beginning, silence, and a bell from 65 to 68 seconds, to the left."""
    sounds = np.zeros((2, 70 * RATE), np.float32)
    sounds[0, : 3 * RATE] = 0.2 * synthesise("frog", RATE, 3.0, 3)
    sounds[1, 65 * RATE : 68 * RATE] = 0.2 * synthesise("bell", RATE, 3.0, 3)
    recording = simulate([(sounds[0], 30.0), (sounds[1], -35.0)], "panned", rate=RATE)
    soundfile.write(tmp_path / "long.wav", recording.T, RATE)
    listening = listen_to(tmp_path / "long.wav", setup="panned", labels=False, words=["bell", "drum", "frog"])
    bell, drum, frog = listening.words
    assert bell.azimuth == pytest.approx(-35, abs=5) and frog.azimuth == pytest.approx(30, abs=5)
    assert bell.active[0][0] == pytest.approx(65, abs=0.5) and bell.active[-1][1] <= 69
    assert frog.active[0][0] < 1 and frog.active[-1][1] <= 4
    assert not drum.heard and drum.active == ()
    named = zip(listening.labels, listening.scene.azimuths, strict=True)
    assert {label.name: azimuth < 0 for label, azimuth in named if label} == {"bell": True, "frog": False}


class Ear:
    """An `AudioTextEncoder` of one word, which scores each half second by the next entry of a list."""

    rate, hop, device, words = RATE, 0.5, torch.device("cpu"), ("owl",)

    def __init__(self, scores: list[float]):
        self.scores = torch.tensor(scores)

    def score(self, waveform):
        return self.score_moments(waveform).amax(dim=1)

    def score_moments(self, waveform):
        return self.scores.expand(len(waveform), -1)[..., None]


def window(azimuth: float, seconds: float = 10.0) -> Scene:
    noise = 0.1 * np.random.default_rng(7).standard_normal((2, round(seconds * RATE))).astype(np.float32)
    return Scene((Source(noise.mean(axis=0), Direction(azimuth), image=noise),), RATE, "panned")


def listen_in_windows(scores: dict[float, list[float]], azimuths: tuple[float, ...] = (-20.0, 25.0, 31.0)) -> LongWords:
    """Windows of 10 seconds with 2 seconds of overlap; the source of each is one of its own in the recording."""
    words = LongWords(Ear([]), overlap=2.0)
    for number, (start, moments) in enumerate(scores.items()):
        words.encoder.scores = torch.tensor(moments)
        words.add(start, window(azimuths[number]), [number], more=number + 1 < len(scores))
    return words


def test_a_span_is_joined_over_the_edge_of_windows():
    """From 7 to 12 seconds; what a window says of the outer half of its overlap, 9 seconds on, does not count."""
    words = listen_in_windows({0.0: [0.0] * 14 + [0.9] * 4 + [0.0] * 2, 8.0: [0.0] * 2 + [0.9] * 6 + [0.0] * 12})
    (owl,) = words.finish([0, 1], Scene(window(-20.0).sources + window(25.0).sources, RATE, "panned"))
    assert owl.active == ((7.0, 12.0),)


def test_a_word_is_where_the_window_in_which_it_is_clearest_says():
    words = listen_in_windows({0.0: [0.3] * 20, 8.0: [0.0] * 10 + [0.8] * 10, 16.0: [0.3] * 20})
    (owl,) = words.finish([2, 1], Scene(window(31.0).sources + window(24.0).sources, RATE, "panned"))
    assert owl.source == 1 and owl.azimuth == 24 and owl.score == pytest.approx(0.8)
    assert owl.active == ((13.0, 17.0),)
    (owl,) = words.finish([2], Scene(window(31.0).sources, RATE, "panned"))  # its source was dropped
    assert owl.source is None and owl.azimuth == 25


def test_windows_in_which_a_word_is_not_heard_or_that_are_silent_have_no_spans():
    words = LongWords(Ear([0.01] * 20), overlap=2.0)
    words.add(0.0, window(0.0), [0], more=True)
    words.add(8.0, Scene((), RATE, "mono"), [], more=True)
    (owl,) = words.finish([], Scene((), RATE, "mono"))
    assert not owl.heard and owl.active == () and owl.azimuth is None
    words.encoder.scores = torch.tensor([0.0] * 10 + [0.9] * 10)
    words.add(16.0, window(30.0), [0], more=False)
    (owl,) = words.finish([0], window(30.0))
    assert owl.active == ((21.0, 26.0),) and owl.source == 0


def test_a_number_is_kept_for_each_moment_and_word():
    words = LongWords(Ear([0.9] * 20), overlap=2.0)
    for start in range(0, 80, 8):
        words.add(float(start), window(0.0), [0], more=True)
    assert words.moments.shape == (2 * (72 + 10), 1)
