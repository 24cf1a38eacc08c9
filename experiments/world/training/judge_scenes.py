"""Scenes that the strict judge learns from: well drawn and spoilt things side by side, and the truth about each.

Half of the things are spoilt (see spoil.py). The backdrops are those of the world, and in a third of the scenes plain
shapes in any colour, so that the judge looks at the things; these and mixtures of two backdrops are none of the ten.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from audiotoken.mini.object_detector import SIDE
from audiotoken.mini.strict_judge import NO_BACKDROP, NOTHING, SPOILT
from audiotoken.mini.things import BACKDROPS
from experiments.world.scenes import MASK, SLOTS, Layout, Painter, half_extents, hue_matrix, inverse_affine
from experiments.world.shapes import Draw, over
from experiments.world.training.spoil import displacement, identity, spoil

IGNORE = -100  # cells that no loss looks at
COUNTS = (0.3, 0.35, 0.2, 0.15)  # share of scenes with 1, 2, 3, 4 things
OWN_ART = 0.5  # share of things in the world's own drawing; the others show any drawing of the word
LOOSE = 0.4  # share of scenes whose things hover anywhere
PLAIN, MIXED = 0.33, 0.1  # shares of scenes before plain shapes, and before two backdrops at once
UNEVEN = 0.025  # bends well drawn things by that, in halves of their side: the hand of a good generator
CORE, RIM, REACH = 0.36, 0.6, 0.8  # in halves of a thing: its centre, where that ends, and what a spoilt thing claims
WHOLE, HIDDEN = 0.75, 0.45  # visible shares from which a thing has to be found, and below which it must not


@dataclass(frozen=True, eq=False)
class JudgeBatch:
    """Pictures and what the judge has to say about them."""

    images: Tensor  # (batch, 3, 128, 128) in [-1, 1]
    centres: Tensor  # (batch, 16, 16): kind at the centre of a whole thing, else NOTHING; IGNORE where either is fine
    cells: Tensor  # (batch, 16, 16): kind, NOTHING or SPOILT, by what covers the cell
    spoilt: Tensor  # (batch, 16, 16) bool: near the centre of a spoilt thing
    backdrops: Tensor  # (batch,) index into BACKDROPS, or NO_BACKDROP

    def __getitem__(self, index: Tensor | slice) -> "JudgeBatch":
        parts = (self.images, self.centres, self.cells, self.spoilt, self.backdrops)
        return JudgeBatch(*(part[index] for part in parts))


class JudgeScenes:
    """Paints labelled scenes with the drawings of judge_art.py before the backdrops of the world."""

    def __init__(self, painter: Painter, drawings: Path | str):
        tensors = load_file(drawings)
        self.painter, kinds = painter, tensors["kinds"]
        self.images = tensors["images"].float() / 255  # (drawings, 4, 96, 96) premultiplied
        self.halves = half_extents(self.images[:, 3])
        self.first, self.count = torch.searchsorted(kinds, torch.arange(int(kinds.max()) + 1)), torch.bincount(kinds)

    def paint(self, batch: int, seed: int, bad: float = 0.5) -> JudgeBatch:
        """`batch` scenes on the CPU with a share `bad` of spoilt things; the same seed paints the same scenes."""
        generator = torch.Generator().manual_seed(seed)
        backdrops = torch.randint(len(BACKDROPS), (batch,), generator=generator)
        canvas, ground = self.painter.paint_backdrops(backdrops, generator)
        canvas, backdrops = change_backdrops(canvas, backdrops, generator)
        layout = scatter_heights(self.painter.draw_layout(ground, generator, COUNTS), generator)
        drawings = self.choose_drawings(layout.kinds, generator)
        wrong = torch.rand(batch, SLOTS, generator=generator) < bad
        alphas: list[Tensor] = []
        inks = []
        for slot in range(SLOTS):
            rgba = self.paint_slot(layout, slot, drawings[:, slot], wrong[:, slot], generator)
            canvas = canvas * (1 - rgba[:, 3:]) + rgba[:, :3]
            alphas = [a * (1 - rgba[:, 3:]) for a in alphas] + [rgba[:, 3:]]
            inks.append(rgba[:, 3].sum((1, 2)))
        visible = torch.cat(alphas, 1)
        shares = visible.sum((2, 3)) / torch.stack(inks, 1).clamp(min=1)
        centres, spoilt = label_centres(layout, self.halves[drawings], shares, wrong)
        cells = label_cells(layout.kinds, F.avg_pool2d(visible, SIDE // MASK), wrong)
        return JudgeBatch(canvas.clamp(0, 1) * 2 - 1, centres, cells, spoilt, backdrops)

    def choose_drawings(self, kinds: Tensor, generator: torch.Generator) -> Tensor:
        """A drawing for each kind (batch, slots); anything for an empty slot."""
        kinds = kinds.clamp(min=0)
        any_of = (torch.rand(kinds.shape, generator=generator) * self.count[kinds]).long()
        own = torch.rand(kinds.shape, generator=generator) < OWN_ART
        return self.first[kinds] + any_of.masked_fill(own, 0)

    def paint_slot(
        self, layout: Layout, slot: int, drawings: Tensor, wrong: Tensor, generator: torch.Generator
    ) -> Tensor:
        """The things of one slot on an empty canvas, (batch, 4, h, w) premultiplied."""
        canvas = torch.zeros(len(layout.kinds), 4, SIDE, SIDE)
        there = (layout.kinds[:, slot] >= 0).nonzero().flatten()
        if len(there):
            drawn = bend_drawings(self.images[drawings[there]], layout.sizes[there, slot], generator)
            if len(bad := wrong[there].nonzero().flatten()):
                drawn[bad] = spoil(drawn[bad], torch.rand(len(bad), generator=generator), generator)
            theta = inverse_affine(
                *(v[there, slot] for v in (layout.centres, layout.sizes, layout.angles, layout.flips))
            )
            grid = F.affine_grid(theta, [len(there), 4, SIDE, SIDE], align_corners=False)
            moved = F.grid_sample(drawn, grid, align_corners=False)
            tint = hue_matrix(layout.hues[there, slot]) * layout.gains[there, slot, None, None]
            colour, alpha = torch.einsum("bij,bjhw->bihw", tint, moved[:, :3]), moved[:, 3:]
            canvas[there] = torch.cat([torch.minimum(colour.clamp(min=0), alpha), alpha], 1)
        return canvas


def bend_drawings(drawings: Tensor, sizes: Tensor, generator: torch.Generator) -> Tensor:
    """Drawings (n, 4, h, w) that are slightly bent; small ones at half the resolution, to avoid aliasing."""
    n, _, h, w = drawings.shape
    half = F.interpolate(F.avg_pool2d(drawings, 2), scale_factor=2, mode="bilinear")
    drawings = torch.where((sizes * SIDE < 60).view(-1, 1, 1, 1), half, drawings)
    bent = UNEVEN * torch.rand(n, 1, 1, 1, generator=generator) * displacement(n, 6, (h, w), generator)
    return F.grid_sample(drawings, identity(n, h, w) + bent.permute(0, 2, 3, 1), align_corners=False)


def scatter_heights(layout: Layout, generator: torch.Generator) -> Layout:
    """A share `LOOSE` of the scenes with everything at any height."""
    batch = len(layout.kinds)
    half = layout.feet - layout.centres[..., 1]
    any_height = half + (1 - 2 * half).clamp(min=0) * torch.rand(batch, SLOTS, generator=generator)
    loose = (torch.rand(batch, 1, generator=generator) < LOOSE) & (layout.kinds >= 0)
    height = torch.where(loose, any_height, layout.centres[..., 1])
    return replace(layout, centres=torch.stack([layout.centres[..., 0], height], -1), feet=height + half)


def change_backdrops(canvas: Tensor, backdrops: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Some backdrops mixed with those of other scenes, some replaced with plain shapes."""
    batch = len(canvas)
    border = displacement(batch, 3, (SIDE, SIDE), generator)[:, :1]
    mix = (border * 3 + 0.5).clamp(0, 1)
    chance = torch.rand(batch, generator=generator)
    mixed = (chance < MIXED) & (backdrops != backdrops.roll(1))
    plain = chance > 1 - PLAIN
    choice = torch.where(mixed.view(-1, 1, 1, 1), canvas * mix + canvas.roll(1, 0) * (1 - mix), canvas)
    choice = torch.where(plain.view(-1, 1, 1, 1), plain_shapes(batch, generator), choice)
    return choice, backdrops.masked_fill(mixed | plain, NO_BACKDROP)


