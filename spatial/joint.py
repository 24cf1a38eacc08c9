"""A joint fit of fixed azimuths and moving paths: what one component explains of a bin, no other need explain.

A mixture like `spatial.mixture`, with few components, some of which move. A component's density at each bin is that of
its position at the bin's time. Components are sought one at a time, the others held, over all positions or over all
straight paths (a Hough transform), until the likelihood settles; then each path is bent: a cubic through four knots.

Conventions: a *position* is an index into `maps.azimuth_grid`, 0 to COUNT - 1, and may lie between two grid points; a
*path* has one position for each block of time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.ndimage import uniform_filter1d

from spatial import mixture
from spatial.evidence import Evidence, steering_distance
from spatial.maps import COHERENCE_POWER, COUNT, azimuth_grid
from spatial.setups import Setup

MOST, PER_SECOND = 1500, 300  # bins, at least and in long recordings
WIDTHS = np.array([0.3, 0.1, 0.03, 0.01, 0.003])  # of steering distances, equally likely
SHARES = np.array([0.04, 0.15, 0.45], np.float32)  # tried for a component that is sought
NONE = 0.2  # initial share of no direction
SMOOTH, PRIOR = 9, 0.2  # blocks over which shares are averaged; weight of the overall shares beside a block's own
ENDS = 13  # positions at which straight paths start and end
KNOTS = 4
TURNS, SETTLED = 4, 2e-3  # turns over all components; gain in likelihood below which no turn follows
STEPS, FINE = (6.0, 3.0, 1.5, 0.7), (1.0, 0.5, 0.2)  # grid steps by which knots are moved, first and last

Path = Float[np.ndarray, " blocks"]
Component = float | Path  # a position or a path


@dataclass(frozen=True, eq=False)
class Bins:
    """The density of each bin at each position."""

    density: Float[np.ndarray, "bins azimuths"]  # mean 1 over the azimuths
    weight: Float[np.ndarray, " bins"]  # sum 1; blocks count alike
    block: Int[np.ndarray, " bins"]
    blocks: int


@dataclass(frozen=True, eq=False)
class Fit:
    """Components, their shares, and the mean log density relative to a uniform one."""

    components: tuple[Component, ...]
    shares: Float[np.ndarray, " components"]
    likelihood: float


def select_bins(evidence: Evidence, setup: Setup, seconds: float, most: int | None = None) -> Bins:
    """The heaviest bins, in blocks of that many seconds; by default as many for each second as in a short recording."""
    most = most or max(MOST, round(PER_SECOND * float(evidence.times.max())))
    weight = evidence.weight * np.linalg.norm(evidence.stokes, axis=1) ** COHERENCE_POWER
    blocks = int(evidence.times.max() / seconds) + 1
    if len(evidence) > most:
        chosen = np.sort(np.argpartition(weight, -most)[-most:])
        evidence, weight = evidence.select(chosen), weight[chosen]
    table = (WIDTHS[:, None] * (1 + WIDTHS[:, None]) / (mixture.DISTANCES + WIDTHS[:, None]) ** 2).mean(axis=0)
    density = table.astype(np.float32)[mixture.quantise(steering_distance(evidence, setup, azimuth_grid(setup)))]
    density /= density.mean(axis=1, keepdims=True)
    block = (evidence.times / seconds).astype(int)
    total = np.bincount(block, weight, blocks)
    weight = weight / (total + 0.3 * np.quantile(total, 0.9) + 1e-12)[block]
    return Bins(density, (weight / weight.sum()).astype(np.float32), block, blocks)


def fit(bins: Bins, still: int, moving: int, paths: Sequence[Path] = ()) -> Fit:
    """Fit that many fixed and moving components, in that order; `paths` are tried beside straight ones.

    The component sought first takes all it can, so each kind goes first once, and the likelier fit is returned.
    """
    starts = (False, True) if still and moving else (False,)
    return max((_fit_in_order(bins, still, moving, paths, first) for first in starts), key=lambda one: one.likelihood)


def _fit_in_order(bins: Bins, still: int, moving: int, paths: Sequence[Path], moving_first: bool) -> Fit:
    order = [*range(still, still + moving), *range(still)] if moving_first else [*range(still + moving)]
    estimates: dict[int, Component] = {}
    best = -np.inf
    for turn in range(TURNS):
        for index in order:
            base = mixture_density(bins, [component for other, component in estimates.items() if other != index])
            if index < still:
                estimates[index] = find_position(bins, base)
            elif not turn:
                estimates[index] = find_straight_path(bins, base, paths if moving == 1 else ())
            elif turn == 1:
                start = find_straight_path(bins, base, [*paths, np.asarray(estimates[index])])
                estimates[index] = bend_path(bins, base, start)
            else:
                estimates[index] = bend_path(bins, base, np.asarray(estimates[index]))
        components = tuple(estimates[index] for index in range(still + moving))
        shares, likelihood = fit_shares(bins, components)
        if turn and likelihood < best + SETTLED:
            break
        best = likelihood
    return Fit(components, shares, likelihood)


def mixture_density(bins: Bins, components: Sequence[Component]) -> Float[np.ndarray, " bins"]:
    """Density of each bin under those components, 1 without any."""
    return _fit_densities(bins, components)[1] if components else np.ones(len(bins.weight), np.float32)


def fit_shares(bins: Bins, components: Sequence[Component]) -> tuple[Float[np.ndarray, " components"], float]:
    """(shares, likelihood)."""
    shares, density = _fit_densities(bins, components)
    return shares, float(bins.weight @ np.log(density))


def _fit_densities(
    bins: Bins, components: Sequence[Component], rounds: int = 6
) -> tuple[Float[np.ndarray, " components"], Float[np.ndarray, " bins"]]:
    """(shares, densities), by expectation-maximisation.

    At first with one share for all times, then with one for each block, so that sources that take turns are no worse
    off than one that sounds all the time.
    """
    densities = [component_density(bins, component) for component in components]
    columns = np.stack([*densities, np.ones(len(bins.weight), np.float32)])  # (components + 1, bins)
    shares = np.append(np.full(len(components), (1 - NONE) / len(components)), NONE)[:, None]
    for _ in range(rounds):
        part = shares * columns
        part *= bins.weight / part.sum(axis=0)
        shares = part.sum(axis=1, keepdims=True)
    overall = shares
    for _ in range(2):
        part = shares * columns
        part *= bins.weight / part.sum(axis=0)
        blocks = np.stack([np.bincount(bins.block, each, bins.blocks) for each in part])
        blocks = uniform_filter1d(blocks, SMOOTH, axis=1, mode="nearest") + PRIOR / bins.blocks * overall
        shares = (blocks / blocks.sum(axis=0))[:, bins.block]
    return overall[:-1, 0].astype(np.float32), (shares * columns).sum(axis=0).astype(np.float32)


def assign_blocks(bins: Bins, components: Sequence[Component]) -> Float[np.ndarray, "components blocks"]:
    """The weight of the bins that each component explains, in each block."""
    shares, _ = _fit_densities(bins, components)
    columns = np.stack([component_density(bins, one) for one in components])
    part = shares[:, None] * columns
    part *= bins.weight / (part.sum(axis=0) + max(1 - float(shares.sum()), 0.01))
    return np.stack([np.bincount(bins.block, each, bins.blocks) for each in part])


def select_components(bins: Bins, fitted: Fit, kept: Sequence[int]) -> Fit:
    """The fit with those components alone, and shares of their own."""
    if len(kept) == len(fitted.components):
        return fitted
    components = tuple(fitted.components[index] for index in kept)
    return Fit(components, *fit_shares(bins, components))


def component_density(bins: Bins, component: Component) -> Float[np.ndarray, " bins"]:
    """Density of each bin at the component's position at its time, by linear interpolation."""
    position = np.clip(np.asarray(component, np.float32), 0, COUNT - 1.001)
    at = position[bins.block] if position.ndim else np.full(len(bins.weight), position)
    low = at.astype(int)
    rows = np.arange(len(at))
    one, two = bins.density[rows, low], bins.density[rows, low + 1]
    return one + (at - low) * (two - one)


