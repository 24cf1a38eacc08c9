"""CLAP agrees with transformers' own, knows names without its text tower, and is an AudioEncoder."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import ClapConfig, ClapFeatureExtractor, ClapModel, RobertaTokenizer

from audiotoken.debug import WIDTH, debug_pipeline
from audiotoken.embedder import AudioEmbedder
from audiotoken.encoders import AudioEncoder
from audiotoken.encoders.audioset import list_subjects
from audiotoken.encoders.clap import CLAP, NEUTRAL, SENTENCE, log_mel
from audiotoken.encoders.hub import NamedClapConfig
from audiotoken.errors import CheckpointError
from audiotoken.pipeline import AudioTokenPipeline

NAMES = ("dog", "church bell", "rain")
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
AUDIO = {"patch_embeds_hidden_size": 8, "hidden_size": 64, "depths": (1, 1, 1, 1), "num_attention_heads": (1, 1, 2, 2)}
TEXT = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}


def tiny_tokenizer() -> RobertaTokenizer:
    letters = [chr(code) for code in range(33, 127)] + ["Ġ"]
    return RobertaTokenizer(vocab={each: i for i, each in enumerate([*SPECIAL, *letters])}, merges=[])


def tiny(fused: bool) -> ClapModel:
    """Transformers' own, with weights large enough that one sound is told from another."""
    text = TEXT | {"vocab_size": len(tiny_tokenizer()), "max_position_embeddings": 80}
    fusion = {"enable_fusion": True, "fusion_type": "aff_2d"} if fused else {}
    config = ClapConfig(text_config=text, audio_config=AUDIO | fusion, projection_dim=16)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = ClapModel(config)
        for weight in model.parameters():
            weight.data = 0.15 * torch.randn_like(weight) if weight.ndim > 1 else weight.data
        model.logit_scale_a.data += 1.0
    return model.eval()


def save(model: ClapModel, folder) -> None:
    """As published: both towers and the tokenizer."""
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clap")
    save(tiny(fused=False), folder)
    return folder


@pytest.fixture(scope="module")
def clap(folder) -> CLAP:
    return CLAP.from_pretrained(folder, names=NAMES)


def sounds(seconds: float, batch: int = 2) -> torch.Tensor:
    """(batch, frames); no two moments alike."""
    noise = torch.randn(batch, int(48_000 * seconds), generator=torch.Generator().manual_seed(5))
    return 0.1 * noise * torch.linspace(0.1, 1, noise.shape[1])


