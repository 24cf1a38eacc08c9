"""A painted world without the art: each thing is an ellipse of its own grey."""

import pytest
import torch
from safetensors.torch import save_file

from audiotoken.mini.things import WORDS
from experiments.world.captions import build_tokenizer
from experiments.world.scenes import Painter


@pytest.fixture(scope="session")
def atlas(tmp_path_factory):
    """A flat ellipse for each thing instead of the art, wider than high, so that swapped axes are found out."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 96), torch.linspace(-1, 1, 96), indexing="ij")
    alpha = (((x / 0.9) ** 2 + (y / 0.5) ** 2) < 1).float()
    images = torch.stack([torch.stack([grey * alpha] * 3 + [alpha]) for grey in torch.linspace(0.2, 0.9, len(WORDS))])
    path = tmp_path_factory.mktemp("atlas") / "atlas.safetensors"
    save_file({"images": (images * 255).round().byte(), "kinds": torch.arange(len(WORDS))}, path)
    return path


@pytest.fixture(scope="session")
def painter(atlas):
    return Painter(atlas)


@pytest.fixture(scope="session")
def tokenizer():
    return build_tokenizer()
