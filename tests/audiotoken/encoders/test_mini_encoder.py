"""The mini audio encoder: protocol, equivalences, and that the shipped one hears what it should and nothing else."""

import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import audiotoken
from audiotoken.encoders import AudioEncoder
from audiotoken.encoders.mini import MiniEncoder
from audiotoken.encoders.mini_network import MelSpectrogram, loudness
from audiotoken.mini.sounds import synthesise
from audiotoken.mini.things import AUDIBLE_WORDS
from experiments.world.distractors import distractor

SHIPPED = Path(inspect.getfile(audiotoken)).parent / "mini" / "audio_encoder"


@pytest.fixture(scope="module")
def tiny() -> MiniEncoder:
    torch.manual_seed(0)
    model = MiniEncoder(labels=("dog", "rain", "bell"), width=24, mels=32, channels=(4, 6, 8, 8, 12)).eval()
    model.offset.copy_(torch.tensor([0.3, -0.2, 0.1]))
    return model


@pytest.fixture(scope="module")
def shipped() -> MiniEncoder:
    return MiniEncoder.from_pretrained(SHIPPED, torch_dtype=torch.float32).eval()


def listen(model: MiniEncoder, signal: np.ndarray) -> dict[str, float]:
    with torch.inference_mode():
        scores = model.probabilities(torch.from_numpy(signal)[None])[0]
    return dict(zip(model.labels, scores.tolist(), strict=True))


