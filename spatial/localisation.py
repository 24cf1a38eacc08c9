"""A recording -> the directions of its sources, and how sure each one is."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spatial.doa_baselines import directions_by
from spatial.errors import SpatialError
from spatial.evidence import Evidence, gather, steering_distance
from spatial.learned import heatmap
from spatial.levels import refine_panned
from spatial.maps import COUNT, POLARISED, grid, maps, vertex
from spatial.recognise import recognise
from spatial.scene import Array, Direction
from spatial.setups import Setup, make_setup

APART = 7  # places of the grid, nearer than which two sources are one: 14 degrees, 7 of a panned recording
NEAR = 4.0  # degrees within which an azimuth is refined
FINE = 0.05  # degrees
BLUNT = 0.03  # steering_distance of the sharpest bins from which they agree on nothing finer than the network
LEAST = 1e-4  # presence that is asked at all
CERTAIN = 0.75  # presence of a source that is there for certain, between two places of the grid
METHODS = ("maps", "srp", "music", "normmusic")


@dataclass(frozen=True, eq=False)
class SourcePosterior:
    """How likely there is a source at each azimuth, and how many there are."""

    presence: NDArray[np.float64]  # (COUNT,) in [0, 1]
    logits: NDArray[np.float64]  # (COUNT,)
    counts: NDArray[np.float64]  # (4,) of one to four or more


def localise(
    recording: Array,
    rate: int,
    *,
    setup: str | Setup = "auto",
    spacing: float | None = None,
    max_sources: int = 4,
    count: int | None = None,
    method: str = "maps",
) -> list[Direction]:
    """Directions of the sources in a (2, frames) recording, surest first.

    `count`: how many there are, where it is known; `method`: "maps" is ours, the others are pyroomacoustics' of the
    same name, which need microphones apart. Raises SpatialError for what is none.
    """
    if method not in METHODS:
        raise SpatialError(f'Got method="{method}", want one of {", ".join(METHODS)}; change it.')
    evidence = gather(recording, rate)
    if not len(evidence):
        return []
    stereo = recognise(evidence).setup if setup == "auto" else make_setup(setup, spacing=spacing)
    if method != "maps":
        return directions_by(method, recording, rate, stereo, max_sources=max_sources, count=count)
    found = directions(evidence, stereo, max_sources=max_sources, count=count)
    return by_level(found, evidence, recording, rate, stereo)


def directions(evidence: Evidence, setup: Setup, *, max_sources: int = 4, count: int | None = None) -> list[Direction]:
    """The same of evidence that was gathered."""
    if not len(evidence):
        return []
    heat = SourcePosterior(*heatmap(maps(evidence, setup)))
    found = pick_peaks(heat, max_sources, count)
    places = [grid(setup)[0] + place * 2 * setup.limit / (COUNT - 1) for place, _ in found]
    return [
        refined(evidence, setup, float(azimuth), confidence)
        for azimuth, (_, confidence) in zip(places, found, strict=True)
    ]


def by_level(found: list[Direction], evidence: Evidence, recording: Array, rate: int, setup: Setup) -> list[Direction]:
    """The same directions, mended where a recording is panned and sources overlap."""
    if setup.name != "panned":
        return found
    azimuths = refine_panned(evidence, recording, rate, setup, [one.azimuth for one in found])
    return [replace(one, azimuth=azimuth) for one, azimuth in zip(found, azimuths, strict=True)]


def pick_peaks(heat: SourcePosterior, most: int, count: int | None = None) -> list[tuple[float, float]]:
    """(place on the grid, confidence) of the peaks, as many as together are the most likely."""
    peaks: list[tuple[float, float]] = []
    free = np.ones(COUNT, bool)
    for left in (np.where(_summits(heat.logits), heat.presence, 0), heat.presence):  # flanks where all else is used
        while len(peaks) < max(most, count or 0) and (left * free).max() > LEAST:
            top = int((left * free).argmax())
            peaks.append((top + vertex(heat.logits, top), float(heat.presence[top])))
            free[max(0, top - APART) : top + APART + 1] = False
    if count is not None:
        return peaks[:count]
    chance = np.clip([confidence / CERTAIN for _, confidence in peaks] + [1e-4] * 4, 1e-4, 1 - 1e-3)[:4]
    scores = [
        np.log(heat.counts[n - 1] + 1e-9) + np.log(chance[:n]).sum() + np.log1p(-chance[n:]).sum() for n in range(1, 5)
    ]
    return peaks[: min(most, int(np.argmax(scores)) + 1)]


def _summits(values: NDArray) -> NDArray[np.bool_]:
    """Where no neighbour is higher."""
    padded = np.pad(values, 1, constant_values=-np.inf)
    return (values >= padded[:-2]) & (values >= padded[2:])


def refined(evidence: Evidence, setup: Setup, azimuth: float, confidence: float) -> Direction:
    """The azimuth that the sharpest bins nearby agree on, and how far they scatter."""
    low, high = max(-setup.limit, azimuth - NEAR), min(setup.limit, azimuth + NEAR)
    coarse = np.linspace(low - 2 * NEAR, high + 2 * NEAR, 49).clip(-setup.limit, setup.limit).astype(np.float32)
    found = steering_distance(evidence, setup, coarse)
    best = coarse[found.argmin(axis=1)]
    near = (best >= low) & (best <= high) & (found.min(axis=1) < 0.2)
    weight = evidence.weight * np.linalg.norm(evidence.stokes, axis=1) ** POLARISED
    if near.sum() < 20:
        return Direction(azimuth, 2 * NEAR, confidence)
    share = weight[near] / weight[near].sum()
    spread = _half(np.abs(best[near] - azimuth), share)
    few = evidence.taken(np.flatnonzero(near))
    fine = np.arange(low, high + FINE / 2, FINE).clip(low, high).astype(np.float32)
    width = np.clip(np.median(found[near].min(axis=1)), 1e-5, 0.1)
    if width > BLUNT:
        return Direction(azimuth, spread, confidence)
    score = share @ (width / (steering_distance(few, setup, fine) + width))
    return Direction(float(fine[score.argmax()]), spread, confidence)


def _half(distances: Array, share: Array) -> float:
    """The distance within which half of the shares lie."""
    order = np.argsort(distances)
    return float(distances[order][np.searchsorted(np.cumsum(share[order]), 0.5).clip(0, len(order) - 1)])
