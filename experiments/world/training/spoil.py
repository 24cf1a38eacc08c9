"""Spoil drawings in the ways in which generators fail: the strict judge has to see nothing in them.

Every function takes drawings (n, 4, h, w), premultiplied RGBA in [0, 1], and `strength` (n,) in [0, 1], from plainly
wrong to unrecognisable, and returns drawings of the same shape. They draw their random numbers from `generator`.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Spoil = Callable[[Tensor, Tensor, torch.Generator], Tensor]
LEAST = 0.12  # share of a thing's ink that has to change: a bent tree is still a tree


def spoil(drawings: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Spoil each drawing in one way chosen at random, and a third of them in a second one too.

    What hardly changed, such as the mirrored half of a thing that is symmetric, is cut in two.
    """
    spoilt = drawings
    for share in (1.0, 0.33):
        way = torch.randint(len(WAYS), (len(drawings),), generator=generator)
        way = way.masked_fill(torch.rand(len(drawings), generator=generator) > share, -1)
        done = [spoilt]
        rows = torch.arange(len(drawings))
        for i, function in enumerate(WAYS):
            if len(chosen := (way == i).nonzero().flatten()):
                done.append(function(spoilt[chosen], strength[chosen], generator))
                rows[chosen] = len(torch.cat(done)) - len(chosen) + torch.arange(len(chosen))
        spoilt = torch.cat(done)[rows]
    same = changed_share(spoilt, drawings) < LEAST
    if same.any():
        spoilt[same] = cut(drawings[same], 0.5 + 0.5 * strength[same], generator)
    return spoilt


def changed_share(spoilt: Tensor, drawings: Tensor) -> Tensor:
    """(n,) how much of the ink is another: the mean difference of the channels over the mean coverage."""
    return (spoilt - drawings).abs().mean((1, 2, 3)) / drawings[:, 3].mean((1, 2)).clamp(min=1e-3)


