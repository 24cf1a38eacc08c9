"""Random numbers and soft-edged shapes for backdrops that are painted a batch at a time on any device.

Coordinates run from 0 to 1, with the origin at the top left.
"""

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


def column(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)


def below(d: Draw, height: Tensor) -> Tensor:
    """Coverage of everything below a level line."""
    return d.soft(d.y - column(height)).expand(-1, 1, d.side, d.side)


def triangle(d: Draw, x: Tensor, top: Tensor, foot: Tensor, width: Tensor) -> Tensor:
    """Coverage of an upright triangle with its tip at (x, top) and half the base `width`."""
    slope = (column(foot) - column(top)) / column(width)
    side = (d.y - column(top) - slope * (d.x - column(x)).abs()) / (1 + slope.square()).sqrt()
    return d.soft(torch.minimum(side, column(foot) - d.y))
