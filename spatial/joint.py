"""Fixed places and paths that explain the evidence together: what one makes of a bin, no other need explain.

A mixture like `spatial.mixture`, of few components, some of which move: each stands for a column of densities, that of
its place at each bin's time. Components are sought one at a time, the others held, over all places or over all
straight paths (a Hough transform), until nothing changes; a path is then bent, being a cubic through four knots.

Conventions: places are those of `maps.grid`, 0 to COUNT - 1, a path's one for each block of time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from spatial import mixture
from spatial.evidence import Evidence, steering_distance
from spatial.maps import COUNT, POLARISED, grid
from spatial.scene import Array
from spatial.setups import Setup

MOST = 1500  # bins
WIDTHS = np.array([0.3, 0.1, 0.03, 0.01, 0.003])  # of misfits, each as likely
SHARES = np.array([0.04, 0.15, 0.45], np.float32)  # tried of a component that is sought
NONE = 0.2  # share of no direction, at first
MOMENT, PRIOR = 9, 0.2  # blocks over which shares are alike; of a moment's weight, that speaks for those of all times
ENDS = 13  # places at which straight paths start and end
KNOTS = 4
TURNS, SETTLED = 4, 2e-3  # of all components; likelihood, with less gain than which no turn follows
STEPS, FINE = (6.0, 3.0, 1.5, 0.7), (1.0, 0.5, 0.2)  # places by which knots are moved, at first and at last

Component = float | Array  # a place, or a path (blocks,)


@dataclass(frozen=True, eq=False)
class Bins:
    """What each bin says of each place."""

    density: Array  # (bins, COUNT), mean 1 over the places
    weight: Array  # (bins,), sum 1; moments count alike
    block: NDArray[np.int64]  # (bins,)
    blocks: int


@dataclass(frozen=True, eq=False)
class Fit:
    """Components, what share each has, and the mean log density beside uniform bins."""

    components: tuple[Component, ...]
    shares: Array
    likelihood: float


def gathered(evidence: Evidence, setup: Setup, seconds: float, most: int = MOST) -> Bins:
    """The heaviest bins; `seconds` is a block's length."""
    weight = evidence.weight * np.linalg.norm(evidence.stokes, axis=1) ** POLARISED
    blocks = int(evidence.times.max() / seconds) + 1
    if len(evidence) > most:
        kept = np.sort(np.argpartition(weight, -most)[-most:])
        evidence, weight = evidence.taken(kept), weight[kept]
    table = (WIDTHS[:, None] * (1 + WIDTHS[:, None]) / (mixture.MISFITS + WIDTHS[:, None]) ** 2).mean(axis=0)
    density = table.astype(np.float32)[mixture.rounded(steering_distance(evidence, setup, grid(setup)))]
    density /= density.mean(axis=1, keepdims=True)
    block = (evidence.times / seconds).astype(int)
    total = np.bincount(block, weight, blocks)
    weight = weight / (total + 0.3 * np.quantile(total, 0.9) + 1e-12)[block]
    return Bins(density, (weight / weight.sum()).astype(np.float32), block, blocks)


def fit(bins: Bins, still: int, moving: int, paths: Sequence[Array] = ()) -> Fit:
    """So many that stay and so many that move, in that order; `paths` are tried beside straight ones.

    What is sought first takes all it can, so either kind is first once and the likelier outcome is taken.
    """
    starts = (False, True) if still and moving else (False,)
    return max((_fit(bins, still, moving, paths, first) for first in starts), key=lambda one: one.likelihood)


def _fit(bins: Bins, still: int, moving: int, paths: Sequence[Array], first: bool) -> Fit:
    order = [*range(still, still + moving), *range(still)] if first else [*range(still + moving)]
    found: dict[int, Component] = {}
    best = -np.inf
    for turn in range(TURNS):
        for index in order:
            base = explained(bins, [component for other, component in found.items() if other != index])
            if index < still:
                found[index] = settled(bins, base)
            elif not turn:
                found[index] = straight(bins, base, paths if moving == 1 else ())
            elif turn == 1:
                found[index] = bent(bins, base, straight(bins, base, [*paths, np.asarray(found[index])]))
            else:
                found[index] = bent(bins, base, np.asarray(found[index]))
        components = tuple(found[index] for index in range(still + moving))
        shares, likelihood = weighed(bins, components)
        if turn and likelihood < best + SETTLED:
            break
        best = likelihood
    return Fit(components, shares, likelihood)


def explained(bins: Bins, components: Sequence[Component]) -> Array:
    """(bins,) density of each bin by those components."""
    return _shared(bins, components)[1] if components else np.ones(len(bins.weight), np.float32)


