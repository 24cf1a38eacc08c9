"""A recording -> the directions of its sources, and the confidence of each."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from spatial.counting import PEAKS, estimate_number
from spatial.doa_baselines import localise_by
from spatial.errors import SpatialError
from spatial.evidence import Evidence, gather, steering_distance
from spatial.learned import Answer, predict_heatmap
from spatial.levels import refine_panned
from spatial.maps import COHERENCE_POWER, COUNT, azimuth_grid, compute_maps
from spatial.peaks import find_local_maxima, interpolate_peak
from spatial.recognise import Recognition, recognise
from spatial.scene import Direction
from spatial.setups import Setup, make_setup

APART = 7  # grid steps below which two sources count as one: 14 degrees, 7 in a panned recording
NEAR = 4.0  # degrees within which an azimuth is refined
FINE = 0.05  # degrees: step of the refinement
BLUNT = 0.03  # steering distance of the sharpest bins above which they are no more precise than the network
LEAST = 1e-4  # least presence of a peak
METHODS = ("maps", "srp", "music", "normmusic")


def localise(
    recording: Float[np.ndarray, "2 frames"],
    rate: int,
    *,
    setup: str | Setup = "auto",
    spacing: float | None = None,
    max_sources: int = 4,
    count: int | None = None,
    method: str = "maps",
) -> list[Direction]:
    """Directions of the sources in a (2, frames) recording, most confident first.

    `count`: the number of sources, where it is known; `method`: "maps" is this package's own, the others are those of
    pyroomacoustics, which need microphones that stand apart. Raises SpatialError for an unknown method or setup.
    """
    if method not in METHODS:
        raise SpatialError(f'Got method="{method}", expected one of {", ".join(METHODS)}; change it.')
    evidence = gather(recording, rate)
    if not len(evidence):
        return []
    known = recognise(evidence) if setup == "auto" else Recognition(make_setup(setup, spacing=spacing), 1.0)
    stereo = known.setup
    if method != "maps":
        return localise_by(method, recording, rate, stereo, max_sources=max_sources, count=count)
    directions = estimate_directions(evidence, stereo, max_sources=max_sources, count=count, answer=known.answer)
    return refine_by_level(directions, evidence, recording, rate, stereo)


def estimate_directions(
    evidence: Evidence,
    setup: Setup,
    *,
    max_sources: int = 4,
    count: int | None = None,
    answer: Answer | None = None,
) -> list[Direction]:
    """Directions of fixed sources by the network, most confident first; `answer`: the network's, if known already."""
    if not len(evidence):
        return []
    answer = answer or predict_heatmap(compute_maps(evidence, setup))
    peaks = pick_peaks(answer, count or PEAKS)
    if count is None and peaks:
        peaks = peaks[: min(max_sources, estimate_number(evidence, setup, answer, peaks))]
    azimuths = [azimuth_grid(setup)[0] + position * 2 * setup.limit / (COUNT - 1) for position, _ in peaks]
    return [
        refine_direction(evidence, setup, float(azimuth), confidence)
        for azimuth, (_, confidence) in zip(azimuths, peaks, strict=True)
    ]


def refine_by_level(
    directions: list[Direction],
    evidence: Evidence,
    recording: Float[np.ndarray, "2 frames"],
    rate: int,
    setup: Setup,
) -> list[Direction]:
    """The same directions; in a panned recording with azimuths refined for sources that overlap."""
    if setup.name != "panned":
        return directions
    azimuths = refine_panned(evidence, recording, rate, setup, [one.azimuth for one in directions])
    return [replace(one, azimuth=azimuth) for one, azimuth in zip(directions, azimuths, strict=True)]


def pick_peaks(answer: Answer, most: int) -> list[tuple[float, float]]:
    """(position on the grid, confidence) of the highest peaks, at most that many."""
    peaks: list[tuple[float, float]] = []
    free = np.ones(COUNT, bool)
    summits = np.where(find_local_maxima(answer.logits), answer.presence, 0)
    for left in (summits, answer.presence):  # flanks once no summit is left
        while len(peaks) < most and (left * free).max() > LEAST:
            top = int((left * free).argmax())
            peaks.append((top + interpolate_peak(answer.logits, top), float(answer.presence[top])))
            free[max(0, top - APART) : top + APART + 1] = False
    return peaks


def refine_direction(evidence: Evidence, setup: Setup, azimuth: float, confidence: float) -> Direction:
    """The azimuth on which the sharpest bins nearby agree, and their spread."""
    low, high = max(-setup.limit, azimuth - NEAR), min(setup.limit, azimuth + NEAR)
    coarse = np.linspace(low - 2 * NEAR, high + 2 * NEAR, 49).clip(-setup.limit, setup.limit).astype(np.float32)
    distances = steering_distance(evidence, setup, coarse)
    best = coarse[distances.argmin(axis=1)]
    near = (best >= low) & (best <= high) & (distances.min(axis=1) < 0.2)
    weight = evidence.weight * np.linalg.norm(evidence.stokes, axis=1) ** COHERENCE_POWER
    if near.sum() < 20:
        return Direction(azimuth, 2 * NEAR, confidence)
    share = weight[near] / weight[near].sum()
    spread = _weighted_median(np.abs(best[near] - azimuth), share)
    few = evidence.select(np.flatnonzero(near))
    fine = np.arange(low, high + FINE / 2, FINE).clip(low, high).astype(np.float32)
    width = np.clip(np.median(distances[near].min(axis=1)), 1e-5, 0.1)
    if width > BLUNT:
        return Direction(azimuth, spread, confidence)
    score = share @ (width / (steering_distance(few, setup, fine) + width))
    return Direction(float(fine[score.argmax()]), spread, confidence)


def _weighted_median(distances: Float[np.ndarray, " bins"], share: Float[np.ndarray, " bins"]) -> float:
    """The distance within which half of the shares lie."""
    order = np.argsort(distances)
    return float(distances[order][np.searchsorted(np.cumsum(share[order]), 0.5).clip(0, len(order) - 1)])
