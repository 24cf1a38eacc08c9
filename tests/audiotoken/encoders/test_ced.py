"""CED computes what the published description says, reads the published files whole or not at all, is an AudioEncoder.

The published code can't be installed here, so the reference is put together in `forward_published` from its
description, with transformers' vision transformer and its spectrogram: other code, the same weights.
"""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import ViTConfig
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function
from transformers.models.vit.modeling_vit import ViTLayer

from audiotoken.debug import WIDTH as TOKEN_WIDTH
from audiotoken.debug import debug_pipeline
from audiotoken.embedder import AudioEmbedder
from audiotoken.encoders import AudioEncoder
from audiotoken.encoders.audioset import load_classes
from audiotoken.encoders.ced import CED, log_mel
from audiotoken.encoders.ced_file import SIZES, read_ced
from audiotoken.encoders.load import load_encoder
from audiotoken.errors import CheckpointError
from audiotoken.pipeline import AudioTokenPipeline
from audiotoken.stereo.naming import list_encoder_labels, make_labeller

WIDTH, HEADS, DEPTH = 24, 2, 12
CONFIG = {"model_type": "ced", "embed_dim": WIDTH, "num_heads": HEADS, "depth": DEPTH, "mlp_ratio": 2.0}
CONFIG |= {"outputdim": 527, "patch_size": 16, "patch_stride": 16, "pooling": "mean", "target_length": 1012}