def weighed(bins: Bins, components: Sequence[Component]) -> tuple[Array, float]:
    """(components,) shares, and the likelihood."""
    shares, density = _shared(bins, components)
    return shares, float(bins.weight @ np.log(density))


def _shared(bins: Bins, components: Sequence[Component], rounds: int = 6) -> tuple[Array, Array]:
    """(components,) shares and (bins,) densities, by expectation-maximisation: at first one share for all times, then
    each moment's own, so that those who take turns are no worse off than one who is always heard."""
    columns = np.stack([*(column(bins, component) for component in components), np.ones(len(bins.weight), np.float32)])
    shares = np.append(np.full(len(components), (1 - NONE) / len(components)), NONE)[:, None]
    for _ in range(rounds):
        part = shares * columns * (bins.weight / (shares * columns).sum(axis=0))
        shares = part.sum(axis=1, keepdims=True)
    whole = shares
    for _ in range(2):
        part = shares * columns * (bins.weight / (shares * columns).sum(axis=0))
        moments = np.stack([np.bincount(bins.block, each, bins.blocks) for each in part])
        moments = uniform_filter1d(moments, MOMENT, axis=1, mode="nearest") + PRIOR / bins.blocks * whole
        shares = (moments / moments.sum(axis=0))[:, bins.block]
    return whole[:-1, 0].astype(np.float32), (shares * columns).sum(axis=0).astype(np.float32)


def column(bins: Bins, component: Component) -> Array:
    """(bins,) each bin's density at the component's place at its time, between two places in proportion."""
    place = np.clip(np.asarray(component, np.float32), 0, COUNT - 1.001)
    at = place[bins.block] if place.ndim else np.full(len(bins.weight), place)
    low = at.astype(int)
    rows = np.arange(len(at))
    one, two = bins.density[rows, low], bins.density[rows, low + 1]
    return one + (at - low) * (two - one)


def _gain(base: Array, columns: Array, weight: Array) -> Array:
    """(columns,) likelihood with one of those beside what is explained, of its best share."""
    out = np.full(columns.shape[1], -np.inf)
    for share in SHARES:
        mixed = (1 - share) * base[:, None] + share * columns
        out = np.maximum(out, weight @ np.log(mixed))
    return out


def straight(bins: Bins, base: Array, more: Sequence[Array] = ()) -> Array:
    """(blocks,) the straight path, or one of `more`, that explains the most beside what is explained."""
    ends = np.linspace(0, COUNT - 1, ENDS)
    part = np.linspace(0, 1, bins.blocks)
    paths = [a + (b - a) * part for a in ends for b in ends if a != b]
    rows = np.arange(len(bins.block))[:, None]
    whole = np.rint(np.stack([*paths, *more], axis=1)).astype(int)[bins.block].clip(0, COUNT - 1)
    gain = _gain(base, bins.density[rows, whole], bins.weight)
    top = int(gain.argmax())
    return np.asarray(([*paths, *more])[top], np.float32)


def settled(bins: Bins, base: Array) -> float:
    """The place that explains the most beside what is explained."""
    top = float(_gain(base, bins.density, bins.weight).argmax())
    near = np.clip(top + np.linspace(-0.6, 0.6, 7), 0, COUNT - 1)
    return float(near[_gain(base, np.stack([column(bins, place) for place in near], axis=1), bins.weight).argmax()])


def polished(bins: Bins, fitted: Fit) -> Fit:
    """The same, paths bent more finely; for bins that may be more."""
    components = list(fitted.components)
    for index, path in enumerate(components):
        if np.ndim(path):
            others = [one for other, one in enumerate(components) if other != index]
            components[index] = bent(bins, explained(bins, others), np.asarray(path), FINE)
    return Fit(tuple(components), *weighed(bins, components))


def bent(bins: Bins, base: Array, path: Array, steps: Sequence[float] = STEPS) -> Array:
    """The cubic near a path that explains the most, by moving one knot at a time."""
    times = np.linspace(-1, 1, bins.blocks)
    at = np.linspace(-1, 1, KNOTS)
    shape = np.stack([np.polynomial.Polynomial.fit(at, unit, KNOTS - 1)(times) for unit in np.eye(KNOTS)], axis=1)
    knots = np.linalg.lstsq(shape, path, rcond=None)[0]

    def gain(knots: NDArray) -> float:
        return float(_gain(base, column(bins, shape @ knots)[:, None], bins.weight)[0])

    best = gain(knots)
    for step in steps:
        for _ in range(2):
            before = best
            for index in range(KNOTS):
                for way in (step, -step):
                    tried = knots + way * np.eye(KNOTS)[index]
                    value = gain(tried)
                    if value > best:
                        best, knots = value, tried
            if best == before:
                break
    return np.clip(shape @ knots, 0, COUNT - 1).astype(np.float32)
