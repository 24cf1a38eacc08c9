"""Which kind of stereo a recording is, from the recording alone."""

from dataclasses import dataclass

import numpy as np

from spatial import mixture
from spatial.evidence import Evidence, diffuse_density, misfit
from spatial.setups import Setup
from spatial.setups import setup as named

SPACINGS = (0.2, 0.35, 0.5, 0.7, 1.0)  # metres that are tried
PRIOR = {"panned": 0.02, "spaced": 0.0, "nos": -0.05}  # nats per bin


@dataclass(frozen=True)
class Recognised:
    """A setup and how sure it is."""

    setup: Setup
    confidence: float  # 0..1
    likelihoods: dict[str, float]


def candidates() -> list[Setup]:
    """What is tried."""
    return [named(n) for n in ("panned", "xy", "ortf", "nos", "binaural")] + [
        named("spaced", spacing=s) for s in SPACINGS
    ]


def recognise(evidence: Evidence) -> Recognised:
    """The setup under which the evidence is the least surprising."""
    found = {}
    for stereo in candidates():
        azimuths = np.linspace(-stereo.limit, stereo.limit, 61).astype(np.float32)
        places = mixture.rounded(misfit(evidence, stereo, azimuths))
        fitted = mixture.fit(places, evidence.weight, diffuse_density(evidence, stereo), rounds=12)
        found[stereo] = fitted.likelihood + PRIOR.get(stereo.name, 0.0)
    best = max(found, key=lambda s: found[s])
    values = np.array(list(found.values()))
    share = np.exp(50 * (values - values.max()))
    return Recognised(
        best,
        float(share.max() / share.sum()),
        {f"{s.name}{s.spacing if s.name == 'spaced' else ''}": v for s, v in found.items()},
    )
