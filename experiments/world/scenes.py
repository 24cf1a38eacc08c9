"""Scenes of the painted world, composed on the fly on any device: a backdrop and one to four things.

    python -m experiments.world.scenes --atlas runs/art/atlas.safetensors --out scenes.png

Things stand on the ground of their backdrop, or fly above it, by kind. How far to the side they stand is drawn apart
from everything that the caption says, so it stays free and can be steered later.
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
from audiotoken.mini.things import BACKDROPS, WORDS
from experiments.world.backdrops import PAINTERS
from experiments.world.shapes import Draw

SLOTS = 4  # maximum number of things
MASK = 16  # masks have the size of the latents
COUNTS = (0.55, 0.32, 0.09, 0.04)  # share of scenes with 1, 2, 3, 4 things
SIZES = ((0.40, 0.66), (0.33, 0.46), (0.27, 0.35), (0.25, 0.31))  # drawing / picture side, by number of things
TWINS = 0.2  # share of scenes of several things that show one kind only: "two frogs"
FLYING = frozenset(WORDS.index(word) for word in ("bird", "airplane", "helicopter", "rain"))
TRIES = 32  # places from which the one with least overlap is taken
AIR = 0.1  # what flies keeps at least this far above the feet of what stands, where it fits


@dataclass(frozen=True, eq=False)
class Scenes:
    """A batch of scenes with ground truth."""

    images: Tensor  # (batch, 3, 128, 128) in [-1, 1]
    masks: Tensor  # (batch, 4, 16, 16) in [0, 1]: the visible share of this slot's thing in each cell
    kinds: Tensor  # (batch, 4) int64, index into WORDS; -1 where the slot is empty
    backdrops: Tensor  # (batch,) int64, index into BACKDROPS


@dataclass(frozen=True, eq=False)
class Layout:
    """What the random numbers decided, on the CPU; slots are ordered from far to near, empty ones last."""

    kinds: Tensor  # (batch, 4) int64, index into WORDS; -1 where the slot is empty
    centres: Tensor  # (batch, 4, 2) x, y of the drawing's centre, in [0, 1]
    feet: Tensor  # (batch, 4) y of the lowest ink, in [0, 1]
    sizes: Tensor  # (batch, 4) side of the drawing in [0, 1]
    angles: Tensor  # (batch, 4) radians
    flips: Tensor  # (batch, 4) -1 or 1
    hues: Tensor  # (batch, 4) radians
    gains: Tensor  # (batch, 4)


class Painter:
    """Paints scenes from an atlas of one drawing a kind (see art.py); a share `mirrored` of the things is mirrored.

    Who learns to draw sees things as they are drawn: of a thing that may look either way a small model draws the mean,
    with two heads or none. Who learns to recognise sees them both ways.
    """

    def __init__(self, atlas: Path | str, device: str | torch.device = "cpu", mirrored: float = 0.0):
        self.device, self.mirrored = torch.device(device), mirrored
        full = load_file(atlas)["images"].float() / 255  # (24, 4, 96, 96) premultiplied
        self.halves = half_extents(full[:, 3])
        half = F.interpolate(F.avg_pool2d(full, 2), scale_factor=2, mode="bilinear")
        self.levels = torch.stack([full, half]).to(self.device)  # the second is for small things: no aliasing

    def paint(self, batch: int, seed: int, counts: tuple[float, ...] = COUNTS) -> Scenes:
        """`batch` scenes; the same seed paints the same scenes on every device."""
        generator = torch.Generator().manual_seed(seed)
        backdrops = torch.randint(len(BACKDROPS), (batch,), generator=generator)
        canvas, ground = self.paint_backdrops(backdrops, generator)
        layout = self.draw_layout(ground, generator, counts)
        alphas: list[Tensor] = []
        for slot in range(SLOTS):
            colour, alpha = self.paint_slot(layout, slot)
            canvas = canvas * (1 - alpha) + colour
            alphas = [a * (1 - alpha) for a in alphas] + [alpha]
        masks = F.avg_pool2d(torch.cat(alphas, 1), SIDE // MASK)
        return Scenes(canvas.clamp(0, 1) * 2 - 1, masks, layout.kinds.to(self.device), backdrops.to(self.device))

    def paint_backdrops(self, backdrops: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Empty stages (batch, 3, h, w) and their ground lines (batch,), those on the CPU."""
        canvas = torch.empty(len(backdrops), 3, SIDE, SIDE, device=self.device)
        ground = torch.empty(len(backdrops))
        for i, name in enumerate(BACKDROPS):
            chosen = (backdrops == i).nonzero().flatten()
            if len(chosen):
                picture, line = PAINTERS[name](Draw(len(chosen), SIDE, generator, self.device))
                canvas[chosen.to(self.device)] = picture.clamp(0, 1)
                ground[chosen] = line.cpu()
        return canvas, ground

    def draw_layout(self, ground: Tensor, generator: torch.Generator, counts: tuple[float, ...] = COUNTS) -> Layout:
        """Who stands where before backdrops with these ground lines (batch,)."""
        batch = len(ground)

        def uniform(low: float, high: float) -> Tensor:
            return low + (high - low) * torch.rand(batch, SLOTS, generator=generator)

        number = torch.multinomial(torch.tensor(counts), batch, replacement=True, generator=generator) + 1
        kinds = torch.rand(batch, len(WORDS), generator=generator).argsort(1)[:, :SLOTS]  # different kinds
        kinds = torch.where((uniform(0, 1) < TWINS)[:, :1], kinds[:, :1], kinds)
        low, high = torch.tensor(SIZES)[number - 1].unbind(1)
        sizes = low[:, None] + (high - low)[:, None] * uniform(0, 1)
        halves = self.halves[kinds] * sizes[..., None]  # (batch, slots, 2) half width and half height of the ink
        flying = torch.isin(kinds, torch.tensor(sorted(FLYING)))
        kinds = kinds.masked_fill(torch.arange(SLOTS) >= number[:, None], -1)
        centres = place_things(kinds, halves, flying, ground, generator)
        feet = centres[..., 1] + halves[..., 1]
        order = feet.masked_fill(kinds < 0, 9.0).argsort(1)  # from far to near
        tilt = torch.where(flying, 0.12, 0.04)
        angles, flips = tilt * uniform(-1, 1), torch.where(uniform(0, 1) < 1 - self.mirrored, 1.0, -1.0)
        rest = (sizes, angles, flips, uniform(-0.1, 0.1))
        columns = [v.gather(1, order) for v in (kinds, feet, *rest, uniform(0.93, 1.05))]
        return Layout(columns[0], centres.gather(1, order[..., None].expand(-1, -1, 2)), *columns[1:])

    def paint_slot(self, layout: Layout, slot: int) -> tuple[Tensor, Tensor]:
        """The things of one slot on an empty canvas: premultiplied colour (batch, 3, h, w), alpha (batch, 1, h, w)."""
        rgba = torch.zeros(len(layout.kinds), 4, SIDE, SIDE, device=self.device)
        chosen = (layout.kinds[:, slot] >= 0).nonzero().flatten()
        if len(chosen):
            kinds, centres, sizes, angles, flips, hues, gains = (
                values[chosen, slot]
                for values in (
                    *(layout.kinds, layout.centres, layout.sizes, layout.angles),
                    *(layout.flips, layout.hues, layout.gains),
                )
            )
            level = (sizes * SIDE < 60).long()
            drawing = self.levels[level.to(self.device), kinds.to(self.device)]
            theta = inverse_affine(centres, sizes, angles, flips).to(self.device)
            sampled = F.grid_sample(
                drawing, F.affine_grid(theta, list(drawing.shape[:2]) + [SIDE] * 2, False), align_corners=False
            )
            tint = (hue_matrix(hues) * gains[:, None, None]).to(self.device)
            colour, alpha = torch.einsum("bij,bjhw->bihw", tint, sampled[:, :3]), sampled[:, 3:]
            rgba[chosen.to(self.device)] = torch.cat([torch.minimum(colour.clamp(min=0), alpha), alpha], 1)
        return rgba[:, :3], rgba[:, 3:]


