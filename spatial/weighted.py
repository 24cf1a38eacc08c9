"""Directions of sounds of which it is known when and at which frequencies they are heard.

Such an *activity* weights the bins of the evidence. What only one activity has tells its direction: the votes of the
others, in which a louder sound is as strong, are subtracted. Works where sources are too few or too weak to be found.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from spatial.errors import SpatialError
from spatial.evidence import Evidence, gather, steering_distance
from spatial.listening import separate_sources
from spatial.maps import COHERENCE_POWER, azimuth_grid
from spatial.scene import Direction, Scene
from spatial.setups import make_setup

WIDTH = 0.05  # of steering distances: a bin votes half as much for an azimuth that far off
CONFIDENCE = 0.5  # of a source that only its activity shows


def localise_activities(
    recording: Float[np.ndarray, "2 frames"],
    rate: int,
    activities: Float[np.ndarray, "sounds times frequencies"],
    times: Float[np.ndarray, " times"],
    frequencies: Float[np.ndarray, " frequencies"],
    *,
    setup: str,
    spacing: float | None = None,
) -> list[float]:
    """The azimuth of each sound, in degrees; arguments as of `vote_for_azimuths`."""
    grid, votes = vote_for_azimuths(recording, rate, activities, times, frequencies, setup=setup, spacing=spacing)
    return [float(grid[top]) for top in votes.argmax(axis=1)] if votes.any() else [0.0] * len(activities)


def vote_for_azimuths(
    recording: Float[np.ndarray, "2 frames"],
    rate: int,
    activities: Float[np.ndarray, "sounds times frequencies"],
    times: Float[np.ndarray, " times"],
    frequencies: Float[np.ndarray, " frequencies"],
    *,
    setup: str,
    spacing: float | None = None,
) -> tuple[Float[np.ndarray, " azimuths"], Float[np.ndarray, "sounds azimuths"]]:
    """(azimuths in degrees, how much more each sound's bins vote for them than those of the others do).

    times: seconds, ascending; frequencies: Hz, ascending. Bins beyond them do not count. Of a single activity, the
    votes of the whole recording are subtracted. All are 0 where the recording has no evidence.
    """
    evidence, stereo = gather(recording, rate), make_setup(setup, spacing=spacing)
    grid = azimuth_grid(stereo)
    if not len(evidence):
        return grid, np.zeros((len(activities), len(grid)))
    distance = steering_distance(evidence, stereo, grid)
    nearness = WIDTH / (distance + WIDTH)
    weight = evidence.weight * np.linalg.norm(evidence.stokes, axis=1) ** COHERENCE_POWER
    weights = weight * _read_activities(evidence, activities, times, frequencies)
    if len(activities) < 2:
        weights = np.concatenate([weights, weight[None]])
    votes = weights @ nearness / (weights.sum(axis=1, keepdims=True) + 1e-12)  # (sounds, azimuths)
    others = (votes.sum(axis=0) - votes) / (len(votes) - 1)
    return grid, (votes - others)[: len(activities)]


def add_sources(scene: Scene, azimuths: Sequence[float]) -> Scene:
    """The scene with more sources, separated anew, the loudest first; SpatialError if its sources have no images.

    How wide the old ones are is forgotten: a source may have been two.
    """
    recording = scene.sum_images()
    if recording is None:
        raise SpatialError("Got a scene without images, expected one of `listen`; sources cannot be added to it.")
    directions = [replace(source.direction, spread=0.0) for source in scene.sources]
    directions += [Direction(azimuth, confidence=CONFIDENCE) for azimuth in azimuths]
    paths = [source.path for source in scene.sources] + [()] * len(azimuths)
    setup = make_setup(scene.setup, spacing=scene.spacing if scene.setup == "spaced" else None)
    sources = separate_sources(recording, scene.rate, setup, directions, paths)
    return replace(scene, sources=tuple(sorted(sources, key=lambda one: -one.level)))


def _read_activities(
    evidence: Evidence,
    activities: Float[np.ndarray, "sounds times frequencies"],
    times: Float[np.ndarray, " times"],
    frequencies: Float[np.ndarray, " frequencies"],
) -> Float[np.ndarray, "sounds bins"]:
    """The activity at the time and frequency nearest to each bin; 0 beyond the frequencies."""
    hertz = evidence.frequencies[evidence.index]
    column = np.searchsorted((times[1:] + times[:-1]) / 2, evidence.times)
    band = np.searchsorted((frequencies[1:] + frequencies[:-1]) / 2, hertz)
    inside = (hertz >= frequencies[0]) & (hertz <= frequencies[-1])
    return activities[:, column, band] * inside
