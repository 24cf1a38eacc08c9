"""Compose scenes of the painted world on any device: a backdrop and one to four objects.

    python -m experiments.world.scenes --atlas runs/art/atlas.safetensors --out scenes.png     # 48 scenes to look at

The position of an object is drawn independently of the caption, so it stays free and can be steered later.
"""

import argparse
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from audiotoken.mini.object_detector import SIDE
from audiotoken.mini.things import BACKDROPS
from experiments.world.backdrops import PAINTERS, Draw

SLOTS = 4  # maximum number of objects
MASK = 16  # masks have the size of the latents
COUNTS = (0.5, 0.35, 0.1, 0.05)  # share of scenes with 1, 2, 3, 4 objects
SIZES = ((0.42, 0.78), (0.34, 0.52), (0.28, 0.4), (0.26, 0.36))  # object side / picture side, by number of objects
SAME_KIND = 0.08  # share of scenes with several objects whose second object is of the same kind as the first


@dataclass(frozen=True, eq=False)
class Scenes:
    """A batch of scenes with ground truth."""

    images: Tensor  # (batch, 3, 128, 128) in [-1, 1]
    masks: Tensor  # (batch, 4, 16, 16) in [0, 1]: the visible share of this slot's object in each cell
    kinds: Tensor  # (batch, 4) int64, index into WORDS; -1 where the slot is empty
    backdrops: Tensor  # (batch,) int64, index into BACKDROPS


@dataclass(frozen=True, eq=False)
class Layout:
    """The random choices, on the CPU: the drawing, position, size, rotation and tint of each object."""

    kinds: Tensor  # (batch, 4)
    drawings: Tensor  # (batch, 4)
    centres: Tensor  # (batch, 4, 2) x, y in [0, 1]
    sizes: Tensor  # (batch, 4) in [0, 1]
    angles: Tensor  # (batch, 4) radians
    flips: Tensor  # (batch, 4) -1 or 1
    hues: Tensor  # (batch, 4) radians
    gains: Tensor  # (batch, 4)
    backdrops: Tensor  # (batch,)


