"""A small independent eye: says what stands where in a picture of the painted world.

Trained on composed scenes of its own seeds and on nothing else; nothing is trained on it. It measures the mini
checkpoint: is the dog there, and where.

    python -m experiments.world.detector --out audiotoken/mini/detector     # minutes on two cores
"""

import argparse
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from experiments.world import workers
from experiments.world.things import WORDS
from experiments.world.workers import Ema, Log, Worker

FIRST_SEED = 500_000_000  # apart from every scene that trains the checkpoint
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
        raise SystemExit(f"{path} is missing: run `python -m experiments.world.detector`.")
    detector = Detector()
    detector.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    return detector.eval().requires_grad_(False)


def truth(kinds: Tensor, masks: Tensor) -> Tensor:
    """Class of every cell (batch, 16, 16): the object that covers it most, nothing below a third."""
    cover, slot = masks.max(1)
    kind = kinds.long().gather(1, slot.flatten(1)).view_as(slot)
    return torch.where(cover > 0.33, kind, NOTHING)


def disturb(images: Tensor, generator: torch.Generator) -> Tensor:
    """Blur, noise and contrast, since generated pictures are softer than painted ones."""
    if torch.rand((), generator=generator) < 0.5:
        images = F.interpolate(F.avg_pool2d(images, 2), scale_factor=2, mode="bilinear")
    noise = 0.1 * torch.rand((), generator=generator) * torch.randn(images.shape, generator=generator)
    gain = 0.85 + 0.3 * torch.rand(len(images), 1, 1, 1, generator=generator)
    return (images * gain.to(images.device) + noise.to(images.device)).clamp(-1, 1)


def train(worker: Worker, atlas: Path, out: Path, steps: int, batch: int) -> None:
    from experiments.world.scenes import Painter

    torch.manual_seed(1)
    painter, detector = Painter(atlas, worker.device), Detector().to(worker.device)
    optimiser = torch.optim.AdamW(detector.parameters(), 2e-3, weight_decay=0.01)
    ema, log = Ema(detector, 0.99), Log(steps, 50, not worker.first)
    weight = torch.ones(NOTHING + 1, device=worker.device)
    weight[NOTHING] = 0.3
    for step in range(steps):
        workers.set_rate([optimiser], 2e-3 * min(1, (step + 1) / 50, (steps - step) / (0.7 * steps)))
        seed = FIRST_SEED + step * worker.count + worker.rank
        scenes = painter.paint(batch, seed)
        images = disturb(scenes.images, torch.Generator().manual_seed(seed))
        with worker.autocast():
            logits = detector(images.contiguous(memory_format=torch.channels_last)).float()
        loss = F.cross_entropy(logits, truth(scenes.kinds, scenes.masks), weight)
        loss.backward()
        worker.average_gradients(detector.parameters())
        optimiser.step()
        optimiser.zero_grad()
        ema.update(detector)
        log(step, batch * worker.count, loss=loss)
    if worker.first:
        out.mkdir(parents=True, exist_ok=True)
        save_file({n: w.half().contiguous() for n, w in ema.weights.items()}, out / "model.safetensors")
        scenes = painter.paint(480, FIRST_SEED - 1, counts=(1.0, 0, 0, 0))
        right = detect(load_detector(out), scenes.images.cpu()).top() == scenes.kinds[:, 0].cpu()
        print(f"largest object named right in {100 * right.float().mean():.1f} % of 480 unseen scenes", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--atlas", type=Path, default=Path("runs/art/atlas.safetensors"))
    parser.add_argument("--out", type=Path, default=Path("runs/mini/detector"))
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--batch", type=int, default=16)
    args = parser.parse_args()
    workers.run(train, args.atlas, args.out, args.steps, args.batch)


if __name__ == "__main__":
    main()
