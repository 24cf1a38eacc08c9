"""What a source is, and "not sure" for what the encoder does not know."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import audiotoken.mini
from audiotoken.encoders.mini import MiniEncoder
from audiotoken.encoders.mini_network import MiniNetwork, load_network
from audiotoken.errors import CheckpointError
from audiotoken.mini.sounds import synthesise
from audiotoken.stereo.naming import make_labeller, to_waveform
from audiotoken.unknown import Familiarity, compute_energy, load_familiarity

MINI = Path(audiotoken.mini.__file__).parent
RATE = 16_000


@pytest.fixture(scope="module")
def name():
    return make_labeller("mini")


@pytest.mark.parametrize("word", ["dog", "bell", "frog"])
def test_known_sounds_are_named(word, name):
    label = name(synthesise(word, RATE, 3.0, seed=20_011), RATE)
    assert label.name == word and label.sure and str(label).startswith(f"{word} ")


def test_level_and_rate_do_not_matter(name):
    sound = synthesise("dog", 44_100, 3.0, seed=20_012)
    quiet, loud = name(1e-3 * sound, 44_100), name(sound, 44_100)
    assert (quiet.name, quiet.sure) == (loud.name, loud.sure) == ("dog", True)
    assert quiet.score == pytest.approx(loud.score, abs=1e-3)


def test_unknown_sounds_are_not(name):
    time = np.arange(3 * RATE) / RATE
    for strange in (np.sin(2 * np.pi * 997 * time), np.random.default_rng(1).standard_normal(len(time)) * 0.1):
        label = name(strange.astype(np.float32), RATE)
        assert not label.sure and str(label) == f"not sure (nearest: {label.name})"
    assert name(np.zeros(RATE, np.float32), RATE) is None


def test_some_labels_only(name):
    among = make_labeller("mini", ("rain", "wave"))
    assert among(synthesise("dog", RATE, 2.0, seed=20_013), RATE).name in ("rain", "wave")


def test_each_sound_goes_through_the_encoder_once(monkeypatch):
    """And what is read of it, the labels and whether it is known, is what the encoder and its energy say alone."""
    went, embed = [], MiniNetwork.embed
    monkeypatch.setattr(MiniNetwork, "embed", lambda self, mels: went.append(len(mels)) or embed(self, mels))
    signal = synthesise("bell", 44_100, 2.0, seed=20_015)
    label = make_labeller("mini")(signal, 44_100)
    assert went == [1]
    encoder, familiarity = load_network(MINI / "audio_encoder"), load_familiarity(MINI / "audio_encoder")
    waveform = to_waveform(signal, 44_100, encoder)
    with torch.no_grad():
        scores = encoder.probabilities(waveform)[0].tolist()
    assert (label.score, label.name) == max(zip(scores, encoder.labels, strict=True))
    assert label.sure == familiarity.knows(compute_energy(encoder, waveform))


def test_without_its_class_a_sound_is_strange():
    encoder = MiniEncoder.from_pretrained(MINI / "audio_encoder").eval()
    familiarity = load_familiarity(MINI / "audio_encoder")
    waveform = torch.from_numpy(synthesise("bell", RATE, 3.0, seed=20_014))[None]
    whole = compute_energy(encoder, waveform)
    without = compute_energy(encoder, waveform, without=encoder.labels.index("bell"))
    assert familiarity.knows(whole) and not familiarity.knows(without)
    assert familiarity.probability(whole) > 0.8 > 0.5 > familiarity.probability(without)


def test_familiarity_is_kept(tmp_path):
    found = Familiarity(2.0, -1.0, 0.25)
    found.save(tmp_path)
    assert load_familiarity(tmp_path) == found and load_familiarity(tmp_path / "no") is None
    assert json.loads((tmp_path / "unknown.json").read_text()) == {"slope": 2.0, "offset": -1.0, "threshold": 0.25}
    assert found.probability(0.5) == 0.5 and found.knows(0.25) and not found.knows(0.24)
    assert found.knows(-1.3, separated=True) and not found.knows(-1.4, separated=True)  # as none is fitted for it


def test_separated_sounds_are_known_by_their_own_threshold(tmp_path):
    Familiarity(2.0, -1.0, 0.25, separated=-0.5).save(tmp_path)
    found = load_familiarity(tmp_path)
    assert found is not None and found.separated == -0.5
    assert found.knows(-0.4, separated=True) and not found.knows(-0.6, separated=True) and not found.knows(-0.4)


def test_no_encoder_is_one_sentence(tmp_path):
    with pytest.raises(CheckpointError, match="no such folder"):
        make_labeller(str(tmp_path / "nothing"))
    (tmp_path / "model_index.json").write_text('{"unet": [null, null]}')
    with pytest.raises(CheckpointError, match=r"has no audio encoder.*--no-labels"):
        make_labeller(str(tmp_path))
