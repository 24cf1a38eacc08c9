"""LoRA layers are fused all or not at all, whoever named them."""

import pytest
import torch
from safetensors.torch import save_file

from audiotoken.assembly.lora import fuse_lora
from audiotoken.debug import debug_pipeline
from audiotoken.errors import CheckpointError, OptionError

UNET, TEXT = ("to_q", "to_v"), ("q_proj", "out_proj", "fc1")


def make_layers(model: torch.nn.Module, ends: tuple[str, ...]) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Name of a linear layer -> its two weights, of rank 2."""
    made = torch.Generator().manual_seed(len(ends))
    return {
        name: (torch.randn(2, each.in_features, generator=made), torch.randn(each.out_features, 2, generator=made))
        for name, each in model.named_modules()
        if isinstance(each, torch.nn.Linear) and name.endswith(ends)
    }


def name_as_kohya(layers: dict, prefix: str, alpha: float) -> dict[str, torch.Tensor]:
    out = {}
    for name, (down, up) in layers.items():
        head = prefix + name.replace(".", "_")
        out |= {f"{head}.lora_down.weight": down, f"{head}.lora_up.weight": up, f"{head}.alpha": torch.tensor(alpha)}
    return out


def name_as_peft(layers: dict, prefix: str) -> dict[str, torch.Tensor]:
    named = {}
    for name, (down, up) in layers.items():
        named |= {f"{prefix}{name}.lora_A.weight": down, f"{prefix}{name}.lora_B.weight": up}
    return named


@pytest.fixture
def pipe():
    return debug_pipeline(kind="sd1")


def copy_weights(pipe) -> dict[str, torch.Tensor]:
    parts = {"unet": pipe.unet, "text": pipe.text_encoder}
    return {
        f"{part}.{name}": weight.clone() for part, each in parts.items() for name, weight in each.state_dict().items()
    }


@pytest.mark.parametrize("alpha", [2.0, 1.0])
@pytest.mark.parametrize("kind", ["kohya", "peft", "peft of transformers 4"])
def test_each_layer_is_added_to_its_weight(kind, alpha, pipe, tmp_path):
    unet, text = make_layers(pipe.unet, UNET), make_layers(pipe.text_encoder, TEXT)
    if kind == "kohya":
        file = name_as_kohya(unet, "lora_unet_", alpha) | name_as_kohya(text, "lora_te_text_model_", alpha)
    else:
        alpha = 2.0  # peft's files have no scale: it is the rank
        old = "text_model." if "4" in kind else ""
        file = name_as_peft(unet, "unet.") | name_as_peft(text, f"text_encoder.{old}")
    save_file(file, tmp_path / "a.safetensors")
    before = copy_weights(pipe)
    fuse_lora(pipe, tmp_path / "a.safetensors")
    after = copy_weights(pipe)
    assert after.keys() == before.keys()
    for part, layers in (("unet", unet), ("text", text)):
        for name, (down, up) in layers.items():
            change = after.pop(f"{part}.{name}.weight") - before[f"{part}.{name}.weight"]
            torch.testing.assert_close(change, up @ down * alpha / 2, atol=1e-4, rtol=1e-4)
    assert all(torch.equal(weight, before[name]) for name, weight in after.items())


def test_layers_of_another_model_are_counted(pipe, tmp_path):
    layers = make_layers(pipe.unet, UNET)
    foreign = {f"nowhere.{i}.to_q": (torch.ones(2, 4), torch.ones(4, 2)) for i in range(3)}
    file = tmp_path / "a.safetensors"
    for content, words in (
        (name_as_peft(layers | foreign, "unet."), f"{len(layers)} of its {len(layers) + 3} layers fit"),
        (name_as_peft(foreign, "unet."), "do not fit"),
        (name_as_peft(foreign, "transformer."), "0 of its 3 layers fit"),
        ({"lora_unet_a.hada_w1_a": torch.ones(2)}, "hada_w1_a is not of a LoRA layer"),
        ({"a.lora_A.weight": torch.ones(2, 2)}, "there are no pairs"),
    ):
        save_file(content, file)
        before = copy_weights(pipe)
        with pytest.raises(OptionError, match=words):
            fuse_lora(pipe, file)
        assert all(torch.equal(weight, before[name]) for name, weight in copy_weights(pipe).items())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda down, up: (down, 0 * up), "change nothing"),
        (lambda down, up: (down, up.index_fill(0, torch.tensor(1), float("nan"))), "holds NaN or infinity"),
        (lambda down, up: (down, torch.ones(len(up), 3)), r"\(2, \d+\) float32 and \(\d+, 3\) float32, do not belong"),
        (lambda down, up: (down.int(), up), "int32 and .* do not belong"),
        (lambda down, up: (down[0], up), "do not belong"),
        (lambda down, up: (torch.ones(2, 7), up), r"of \(2, 7\) does not fit the layer of \("),
        (lambda down, up: (down, torch.ones(7, 2)), r"of \(7, 2\) does not fit the layer of \("),
    ],
)
@pytest.mark.parametrize("part", ["unet", "text_encoder"])
def test_weights_that_cannot_be_fused(part, change, words, pipe, tmp_path):
    good, layers = make_layers(pipe.unet, UNET), make_layers(getattr(pipe, part), TEXT + UNET)
    bad = {name: change(*two) for name, two in layers.items()}
    if "nothing" in words:
        good = {}
    file = tmp_path / "a.safetensors"
    save_file(name_as_peft(good, "unet.") | name_as_peft(bad, f"{part}."), file)
    before = copy_weights(pipe)
    with pytest.raises(OptionError, match=words):
        fuse_lora(pipe, file)
    after = copy_weights(pipe)
    assert after.keys() == before.keys() and all(torch.equal(weight, before[name]) for name, weight in after.items())


def test_scales_that_would_be_lost(pipe, tmp_path):
    layers, file = make_layers(pipe.unet, UNET), tmp_path / "a.safetensors"
    kohya = name_as_kohya(layers, "lora_unet_", 1.0)
    scale = {name.replace("alpha", "dora_scale"): torch.ones(1) for name in kohya if name.endswith("alpha")}
    for content, words in (
        (kohya | scale, "DoRA layers in Kohya's form"),
        (name_as_kohya(layers, "lora_unet_", 0.0), "alpha of some is 0"),
        (name_as_kohya(layers, "lora_unet_", float("inf")), "NaN or infinity"),
    ):
        save_file(content, file)
        with pytest.raises(OptionError, match=words):
            fuse_lora(pipe, file)


def test_the_magnitudes_of_dora_are_used(pipe, tmp_path):
    layers, before = make_layers(pipe.unet, UNET), copy_weights(pipe)
    sizes = {
        f"unet.{name}.lora_magnitude_vector.weight": torch.full((len(up),), 0.5) for name, (_, up) in layers.items()
    }
    save_file(name_as_peft(layers, "unet.") | sizes, tmp_path / "a.safetensors")
    fuse_lora(pipe, tmp_path / "a.safetensors")
    for name, (down, up) in layers.items():
        whole = before[f"unet.{name}.weight"] + up @ down
        after = pipe.unet.get_submodule(name).weight
        torch.testing.assert_close(after, 0.5 * whole / whole.norm(dim=1, keepdim=True), atol=1e-5, rtol=1e-4)


def test_a_file_that_did_not_fit_leaves_nothing_in_the_model(pipe, tmp_path, monkeypatch):
    save_file(name_as_peft(make_layers(pipe.unet, UNET), "unet."), tmp_path / "a.safetensors")
    before, load = copy_weights(pipe), pipe.load_lora_weights

    def break_off(weights):
        load(weights)
        raise RuntimeError("size mismatch")

    monkeypatch.setattr(pipe, "load_lora_weights", break_off)
    with pytest.raises(OptionError, match="do not fit"):
        fuse_lora(pipe, tmp_path / "a.safetensors")
    assert copy_weights(pipe).keys() == before.keys()


def test_files_that_hold_no_weights(pipe, tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"no")
    with pytest.raises(CheckpointError, match="damaged"):
        fuse_lora(pipe, tmp_path / "a.safetensors")
    (tmp_path / "empty").mkdir()
    with pytest.raises(OptionError, match="holds 0 files of weights"):
        fuse_lora(pipe, tmp_path / "empty")
