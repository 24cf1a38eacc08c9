"""CLAP, PE-A-Frame and PE-AV as listeners for words: the true classes at random weights, their own forward passes."""

import json
import shutil

import pytest
import torch
from test_clap import folder as clap_folder  # noqa: F401  # a fixture: a tiny CLAP as published
from test_clap import tiny_tokenizer
from transformers import (
    PeAudioConfig,
    PeAudioFrameLevelModel,
    PeAudioModel,
    PeAudioVideoConfig,
    PeAudioVideoModel,
    PeVideoEncoderConfig,
    PreTrainedModel,
    ViTConfig,
)

from audiotoken.encoders import AudioTextEncoder
from audiotoken.encoders.clap import CLAP
from audiotoken.encoders.load_words import load_word_listener
from audiotoken.encoders.pe_words import HOP, PeWords
from audiotoken.errors import CheckpointError

WORDS = ("frog", "church bell", "tractor")
RATE = 48_000


def sounds(seconds: float, batch: int = 2) -> torch.Tensor:
    """(batch, frames); no two moments alike."""
    noise = torch.randn(batch, int(RATE * seconds), generator=torch.Generator().manual_seed(5))
    return 0.1 * noise * torch.linspace(0.1, 1, noise.shape[1])


def close(got: torch.Tensor, want: torch.Tensor, tolerance: float = 1e-4) -> None:
    torch.testing.assert_close(got, want, atol=tolerance, rtol=0)


SMALL = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}
DAC = {"encoder_hidden_size": 2, "downsampling_ratios": [2, 8, 10, 12], "codebook_dim": 8, "hidden_size": 32}
AUDIO = SMALL | {"model_type": "pe_audio_encoder", "dac_config": DAC, "num_hidden_layers": 1, "head_dim": 8}
TEXT = SMALL | {"model_type": "modernbert", "num_hidden_layers": 2, "vocab_size": len(tiny_tokenizer())}
TEXT |= {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "cls_token_id": 0, "sep_token_id": 2}


def enlarge(model: PreTrainedModel, audio: PeAudioModel) -> PreTrainedModel:
    """The model with weights large enough that one moment is told from another."""
    for weight in model.parameters():
        weight.data = 0.3 * torch.randn_like(weight) if weight.ndim > 1 else weight.data
    audio.text_audio_logit_scale.data += 0.7
    audio.text_audio_logit_bias.data -= 0.4
    return model.eval()


@pytest.fixture(scope="module")
def frame_level() -> PeAudioFrameLevelModel:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = PeAudioFrameLevelModel(PeAudioConfig(text_config=TEXT, audio_config=AUDIO))
        return enlarge(model, model)


@pytest.fixture(scope="module")
def audio_visual() -> PeAudioVideoModel:
    """Transformers' own, but for the network that sees: the published one needs timm, which nothing here does."""
    sight = ViTConfig(**SMALL, num_hidden_layers=1, image_size=8, patch_size=4, num_labels=4)
    video = PeVideoEncoderConfig(**SMALL, num_hidden_layers=1, head_dim=8, vision_config=sight)
    both = SMALL | {"num_hidden_layers": 1, "head_dim": 8, "audio_config": AUDIO, "video_config": video}
    with torch.random.fork_rng():
        torch.manual_seed(4)
        model = PeAudioVideoModel(PeAudioVideoConfig(text_config=TEXT, audio_video_config=both))
        return enlarge(model, model.audio_model)


@pytest.fixture(scope="module")
def pe_folder(tmp_path_factory, frame_level):
    folder = tmp_path_factory.mktemp("pe")
    frame_level.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def pe(pe_folder) -> AudioTextEncoder:
    return load_word_listener(f"pe:{pe_folder}", WORDS)


@pytest.fixture(scope="module")
def av_folder(tmp_path_factory, audio_visual):
    folder = tmp_path_factory.mktemp("pe-av")
    audio_visual.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@torch.no_grad()
