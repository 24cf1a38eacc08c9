"""AST agrees with transformers' own, loads whole or not at all, and is an AudioEncoder."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file
from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

from audiotoken.debug import WIDTH, debug_pipeline
from audiotoken.embedder import AudioEmbedder
from audiotoken.encoders import AudioEncoder
from audiotoken.encoders.ast import AST, log_mel
from audiotoken.encoders.hub import LayeredASTConfig
from audiotoken.errors import CheckpointError
from audiotoken.pipeline import AudioTokenPipeline

HIDDEN, LABELS = 24, ("Speech", "Dog", "Rain", "Bell", "Wind")
SIZES = {"hidden_size": HIDDEN, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 32}


def tiny(max_length: int = 128) -> ASTForAudioClassification:
    """Transformers' own, with weights large enough that one sound is told from another."""
    config = ASTConfig(**SIZES, max_length=max_length, id2label=dict(enumerate(LABELS)))
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = ASTForAudioClassification(config)
        for weight in model.parameters():
            weight.data = 0.3 * torch.randn_like(weight) if weight.ndim > 1 else weight.data
    return model.eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ast")
    tiny().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def ast(folder) -> AST:
    return AST.from_pretrained(folder, layers=(1, 4))


def sounds(seconds: float, batch: int = 2) -> torch.Tensor:
    """(batch, frames); no two moments alike."""
    noise = torch.randn(batch, int(16_000 * seconds), generator=torch.Generator().manual_seed(5))
    return 0.1 * noise * torch.linspace(0.1, 1, noise.shape[1])


