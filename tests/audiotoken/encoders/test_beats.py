"""BEATs agrees with the published code, reads its files and nothing else, and is an AudioEncoder."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from audiotoken.encoders import AudioEncoder
from audiotoken.encoders.audioset import load_classes
from audiotoken.encoders.beats import BEATs, distance_bucket, log_mel
from audiotoken.errors import CheckpointError

REFERENCE = Path(__file__).parents[2] / "reference"
FILE = REFERENCE / "beats_tiny.pt"


@pytest.fixture(scope="module")
def beats() -> BEATs:
    return BEATs.from_checkpoint(FILE)


@pytest.fixture(scope="module")
def io() -> dict[str, torch.Tensor]:
    return load_file(REFERENCE / "beats_tiny_io.safetensors")


def close(got: torch.Tensor, want: torch.Tensor, tolerance: float = 1e-4) -> None:
    torch.testing.assert_close(got, want, atol=tolerance, rtol=0)


@torch.no_grad()
def test_agrees_with_the_published_code(beats, io):
    close(log_mel(io["waveform"]), io["fbank"])
    close(beats.features(io["waveform"]), io["layers_4_8_12"])  # 3e-5 off where the processor has AVX-512
    close(beats.hidden_states(io["waveform"])[-1], io["last_hidden"])
    close(beats.probabilities(io["waveform"]), io["probabilities"], 1e-5)


def test_is_an_audio_encoder(beats):
    assert isinstance(beats, AudioEncoder)
    assert (beats.rate, beats.width, len(beats.labels)) == (16_000, 3 * 48, 527)
    assert not beats.training


@torch.no_grad()
def test_a_batch_equals_singles_and_is_deterministic(beats, io):
    singles = torch.cat([beats.features(one[None]) for one in io["waveform"]])
    close(beats.features(io["waveform"]), singles, 1e-5)
    torch.testing.assert_close(beats.features(io["waveform"]), beats.features(io["waveform"]), atol=0, rtol=0)


@torch.no_grad()
def test_layers_are_chosen_and_joined_in_order(io):
    want = io["layers_4_8_12"].split(48, dim=-1)
    beats = BEATs.from_checkpoint(FILE, layers=(12, 4))
    assert beats.width == 2 * 48
    close(beats.features(io["waveform"]), torch.cat([want[2], want[0]], dim=-1))
    with pytest.raises(ValueError, match="layers 1 to 12"):
        BEATs.from_checkpoint(FILE, layers=(0, 13))


@torch.no_grad()
def test_survives_save_and_load(beats, io, tmp_path):
    beats.save_pretrained(tmp_path)
    again = BEATs.from_pretrained(tmp_path)
    torch.testing.assert_close(again.features(io["waveform"]), beats.features(io["waveform"]), atol=0, rtol=0)
    assert again.labels == beats.labels
    assert not again.training


@torch.no_grad()
@pytest.mark.parametrize(("samples", "time"), [(1, 8), (400, 8), (2799, 8), (2800, 8), (5359, 8), (5360, 16)])
def test_short_clips_are_filled_up_to_one_patch(beats, samples, time):
    features = beats.features(0.1 * torch.ones(1, samples))
    assert features.shape == (1, time, beats.width)
    assert features.isfinite().all()


@torch.no_grad()
def test_long_clips_are_heard_in_pieces(beats, io, monkeypatch):
    monkeypatch.setattr("audiotoken.encoders.beats.LONGEST", 16_000)
    pieces = [beats.features(piece) for piece in io["waveform"].split(16_000, dim=1)]
    close(beats.features(io["waveform"]), torch.cat(pieces, dim=1))
    assert beats.probabilities(io["waveform"]).shape == (2, 527)


@pytest.mark.parametrize("shape", [(16_000,), (1, 1, 16_000), (1, 0), (0, 16_000)])
def test_refuses_what_is_no_waveform(beats, shape):
    with pytest.raises(ValueError, match=r"expected floats \(batch, frames\)"):
        beats.features(torch.zeros(shape))


def test_gradients_reach_the_first_layer(io):
    beats = BEATs.from_checkpoint(FILE)
    beats.features(io["waveform"]).square().mean().backward()
    for name in ("patches", "position", "distance"):
        assert getattr(beats, name).weight.grad.abs().max() > 0


def test_distance_buckets_of_t5():
    """Hand-computed for 8 buckets up to distance 16: 4 a side, 2 exact, then one from 2 and one from 6."""
    distance = torch.tensor([0, -1, -2, -5, -6, -99, 1, 2, 5, 6, 99])
    assert distance_bucket(distance, 8, 16).tolist() == [0, 1, 2, 2, 3, 3, 5, 6, 6, 7, 7]


def published(**cfg: object) -> dict:
    content = torch.load(FILE, weights_only=True)
    content["cfg"] |= cfg
    return content


def test_labels_come_from_the_checkpoint(tmp_path):
    names = {i: f"/m/{i:03}" for i in reversed(range(527))}
    torch.save(published() | {"label_dict": names}, tmp_path / "b.pt")
    assert BEATs.from_checkpoint(tmp_path / "b.pt").labels == tuple(names[i] for i in range(527))


def test_mids_are_read_as_names(tmp_path):
    names = dict(enumerate(mid for mid, *_ in load_classes()))
    torch.save(published() | {"label_dict": names}, tmp_path / "b.pt")
    labels = BEATs.from_checkpoint(tmp_path / "b.pt").labels
    assert (labels[0], labels[74], labels[526]) == ("Speech", "Dog", "Field recording")


@torch.no_grad()
def test_without_class_head(tmp_path, io):
    content = published(finetuned_model=False)
    content["model"] = {name: value for name, value in content["model"].items() if "predictor" not in name}
    torch.save(content, tmp_path / "b.pt")
    beats = BEATs.from_checkpoint(tmp_path / "b.pt")
    assert beats.labels == ()
    close(beats.features(io["waveform"]), io["layers_4_8_12"])
    with pytest.raises(ValueError, match="no class head"):
        beats.probabilities(io["waveform"])


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (published(layer_norm_first=True), "layer_norm_first=True"),
        (published(deep_norm=False), "deep_norm=False"),
        (published(finetuned_model=False), "has unknown head"),
        (published(encoder_layers=13), "lacks blocks.12"),
        (published(encoder_ffn_embed_dim=90), "other shapes"),
        (published(predictor_class=None), "has unknown head"),
        (published() | {"label_dict": {0: "/m/1"}}, "does not name 527 classes"),
        (published() | {"label_dict": {"dog": 0}}, "does not name 527 classes"),
        (published(encoder_layers="many"), "`cfg` lacks encoder_layers"),
        ({"cfg": {}, "model": {}}, "`cfg` lacks"),
        ({"cfg": None, "model": {}}, "no `cfg` and `model`"),
        ({"cfg": {}, "model": [1]}, "no `cfg` and `model`"),
        ({"weights": torch.zeros(2)}, "no `cfg` and `model`"),
        (torch.zeros(2), "no `cfg` and `model`"),
        ([1, 2], "no `cfg` and `model`"),
    ],
)
def test_refuses_other_checkpoints(tmp_path, content, match):
    torch.save(content, tmp_path / "b.pt")
    with pytest.raises(CheckpointError, match=match) as caught:
        BEATs.from_checkpoint(tmp_path / "b.pt")
    assert str(tmp_path / "b.pt") in str(caught.value)


class Evil:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code from a weight file ran')",))


def test_no_code_runs_from_a_checkpoint(tmp_path):
    torch.save({"cfg": Evil(), "model": {}}, tmp_path / "b.pt")
    with pytest.raises(CheckpointError, match="more than weights"):
        BEATs.from_checkpoint(tmp_path / "b.pt")


def test_refuses_files_that_are_no_checkpoint(tmp_path):
    with pytest.raises(CheckpointError, match="no such file"):
        BEATs.from_checkpoint(tmp_path / "b.pt")
    for content in (b"", b"hello", FILE.read_bytes()[:100_000]):
        (tmp_path / "b.pt").write_bytes(content)
        with pytest.raises(CheckpointError, match="not a torch file"):
            BEATs.from_checkpoint(tmp_path / "b.pt")


@torch.no_grad()
def test_the_released_size_runs():
    beats = BEATs().eval()
    assert sum(weight.numel() for weight in beats.parameters()) == pytest.approx(90.7e6, rel=0.01)
    assert beats.features(0.1 * torch.randn(1, 16_000)).shape == (1, 48, 2304)
