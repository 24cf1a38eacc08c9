"""Which kind of stereo a recording is, from the recording alone."""

from dataclasses import dataclass

import numpy as np

from spatial import mixture
from spatial.evidence import BANDS, Evidence, diffuse_density, misfit
from spatial.scene import Array
from spatial.setups import Setup
from spatial.setups import setup as named

SPACINGS = (0.2, 0.35, 0.5, 0.7, 1.0)  # metres that are tried
MOST = 8000  # bins that are asked
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True)
class Recognised:
    """A setup and how sure it is."""

    setup: Setup
    confidence: float  # 0..1
    likelihoods: dict[str, float]


def candidates() -> list[Setup]:
    """What is tried."""
    return [named(n) for n in ("panned", "xy", "ms", "ortf", "nos", "binaural")] + [
        named("spaced", spacing=s) for s in SPACINGS
    ]


def likelihoods(evidence: Evidence) -> Array:
    """(candidates,) mean log density of the evidence under each, best directions assumed."""
    found = []
    for stereo in candidates():
        azimuths = np.linspace(-stereo.limit, stereo.limit, 61).astype(np.float32)
        places = mixture.rounded(misfit(evidence, stereo, azimuths))
        fitted = mixture.fit(places, evidence.weight, diffuse_density(evidence, stereo), rounds=12)
        found += [fitted.likelihood, fitted.diffuse]
    return np.array(found, np.float32)


def features(evidence: Evidence) -> Array:
    """(features,) what the kind of stereo is told from."""
    few = evidence.heaviest(MOST)
    found = likelihoods(few)
    share = few.weight / few.weight.sum()
    order = np.argsort(few.stokes[:, 0])
    levels = np.interp(QUANTILES, np.cumsum(share[order]), few.stokes[order, 0])
    band = np.searchsorted(BANDS[1:-1], few.frequencies[few.index])
    cues = []
    for b in range(len(BANDS) - 1):
        here = band == b
        part = share[here] / (share[here].sum() + 1e-9)
        points = few.stokes[here]
        mean = part @ points
        cues += [*mean, *np.sqrt(np.maximum(part @ points**2 - mean**2, 0)), part @ (points**2).sum(axis=1)]
    return np.concatenate([found, levels, cues, evidence.ringing.ravel()]).astype(np.float32)
