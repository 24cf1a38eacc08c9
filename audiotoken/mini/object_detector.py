"""A small independent eye: says what stands where in a picture of the painted world.

How it was trained: `experiments.world.training.detector`.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from audiotoken.mini.things import WORDS

SIDE = 128  # pixels


NOTHING = len(WORDS)  # class of a cell without an object


class Detector(nn.Module):
    """(batch, 3, 128, 128) in [-1, 1] -> logits (batch, 25, 16, 16): what each cell shows; the last is nothing."""

    def __init__(self, width: int = 32):
        super().__init__()
        widths = (width, 2 * width, 4 * width)
        stages: list[nn.Module] = []
        for before, after in zip((3, *widths), widths, strict=False):
            stages += [nn.Conv2d(before, after, 4, 2, 1), nn.GroupNorm(8, after), nn.SiLU(), Block(after, 1)]
        self.body = nn.Sequential(*stages, Block(4 * width, 2), Block(4 * width, 4), Block(4 * width, 1))
        self.head = nn.Conv2d(4 * width, NOTHING + 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body(images))


class Block(nn.Module):
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
    """What the detector saw; `area` is the number of cells a class covers, of 256."""

    area: Tensor  # (batch, 24)
    centre: Tensor  # (batch, 24, 2) x, y in [0, 1]; of a class that is absent it means nothing

    def top(self) -> Tensor:
        """The class that covers most, (batch,)."""
        return self.area.argmax(1)

    def present(self, cells: float = 6.0) -> Tensor:
        """(batch, 24) bool: covers at least `cells`; the smallest object that is painted covers about 15."""
        return self.area >= cells


@torch.no_grad()
def detect(detector: Detector, images: Tensor) -> Detections:
    """Pictures (batch, 3, 128, 128) in [-1, 1] -> Detections."""
    shares = detector(images).softmax(1)[:, :NOTHING]  # (batch, 24, 16, 16)
    area = shares.sum((2, 3))
    ticks = (torch.arange(shares.shape[-1], device=shares.device) + 0.5) / shares.shape[-1]
    x, y = (shares.sum(2) @ ticks) / (area + 1e-6), (shares.sum(3) @ ticks) / (area + 1e-6)
    return Detections(area, torch.stack([x, y], -1))


def seen_in(image: Any) -> dict[str, tuple[float, float]]:
    """Of one picture (PIL, 128 x 128): the centre (x, y) in [0, 1] of each word that it shows, the largest first."""
    pixels = torch.from_numpy(np.array(image.convert("RGB"), np.float32)).permute(2, 0, 1) / 127.5 - 1
    found = detect(load_detector(), pixels[None])
    there, (centres,) = found.present()[0], found.centre.tolist()
    largest = found.area[0].argsort(descending=True).tolist()
    return {WORDS[kind]: (centres[kind][0], centres[kind][1]) for kind in largest if there[kind]}


@cache
def load_detector(folder: Path | None = None) -> Detector:
    """The shipped detector, or the one in `folder`."""
    path = (folder or Path(str(files("audiotoken.mini"))) / "detector") / "model.safetensors"
    if not path.exists():
        raise SystemExit(f"{path} is missing: run `python -m experiments.world.training.detector`.")
    detector = Detector()
    detector.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    return detector.eval().requires_grad_(False)
