"""Procedural backdrops, painted a batch at a time on any device.

Each backdrop is a function `(draw) -> (batch, 3, side, side)` in [0, 1]; `Draw` provides random numbers and shapes.
Coordinates run from 0 to 1, with the origin at the top left.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Draw:
    """Random numbers from one generator, and soft-edged shapes for `batch` pictures of `side` pixels."""

    batch: int
    side: int
    generator: torch.Generator
    device: torch.device

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """(batch, *shape) uniform numbers, drawn on the CPU so that every device paints the same scene."""
        values = torch.rand(self.batch, *shape, generator=self.generator)
        return (low + (high - low) * values).to(self.device)

    def colour(self, *rgb: float, spread: float = 0.08) -> Tensor:
        """(batch, 3, 1, 1): a colour near `rgb`."""
        noise = self.uniform(-spread, spread, 3) + self.uniform(-spread, spread, 1)
        return (torch.tensor(rgb, device=self.device) + noise).clamp(0, 1)[..., None, None]

    @property
    def x(self) -> Tensor:  # (1, 1, 1, side)
        return ((torch.arange(self.side, device=self.device) + 0.5) / self.side).view(1, 1, 1, -1)

    @property
    def y(self) -> Tensor:  # (1, 1, side, 1)
        return self.x.transpose(2, 3)

    def soft(self, distance: Tensor) -> Tensor:
        """Signed distance (positive inside) -> coverage in [0, 1] with an edge of one pixel."""
        return (distance * self.side + 0.5).clamp(0, 1)

    def rect(self, x0: Tensor, y0: Tensor, x1: Tensor, y1: Tensor) -> Tensor:
        x0, y0, x1, y1 = (v.view(-1, 1, 1, 1) for v in (x0, y0, x1, y1))
        return self.soft(torch.minimum(self.x - x0, x1 - self.x)) * self.soft(torch.minimum(self.y - y0, y1 - self.y))

    def ellipse(self, x: Tensor, y: Tensor, rx: Tensor, ry: Tensor) -> Tensor:
        x, y, rx, ry = (v.view(-1, 1, 1, 1) for v in (x, y, rx, ry))
        radius = (((self.x - x) / rx) ** 2 + ((self.y - y) / ry) ** 2).sqrt()
        return self.soft((1 - radius) * torch.minimum(rx, ry))

    def hill(self, height: Tensor, amplitude: float) -> Tensor:
        """Everything below a slow wave around `height`."""
        wave = torch.sin(self.x * self.uniform(3, 8)[:, None, None, None] + self.uniform(0, 6.3)[:, None, None, None])
        return self.soft(self.y - height.view(-1, 1, 1, 1) - amplitude * wave)

    def gradient(self, top: Tensor, bottom: Tensor) -> Tensor:
        return top + (bottom - top) * self.y.expand(self.batch, 1, self.side, self.side)


def over(canvas: Tensor, mask: Tensor, colour: Tensor) -> Tensor:
    return canvas + mask * (colour - canvas)


def plain(d: Draw) -> Tensor:
    top = d.uniform(0.35, 0.95, 3)[..., None, None]
    return d.gradient(top, (top + d.uniform(-0.12, 0.12, 3)[..., None, None]).clamp(0, 1))


def clouds(d: Draw, canvas: Tensor, count: int, lowest: float) -> Tensor:
    for _ in range(count):
        x, y, size = d.uniform(0, 1), d.uniform(0.04, lowest), d.uniform(0.06, 0.11)
        white = d.colour(0.97, 0.98, 1.0, spread=0.01)
        for shift, scale in ((-0.9, 0.75), (0.0, 1.0), (0.9, 0.7)):
            canvas = over(canvas, d.ellipse(x + shift * size, y, size * scale, size * scale * 0.55), white)
    return canvas


def sky(d: Draw) -> Tensor:
    return clouds(d, d.gradient(d.colour(0.25, 0.58, 0.9), d.colour(0.72, 0.88, 0.98, spread=0.04)), 3, 0.9)


def meadow(d: Draw) -> Tensor:
    canvas = d.gradient(d.colour(0.5, 0.75, 0.95), d.colour(0.85, 0.94, 0.99, spread=0.02))
    horizon = d.uniform(0.45, 0.65)
    canvas = over(canvas, d.hill(horizon - 0.05, 0.04), d.colour(0.55, 0.78, 0.4))
    return over(canvas, d.hill(horizon + 0.05, 0.03), d.colour(0.38, 0.66, 0.25))


def beach(d: Draw) -> Tensor:
    canvas = d.gradient(d.colour(0.5, 0.78, 0.96), d.colour(0.85, 0.95, 1.0, spread=0.02))
    horizon = d.uniform(0.35, 0.5)
    canvas = over(canvas, d.soft(d.y - horizon.view(-1, 1, 1, 1)), d.colour(0.13, 0.5, 0.72, spread=0.05))
    return over(canvas, d.hill(horizon + d.uniform(0.12, 0.2), 0.02), d.colour(0.93, 0.83, 0.6, spread=0.04))


def night(d: Draw) -> Tensor:
    canvas = d.gradient(d.colour(0.03, 0.04, 0.14, spread=0.02), d.colour(0.1, 0.1, 0.32, spread=0.03))
    for _ in range(9):
        star = d.ellipse(d.uniform(0, 1), d.uniform(0, 0.8), d.uniform(0.006, 0.012), d.uniform(0.006, 0.012))
        canvas = over(canvas, star, d.colour(0.95, 0.95, 0.85, spread=0.03))
    size = d.uniform(0.05, 0.09)
    return over(
        canvas, d.ellipse(d.uniform(0.1, 0.9), d.uniform(0.1, 0.3), size, size), d.colour(0.95, 0.92, 0.75, spread=0.03)
    )


def room(d: Draw) -> Tensor:
    wall = d.colour(0.88, 0.8, 0.68)
    canvas = d.gradient(wall, (wall - 0.05).clamp(0, 1))
    floor = d.uniform(0.68, 0.8)
    x, y, size = d.uniform(0.05, 0.7), d.uniform(0.06, 0.2), d.uniform(0.22, 0.3)
    canvas = over(canvas, d.rect(x, y, x + size, y + size), d.colour(0.98, 0.98, 0.97, spread=0.01))
    pane = d.colour(0.62, 0.83, 0.96, spread=0.04)
    for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
        left, top = x + size * (0.08 + 0.45 * i), y + size * (0.08 + 0.45 * j)
        canvas = over(canvas, d.rect(left, top, left + size * 0.39, top + size * 0.39), pane)
    return over(canvas, d.soft(d.y - floor.view(-1, 1, 1, 1)), d.colour(0.55, 0.36, 0.2, spread=0.05))


def forest(d: Draw) -> Tensor:
    canvas = d.gradient(d.colour(0.56, 0.72, 0.48, spread=0.05), d.colour(0.68, 0.8, 0.56, spread=0.04))
    ground = d.uniform(0.66, 0.8)
    for i in range(5):
        x, width = i / 5 + d.uniform(0.0, 0.16), d.uniform(0.025, 0.06)
        canvas = over(
            canvas, d.rect(x, d.uniform(-0.1, 0.0), x + width, ground + 0.03), d.colour(0.36, 0.25, 0.16, spread=0.04)
        )
    for i in range(5):
        crown = d.ellipse(
            i / 4 + d.uniform(-0.06, 0.06), d.uniform(-0.02, 0.06), d.uniform(0.14, 0.2), d.uniform(0.1, 0.16)
        )
        canvas = over(canvas, crown, d.colour(0.16, 0.4, 0.18, spread=0.04))
    return over(canvas, d.hill(ground, 0.015), d.colour(0.2, 0.38, 0.17, spread=0.04))


def street(d: Draw) -> Tensor:
    canvas = d.gradient(d.colour(0.66, 0.78, 0.9, spread=0.05), d.colour(0.86, 0.88, 0.92, spread=0.03))
    road = d.uniform(0.66, 0.78)
    for i in range(5):
        x, top = i / 5 + d.uniform(-0.03, 0.02), d.uniform(0.22, 0.5)
        canvas = over(canvas, d.rect(x, top, x + d.uniform(0.16, 0.22), road), d.colour(0.6, 0.56, 0.6, spread=0.1))
    canvas = over(canvas, d.soft(d.y - road.view(-1, 1, 1, 1)), d.colour(0.27, 0.28, 0.31, spread=0.03))
    line, shift = road + (1 - road) / 2, d.uniform(0, 0.25)
    for i in range(4):
        x = i / 4 + shift - 0.1
        canvas = over(canvas, d.rect(x, line, x + 0.12, line + 0.02), d.colour(0.9, 0.88, 0.75, spread=0.02))
    return canvas


PAINTERS: dict[str, Callable[[Draw], Tensor]] = {
    "meadow": meadow,
    "sky": sky,
    "beach": beach,
    "night": night,
    "room": room,
    "forest": forest,
    "street": street,
    "plain": plain,
}