def close(got: torch.Tensor, want: torch.Tensor, tolerance: float = 1e-4) -> None:
    torch.testing.assert_close(got, want, atol=tolerance, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("fused", [False, True])
def test_agrees_with_transformers(fused, tmp_path):
    """Front end, text tower, features and scores, with the published settings of the extractor."""
    theirs, waveform = tiny(fused), sounds(3.3)
    save(theirs, tmp_path)
    ours = CLAP.from_pretrained(tmp_path, names=NAMES)
    extractor = ClapFeatureExtractor(frequency_min=50, truncation="fusion" if fused else "rand_trunc")
    inputs = extractor(list(waveform.numpy()), sampling_rate=48_000)["input_features"]
    inputs = torch.from_numpy(np.stack(inputs)).float()  # (batch, 4 or 1, 1001, 64)
    close(log_mel(waveform, fused=fused), inputs[:, 0], 2e-3)  # dB, of a range of 60
    audio = theirs.get_audio_features(inputs, is_longer=torch.zeros(2, 1, dtype=torch.bool))
    close(ours.features(waveform), audio.last_hidden_state.permute(0, 3, 2, 1).flatten(1, 2), 1e-3)
    words = tiny_tokenizer()([NEUTRAL, *map(SENTENCE.format, NAMES)], padding=True, return_tensors="pt")
    texts = theirs.get_text_features(words["input_ids"], attention_mask=words["attention_mask"])
    logits = theirs.logit_scale_a.exp() * audio.pooler_output @ texts.pooler_output.mT
    want = torch.stack([logits[:, 1:], logits[:, :1].expand(-1, 3)]).softmax(0)[0]  # a name or the neutral sentence
    close(ours.probabilities(waveform), want, 1e-3)
    assert want.std() > 0.02


@torch.no_grad()
@pytest.mark.parametrize("seconds", [0.01, 0.5, 3.3, 10])
def test_front_end_repeats_short_clips_as_published(seconds):
    waveform = sounds(seconds, 1)
    for fused in (False, True):
        extractor = ClapFeatureExtractor(frequency_min=50, truncation="fusion" if fused else "rand_trunc")
        want = torch.as_tensor(np.asarray(extractor(waveform[0].numpy(), sampling_rate=48_000)["input_features"][0]))
        close(log_mel(waveform, fused=fused)[0], want[0].float(), 2e-3)


def test_is_an_audio_encoder(clap):
    assert isinstance(clap, AudioEncoder)
    assert (clap.rate, clap.width, clap.labels) == (48_000, 64, NAMES)
    assert clap.device == torch.device("cpu") and clap.dtype == torch.float32 and not clap.training


@torch.no_grad()
def test_time_runs_from_early_to_late(clap):
    quiet = sounds(10, 1)
    for quarter in range(4):
        moved = quiet.clone()
        moved[:, quarter * 120_000 + 30_000 :][:, :60_000] *= 10
        change = (clap.features(moved) - clap.features(quiet)).square().mean(-1).reshape(4, 16)  # 8 moments, 2 bands
        assert change.sum(1).argmax().item() == quarter


@torch.no_grad()
def test_a_batch_of_two_equals_two_singles(clap):
    for seconds in (0.4, 12.0):
        waveform = sounds(seconds)
        for hear in (clap.features, clap.probabilities):
            close(hear(waveform), torch.cat([hear(one[None]) for one in waveform]), 1e-5)


@torch.no_grad()
@pytest.mark.parametrize("samples", [1, 480, 480_000])
def test_short_clips(clap, samples):
    waveform = sounds(10, 1)[:, -samples:]
    assert clap.features(waveform).shape == (1, 64, 64)
    assert clap.features(waveform).isfinite().all() and clap.probabilities(waveform).isfinite().all()


@torch.no_grad()
def test_long_clips_are_heard_in_equal_pieces(clap):
    waveform = sounds(25, 1)
    pieces = waveform.tensor_split(3, dim=1)
    close(clap.features(waveform), torch.cat([clap.features(piece) for piece in pieces], dim=1))
    scores = torch.stack([clap.probabilities(piece) for piece in pieces])
    close(clap.probabilities(waveform), scores.amax(0))
    assert scores.std(0).min() > 1e-4


@pytest.mark.parametrize("shape", [(48_000,), (1, 1, 48_000), (1, 0), (0, 48_000)])
def test_refuses_what_is_no_waveform(clap, shape):
    with pytest.raises(ValueError, match=r"CLAP got .* expected floats \(batch, frames\), mono at 48 kHz"):
        clap.features(torch.zeros(shape))


def test_gradients_reach_the_first_layer(folder):
    clap = CLAP.from_pretrained(folder, names=NAMES)
    clap.features(sounds(0.5)).square().mean().backward()
    assert clap.audio_model.audio_encoder.patch_embed.proj.weight.grad.abs().max() > 0


def test_without_a_list_it_tells_the_subjects_of_audioset(folder):
    assert CLAP.from_pretrained(folder).labels == list_subjects()


@torch.no_grad()
def test_survives_save_and_load_without_the_text_tower(clap, tmp_path):
    clap.save_pretrained(tmp_path)
    again = CLAP.from_pretrained(tmp_path)
    assert again.labels == NAMES and not again.training
    assert not any("text" in name for name in again.state_dict())
    for hear in ("features", "probabilities"):
        close(getattr(again, hear)(sounds(0.5)), getattr(clap, hear)(sounds(0.5)), 0)
    with pytest.raises(CheckpointError, match=r"keeps no text tower"):
        CLAP.from_pretrained(tmp_path, names=("cat",))


@torch.no_grad()
@pytest.mark.parametrize("fused", [False, True])
def test_is_a_part_of_a_pipeline(fused, tmp_path):
    save(tiny(fused), tmp_path / "published")
    clap = CLAP.from_pretrained(tmp_path / "published", names=NAMES)
    pipe = debug_pipeline()
    pipe.register_modules(audio_encoder=clap, audio_embedder=AudioEmbedder(clap.width, WIDTH).eval())
    pipe.save_pretrained(tmp_path / "pipe")
    again = AudioTokenPipeline.from_pretrained(tmp_path / "pipe", torch_dtype=torch.float16)
    signal = sounds(0.5, 1)[0].numpy()
    assert isinstance(again.audio_encoder, CLAP) and again.audio_encoder.dtype == torch.float32
    close(again.audio_tokens(signal, 48_000), pipe.audio_tokens(signal, 48_000), 0)
    heard, want = again.classify(signal, 48_000), pipe.classify(signal, 48_000)
    assert [label for label, _ in heard] == [label for label, _ in want] and len(heard) == len(NAMES)
    assert [score for _, score in heard] == pytest.approx([score for _, score in want], abs=1e-5)


@pytest.mark.parametrize("names", [(), ("dog", "dog"), ("dog", " dog"), ("dog", " ")])
def test_refuses_lists_that_are_no_names(folder, names):
    with pytest.raises(CheckpointError, match="none empty or twice"):
        CLAP.from_pretrained(folder, names=names)


def test_without_names_there_are_no_scores():
    nameless = CLAP(NamedClapConfig(**AUDIO, projection_dim=16)).eval()
    assert nameless.labels == () and nameless.features(sounds(0.1)).shape == (2, 64, 64)
    with pytest.raises(ValueError, match="no names"):
        nameless.probabilities(sounds(0.1))


def test_refuses_what_is_no_whole_clap(folder, tmp_path):
    def refused(name, match):
        with pytest.raises(CheckpointError, match=match) as caught:
            CLAP.from_pretrained(tmp_path / name)
        assert str(caught.value).startswith(f"Cannot load {tmp_path / name}: ") and "\n" not in str(caught.value)

    refused("nowhere", "no such folder")
    shutil.copytree(folder, tmp_path / "mute")
    for file in (tmp_path / "mute").glob("*token*"):
        file.unlink()
    with pytest.raises(CheckpointError, match="tokenizer reads different names alike"):
        CLAP.from_pretrained(tmp_path / "mute")
    shutil.copytree(folder, tmp_path / "deaf")
    weights = load_file(folder / "model.safetensors")
    kept = {name: weight for name, weight in weights.items() if not name.startswith("text")}
    save_file(kept, tmp_path / "deaf" / "model.safetensors", metadata={"format": "pt"})
    refused("deaf", "lacks text_model.* with its text tower")
    shutil.copytree(folder, tmp_path / "other")
    config = json.loads((folder / "config.json").read_text())
    config["audio_config"]["patch_embeds_hidden_size"] = 16
    (tmp_path / "other" / "config.json").write_text(json.dumps(config))
    refused("other", "other shapes")
    (tmp_path / "other" / "model.safetensors").write_bytes(b"cut off")
    refused("other", "header")
    debug_pipeline().text_encoder.save_pretrained(tmp_path / "clip")
    refused("clip", "it is a clip_text_model; give a CLAP")


def test_the_defaults_are_the_released_size():
    with torch.device("meta"):
        clap = CLAP(NamedClapConfig())
    assert sum(weight.numel() for weight in clap.parameters()) == pytest.approx(28.2e6, rel=0.01)
    assert clap.width == 768
