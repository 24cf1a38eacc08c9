"""A small object detector for pictures of the painted world.

`experiments.world.training.detector` trains it.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL.Image import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from audiotoken.errors import CheckpointError
from audiotoken.mini.things import WORDS

SIDE = 128  # pixels


BACKGROUND = len(WORDS)  # class of a cell without an object


class Detector(nn.Module):
    """(batch, 3, 128, 128) in [-1, 1] -> logits (batch, 25, 16, 16) of each cell; the last class is background."""

    def __init__(self, width: int = 32):
        super().__init__()
        widths = (width, 2 * width, 4 * width)
        stages: list[nn.Module] = []
        for before, after in zip((3, *widths), widths, strict=False):
            stages += [nn.Conv2d(before, after, 4, 2, 1), nn.GroupNorm(8, after), nn.SiLU(), Block(after, 1)]
        self.body = nn.Sequential(*stages, Block(4 * width, 2), Block(4 * width, 4), Block(4 * width, 1))
        self.head = nn.Conv2d(4 * width, BACKGROUND + 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body(images))


class Block(nn.Module):
    """Two 3 x 3 convolutions, the first dilated, with a skip connection."""

    def __init__(self, width: int, dilation: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation),
            nn.GroupNorm(8, width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GroupNorm(8, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(x + self.layers(x))


@dataclass(frozen=True, eq=False)
class Detections:
    """Detected objects; `area` is the number of cells, of 256, that a class covers."""

    area: Tensor  # (batch, 24)
    centre: Tensor  # (batch, 24, 2) x, y in [0, 1]; undefined for a class that is absent

    def largest(self) -> Tensor:
        """The class with the largest area, (batch,)."""
        return self.area.argmax(1)

    def present(self, cells: float = 6.0) -> Tensor:
        """(batch, 24) bool: area of at least `cells`; the smallest painted object covers about 15."""
        return self.area >= cells


@torch.no_grad()
def detect(detector: Detector, images: Tensor) -> Detections:
    """Pictures (batch, 3, 128, 128) in [-1, 1] -> Detections."""
    shares = detector(images).softmax(1)[:, :BACKGROUND]  # (batch, 24, 16, 16)
    area = shares.sum((2, 3))
    ticks = (torch.arange(shares.shape[-1], device=shares.device) + 0.5) / shares.shape[-1]
    x, y = (shares.sum(2) @ ticks) / (area + 1e-6), (shares.sum(3) @ ticks) / (area + 1e-6)
    return Detections(area, torch.stack([x, y], -1))


def locate_objects(image: Image) -> dict[str, tuple[float, float]]:
    """The centre (x, y) in [0, 1] of each object in one picture of 128 x 128 pixels, the largest first."""
    pixels = torch.from_numpy(np.array(image.convert("RGB"), np.float32)).permute(2, 0, 1) / 127.5 - 1
    detections = detect(load_detector(), pixels[None])
    present, (centres,) = detections.present()[0], detections.centre.tolist()
    largest = detections.area[0].argsort(descending=True).tolist()
    return {WORDS[kind]: (centres[kind][0], centres[kind][1]) for kind in largest if present[kind]}


@cache
def load_detector(folder: Path | None = None) -> Detector:
    """The shipped detector, or the one in `folder`; raises CheckpointError if it is missing."""
    path = (folder or Path(str(files("audiotoken.mini"))) / "detector") / "model.safetensors"
    if not path.exists():
        raise CheckpointError(
            f"Cannot load {path}: there is no such file; train it with `python -m experiments.world.training.detector`."
        )
    detector = Detector()
    detector.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    return detector.eval().requires_grad_(False)