def _likelihoods(
    base: Float[np.ndarray, " bins"], columns: Float[np.ndarray, "bins candidates"], weight: Float[np.ndarray, " bins"]
) -> Float[np.ndarray, " candidates"]:
    """Likelihood with each candidate's density added to the base, at its best share."""
    out, mixed = np.full(columns.shape[1], -np.inf), np.empty_like(columns)
    for share in SHARES:
        np.multiply(columns, share, out=mixed)
        mixed += ((1 - share) * base)[:, None]
        out = np.maximum(out, weight @ np.log(mixed, out=mixed))
    return out


def find_straight_path(bins: Bins, base: Float[np.ndarray, " bins"], more: Sequence[Path] = ()) -> Path:
    """The straight path, or one of `more`, that adds the most to the base's likelihood."""
    ends = np.linspace(0, COUNT - 1, ENDS)
    part = np.linspace(0, 1, bins.blocks)
    paths = [a + (b - a) * part for a in ends for b in ends if a != b]
    rows = np.arange(len(bins.block))[:, None]
    nearest = np.rint(np.stack([*paths, *more], axis=1)).astype(int)[bins.block].clip(0, COUNT - 1)
    likelihoods = _likelihoods(base, bins.density[rows, nearest], bins.weight)
    top = int(likelihoods.argmax())
    return np.asarray(([*paths, *more])[top], np.float32)