def noise(*shape: int, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_it_is_an_audio_encoder(tiny):
    assert isinstance(tiny, AudioEncoder)
    assert (tiny.rate, tiny.width, tiny.labels) == (16000, 24, ("dog", "rain", "bell"))


@pytest.mark.parametrize("seconds, vectors", [(0.1, 3), (0.5, 3), (1.0, 6), (1.46, 9), (5.0, 31), (21.0, 131)])
def test_any_length_gives_a_vector_per_sixth_of_a_second(tiny, seconds, vectors):
    wave = noise(2, round(16000 * seconds))
    with torch.inference_mode():
        features, scores = tiny.features(wave), tiny.probabilities(wave)
    assert features.shape == (2, vectors, 24)
    assert scores.shape == (2, 3) and ((scores > 0) & (scores < 1)).all()


def test_a_batch_equals_its_clips_one_by_one(tiny):
    wave = noise(3, 30000) * torch.tensor([[1.0], [0.1], [3.0]])
    with torch.inference_mode():
        for together in (tiny.features, tiny.probabilities):
            alone = torch.cat([together(w[None]) for w in wave])
            torch.testing.assert_close(together(wave), alone, atol=1e-5, rtol=1e-4)


def test_save_and_load_round_trip(tiny, tmp_path):
    tiny.save_pretrained(tmp_path)
    loaded = MiniEncoder.from_pretrained(tmp_path).eval()
    wave = noise(1, 24000)
    with torch.inference_mode():
        torch.testing.assert_close(loaded.probabilities(wave), tiny.probabilities(wave), atol=0, rtol=0)
    assert loaded.labels == tiny.labels


def test_spectrogram_levels_and_bands():
    """A full-scale sine at 1 kHz is near 0 dB in the band of 1000 mel-scale Hertz, and half of it is 6 dB lower."""
    spectrogram = MelSpectrogram(16000, 64)
    sine = torch.sin(2 * torch.pi * 1000 * torch.arange(8000) / 16000)
    full, half = spectrogram(sine[None])[0], spectrogram(0.5 * sine[None])[0]
    band = 1127 * np.log1p(1000 / 700) / (1127 * np.log1p(8000 / 700)) * 65 - 1
    assert full.shape == (48, 64)
    assert abs(full[20].argmax().item() - band) < 1.5 and full.max().item() == pytest.approx(0, abs=3)
    torch.testing.assert_close(loudness(full) - loudness(half), torch.full((48,), 6.02), atol=0.01, rtol=0)


def test_level_does_not_matter_but_silence_is_nothing(tiny):
    wave = noise(1, 32000)
    with torch.inference_mode():
        torch.testing.assert_close(tiny.probabilities(0.05 * wave), tiny.probabilities(wave), atol=1e-3, rtol=0)
        assert tiny.probabilities(torch.zeros(1, 32000)).max() == 0
        assert tiny.probabilities(1e-5 * wave).max() == 0


def test_silence_around_a_sound_does_not_dilute_it(shipped):
    bark = synthesise("dog", 16000, 2.0, 1)
    padded = np.concatenate([np.zeros(48000, np.float32), bark, np.zeros(64000, np.float32)])
    assert listen(shipped, padded)["dog"] == pytest.approx(listen(shipped, bark)["dog"], abs=0.25)


def test_wrong_waveforms_are_refused(tiny):
    with pytest.raises(ValueError, match=r"expected a waveform \(batch, frames\), got shape \(16000,\)"):
        tiny.features(torch.zeros(16000))
    with pytest.raises(ValueError, match="NaN"):
        tiny.probabilities(torch.full((1, 16000), torch.nan))


def test_half_precision_agrees(shipped):
    half = MiniEncoder.from_pretrained(SHIPPED, torch_dtype=torch.float16).eval()
    wave = torch.from_numpy(synthesise("rooster", 16000, 3.0, 5))[None]
    with torch.inference_mode():
        torch.testing.assert_close(half.probabilities(wave).float(), shipped.probabilities(wave), atol=0.02, rtol=0)


def test_shipped_size_and_labels(shipped):
    assert tuple(shipped.labels) == AUDIBLE_WORDS
    assert sum(f.stat().st_size for f in SHIPPED.iterdir()) < 4e6


@pytest.mark.parametrize("word", AUDIBLE_WORDS)
def test_shipped_encoder_hears_every_thing(shipped, word):
    """Three seeds each that training never had: the thing is the top score, and mostly above one half."""
    heard = [listen(shipped, synthesise(word, 16000, 4.0, seed)) for seed in (30001, 30002, 30003)]
    assert [max(scores, key=scores.__getitem__) for scores in heard] == [word] * 3
    assert sum(scores[word] > 0.5 for scores in heard) >= 2


@pytest.mark.parametrize("kind", ["hum", "babble", "music", "applause", "cricket", "snore", "handsaw"])
def test_shipped_encoder_says_none_of_these(shipped, kind):
    """The last four are kinds that training never had; one of three may be taken for something (see the card)."""
    highest = [max(listen(shipped, distractor(16000, 4.0, seed, kind=kind)).values()) for seed in (30001, 30002, 30003)]
    assert sum(score < 0.5 for score in highest) >= 2


def test_shipped_encoder_hears_nothing_in_a_recorders_hiss(shipped):
    assert max(listen(shipped, (1e-3 * noise(64000)).numpy()).values()) < 0.5


def test_real_clips(shipped, esc10):
    """Every fourth clip of fold 4. The shipped weights were trained on them: this guards the files, not the quality."""
    from experiments.world.training.audio_mels import list_real_clips, read_wave

    clips = list_real_clips(esc10, [4])[::4]
    best = [max(s, key=s.__getitem__) for s in (listen(shipped, read_wave(path)) for path, _ in clips)]
    assert np.mean([b == word for b, (_, word) in zip(best, clips, strict=True)]) >= 0.9


def test_a_spectrogram_is_heard_as_its_waveform(tiny):
    wave = noise(2, 40000)
    with torch.inference_mode():
        torch.testing.assert_close(tiny.probabilities_of(tiny.decibels(wave)), tiny.probabilities(wave))


def test_a_sound_near_any_centre_of_its_class_is_not_strange():
    """A third origin, such as sounds in rooms: only the nearest of a class's centres counts."""
    model = MiniEncoder(labels=("dog", "rain"), width=4, mels=32, channels=(4, 4, 4, 4, 4), origins=3)
    model.whitening.copy_(torch.eye(4))
    model.centres.fill_(9.0)
    model.centres[1, 2] = torch.tensor([1.0, 0, 2, 0])
    dog, rain = model.strangeness(torch.tensor([[[1.0, 0, 4, 0]]]))[0, 0].tolist()
    assert rain == 0 and dog > 100
