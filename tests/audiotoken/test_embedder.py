"""The embedder agrees with the published code, reads its weights, and says the same word for the same sound."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from audiotoken.embedder import AudioEmbedder
from audiotoken.errors import CheckpointError

REFERENCE = Path(__file__).parents[1] / "reference"
FILE = REFERENCE / "embedder_tiny.bin"


@pytest.fixture(scope="module")
def embedder() -> AudioEmbedder:
    return AudioEmbedder.from_checkpoint(FILE)


@pytest.fixture(scope="module")
def io() -> dict[str, torch.Tensor]:
    return load_file(REFERENCE / "embedder_tiny_io.safetensors")


def same(got: torch.Tensor, want: torch.Tensor, tolerance: float = 0.0) -> None:
    torch.testing.assert_close(got, want, atol=tolerance, rtol=0)


@torch.no_grad()
def test_agrees_with_the_published_code(embedder, io):
    assert embedder.config["input_size"] == 144
    assert embedder.config["output_size"] == 64
    same(embedder(io["features"]), io["token"][:, None], 1e-5)


@torch.no_grad()
def test_deterministic_at_inference_and_dropped_out_in_training(io):
    embedder = AudioEmbedder.from_checkpoint(FILE)
    same(embedder(io["features"]), embedder(io["features"]))
    embedder.train()
    assert not torch.equal(embedder(io["features"]), embedder(io["features"]))


@torch.no_grad()
def test_a_batch_equals_singles(embedder, io):
    singles = torch.cat([embedder(one[None]) for one in io["features"]])
    same(embedder(io["features"]), singles, 1e-6)


@torch.no_grad()
def test_order_of_the_moments_does_not_matter(embedder, io):
    same(embedder(io["features"].flip(1)), embedder(io["features"]), 1e-5)


@torch.no_grad()
def test_one_moment_is_its_own_word(embedder, io):
    moment = io["features"][:, :1]
    want = embedder.output(torch.nn.functional.gelu(embedder.hidden(moment)))
    same(embedder(moment), want, 1e-6)


@torch.no_grad()
def test_survives_save_and_load(embedder, io, tmp_path):
    embedder.save_pretrained(tmp_path)
    again = AudioEmbedder.from_pretrained(tmp_path)
    same(again(io["features"]), embedder(io["features"]))
    assert not again.training


def test_gradients_reach_every_weight(io):
    embedder = AudioEmbedder.from_checkpoint(FILE)
    embedder(io["features"]).square().sum().backward()
    for name, weight in embedder.named_parameters():
        assert weight.grad is not None, name
        if name != "pool.unary.bias":  # the same for all moments, so softmax does not see it
            assert weight.grad.abs().max() > 0, name


@pytest.mark.parametrize("shape", [(2, 144), (2, 96, 143), (2, 0, 144)])
def test_refuses_other_features(embedder, shape):
    with pytest.raises(ValueError, match=r"expected \(batch, time, 144\)"):
        embedder(torch.zeros(shape))


def changed(remove: str = "", **add: torch.Tensor) -> dict[str, torch.Tensor]:
    weights = torch.load(FILE, weights_only=True)
    return {name: value for name, value in weights.items() if name != remove} | add


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (changed("fc1.bias"), "lacks hidden.bias"),
        (changed("fc2.weight"), "no layer fc2"),
        (changed(other=torch.zeros(3)), "has unknown other"),
        (changed(**{"fc1.bias": torch.zeros(3)}), "other shapes for hidden.bias"),
        ({"cfg": {}, "model": {}}, "not hold a state dict"),
        ({}, "no layer fc2"),
        ([1], "not hold a state dict"),
    ],
)
def test_refuses_other_checkpoints(tmp_path, content, match):
    torch.save(content, tmp_path / "e.bin")
    with pytest.raises(CheckpointError, match=match) as caught:
        AudioEmbedder.from_checkpoint(tmp_path / "e.bin")
    assert str(tmp_path / "e.bin") in str(caught.value)


def test_refuses_files_that_are_no_checkpoint(tmp_path):
    with pytest.raises(CheckpointError, match="no such file"):
        AudioEmbedder.from_checkpoint(tmp_path)
    (tmp_path / "e.bin").write_bytes(FILE.read_bytes()[:90_000])
    with pytest.raises(CheckpointError, match="not a torch file"):
        AudioEmbedder.from_checkpoint(tmp_path / "e.bin")


@pytest.mark.parametrize(("pooling", "reduce"), [("mean", torch.mean), ("max", torch.amax)])
def test_the_other_poolings_by_hand(pooling, reduce):
    torch.manual_seed(0)
    embedder = AudioEmbedder(6, 4, pooling=pooling).eval()
    features = torch.randn(2, 5, 6)
    moments = embedder.output(torch.nn.functional.gelu(embedder.hidden(features)))
    torch.testing.assert_close(embedder(features)[:, 0], reduce(moments, dim=1))


@pytest.mark.parametrize("pooling", ["attentive", "mean", "max"])
def test_several_tokens_of_a_clip_are_as_many_embedders_with_one_pooling(pooling, tmp_path):
    torch.manual_seed(0)
    both = AudioEmbedder(6, 4, pooling=pooling, tokens_per_clip=2).eval()
    features = torch.randn(3, 5, 6)
    tokens = both(features)
    assert tokens.shape == (3, 2, 4) and both.tokens_per_clip == 2
    for i in range(2):
        one = AudioEmbedder(6, 4, pooling=pooling).eval()
        weights = both.state_dict()
        own = {name: weights[name][4 * i : 4 * i + 4] for name in ("output.weight", "output.bias")}
        one.load_state_dict(weights | own)
        torch.testing.assert_close(one(features)[:, 0], tokens[:, i])
    both.save_pretrained(tmp_path)
    assert torch.equal(AudioEmbedder.from_pretrained(tmp_path)(features), tokens)


def test_refuses_unknown_poolings_and_no_tokens():
    with pytest.raises(ValueError, match="expected one of attentive, mean, max"):
        AudioEmbedder(6, 4, pooling="sum")
    with pytest.raises(ValueError, match="expected 1 or more"):
        AudioEmbedder(6, 4, tokens_per_clip=0)
