"""Listening for words: whether, when and where; the listeners are the true classes, those of others at random."""

import json

import numpy as np
import pytest
import torch

from audiotoken.encoders import AudioTextEncoder
from audiotoken.encoders.load_words import load_word_listener
from audiotoken.encoders.mini_words import MiniWords
from audiotoken.errors import OptionError
from audiotoken.mini.sounds import synthesise
from audiotoken.report.listening_text import format_listening, to_json
from audiotoken.stereo.labelled_scene import HeardWord, Listening
from audiotoken.stereo.word_listening import (
    compare_words,
    expect_words,
    find_spans,
    listen_for_words,
    locate_words,
)
from audiotoken.stereo.words import THRESHOLD
from spatial.listening import listen
from spatial.scene import Direction, Scene, Source
from spatial.simulation import simulate

RATE = 16_000
PLACES = {"bell": -35.0, "frog": 28.0}


@pytest.fixture(scope="module")
def scene() -> Scene:
    """A bell to the left, and from two seconds on a frog to the right."""
    sounds = {word: 0.2 * synthesise(word, RATE, 4.0, 3) for word in PLACES}
    sounds["frog"][: 2 * RATE] = 0
    recording = simulate([(sounds[word], PLACES[word]) for word in PLACES], "ortf", rate=RATE)
    return listen(recording, RATE, setup="ortf", count=2)


@pytest.fixture(scope="module")
def mini() -> AudioTextEncoder:
    return load_word_listener("mini", ["frog", "drum", "Bells"])


@pytest.fixture(scope="module")
def heard(scene, mini) -> dict[str, HeardWord]:
    return {each.word: each for each in listen_for_words(scene, mini)}


def test_each_word_is_heard_where_it_is_or_not_at_all(heard, scene):
    assert list(heard) == ["frog", "drum", "Bells"]
    assert heard["frog"].azimuth == pytest.approx(28, abs=8) and heard["Bells"].azimuth == pytest.approx(-35, abs=8)
    assert not heard["drum"].heard and heard["drum"].azimuth is None and heard["drum"].active == ()
    assert {heard["frog"].source, heard["Bells"].source} == {0, 1}
    assert scene.azimuths[heard["Bells"].source] < scene.azimuths[heard["frog"].source]


def test_a_word_is_heard_when_it_sounds(heard):
    assert heard["frog"].active[0][0] == pytest.approx(2.0, abs=0.5)
    assert heard["Bells"].active[0][0] < 1.0


def test_mirrored_channels_mirror_the_places(scene, mini):
    votes = {}
    for side in (1, -1):
        recording = scene.sum_images()[::side].copy()
        moments = np.ones((25, 3))
        grid, votes[side] = locate_words(scene, recording, mini, moments)
    assert np.allclose(grid, -grid[::-1]) and np.allclose(votes[1], votes[-1][:, ::-1], atol=1e-3)


def test_votes_and_scores_decide_together():
    sources = tuple(Source(np.zeros(9, np.float32), Direction(azimuth)) for azimuth in (-30.0, 30.0))
    grid, votes = np.array([-30.0, 0.0, 30.0]), np.array([[1.0, 0.5, 0.0], [0.0, 0.0, 1.0]])
    similarity = compare_words(Scene(sources, RATE, "xy"), np.array([0.8, 0.4]), grid, votes)
    dog, bell = expect_words(np.array([0.8, 0.4]))
    assert similarity == pytest.approx(np.array([[dog, 0.02 * bell], [0.02 * dog, bell]]))


def test_words_that_are_told_may_be_faint():
    """A log-odds of -2.5 is where a word may first be matched."""
    assert expect_words(np.array([1 / (1 + np.exp(2.5))])) == pytest.approx(THRESHOLD)
    assert (np.diff(expect_words(np.array([0.0, 0.1, 0.5, 1.0]))) > 0).all()