def plain_shapes(batch: int, generator: torch.Generator) -> Tensor:
    """(batch, 3, h, w): a gradient, a disc, a bar and perhaps a ground, in any colours."""
    d = Draw(batch, SIDE, generator, torch.device("cpu"))

    def colour() -> Tensor:
        return d.uniform(0, 1, 3)[..., None, None]

    canvas = d.gradient(colour(), colour())
    size = d.uniform(0, 0.2)
    canvas = over(canvas, d.ellipse(d.uniform(0, 1), d.uniform(0, 1), size + 0.01, size + 0.01), colour())
    x, y = d.uniform(-0.2, 1), d.uniform(-0.2, 1)
    canvas = over(canvas, d.rect(x, y, x + d.uniform(0, 0.4), y + d.uniform(0, 0.6)), colour())
    return over(canvas, d.hill(d.uniform(0.4, 1.2), 0.03), colour())


def label_centres(layout: Layout, halves: Tensor, shares: Tensor, wrong: Tensor) -> tuple[Tensor, Tensor]:
    """(centres, spoilt) of a `JudgeBatch`. halves: (batch, slots, 2) of drawings; shares: visible, (batch, slots)."""
    batch = len(layout.kinds)
    centres, spoilt = torch.full((batch, MASK, MASK), NOTHING), torch.zeros(batch, MASK, MASK, dtype=torch.bool)
    ticks = (torch.arange(MASK) + 0.5) / MASK
    for slot in range(SLOTS):  # from far to near
        kind, share = (v[:, slot, None, None] for v in (layout.kinds, shares))
        x, y = (v[:, None, None] for v in layout.centres[:, slot].unbind(1))
        half = (halves[:, slot] * layout.sizes[:, slot, None])[..., None, None]
        dx, dy = (ticks - x).abs(), (ticks[:, None] - y).abs()
        away = ((dx / half[:, 0]) ** 2 + (dy / half[:, 1]) ** 2).sqrt()
        core = (away < CORE) | (torch.maximum(dx.expand_as(away), dy.expand_as(away)) < 0.55 / MASK)
        good, bad = (kind >= 0) & ~wrong[:, slot, None, None], (kind >= 0) & wrong[:, slot, None, None]
        centres[good & (share >= HIDDEN) & (away < RIM) & (centres == NOTHING)] = IGNORE
        centres = torch.where(good & (share >= WHOLE) & core, kind, centres)
        claimed = bad & (share > HIDDEN) & (away < REACH)
        centres[claimed], spoilt = NOTHING, (spoilt & ~(good & core)) | claimed
    return centres, spoilt


def label_cells(kinds: Tensor, masks: Tensor, wrong: Tensor) -> Tensor:
    """(batch, 16, 16) of a `JudgeBatch`: what covers more than a third of the cell. masks: (batch, slots, 16, 16)."""
    cover, slot = masks.max(1)
    shown = kinds.masked_fill(wrong, SPOILT).gather(1, slot.flatten(1)).view_as(slot)
    return torch.where(cover > 0.33, shown, NOTHING)