def half_extents(alpha: Tensor) -> Tensor:
    """(kinds, h, w) coverage of drawings -> (kinds, 2): half the width and height of the ink / side of the drawing."""
    ink = alpha > 0.5
    spans = [ink.any(dim).float().sum(1) / alpha.shape[-1] for dim in (1, 2)]
    return torch.stack(spans, 1) / 2


def place_things(kinds: Tensor, halves: Tensor, flying: Tensor, ground: Tensor, generator: torch.Generator) -> Tensor:
    """Centres (batch, slots, 2): of several places, each thing takes the one that overlaps the earlier ones least.

    Sideways everything up to the edges is as likely. Feet stand between the ground line and the lower edge; what flies
    has its lowest point above the ground line, where the picture is high enough.
    """
    batch, slots = kinds.shape
    centres = torch.empty(batch, slots, 2)
    for slot in range(slots):
        width, height = (h[:, None] for h in halves[:, slot].unbind(-1))
        x, y = torch.rand(batch, TRIES, 2, generator=generator).unbind(-1)
        x = (width - 0.02) + (1.04 - 2 * width) * x
        highest = torch.maximum(ground[:, None] + 0.05, 2 * height + 0.02)
        standing = highest + (0.97 - highest).clamp(min=0) * y - height
        lowest = torch.maximum(ground[:, None] + 0.05 - AIR, 2 * height + 0.04)
        floating = height + 0.02 + (lowest - 2 * height - 0.02) * y
        candidates = torch.stack([x, torch.where(flying[:, slot, None], floating, standing)], -1)
        overlap = torch.zeros(batch, TRIES)
        for other in range(slot):
            gap = (candidates - centres[:, other, None]).abs()  # (batch, tries, 2)
            reach = halves[:, slot, None] + halves[:, other, None]
            overlap += (reach - gap).clamp(min=0).prod(-1) * (kinds[:, other, None] >= 0)
        centres[:, slot] = candidates[torch.arange(batch), overlap.argmin(1)]
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


def make_sheet(images: Tensor, columns: int) -> Any:
    """(batch, 3, h, w) in [-1, 1] -> one PIL picture."""
    from PIL import Image

    rows = [torch.cat(list(row), 2) for row in images.split(columns) if len(row) == columns]
    array = ((torch.cat(rows, 1).clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0)
    return Image.fromarray(array.cpu().numpy())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--atlas", type=Path, default=Path("runs/art/atlas.safetensors"))
    parser.add_argument("--out", type=Path, default=Path("runs/scenes.png"))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    make_sheet(Painter(args.atlas).paint(50, args.seed).images, 10).save(args.out)


if __name__ == "__main__":
    main()