def test_spans_bridge_short_pauses():
    moments = np.array([0, 0.9, 0.8, 0.1, 0.7, 0, 0, 0, 0, 0.6])
    assert find_spans(moments, 0.2) == (pytest.approx((0.2, 1.0)), pytest.approx((1.8, 2.0)))
    assert find_spans(np.zeros(0), 0.2) == ()


def test_without_directions_a_word_has_no_azimuth(mini):
    bell = 0.2 * synthesise("bell", RATE, 3.0, 3)
    heard = {each.word: each for each in listen_for_words(listen(bell, RATE), mini)}
    assert heard["Bells"].heard and heard["Bells"].azimuth is None and heard["Bells"].source == 0
    silent = Scene((), RATE, "mono")
    assert not any(each.heard for each in listen_for_words(silent, mini))
    long = Scene((Source(bell, Direction(0.0)),), RATE, "xy")  # as of a recording that was heard in windows
    with pytest.raises(OptionError, match="without images"):
        listen_for_words(long, mini)


class Ear:
    """Hears what it is told, each half second; of a single signal it knows nothing."""

    rate, hop, device = RATE, 0.5, torch.device("cpu")

    def __init__(self, words: dict[str, list[float]]):
        self.words, self.table = tuple(words), torch.tensor(list(words.values())).T

    def score(self, waveform):
        return self.score_moments(waveform).amax(dim=1) * (len(waveform) > 1)

    def score_moments(self, waveform):
        return self.table.expand(len(waveform), -1, -1)


def test_moments_alone_tell_a_direction(scene):
    """The bell alone sounds in the first half."""
    ear = Ear({"tractor": [0.9] * 4 + [0.1] * 4, "owl": [0.0] * 4 + [0.8] * 4, "violin": [0.05] * 8})
    assert isinstance(ear, AudioTextEncoder)
    tractor, owl, violin = listen_for_words(scene, ear)
    assert tractor.azimuth == pytest.approx(-35, abs=8) and tractor.active == ((0.0, 2.0),)
    assert owl.azimuth == pytest.approx(28, abs=8) and not violin.heard


def test_the_mini_encoder_refuses_words_that_it_does_not_know():
    with pytest.raises(OptionError, match="tractor, but the mini encoder knows only dog"):
        load_word_listener("mini", ["bell", "tractor"])
    for spec in ("clap", "ast:x", "pe:"):
        with pytest.raises(OptionError, match="expected mini, clap:ID or pe:ID"):
            load_word_listener(spec, ["bell"])


def test_moments_of_the_mini_encoder_follow_its_scores(mini):
    assert isinstance(mini, MiniWords) and isinstance(mini, AudioTextEncoder)
    frog = torch.from_numpy(0.2 * synthesise("frog", RATE, 2.0, 5))[None]
    waveform = torch.cat([torch.zeros_like(frog), frog], dim=1)
    moments = mini.score_moments(waveform)
    assert moments.shape == (1, 24, 3) and mini.score(waveform).shape == (1, 3)
    assert moments[0, -6:, 0].max() > 0.5 > moments[0, :10, 0].max()


def test_the_words_are_printed_and_written():
    words = (HeardWord("bell", 0.91, True, -35.0, ((0.0, 2.0),), 1), HeardWord("drum", 0.02, heard=False))
    listening = Listening("a.wav", 2.0, Scene((), RATE, "xy"), (), np.zeros((2, 9, 2), np.float32), words)
    text = format_listening(listening).splitlines()
    assert text[-2].split() == ["bell", "0.91", "2", "35°", "left", "0.0-2.0", "s"]
    assert text[-1].split() == ["drum", "0.02", "not", "heard"]
    (bell, drum) = json.loads(to_json(listening))["words"]
    assert (
        bell["azimuth"] == -35
        and bell["source"] == 1
        and drum == {**{"word": "drum", "score": 0.02, "heard": False, "source": None, "azimuth": None, "active": []}}
    )
