"""A recording -> the directions of its sources, and how sure each one is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial import mixture
from spatial.evidence import Evidence, diffuse_density, gather, misfit
from spatial.recognise import recognise
from spatial.scene import Array, Direction
from spatial.setups import Setup
from spatial.setups import setup as named

STEP = {"panned": 0.5}  # degrees between the directions that are asked; 1 elsewhere
APART = {"panned": 6.0}  # degrees between sources that are told apart; 12 elsewhere
LEAST = 0.04  # of all that comes from directions


@dataclass(frozen=True, eq=False)
class Profile:
    """How much comes from each azimuth."""

    azimuths: Array
    fitted: mixture.Mixture
    places: NDArray[np.uint8]  # (bins, azimuths)
    noise: Array  # (bins,) density of sound from everywhere


def localise(
    recording: Array,
    rate: int,
    *,
    setup: str | Setup = "auto",
    spacing: float | None = None,
    max_sources: int = 4,
    count: int | None = None,
) -> list[Direction]:
    """Directions of the sources in a (2, frames) recording, surest first."""
    evidence = gather(recording, rate)
    if not len(evidence):
        return []
    stereo = recognise(evidence).setup if setup == "auto" else named(setup, spacing=spacing)
    return directions(evidence, stereo, max_sources=max_sources, count=count)


def directions(evidence: Evidence, setup: Setup, *, max_sources: int = 4, count: int | None = None) -> list[Direction]:
    """The same of evidence that was gathered."""
    seen = profile(evidence, setup)
    found = peaks(seen, APART.get(setup.name, 12.0), count or max_sources)
    total = sum(weight for _, weight in found)
    if count is None:
        found = [(a, w) for a, w in found if w > LEAST * total]
    return [Direction(float(a), confidence=float(w / total)) for a, w in found]


def profile(evidence: Evidence, setup: Setup, rounds: int = 20) -> Profile:
    """A mixture over a fine grid."""
    step = STEP.get(setup.name, 1.0)
    azimuths = np.arange(-setup.limit, setup.limit + step / 2, step).astype(np.float32)
    places = mixture.rounded(misfit(evidence, setup, azimuths))
    noise = diffuse_density(evidence, setup)
    return Profile(azimuths, mixture.fit(places, evidence.weight, noise, rounds=rounds), places, noise)


def peaks(seen: Profile, apart: float, most: int) -> list[tuple[float, float]]:
    """(azimuth, weight) of the heaviest places, each with all that lies within `apart` of it."""
    left = seen.fitted.weights.astype(float)
    out: list[tuple[float, float]] = []
    while len(out) < most and left.sum() > 1e-6:
        near = np.abs(seen.azimuths[:, None] - seen.azimuths) <= apart / 2
        centre = int(np.argmax(near @ left))
        top = seen.azimuths[centre]
        mass = np.where(np.abs(seen.azimuths - top) <= apart / 2, left, 0)
        azimuth = float(mass @ seen.azimuths / mass.sum())
        out.append((azimuth, float(mass.sum())))
        left[np.abs(seen.azimuths - azimuth) <= apart] = 0
    return out


def strongest(found: Sequence[Direction], count: int) -> list[Direction]:
    """The surest few."""
    return sorted(found, key=lambda one: -one.confidence)[:count]
