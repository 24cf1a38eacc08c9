"""Is a recording one sound from everywhere, such as rain all around, rather than things that have places?

A sound from everywhere leaves bins that fit the diffuse field better than any direction, or, where levels alone place
things, bins that fit all directions alike. Reverberation does too, but beside a direct sound that one can be sure of.
"""

from dataclasses import replace

import numpy as np

from spatial import mixture
from spatial.evidence import Evidence, diffuse_density, steering_distance
from spatial.maps import COUNT, POLARISED, grid
from spatial.scene import Direction
from spatial.setups import Setup

SURE = 0.7  # confidence of a direction from which there is a thing
DIFFUSE = 0.35  # share of the diffuse field from which there is nothing else
ALIKE = 0.3  # share of all directions that are heard alike, from which it is the same by levels alone
SPREAD = 0.5  # of the setup's limit: within it half of such a sound arrives


def spread_out(found: list[Direction], evidence: Evidence, setup: Setup) -> list[Direction]:
    """The same directions, wide where nothing is sure and the sound is from everywhere."""
    if not found or max(one.confidence for one in found) > SURE:
        return found
    diffuse, alike = surrounds(evidence, setup)
    if ("time" in setup.cues and diffuse < DIFFUSE) or ("time" not in setup.cues and alike < ALIKE):
        return found
    return [replace(one, spread=SPREAD * setup.limit) for one in found]


def surrounds(evidence: Evidence, setup: Setup) -> tuple[float, float]:
    """(share of the diffuse field, share of all directions that are heard alike: its perplexity), each 0 to 1."""
    places = mixture.rounded(steering_distance(evidence, setup, grid(setup, 2 * COUNT - 1)))
    weight = evidence.weight * np.linalg.norm(evidence.stokes, axis=1) ** POLARISED + 1e-12
    diffuse = diffuse_density(evidence, setup)
    found = mixture.fit(places, weight, diffuse, rounds=15)
    each = mixture.fit(places, evidence.weight + 1e-12, diffuse, rounds=15).weights.astype(float)
    share = each / each.sum()
    alike = float(np.exp(-(share * np.log(share + 1e-12)).sum())) / len(share)
    return found.diffuse, alike