class Painter:
    """Paints scenes from an atlas of drawings (see art.py)."""

    def __init__(self, atlas: Path | str, device: str | torch.device = "cpu"):
        tensors = load_file(atlas)
        self.device = torch.device(device)
        self.kinds = tensors["kinds"]
        full = tensors["images"].to(self.device).float() / 255  # (drawings, 4, 96, 96) premultiplied
        half = F.interpolate(F.avg_pool2d(full, 2), scale_factor=2, mode="bilinear")
        self.levels = torch.stack([full, half])  # the second is for small objects, to avoid aliasing

    def paint(self, batch: int, seed: int, counts: tuple[float, ...] = COUNTS) -> Scenes:
        """Paint `batch` scenes; the same seed gives the same scenes."""
        generator = torch.Generator().manual_seed(seed)
        layout = self.layout(batch, generator, counts)
        canvas = self.backdrop(layout.backdrops, generator)
        alphas: list[Tensor] = []
        for slot in range(SLOTS):
            colour, alpha = self.object(layout, slot)
            canvas = canvas * (1 - alpha) + colour
            alphas = [a * (1 - alpha) for a in alphas] + [alpha]
        masks = F.avg_pool2d(torch.cat(alphas, 1), SIDE // MASK)
        return Scenes(canvas.clamp(0, 1) * 2 - 1, masks, layout.kinds.to(self.device), layout.backdrops.to(self.device))

    def layout(self, batch: int, generator: torch.Generator, counts: tuple[float, ...] = COUNTS) -> Layout:
        def uniform(low: float, high: float, *shape: int) -> Tensor:
            return low + (high - low) * torch.rand(batch, *shape, generator=generator)

        number = torch.multinomial(torch.tensor(counts), batch, replacement=True, generator=generator) + 1  # (batch,)
        types = int(self.kinds.max()) + 1
        kinds = torch.rand(batch, types, generator=generator).argsort(1)[:, :SLOTS]  # different kinds
        same = uniform(0, 1) < SAME_KIND
        kinds[same, 1] = kinds[same, 0]
        low, high = torch.tensor(SIZES)[number - 1].unbind(1)
        sizes = low[:, None] + (high - low)[:, None] * uniform(0, 1, SLOTS)
        empty = torch.arange(SLOTS) >= number[:, None]
        return Layout(
            kinds=kinds.masked_fill(empty, -1),
            drawings=self.drawings(kinds, generator),
            centres=place(sizes, generator),
            sizes=sizes,
            angles=uniform(-0.15, 0.15, SLOTS),
            flips=(uniform(0, 1, SLOTS) < 0.5).float() * 2 - 1,
            hues=uniform(-0.25, 0.25, SLOTS),
            gains=uniform(0.88, 1.1, SLOTS),
            backdrops=torch.randint(len(BACKDROPS), (batch,), generator=generator),
        )

    def drawings(self, kinds: Tensor, generator: torch.Generator) -> Tensor:
        """A random drawing of each kind."""
        first = torch.searchsorted(self.kinds, torch.arange(int(self.kinds.max()) + 1))
        count = torch.bincount(self.kinds)
        return first[kinds] + (torch.rand(kinds.shape, generator=generator) * count[kinds]).long()

    def backdrop(self, backdrops: Tensor, generator: torch.Generator) -> Tensor:
        canvas = torch.empty(len(backdrops), 3, SIDE, SIDE, device=self.device)
        for i, name in enumerate(BACKDROPS):
            chosen = (backdrops == i).nonzero().flatten()
            if len(chosen):
                picture = PAINTERS[name](Draw(len(chosen), SIDE, generator, self.device))
                canvas[chosen.to(self.device)] = picture.clamp(0, 1)
        return canvas

    def object(self, layout: Layout, slot: int) -> tuple[Tensor, Tensor]:
        """The objects of one slot on an empty canvas: premultiplied colour (batch, 3, h, w), alpha (batch, 1, h, w)."""
        batch = len(layout.kinds)
        rgba = torch.zeros(batch, 4, SIDE, SIDE, device=self.device)
        chosen = (layout.kinds[:, slot] >= 0).nonzero().flatten()
        if len(chosen):
            sizes = layout.sizes[chosen, slot]
            level = (sizes * SIDE < 60).long().to(self.device)
            drawing = self.levels[level, layout.drawings[chosen, slot].to(self.device)]
            theta = inverse_affine(
                layout.centres[chosen, slot], sizes, layout.angles[chosen, slot], layout.flips[chosen, slot]
            )
            grid = F.affine_grid(theta.to(self.device), [len(chosen), 4, SIDE, SIDE], align_corners=False)
            sampled = F.grid_sample(drawing, grid, align_corners=False)
            tint = hue_matrix(layout.hues[chosen, slot]).to(self.device) * layout.gains[chosen, slot, None, None].to(
                self.device
            )
            colour = torch.einsum("bij,bjhw->bihw", tint, sampled[:, :3])
            alpha = sampled[:, 3:]
            rgba[chosen.to(self.device)] = torch.cat([torch.minimum(colour.clamp(min=0), alpha), alpha], 1)
        return rgba[:, :3], rgba[:, 3:]


def place(sizes: Tensor, generator: torch.Generator, tries: int = 24) -> Tensor:
    """Centres (batch, slots, 2): each object takes the one of `tries` places that overlaps earlier ones least."""
    batch, slots = sizes.shape
    centres = torch.empty(batch, slots, 2)
    for slot in range(slots):
        reach = (0.5 - sizes[:, slot] * 0.46).clamp(min=0)[:, None, None]  # at most a sliver is outside the picture
        candidates = 0.5 + reach * (torch.rand(batch, tries, 2, generator=generator) * 2 - 1)
        overlap = torch.zeros(batch, tries)
        for other in range(slot):
            gap = (candidates - centres[:, other, None]).abs().amax(-1)  # (batch, tries)
            overlap += ((sizes[:, slot] + sizes[:, other])[:, None] / 2 - gap).clamp(min=0)
        best = overlap.argmin(1)
        centres[:, slot] = candidates[torch.arange(batch), best]
    return centres


def inverse_affine(centres: Tensor, sizes: Tensor, angles: Tensor, flips: Tensor) -> Tensor:
    """(batch, 2, 3) for affine_grid: from picture coordinates in [-1, 1] to drawing coordinates in [-1, 1]."""
    cos, sin = angles.cos() / sizes, angles.sin() / sizes
    x, y = (centres * 2 - 1).unbind(-1)
    rows = [torch.stack([cos * flips, sin * flips], -1), torch.stack([-sin, cos], -1)]
    linear = torch.stack(rows, 1)  # (batch, 2, 2)
    return torch.cat([linear, -linear @ torch.stack([x, y], -1)[..., None]], -1)


def hue_matrix(angle: Tensor) -> Tensor:
    """(batch, 3, 3): rotation of RGB about the grey axis (Rodrigues' formula)."""
    cos, sin, third = angle.cos(), angle.sin(), torch.full_like(angle, 1 / 3)
    same = cos + third * (1 - cos)
    plus, minus = third * (1 - cos) + math.sqrt(1 / 3) * sin, third * (1 - cos) - math.sqrt(1 / 3) * sin
    return torch.stack([same, minus, plus, plus, same, minus, minus, plus, same], -1).view(-1, 3, 3)


def grid(images: Tensor, columns: int) -> Any:
    """(batch, 3, h, w) in [-1, 1] -> one PIL picture."""
    from PIL import Image

    rows = [torch.cat(list(row), 2) for row in images.split(columns) if len(row) == columns]
    array = ((torch.cat(rows, 1).clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0)
    return Image.fromarray(array.cpu().numpy())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--atlas", type=Path, default=Path("runs/art/atlas.safetensors"))
    parser.add_argument("--out", type=Path, default=Path("runs/scenes.png"))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    grid(Painter(args.atlas).paint(48, args.seed).images, 8).save(args.out)


if __name__ == "__main__":
    main()