def find_position(bins: Bins, base: Float[np.ndarray, " bins"]) -> float:
    """The fixed position that adds the most to the base's likelihood."""
    top = float(_likelihoods(base, bins.density, bins.weight).argmax())
    near = np.clip(top + np.linspace(-0.6, 0.6, 7), 0, COUNT - 1)
    columns = np.stack([component_density(bins, float(position)) for position in near], axis=1)
    return float(near[_likelihoods(base, columns, bins.weight).argmax()])


def polish_paths(bins: Bins, fitted: Fit) -> Fit:
    """The same fit with its paths bent in finer steps; `bins` may be more than before."""
    components = list(fitted.components)
    for index, path in enumerate(components):
        if np.ndim(path):
            others = [one for other, one in enumerate(components) if other != index]
            components[index] = bend_path(bins, mixture_density(bins, others), np.asarray(path), FINE)
    return Fit(tuple(components), *fit_shares(bins, components))


def bend_path(bins: Bins, base: Float[np.ndarray, " bins"], path: Path, steps: Sequence[float] = STEPS) -> Path:
    """The likeliest cubic near a path, found by moving one knot at a time."""
    times = np.linspace(-1, 1, bins.blocks)
    at = np.linspace(-1, 1, KNOTS)
    shape = np.stack([np.polynomial.Polynomial.fit(at, unit, KNOTS - 1)(times) for unit in np.eye(KNOTS)], axis=1)
    knots = np.linalg.lstsq(shape, path, rcond=None)[0]

    def likelihood(knots: Float[np.ndarray, " knots"]) -> float:
        return float(_likelihoods(base, component_density(bins, shape @ knots)[:, None], bins.weight)[0])

    best = likelihood(knots)
    for step in steps:
        for _ in range(2):
            before = best
            for index in range(KNOTS):
                for way in (step, -step):
                    moved = knots + way * np.eye(KNOTS)[index]
                    value = likelihood(moved)
                    if value > best:
                        best, knots = value, moved
            if best == before:
                break
    return np.clip(shape @ knots, 0, COUNT - 1).astype(np.float32)
