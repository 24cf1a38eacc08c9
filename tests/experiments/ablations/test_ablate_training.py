"""Questions about training, on a tiny model: the same seed says the same, and the layers are really read."""

import os
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from audiotoken.debug import debug_pipeline
from audiotoken.errors import OptionError
from experiments.ablations.training import _find_nearest, choose_layers, train_small


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    debug_pipeline().save_pretrained(folder / "model")
    return folder


@pytest.fixture(autouse=True)
def pairs(monkeypatch):
    """Three of each seed, instead of sixteen synthesised and drawn."""

    def write_pairs(pipe, folder, each, steps, seed):
        for i, word in enumerate(("dog", "bell", "rain")):
            (folder / word).mkdir(parents=True, exist_ok=True)
            tone = np.sin(np.arange(12_000) * (0.05 + 0.1 * i + seed / 1e6)) / 3
            soundfile.write(folder / word / f"{word}.wav", tone, 16_000)
            Image.new("RGB", (32, 32), (90 * i, 40, 0)).save(folder / word / f"{word}.png")

    monkeypatch.setattr("experiments.ablations.training.write_pairs", write_pairs)


def trained(place, out, seed: int = 3, **more) -> dict[str, float]:
    (place / out).mkdir(exist_ok=True)
    sizes = {"steps": 3, "batch": 2, "each": 1, "each_unheard": 1, "cache": str(place / "cache")}
    return train_small(model=str(place / "model"), seed=seed, out=place / out, **sizes | more)


@pytest.mark.slow
def test_a_run_depends_on_its_seed_alone(place):
    first, again = trained(place, "a"), trained(place, "b")
    assert first == again and set(first) == {"retrieval", "meaning", "loss", "train_loss"}
    assert all(np.isfinite(value) for value in first.values()) and 0 <= first["retrieval"] <= 1
    other = trained(place, "c", seed=4)
    assert other["train_loss"] != first["train_loss"]
    assert not (place / "a" / "checkpoint.pt").exists()


def test_other_weights_get_pairs_of_their_own(place):
    trained(place, "g")
    weights = next((place / "model" / "unet").glob("*.safetensors"))
    os.utime(weights, (2e9, 2e9))
    trained(place, "g")
    assert len(list((place / "cache").iterdir())) == 2


@pytest.mark.slow
def test_what_varies_reaches_the_trainer(place):
    base = trained(place, "d")
    for change in ({"pooling": "max"}, {"tokens_per_clip": 2}, {"classification": 5.0}):
        assert trained(place, "e", **change)["loss"] != base["loss"], change
        assert not list((place / "e").iterdir())


def test_the_nearest_is_by_direction_not_by_length():
    rows = torch.tensor([[1.0, 0.1], [0.0, -3.0]])
    assert _find_nearest(rows, torch.tensor([[0.0, -1.0], [0.1, 0.0], [5.0, 9.0]])).tolist() == [1, 0]


def test_layers_of_encoders_that_have_none_and_data_without_a_question(place):
    with pytest.raises(OptionError, match="has none to choose from"):
        choose_layers(SimpleNamespace(config=object()), [1])
    with pytest.raises(OptionError, match="Got one of data and unheard"):
        trained(place, "f", data="somewhere")