def test_pe_agrees_with_transformers(pe, frame_level):
    waveform = sounds(1.0)
    tokens = tiny_tokenizer()(list(WORDS), padding=True, return_tensors="pt")
    out = frame_level(
        input_ids=tokens["input_ids"],
        attention_mask=tokens["attention_mask"],
        input_values=waveform[:, None],
        output_hidden_states=True,
    )
    want = out.logits_audio_text.sigmoid().transpose(1, 2)  # (batch, moments, words)
    got = pe.score_moments(waveform)
    assert got.shape == (2, 25, 3) and float(want.std()) > 0.01
    close(got, want)
    close(pe.score(waveform), want.transpose(1, 2).unfold(2, 5, 1).mean(-1).amax(-1))


def test_pe_is_a_listener_of_40_ms(pe):
    assert isinstance(pe, AudioTextEncoder) and pe.words == WORDS and pe.hop == pytest.approx(0.04)
    assert pe.score_moments(sounds(0.03)).shape == (2, 1, 3) and pe.score(sounds(0.03)).shape == (2, 3)


def test_pe_hears_a_long_clip_in_pieces(pe, monkeypatch):
    monkeypatch.setattr("audiotoken.encoders.pe_words.LONGEST", 12 * HOP)
    long = sounds(0.96, 1)
    halves = [pe.score_moments(half) for half in long.chunk(2, dim=1)]
    close(pe.score_moments(long), torch.cat(halves, dim=1))


@torch.no_grad()
def test_pe_av_hears_the_two_seconds_around_each_half(av_folder, audio_visual, monkeypatch):
    """Its part for sound alone is loaded, from the file of the whole, whose forward takes as many texts as sounds."""
    listener = load_word_listener(f"pe:{av_folder}", WORDS)
    assert isinstance(listener, AudioTextEncoder) and listener.words == WORDS and listener.hop == 0.5
    monkeypatch.setattr("audiotoken.encoders.pe_words.AT_ONCE", 4)
    waveform = sounds(0.9, len(WORDS))
    moments = listener.score_moments(waveform)
    assert moments.shape == (3, 2, 3)
    around = torch.nn.functional.pad(waveform, (round(0.25 * RATE), round(0.85 * RATE)))
    tokens = tiny_tokenizer()(list(WORDS), padding=True, return_tensors="pt")
    out = audio_visual(
        input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"], input_values=around[:, None]
    )
    want = out.logits_audio_text.sigmoid()  # (batch, words)
    assert float(want.std()) > 0.01
    close(moments[:, 1], want)
    close(listener.score(waveform), moments.amax(dim=1))


def test_a_pe_of_whole_clips_is_not_read_as_one_of_moments(frame_level, tmp_path):
    """Both have the same weights: only the name of the class tells them apart."""
    whole = PeAudioModel(frame_level.config)
    whole.load_state_dict(frame_level.state_dict())
    whole.save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    assert load_word_listener(f"pe:{tmp_path}", WORDS).hop == 0.5


@torch.no_grad()
def test_clap_hears_the_two_seconds_around_each_half(clap_folder):  # noqa: F811
    listener = load_word_listener(f"clap:{clap_folder}", WORDS)
    assert isinstance(listener, AudioTextEncoder) and listener.words == WORDS
    waveform = sounds(3.2)
    moments = listener.score_moments(waveform)
    assert moments.shape == (2, 7, 3)
    clap = CLAP.from_pretrained(clap_folder, names=WORDS)
    around = waveform[:, round(1.25 * RATE) : round(3.25 * RATE)]
    around = torch.nn.functional.pad(around, (0, 2 * RATE - around.shape[1]))
    close(moments[:, 4], clap.probabilities(around))
    close(listener.score(waveform), moments.amax(dim=1))


def test_another_folder_is_one_sentence(clap_folder, tmp_path):  # noqa: F811
    with pytest.raises(CheckpointError, match="it is a clap; give a PE-A-Frame or PE-AV as published"):
        PeWords.from_pretrained(clap_folder, WORDS)
    with pytest.raises(CheckpointError, match="there is no such folder"):
        load_word_listener(f"pe:{tmp_path / 'nothing'}", WORDS)


@pytest.mark.parametrize("kind", ["pe_video", "pe_audio_encoder", "perception_lm"])
def test_relatives_that_cannot_compare_sounds_with_words_are_one_sentence(kind, av_folder, tmp_path):
    shutil.copytree(av_folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    with pytest.raises(CheckpointError, match=f"it is a {kind}; give a PE-A-Frame or PE-AV as published"):
        PeWords.from_pretrained(tmp_path, WORDS)
