"""Wav2CLIP: the front end as published, the layout of the published file, what does not fit."""

import numpy as np
import pytest
import torch

from audiotoken.errors import CheckpointError
from audiotoken.wav2clip import HOP, WINDOW, Wav2CLIP, load_wav2clip, spectrogram

UNITS = (32, 24, 12)


@pytest.fixture(scope="module")
def model() -> Wav2CLIP:
    torch.manual_seed(0)
    model = Wav2CLIP(4, UNITS)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # as after training: nothing is the identity
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return model.eval()


@pytest.fixture
def published(model, tmp_path):
    """A file in the layout of Wav2CLIP.pt: with the parts of training that a judge does not need."""
    weights = dict(model.state_dict())
    weights["audio_encoder.spectrogram.window"] = torch.hann_window(WINDOW)
    weights |= {"audio_encoder.fc.weight": torch.zeros(309, 32), "audio_encoder.fc.bias": torch.zeros(309)}
    weights |= {"image_transform.sequential.0.weight": torch.zeros(3, 3), "loss_fn_a.logit_scale": torch.zeros(())}
    torch.save({"state_dict": weights}, tmp_path / "Wav2CLIP.pt")
    return tmp_path / "Wav2CLIP.pt"


def test_names_and_shapes_are_the_published_ones():
    shapes = {name: tuple(value.shape) for name, value in Wav2CLIP().state_dict().items()}
    assert shapes["audio_encoder.conv1.weight"] == (64, 1, 7, 7)
    assert shapes["audio_encoder.layer1.1.bn2.running_var"] == (64,)
    assert shapes["audio_encoder.layer4.0.downsample.0.weight"] == (512, 256, 1, 1)
    assert shapes["audio_encoder.layer4.1.conv2.weight"] == (512, 512, 3, 3)
    assert shapes["audio_transform.sequential.0.weight"] == (512, 512)
    assert shapes["audio_transform.sequential.3.bias"] == (512,)
    assert not any(name.startswith("audio_encoder.layer1.0.downsample") for name in shapes)
    assert sum(v.numel() for v in Wav2CLIP().audio_encoder.parameters()) == 11_170_240  # a ResNet-18 for 1 channel


def test_published_file_gives_the_same_embeddings(model, published):
    read = load_wav2clip(published)
    wave = torch.randn(2, 9000, generator=torch.Generator().manual_seed(1))
    assert read.config["width"] == 4 and tuple(read.config["units"]) == UNITS
    assert torch.equal(read(wave), model(wave))


def test_folder_gives_the_same_embeddings(model, tmp_path):
    model.save_pretrained(tmp_path)
    wave = torch.randn(1, 9000, generator=torch.Generator().manual_seed(2))
    assert torch.allclose(load_wav2clip(tmp_path)(wave), model(wave), atol=1e-5)


def test_spectrogram_has_a_column_for_each_hop():  # its numbers: tests/audiotoken/encoders/test_kaldi.py
    assert spectrogram(torch.randn(1, 16_000)).shape == (1, 1, 257, 16_000 // HOP + 1)


def test_tone_peaks_at_its_frequency():
    wave = torch.sin(2 * torch.pi * 3000 * torch.arange(16_000) / 16_000)[None]
    assert int(spectrogram(wave)[0, 0].mean(1).argmax()) == 3000 * WINDOW // 16_000


def test_network_equals_a_manual_computation(model):
    """The first stage and the head by hand, from the weights."""
    from torch.nn import functional as F

    weights = model.state_dict()

    def norm(x, name):
        p = f"audio_encoder.{name}"
        stats = [weights[f"{p}.{k}"] for k in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(x, *stats)

    def conv(x, name, stride=1, padding=1):
        return F.conv2d(x, weights[f"audio_encoder.{name}.weight"], stride=stride, padding=padding)

    wave = torch.randn(1, 6000, generator=torch.Generator().manual_seed(4))
    x = F.max_pool2d(norm(conv(spectrogram(wave), "conv1", 2, 3), "bn1").relu(), 3, 2, 1)
    for stage in (1, 2, 3, 4):
        for block in (0, 1):
            at, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            y = norm(conv(x, f"{at}.conv1", stride), f"{at}.bn1").relu()
            y = norm(conv(y, f"{at}.conv2"), f"{at}.bn2")
            if stride == 2:
                x = norm(conv(x, f"{at}.downsample.0", 2, 0), f"{at}.downsample.1")
            x = (x + y).relu()
    first, last = ([weights[f"audio_transform.sequential.{i}.{k}"] for k in ("weight", "bias")] for i in (0, 3))
    wanted = F.linear(F.linear(x.mean((2, 3)), *first).relu(), *last)
    assert torch.allclose(model(wave), wanted, atol=1e-5)


def test_embeddings_do_not_depend_on_other_clips_or_level(model):
    waves = torch.randn(2, 8000, generator=torch.Generator().manual_seed(5)) * torch.tensor([[1.0], [0.1]])
    alone = model(waves[1:])
    assert torch.allclose(model(waves)[1:], alone, atol=1e-5)
    assert torch.allclose(model(waves[1:] * 3), alone, atol=1e-3)


def test_embeddings_have_length_one_whatever_the_length_of_the_clip(model):
    rng = np.random.default_rng(6)
    found = model.embed([rng.standard_normal(frames).astype(np.float32) for frames in (30, 700, 16_000)])
    assert found.shape == (3, 12) and np.linalg.norm(found, axis=1) == pytest.approx(1)
    assert model.embed([]).shape == (0, 12)
    assert np.isfinite(model.embed([np.zeros(1000, np.float32)])).all()


def test_invalid_files_are_errors(model, published, tmp_path):
    with pytest.raises(CheckpointError, match="there is no such file"):
        load_wav2clip(tmp_path / "none.pt")
    with pytest.raises(CheckpointError, match="there is no Wav2CLIP in"):
        load_wav2clip(tmp_path / "nowhere")
    torch.save({"state_dict": {"a": torch.zeros(2)}}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="no ResNet-18"):
        load_wav2clip(tmp_path / "other.pt")
    content = torch.load(published, weights_only=True)
    del content["state_dict"]["audio_encoder.layer3.1.bn1.bias"]
    torch.save(content, tmp_path / "cut.pt")
    with pytest.raises(CheckpointError, match=r"lacks audio_encoder\.layer3\.1\.bn1\.bias"):
        load_wav2clip(tmp_path / "cut.pt")
    with pytest.raises(ValueError, match="eight times the width"):
        Wav2CLIP(4, (16, 8, 8))
    with pytest.raises(ValueError, match="mono at 16 kHz"):
        model(torch.zeros(1000))


def test_no_code_runs_from_a_file(tmp_path):
    class Trap:
        def __reduce__(self):
            return (exec, ("raise SystemExit('ran')",))

    torch.save({"state_dict": {"a": Trap()}}, tmp_path / "trap.pt")
    with pytest.raises(CheckpointError, match="more than weights"):
        load_wav2clip(tmp_path / "trap.pt")