def warp(drawings: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """A smooth random displacement; coarse ones bend the outline, fine ones melt what is inside."""
    n, _, h, w = drawings.shape
    cells = int(torch.randint(3, 9, (), generator=generator))
    reach = (0.1 + 0.22 * strength) * (6 / (cells + 1)) ** 0.5
    shift = displacement(n, cells, (h, w), generator) * reach.view(-1, 1, 1, 1)
    return F.grid_sample(drawings, identity(n, h, w) + shift.permute(0, 2, 3, 1), align_corners=False)


def displacement(n: int, cells: int, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """(n, 2, h, w) smooth noise of unit variance, one bump per cell of a `cells` x `cells` grid."""
    noise = torch.randn(n, 2, cells, cells, generator=generator)
    return F.interpolate(noise, size=size, mode="bicubic", align_corners=True)


def identity(n: int, h: int, w: int) -> Tensor:
    return F.affine_grid(torch.eye(2, 3).expand(n, 2, 3), [n, 1, h, w], align_corners=False)


def blur(drawings: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Low-pass, by resizing down to 11 pixels (weak) or 5 (strong) and up again."""
    return torch.cat(
        [
            F.interpolate(
                F.interpolate(one[None], size=round(11 - 6 * s), mode="area"),
                size=one.shape[-2:],
                mode="bicubic",
                align_corners=False,
            ).clamp(0, 1)
            for one, s in zip(drawings, strength.tolist(), strict=True)
        ]
    )


def blob(drawings: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """A blurred drawing with crisp edges: spots of its colours in a lumpy outline."""
    return crisp(blur(drawings, strength, generator))


def crisp(drawings: Tensor, slope: float = 5.0) -> Tensor:
    """Harden a soft outline, and the contrast of the colours inside."""
    alpha = drawings[:, 3:]
    colour = drawings[:, :3] / alpha.clamp(min=0.05)
    mean = (drawings[:, :3].sum((2, 3)) / alpha.sum((2, 3)).clamp(min=1e-3))[..., None, None]
    colour = (mean + 1.4 * (colour - mean)).clamp(0, 1)
    hard = ((alpha - 0.5) * slope + 0.5).clamp(0, 1)
    return torch.cat([colour * hard, hard], 1)


def average(drawings: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """The mean of copies that are mirrored, turned, shifted and scaled, with crisp edges: a potato."""
    total = torch.zeros_like(drawings)
    for i in range(3):
        mirrored = torch.full((len(drawings),), float(i % 2))
        total = total + transform(drawings, (0.6 + 0.4 * strength) * (i > 0), mirrored, generator)
    return crisp(total / 3, 4.0)


def transform(drawings: Tensor, strength: Tensor, mirrored: Tensor, generator: torch.Generator) -> Tensor:
    """Each drawing turned by up to 0.6 rad, shifted by up to 0.15 of its side, and mirrored where `mirrored` is 1."""
    n = len(drawings)
    turn = 0.6 * strength * (torch.rand(n, generator=generator) * 2 - 1)
    scale = 1 + 0.2 * strength * torch.rand(n, generator=generator)
    shift = 0.3 * strength[:, None] * (torch.rand(n, 2, generator=generator) * 2 - 1)
    cos, sin, side = turn.cos() * scale, turn.sin() * scale, 1 - 2 * mirrored
    theta = torch.stack([cos * side, -sin, shift[:, 0], sin * side, cos, shift[:, 1]], 1).view(n, 2, 3)
    return move(drawings, theta)


def move(drawings: Tensor, theta: Tensor) -> Tensor:
    """theta: (n, 2, 3) from the coordinates of the result to those of the drawings, in [-1, 1]."""
    return F.grid_sample(drawings, F.affine_grid(theta, list(drawings.shape), align_corners=False), align_corners=False)


def fold(drawings: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """One part of the drawing and its mirror image beside it: two heads, or none."""
    n, _, h, w = drawings.shape
    away = 0.12 + 0.28 * torch.rand(n, 1, 1, generator=generator)  # the middle would change no face
    place, side = (torch.sign(torch.rand(n, 1, 1, generator=generator) - 0.5) for _ in range(2))
    grid = identity(n, h, w).clone()
    grid[..., 0] = away * place + side * (grid[..., 0] - away * place).abs()
    return warp_lightly(F.grid_sample(drawings, grid, align_corners=False), strength, generator)


def merge(drawings: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Parts of two drawings in one, along a soft and crooked border."""
    others = drawings.roll(1, 0) if len(drawings) > 1 else transform(drawings, strength + 0.5, strength * 0, generator)
    border = displacement(len(drawings), 3, (drawings.shape[2], drawings.shape[3]), generator)[:, :1]
    mask = (border * (3 - 2 * strength.view(-1, 1, 1, 1)) + 0.5).clamp(0, 1)
    return warp_lightly(drawings * mask + others * (1 - mask), strength, generator)


def warp_lightly(drawings: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    n, _, h, w = drawings.shape
    shift = displacement(n, 5, (h, w), generator) * (0.03 + 0.07 * strength).view(-1, 1, 1, 1)
    return F.grid_sample(drawings, identity(n, h, w) + shift.permute(0, 2, 3, 1), align_corners=False)


def cut(drawings: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """A third (weak) to three quarters (strong) cut away along a soft line."""
    n, _, h, w = drawings.shape
    angle = 2 * math.pi * torch.rand(n, 1, 1, 1, generator=generator)
    x, y = identity(1, h, w)[0].permute(2, 0, 1)[:, None, None]
    along = x * angle.cos() + y * angle.sin()  # (n, 1, h, w), in [-1.4, 1.4]
    edge = 0.25 - 0.55 * strength.view(-1, 1, 1, 1)
    return drawings * ((edge - along) * 12 + 0.5).clamp(0, 1)


def double(drawings: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """The thing twice, one upon the other; the copies lie closer together the stronger."""
    n = len(drawings)
    angle = 2 * math.pi * torch.rand(n, generator=generator)
    away = 0.5 - 0.2 * strength
    shift = torch.stack([angle.cos(), angle.sin()], 1) * away[:, None]
    mirrored = 1 - 2 * (torch.rand(n, generator=generator) < 0.5).float()
    copies = []
    for way, side in ((shift, torch.ones(n)), (-shift, mirrored)):
        scale = 1 / (1 - 0.6 * away)
        theta = torch.zeros(n, 2, 3)
        theta[:, 0, 0], theta[:, 1, 1], theta[:, :, 2] = scale * side, scale, way * torch.stack([side, side * 0 + 1], 1)
        copies.append(
            F.grid_sample(
                drawings, F.affine_grid(theta, list(drawings.shape), align_corners=False), align_corners=False
            )
        )
    upper = copies[1] * (0.4 + 0.6 * (torch.rand(n, 1, 1, 1, generator=generator) < 0.6))
    return copies[0] * (1 - upper[:, 3:]) + upper


def recolour(drawings: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Channels swapped, inverted or flattened, and tinted: of two attempts the one that is farther from the drawing."""
    attempts = [repaint(drawings, strength, generator) for _ in range(2)]
    gaps = torch.stack([(each - drawings).abs().mean((1, 2, 3)) for each in attempts])
    return torch.stack(attempts)[gaps.argmax(0), torch.arange(len(drawings))]


def repaint(drawings: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    alpha, colour, n = drawings[:, 3:], drawings[:, :3], len(drawings)
    options = torch.stack([colour.roll(1, 1), alpha - colour, alpha.expand_as(colour)])
    new = options[torch.randint(len(options), (n,), generator=generator), torch.arange(n)]
    bits = torch.randint(1, 7, (n, 1), generator=generator) >> torch.arange(3) & 1  # a channel or two stay bright
    mixed = colour + (new * (0.2 + bits)[..., None, None] - colour) * (0.7 + 0.3 * strength.view(-1, 1, 1, 1))
    return torch.cat([torch.minimum(mixed.clamp(min=0), alpha), alpha], 1)


def shuffle(drawings: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Parts at each other's places: the tiles of a 2 x 2 (weak) to 4 x 4 grid in another order, melted together."""
    shuffled = []
    for one, s in zip(drawings, strength.tolist(), strict=True):
        k = 2 + min(2, int(3 * s))
        side = one.shape[-1] // k
        tiles = one.unfold(1, side, side).unfold(2, side, side).flatten(1, 2)[:, : k * k]  # (4, tiles, side, side)
        order = torch.randperm(k * k, generator=generator)
        order = order.roll(1) if (order == torch.arange(k * k)).float().mean() > 0.3 else order
        rows = tiles[:, order].view(4, k, k, side, side).permute(0, 1, 3, 2, 4).reshape(4, k * side, k * side)
        shuffled.append(rows)
    return warp_lightly(torch.stack(shuffled), strength, generator)


def fade(drawings: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """A ghost: what lies behind shines through."""
    return drawings * (0.5 - 0.35 * strength).view(-1, 1, 1, 1)


WAYS: tuple[Spoil, ...] = (
    *(warp, warp, blur, blob, blob, average, average, fold, merge),
    *(cut, double, double, recolour, shuffle, fade),
)
