"""Which kind of stereo a recording is, from the recording alone."""

from dataclasses import dataclass

import numpy as np

from spatial import mixture
from spatial.evidence import BANDS, Evidence, diffuse_density, steering_distance
from spatial.learned import network
from spatial.scene import Array
from spatial.setups import Setup, make_setup

USUAL = 0.5  # metres between spaced microphones
SPACINGS = (0.2, 0.35, 0.5, 0.7, 1.0)  # metres that are tried
MOST = 8000  # bins that are asked
FEW = 4000  # of them, for the spacing
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True)
class Recognised:
    """A setup and how sure it is."""

    setup: Setup
    confidence: float  # 0..1


def candidates() -> list[Setup]:
    """What is tried."""
    return [make_setup(n) for n in ("panned", "xy", "ms", "ortf", "nos", "binaural")] + [
        make_setup("spaced", spacing=s) for s in SPACINGS
    ]


def likelihoods(evidence: Evidence) -> Array:
    """(2 candidates,) in turns: mean log density under each with its best directions, and the share that has none."""
    found = []
    for stereo in candidates():
        azimuths = np.linspace(-stereo.limit, stereo.limit, 61).astype(np.float32)
        places = mixture.rounded(steering_distance(evidence, stereo, azimuths))
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
    likely = found[::2] - found[::2].max()
    parts = [found, likely, levels, np.abs(levels), cues, evidence.ringing.ravel()]
    return np.concatenate(parts).astype(np.float32)


def recognise(evidence: Evidence) -> Recognised:
    """The most likely kind of stereo; without evidence it is taken to be panned, with no confidence."""
    if not len(evidence):
        return Recognised(make_setup("panned"), 0.0)
    seen = features(evidence)
    net = network("recognise")
    share = net.probabilities(seen)
    best = net.classes[int(np.argmax(share))]
    stereo = make_setup(best) if best != "spaced" else make_setup("spaced", spacing=spacing(evidence))
    return Recognised(stereo, float(share.max()))


def spacing(evidence: Evidence) -> float:
    """Metres between omnidirectional microphones; the usual half a metre unless the evidence objects.

    One dry sound alone says nothing of it: a wider pair and a smaller angle delay it as much.
    """
    few = evidence.heaviest(FEW)
    tried = np.geomspace(0.125, 2.0, 17)  # the usual one is among them
    found = []
    for metres in tried:
        stereo = make_setup("spaced", spacing=float(metres))
        azimuths = np.rad2deg(np.arcsin(np.linspace(-1, 1, 73))).astype(np.float32)
        places = mixture.rounded(steering_distance(few, stereo, azimuths))
        found.append(mixture.fit(places, few.weight, diffuse_density(few, stereo), rounds=7).likelihood)
    likelihood = np.array(found)
    near = np.abs(np.log(tried / USUAL)) < 0.2
    if likelihood[near].max() > likelihood.max() - 0.03 - 0.15 * max(likelihood.max(), 0):
        return USUAL
    return float(tried[np.argmax(likelihood - 0.02 * np.log(tried / USUAL) ** 2)])
