"""Ambience: whether a recording is one sound from everywhere, such as rain, rather than sources with directions.

The bins of ambient sound fit the diffuse field better than any direction. In a setup that records level differences
only, they fit all directions equally well. Reverberation does the same, but beside a direct sound with a high
confidence.
"""

from dataclasses import replace

import numpy as np

from spatial import mixture
from spatial.evidence import Evidence, diffuse_density, steering_distance
from spatial.maps import COHERENCE_POWER, COUNT, azimuth_grid
from spatial.scene import Direction
from spatial.setups import Setup

SURE = 0.8  # confidence above which a direction is that of a source
# Share of the diffuse field from which the recording is ambience. Chosen on 48 recordings of rain, waves and noise all
# around, dry and in rooms, of which 45 have as much, and on 116 of two sounds in rooms (RT60 0.3 s), of which none has.
DIFFUSE = 0.85
ALIKE = 0.3  # perplexity of the directions from which it is ambience, where only levels tell directions apart
SPREAD = 0.5  # of the setup's limit: half of an ambient sound arrives within it


def widen_ambience(directions: list[Direction], evidence: Evidence, setup: Setup) -> list[Direction]:
    """The same directions, with a large spread where none is sure and the sound comes from everywhere."""
    if not directions or max(one.confidence for one in directions) > SURE:
        return directions
    diffuse, alike = measure_ambience(evidence, setup)
    if ("time" in setup.cues and diffuse < DIFFUSE) or ("time" not in setup.cues and alike < ALIKE):
        return directions
    return [replace(one, spread=SPREAD * setup.limit) for one in directions]


def measure_ambience(evidence: Evidence, setup: Setup) -> tuple[float, float]:
    """(share of the diffuse field, perplexity of the directions over their number), each 0 to 1."""
    levels = mixture.quantise(steering_distance(evidence, setup, azimuth_grid(setup, 2 * COUNT - 1)))
    weight = evidence.weight * np.linalg.norm(evidence.stokes, axis=1) ** COHERENCE_POWER + 1e-12
    diffuse = diffuse_density(evidence, setup)
    coherent = mixture.fit(levels, weight, diffuse, rounds=15)
    weights = mixture.fit(levels, evidence.weight + 1e-12, diffuse, rounds=15).weights.astype(float)
    share = weights / weights.sum()
    perplexity = float(np.exp(-(share * np.log(share + 1e-12)).sum())) / len(share)
    return coherent.diffuse, perplexity
