"""Ten backdrops, each with a ground line: things stand below it, and what flies stays above it.

Each painter is a function `(draw) -> (canvas (batch, 3, side, side) in [0, 1], ground (batch,) in [0, 1])`. The shapes
are few and large, so that a small model can learn every one of them. Coordinates run from 0 to 1, origin top left.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from experiments.world.shapes import Draw, below, over, triangle

Painted = tuple[Tensor, Tensor]


def day(d: Draw, cloud_count: int = 2, lowest: float = 0.25) -> Tensor:
    """A blue sky with a few small clouds."""
    canvas = d.gradient(d.colour(0.36, 0.68, 0.95, spread=0.03), d.colour(0.82, 0.93, 0.99, spread=0.02))
    for _ in range(cloud_count):
        canvas = cloud(d, canvas, d.uniform(0, 1), d.uniform(0.05, lowest), d.uniform(0.05, 0.08))
    return canvas


def cloud(d: Draw, canvas: Tensor, x: Tensor, y: Tensor, size: Tensor) -> Tensor:
    white = d.colour(0.97, 0.98, 1.0, spread=0.01)
    for shift, scale in ((-0.9, 0.7), (0.0, 1.0), (0.9, 0.7)):
        canvas = over(canvas, d.ellipse(x + shift * size, y, size * scale, size * scale * 0.6), white)
    return canvas


def river(d: Draw) -> Painted:
    """A broad blue river between two green banks, reeds on the far one."""
    canvas, bank = day(d), d.uniform(0.42, 0.5)
    canvas = over(canvas, d.hill(bank - 0.02, 0.015), d.colour(0.30, 0.58, 0.27, spread=0.03))
    canvas = over(canvas, d.hill(bank + 0.06, 0.012), d.colour(0.16, 0.50, 0.85, spread=0.03))
    for _ in range(3):
        x, y = d.uniform(0, 1), bank + d.uniform(0.11, 0.17)
        canvas = over(canvas, d.rect(x - 0.09, y, x + 0.09, y + 0.014), d.colour(0.62, 0.83, 0.97, spread=0.02))
    ground = bank + d.uniform(0.22, 0.26)
    return over(canvas, d.hill(ground, 0.015), d.colour(0.45, 0.72, 0.30, spread=0.03)), ground


def beach(d: Draw) -> Painted:
    """Sea, a white line of foam, sand, the sun."""
    canvas, horizon = day(d, 1), d.uniform(0.36, 0.46)
    sun = d.uniform(0.07, 0.1)
    canvas = over(canvas, d.ellipse(d.uniform(0.12, 0.88), d.uniform(0.12, 0.2), sun, sun), d.colour(1, 0.83, 0.25))
    canvas = over(canvas, below(d, horizon), d.colour(0.08, 0.55, 0.72, spread=0.03))
    ground = horizon + d.uniform(0.16, 0.22)
    phase = d.generator.get_state()
    canvas = over(canvas, d.hill(ground - 0.035, 0.015), d.colour(0.95, 0.98, 1.0, spread=0.01))
    d.generator.set_state(phase)  # the sand follows the foam
    return over(canvas, d.hill(ground, 0.015), d.colour(0.95, 0.84, 0.58, spread=0.03)), ground


def street(d: Draw) -> Painted:
    """A row of low house fronts, a pavement, a road with a dashed line."""
    canvas = day(d, 1, 0.12)
    kerb = d.uniform(0.56, 0.64)
    for i in range(4):
        left = torch.full_like(kerb, i / 4)
        top = kerb - d.uniform(0.28, 0.36)
        canvas = over(canvas, d.rect(left, top, left + 0.25, kerb), d.colour(0.8, 0.6, 0.5, spread=0.1))
        canvas = over(canvas, d.rect(left + 0.09, kerb - 0.17, left + 0.17, kerb), d.colour(0.35, 0.24, 0.2))
    canvas = over(canvas, below(d, kerb), d.colour(0.75, 0.74, 0.72, spread=0.03))
    ground = kerb + 0.07
    canvas = over(canvas, below(d, ground), d.colour(0.33, 0.34, 0.37, spread=0.02))
    line, shift = ground + d.uniform(0.1, 0.14), d.uniform(0, 0.25)
    for i in range(5):
        x = i / 4 + shift - 0.2
        canvas = over(canvas, d.rect(x, line, x + 0.13, line + 0.028), d.colour(0.97, 0.95, 0.85, spread=0.02))
    return canvas, ground


def meadow(d: Draw) -> Painted:
    """Green hills with flowers."""
    canvas, ground = day(d), d.uniform(0.5, 0.66)
    canvas = over(canvas, d.hill(ground - 0.07, 0.05), d.colour(0.56, 0.80, 0.40, spread=0.03))
    canvas = over(canvas, d.hill(ground, 0.015), d.colour(0.40, 0.70, 0.24, spread=0.03))
    petals = d.colour(0.97, 0.85, 0.9, spread=0.1)
    for _ in range(7):
        x, y = d.uniform(0, 1), ground + 0.05 + d.uniform(0, 0.3)
        size = d.uniform(0.016, 0.022)
        canvas = over(canvas, d.ellipse(x, y, size, size), petals)
    return canvas, ground


def forest(d: Draw) -> Painted:
    """Dark trunks under a roof of leaves."""
    canvas = d.gradient(d.colour(0.45, 0.62, 0.38, spread=0.03), d.colour(0.66, 0.79, 0.52, spread=0.03))
    ground = d.uniform(0.6, 0.7)
    for i in range(6):
        x, width = i / 6 + d.uniform(0.0, 0.1), d.uniform(0.035, 0.06)
        trunk = d.rect(x, torch.zeros_like(x) - 0.1, x + width, ground + 0.03)
        canvas = over(canvas, trunk, d.colour(0.34, 0.23, 0.14, spread=0.03))
    for i in range(6):
        x, rx = i / 5 + d.uniform(-0.04, 0.04), d.uniform(0.13, 0.17)
        crown = d.ellipse(x, d.uniform(0.0, 0.05), rx, d.uniform(0.11, 0.16))
        canvas = over(canvas, crown, d.colour(0.12, 0.36, 0.16, spread=0.03))
    return over(canvas, d.hill(ground, 0.012), d.colour(0.22, 0.40, 0.16, spread=0.03)), ground


def night(d: Draw) -> Painted:
    """A dark sky with a moon and stars, a dark hill."""
    canvas = d.gradient(d.colour(0.04, 0.05, 0.17, spread=0.02), d.colour(0.13, 0.13, 0.38, spread=0.02))
    for _ in range(9):
        size = d.uniform(0.009, 0.014)
        canvas = over(canvas, d.ellipse(d.uniform(0, 1), d.uniform(0, 0.55), size, size), d.colour(0.97, 0.96, 0.85))
    size = d.uniform(0.06, 0.09)
    moon = d.ellipse(d.uniform(0.1, 0.9), d.uniform(0.1, 0.2), size, size)
    canvas, ground = over(canvas, moon, d.colour(0.97, 0.93, 0.7, spread=0.02)), d.uniform(0.6, 0.7)
    return over(canvas, d.hill(ground, 0.02), d.colour(0.07, 0.16, 0.17, spread=0.02)), ground


def snow(d: Draw) -> Painted:
    """White ground, a grey sky, snowy firs, flakes."""
    canvas = d.gradient(d.colour(0.60, 0.69, 0.78, spread=0.03), d.colour(0.80, 0.86, 0.91, spread=0.02))
    ground = d.uniform(0.56, 0.66)
    for i in range(4):
        x, top, width = i / 4 + d.uniform(0.02, 0.2), ground - d.uniform(0.24, 0.34), d.uniform(0.08, 0.11)
        canvas = over(canvas, triangle(d, x, top, ground + 0.03, width), d.colour(0.20, 0.42, 0.40, spread=0.03))
        canvas = over(canvas, triangle(d, x, top, top + 0.1, width * 0.35), d.colour(0.96, 0.98, 1.0, spread=0.01))
    canvas = over(canvas, d.hill(ground, 0.02), d.colour(0.94, 0.96, 0.99, spread=0.015))
    for _ in range(8):
        size = d.uniform(0.011, 0.015)
        canvas = over(canvas, d.ellipse(d.uniform(0, 1), d.uniform(0, 0.5), size, size), d.colour(1, 1, 1, spread=0.01))
    return canvas, ground


def room(d: Draw) -> Painted:
    """A wall with a window and a skirting board, a wooden floor."""
    wall = d.colour(0.93, 0.82, 0.64, spread=0.05)
    canvas, ground = d.gradient(wall, (wall - 0.04).clamp(0, 1)), d.uniform(0.62, 0.7)
    x, y, size = d.uniform(0.05, 0.68), d.uniform(0.08, 0.14), d.uniform(0.26, 0.3)
    canvas = over(canvas, d.rect(x, y, x + size, y + size), d.colour(0.99, 0.98, 0.96, spread=0.01))
    pane = d.colour(0.55, 0.80, 0.96, spread=0.03)
    for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
        left, top = x + size * (0.09 + 0.44 * i), y + size * (0.09 + 0.44 * j)
        canvas = over(canvas, d.rect(left, top, left + size * 0.38, top + size * 0.38), pane)
    canvas = over(canvas, below(d, ground - 0.04), d.colour(0.97, 0.95, 0.92, spread=0.01))
    return over(canvas, below(d, ground), d.colour(0.62, 0.40, 0.22, spread=0.03)), ground


def sky(d: Draw) -> Painted:
    """Blue everywhere, with a bank of clouds to stand on."""
    canvas = d.gradient(d.colour(0.20, 0.52, 0.90, spread=0.03), d.colour(0.55, 0.80, 0.98, spread=0.03))
    for _ in range(3):
        canvas = cloud(d, canvas, d.uniform(0, 1), d.uniform(0.08, 0.6), d.uniform(0.07, 0.1))
    ground = d.uniform(0.76, 0.84)
    for i in range(6):
        x, size = i / 5 + d.uniform(-0.05, 0.05), d.uniform(0.12, 0.16)
        canvas = over(canvas, d.ellipse(x, ground + 0.07, size, size * 0.7), d.colour(0.96, 0.97, 1.0, spread=0.01))
    return over(canvas, below(d, ground + 0.07), d.colour(0.96, 0.97, 1.0, spread=0.01)), ground


def city(d: Draw) -> Painted:
    """A skyline of towers with lit windows behind a grey square."""
    canvas = d.gradient(d.colour(0.95, 0.70, 0.52, spread=0.03), d.colour(0.99, 0.89, 0.72, spread=0.02))
    ground = d.uniform(0.6, 0.68)
    for i in range(6):
        left, top = i / 6 + d.uniform(-0.01, 0.01), ground - d.uniform(0.22, 0.52)
        canvas = over(canvas, d.rect(left, top, left + 0.14, ground + 0.01), d.colour(0.34, 0.36, 0.50, spread=0.06))
        lit = d.colour(0.99, 0.88, 0.5, spread=0.02)
        for row, place in ((0.04, 0.03), (0.04, 0.08), (0.12, 0.03), (0.12, 0.08)):
            window = d.rect(left + place, top + row, left + place + 0.03, top + row + 0.04)
            canvas = over(canvas, window, lit)
    return over(canvas, below(d, ground), d.colour(0.58, 0.58, 0.60, spread=0.03)), ground


PAINTERS: dict[str, Callable[[Draw], Painted]] = {
    "river": river,
    "beach": beach,
    "street": street,
    "meadow": meadow,
    "forest": forest,
    "night": night,
    "snow": snow,
    "room": room,
    "sky": sky,
    "city": city,
}