def close(got: torch.Tensor, want: torch.Tensor, tolerance: float = 1e-4) -> None:
    torch.testing.assert_close(got, want, atol=tolerance, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("seconds", [0.03, 0.7, 10.24])
def test_agrees_with_transformers(seconds):
    """Front end, hidden states and scores, at the published length; their extractor wants a whole window."""
    theirs, waveform = tiny(1024), sounds(seconds)
    ours = AST(LayeredASTConfig.from_dict(theirs.config.to_dict(), layers=(2, 4))).eval()
    ours.load_state_dict(theirs.state_dict())
    extractor = ASTFeatureExtractor()
    inputs = extractor(list(waveform.numpy()), sampling_rate=16_000, return_tensors="pt")["input_values"]
    ours_in = ours._pad_and_normalise(log_mel(waveform))
    close(ours_in, inputs, 5e-3)  # without torchaudio theirs is computed in float64; test_kaldi.py holds to its numbers
    out = theirs(ours_in, output_hidden_states=True)
    close(ours.probabilities(waveform), out.logits.sigmoid())
    want = torch.cat([out.hidden_states[2], out.hidden_states[4]], dim=-1)[:, 2:]  # two summary tokens first
    want = want.reshape(2, 12, 101, -1).transpose(1, 2).flatten(1, 2)  # band by band -> time by time
    got = ours.features(waveform)
    frames = log_mel(waveform).shape[1]
    assert got.shape[1] == 12 * max(1, (frames - 16) // 10 + 1)
    close(got, want[:, : got.shape[1]])


def test_is_an_audio_encoder(ast):
    assert isinstance(ast, AudioEncoder)
    assert (ast.rate, ast.width, ast.labels) == (16_000, 2 * HIDDEN, LABELS)
    assert ast.device == torch.device("cpu") and ast.dtype == torch.float32 and not ast.training


@torch.no_grad()
def test_time_runs_from_early_to_late_and_low_to_high(ast):
    ast.config.layers, layers = (1,), ast.config.layers
    quiet = sounds(1.2, 1)
    moved = quiet.clone()
    moved[:, 9_600:11_200] += 0.5 * torch.sin(2 * torch.pi * 6_000 * torch.arange(1_600) / 16_000)
    change = (ast.features(moved) - ast.features(quiet)).square().mean(-1).reshape(-1, 12)  # (times, bands)
    ast.config.layers = layers
    assert change.sum(1).argmax().item() in (5, 6)  # patches of 160 ms that start at 0.5 s, 0.6 s
    assert change.sum(0).argmax().item() >= 8  # 6 kHz is high among 20 Hz to 8 kHz


@torch.no_grad()
def test_a_batch_of_two_equals_two_singles(ast):
    for seconds in (0.4, 3.0):
        waveform = sounds(seconds)
        for hear in (ast.features, ast.probabilities):
            close(hear(waveform), torch.cat([hear(one[None]) for one in waveform]), 1e-5)


@torch.no_grad()
@pytest.mark.parametrize("samples", [1, 160, 399, 400, 2_800])
def test_short_clips(ast, samples):
    waveform = 0.1 * torch.ones(1, samples)
    assert ast.features(waveform).shape == (1, 12, ast.width)
    assert ast.features(waveform).isfinite().all() and ast.probabilities(waveform).isfinite().all()


@torch.no_grad()
def test_long_clips_are_heard_in_equal_pieces(ast):
    waveform = sounds(25, 1)
    pieces = waveform.tensor_split(20, dim=1)  # of 1.25 s; 128 frames are 1.295 s
    close(ast.features(waveform), torch.cat([ast.features(piece) for piece in pieces], dim=1))
    scores = torch.stack([ast.probabilities(piece) for piece in pieces])
    close(ast.probabilities(waveform), scores.amax(0))
    assert scores.std(0).min() > 1e-4


@pytest.mark.parametrize("shape", [(16_000,), (1, 1, 16_000), (1, 0), (0, 16_000)])
def test_refuses_what_is_no_waveform(ast, shape):
    with pytest.raises(ValueError, match=r"AST got .* expected floats \(batch, frames\), mono at 16 kHz"):
        ast.features(torch.zeros(shape))
    with pytest.raises(ValueError, match=r"torch\.int16"):
        ast.probabilities(torch.zeros(1, 16_000, dtype=torch.int16))


def test_gradients_reach_the_first_layer(folder):
    ast = AST.from_pretrained(folder, layers=(4,))
    ast.features(sounds(0.5)).square().mean().backward()
    assert ast.audio_spectrogram_transformer.embeddings.patch_embeddings.projection.weight.grad.abs().max() > 0


def test_reads_and_writes_the_published_names_of_the_weights(folder, ast, tmp_path):
    """Transformers calls its modules otherwise by now; the files did not change."""
    ast.save_pretrained(tmp_path)
    for model in (folder, tmp_path):
        names = load_file(model / "model.safetensors")
        assert "audio_spectrogram_transformer.encoder.layer.0.attention.attention.query.weight" in names
        assert "classifier.dense.weight" in names


@torch.no_grad()
def test_survives_save_and_load(ast, tmp_path):
    ast.save_pretrained(tmp_path)
    again = AST.from_pretrained(tmp_path)
    assert (again.config.layers, again.labels) == ([1, 4], LABELS) and not again.training
    close(again.features(sounds(0.5)), ast.features(sounds(0.5)), 0)
    assert AST.from_pretrained(tmp_path, layers=(2,)).width == HIDDEN
    ASTForAudioClassification.from_pretrained(tmp_path)  # and it is still theirs


@torch.no_grad()
def test_is_a_part_of_a_pipeline(ast, tmp_path):
    pipe = debug_pipeline()
    pipe.register_modules(audio_encoder=ast, audio_embedder=AudioEmbedder(ast.width, WIDTH).eval())
    pipe.save_pretrained(tmp_path)
    again = AudioTokenPipeline.from_pretrained(tmp_path, torch_dtype=torch.float16)
    signal = sounds(0.5, 1)[0].numpy()
    assert isinstance(again.audio_encoder, AST) and again.audio_encoder.dtype == torch.float32
    close(again.audio_tokens(signal, 16_000), pipe.audio_tokens(signal, 16_000), 0)
    assert again.classify(signal, 16_000) == pipe.classify(signal, 16_000)


class Evil:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code from a weight file ran')",))


def test_refuses_what_is_no_whole_ast(folder, tmp_path):
    def refused(name, match, **config):
        (tmp_path / name).mkdir(exist_ok=True)
        settings = json.loads((folder / "config.json").read_text()) | config
        (tmp_path / name / "config.json").write_text(json.dumps(settings))
        with pytest.raises(CheckpointError, match=match) as caught:
            AST.from_pretrained(tmp_path / name, layers=(1,))
        assert str(caught.value).startswith(f"Cannot load {tmp_path / name}: ") and "\n" not in str(caught.value)

    tiny().audio_spectrogram_transformer.save_pretrained(tmp_path / "headless")
    refused("headless", r"lacks classifier.*with a class head")
    shutil.copytree(folder, tmp_path / "other")
    refused("other", "other shapes for .*fc1", intermediate_size=40)
    refused("other", "'intermediate_size'", intermediate_size="many")
    refused("other", "lacks .*layers.4", num_hidden_layers=5)
    refused("other", "it is a wav2vec2; give an AST", model_type="wav2vec2")
    (tmp_path / "other" / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:5_000])
    refused("other", "header")
    refused("empty", "no file named model.safetensors")
    (tmp_path / "evil").mkdir()
    torch.save({"classifier.dense.weight": Evil()}, tmp_path / "evil" / "pytorch_model.bin")
    refused("evil", "[Ww]eights")


def test_refuses_names_of_nothing(folder, tmp_path):
    for name in (tmp_path / "nowhere", "./nowhere", "mini", folder / "model.safetensors"):
        with pytest.raises(CheckpointError, match="no such folder"):
            AST.from_pretrained(name)
    with pytest.raises(CheckpointError, match="Cannot load nobody/has-this"):
        AST.from_pretrained("nobody/has-this")


@pytest.mark.parametrize("layers", [(0,), (5,), (), None])
def test_refuses_layers_it_has_not(folder, layers):
    """Without any it takes the published three, and this one is too shallow."""
    with pytest.raises(CheckpointError, match=r"^Got layers=.* layers 1 to 4; choose among these\.$"):
        AST.from_pretrained(folder, layers=layers)


def test_the_defaults_are_the_released_size():
    with torch.device("meta"):
        ast = AST(LayeredASTConfig(num_labels=527))
    assert sum(weight.numel() for weight in ast.parameters()) == pytest.approx(86.6e6, rel=0.01)
    assert ast.width == 2304