def publish(sizes: dict) -> dict[str, torch.Tensor]:
    """Random weights under the published names and in the published shapes."""
    width, hidden = sizes["embed_dim"], round(sizes["embed_dim"] * sizes["mlp_ratio"])
    shapes: dict[str, tuple[int, ...]] = {
        "encoder.init_bn.weight": (64,),
        "encoder.init_bn.bias": (64,),
        "encoder.init_bn.running_mean": (64,),
    }
    shapes |= {"encoder.patch_embed.proj.weight": (width, 1, 16, 16), "encoder.patch_embed.proj.bias": (width,)}
    shapes |= {"encoder.time_pos_embed": (1, width, 1, 63), "encoder.freq_pos_embed": (1, width, 4, 1)}
    layers: dict[str, tuple[int, ...]] = {
        "encoder.norm": (width,),
        "outputlayer.0": (width,),
        "outputlayer.1": (sizes["outputdim"], width),
    }
    for i in range(sizes["depth"]):
        block = f"encoder.blocks.{i}"
        layers |= {f"{block}.norm1": (width,), f"{block}.norm2": (width,), f"{block}.attn.qkv": (3 * width, width)}
        layers |= {f"{block}.attn.proj": (width, width), f"{block}.mlp.fc1": (hidden, width)}
        layers |= {f"{block}.mlp.fc2": (width, hidden)}
    for name, shape in layers.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    random = torch.Generator().manual_seed(7)
    weights = {name: 0.3 * torch.randn(shape, generator=random) for name, shape in shapes.items()}
    weights["encoder.init_bn.running_var"] = 30 + 10 * torch.rand(64, generator=random)
    weights["encoder.init_bn.num_batches_tracked"] = torch.tensor(5)
    return weights


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ced")
    save_file(publish(CONFIG), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return folder


@pytest.fixture(scope="module")
def ced(folder) -> CED:
    return CED.from_published(folder, layers=(1, 3))


def sounds(seconds: float, batch: int = 2) -> torch.Tensor:
    """(batch, frames); no two moments alike."""
    noise = torch.randn(batch, int(16_000 * seconds), generator=torch.Generator().manual_seed(5))
    return 0.1 * noise * torch.linspace(0.01, 1, noise.shape[1])


def close(got: torch.Tensor, want: torch.Tensor, tolerance: float = 1e-4) -> None:
    torch.testing.assert_close(got, want, atol=tolerance, rtol=0)


def spectrogram_published(waveform: np.ndarray) -> np.ndarray:
    """(64, frames): the numbers of the published feature extractor."""
    filters = mel_filter_bank(257, 64, 0.0, 8000.0, 16_000, norm=None, mel_scale="htk")
    options = {"power": 2.0, "center": True, "pad_mode": "reflect", "log_mel": "dB", "db_range": 120.0}
    window = window_function(512, "hann", periodic=True)
    return spectrogram(waveform, window, 512, 160, fft_length=512, mel_filters=filters, **options)


def forward_published(weights: dict[str, torch.Tensor], mel: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
    """(the output of each block, the scores) of (batch, 64, frames), after the published description."""
    stripped = {name.removeprefix("encoder."): value for name, value in weights.items()}
    mel = (mel - stripped["init_bn.running_mean"][:, None]) / (stripped["init_bn.running_var"][:, None] + 1e-5).sqrt()
    mel = mel * stripped["init_bn.weight"][:, None] + stripped["init_bn.bias"][:, None]
    patches = nn.functional.conv2d(
        mel[:, None], stripped["patch_embed.proj.weight"], stripped["patch_embed.proj.bias"], stride=16
    )
    patches = patches + stripped["time_pos_embed"][..., : patches.shape[3]] + stripped["freq_pos_embed"]
    hidden, outputs = patches.flatten(2).transpose(1, 2), []
    config = ViTConfig(hidden_size=WIDTH, num_attention_heads=HEADS, intermediate_size=2 * WIDTH, layer_norm_eps=1e-6)
    config._attn_implementation = "eager"
    for i in range(DEPTH):
        layer, own = ViTLayer(config).eval(), f"blocks.{i}."
        for part in ("weight", "bias"):
            three = stripped[f"{own}attn.qkv.{part}"].chunk(3)
            state = {f"attention.{name}_proj.{part}": value for name, value in zip("qkv", three, strict=True)}
            state |= {f"attention.o_proj.{part}": stripped[f"{own}attn.proj.{part}"]}
            state |= {f"mlp.{name}.{part}": stripped[f"{own}mlp.{name}.{part}"] for name in ("fc1", "fc2")}
            state |= {f"layernorm_before.{part}": stripped[f"{own}norm1.{part}"]}
            state |= {f"layernorm_after.{part}": stripped[f"{own}norm2.{part}"]}
            layer.load_state_dict(state, strict=False)
        hidden = layer(hidden)
        outputs.append(hidden)
    normed = nn.functional.layer_norm(hidden, (WIDTH,), stripped["norm.weight"], stripped["norm.bias"], eps=1e-6).mean(
        1
    )
    normed = nn.functional.layer_norm(
        normed, (WIDTH,), stripped["outputlayer.0.weight"], stripped["outputlayer.0.bias"]
    )
    return outputs, (normed @ stripped["outputlayer.1.weight"].T + stripped["outputlayer.1.bias"]).sigmoid()


@torch.no_grad()
@pytest.mark.parametrize("seconds", [0.2, 2.5, 10.0])
def test_agrees_with_the_published_description(ced, folder, seconds):
    waveform = sounds(seconds)
    mel = torch.from_numpy(np.stack([spectrogram_published(each) for each in waveform.numpy()])).float()
    close(log_mel(waveform), mel, 2e-3)  # dB; theirs is computed in float64
    outputs, scores = forward_published(load_file(folder / "model.safetensors"), log_mel(waveform))
    close(ced.probabilities(waveform), scores)
    want = torch.cat([outputs[0], outputs[2]], dim=-1)  # (batch, 4 bands of the times, 2 widths)
    close(ced.features(waveform), want.unflatten(1, (4, -1)).transpose(1, 2).flatten(1, 2), 1e-3)


def test_is_an_audio_encoder_with_the_names_of_audioset(ced, folder):
    assert isinstance(ced, AudioEncoder) and not ced.training
    assert (ced.rate, ced.width, len(ced.labels)) == (16_000, 2 * WIDTH, 527)
    assert ced.labels == tuple(name for _, name, _ in load_classes()) == list_encoder_labels(f"ced:{folder}")


def test_it_names_what_is_heard(ced, folder):
    label = make_labeller(f"ced:{folder}")(sounds(0.5, 1)[0].numpy(), 16_000)
    assert label is not None and label.name in ced.labels
    assert label.score == pytest.approx(float(label_scores(ced).max()), abs=1e-3)


def label_scores(ced: CED) -> torch.Tensor:
    """Of the same sound at the level at which labels are given: a peak of 0.5."""
    signal = sounds(0.5, 1)
    with torch.no_grad():
        return ced.probabilities(0.5 * signal / signal.abs().max())


@torch.no_grad()
def test_a_batch_equals_singles_and_a_long_clip_takes_its_best_piece(ced):
    both = sounds(1.0)
    close(ced.probabilities(both), torch.cat([ced.probabilities(one[None]) for one in both]), 1e-5)
    long = sounds(15.0, 1)
    halves = torch.stack([ced.probabilities(half) for half in long.chunk(2, dim=1)])
    close(ced.probabilities(long), halves.amax(dim=0), 1e-5)
    assert ced.features(long).shape[1] == 2 * ced.features(long[:, :120_000]).shape[1]


@torch.no_grad()
def test_short_and_silent_clips_have_scores(ced):
    for waveform in (torch.full((1, 1), 0.1), torch.zeros(1, 16_000), torch.zeros(1, 2399)):
        assert ced.probabilities(waveform).isfinite().all() and ced.features(waveform).shape[1] % 4 == 0
    with pytest.raises(ValueError, match="mono at 16 kHz"):
        ced.features(torch.zeros(2, 2, 100))


def test_gradients_reach_the_waveform(ced):
    waveform = sounds(0.5, 1).requires_grad_()
    ced.features(waveform).square().sum().backward()
    assert waveform.grad is not None and waveform.grad.abs().sum() > 0


@torch.no_grad()
def test_survives_save_and_load(ced, tmp_path):
    ced.save_pretrained(tmp_path)
    again = CED.from_pretrained(tmp_path)
    torch.testing.assert_close(again.features(sounds(0.5)), ced.features(sounds(0.5)), atol=0, rtol=0)
    assert again.labels == ced.labels and not again.training


def test_the_loader_knows_it(folder):
    encoder = load_encoder(f"ced:{folder}", layers=(2,))
    assert isinstance(encoder, CED) and encoder.width == WIDTH


@torch.no_grad()
def test_is_a_part_of_a_pipeline(ced, tmp_path):
    pipe = debug_pipeline()
    pipe.register_modules(audio_encoder=ced, audio_embedder=AudioEmbedder(ced.width, TOKEN_WIDTH).eval())
    pipe.save_pretrained(tmp_path)
    again = AudioTokenPipeline.from_pretrained(tmp_path)
    signal = sounds(0.5, 1)[0].numpy()
    assert isinstance(again.audio_encoder, CED)
    close(again.audio_tokens(signal, 16_000), pipe.audio_tokens(signal, 16_000), 1e-5)
    assert dict(again.classify(signal, 16_000)) == pytest.approx(dict(pipe.classify(signal, 16_000)), abs=1e-5)


@pytest.mark.parametrize("name", SIZES)
def test_the_name_of_a_released_size_fixes_it(name, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "ced", "name": name}))
    save_file({"encoder.norm.weight": torch.ones(1)}, tmp_path / "model.safetensors")
    config, weights = read_ced(tmp_path)
    assert (config["hidden"], config["heads"]) == SIZES[name] and config["hidden"] == 64 * config["heads"]
    assert config["feed_forward"] == 4 * config["hidden"] and list(weights) == ["norm.weight"]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model_type": "vit"}, "not of a CED"),
        ({"pooling": "token"}, "pooling=token, CED as released has mean"),
        ({"embed_dim": 48}, "other shapes"),
        ({"depth": 13}, "lacks"),
    ],
)
def test_another_model_is_one_sentence(config, words, folder, tmp_path):
    save_file(load_file(folder / "model.safetensors"), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG | config))
    with pytest.raises(CheckpointError, match=words):
        CED.from_published(tmp_path, layers=(1,))


def test_names_in_the_file_win(folder, tmp_path):
    save_file(load_file(folder / "model.safetensors"), tmp_path / "model.safetensors")
    names = {str(i): f"thing {i}" for i in range(527)}
    (tmp_path / "config.json").write_text(json.dumps(CONFIG | {"id2label": names}))
    assert CED.from_published(tmp_path, layers=(1,)).labels[3] == "thing 3"


@pytest.mark.parametrize("where", ["no/folder/here", "nothing"])
def test_nothing_there_is_one_sentence(where):
    with pytest.raises(CheckpointError, match="give a CED as published"):
        CED.from_published(where)


def test_a_damaged_file_is_one_sentence(folder, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    with pytest.raises(CheckpointError, match="Cannot load"):
        CED.from_published(tmp_path, layers=(1,))
    with pytest.raises(ValueError, match="layers 1 to 12"):
        CED.from_published(folder, layers=(13,))
