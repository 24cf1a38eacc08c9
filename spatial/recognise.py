"""Recognise the stereo setup from the recording alone."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from spatial import mixture
from spatial.evidence import BANDS, Evidence, diffuse_density, steering_distance
from spatial.learned import load_network
from spatial.setups import Setup, make_setup

USUAL = 0.5  # metres between spaced microphones
SPACINGS = (0.2, 0.35, 0.5, 0.7, 1.0)  # metres that are tried
MOST = 8000  # bins that are used
FEW = 4000  # bins that are used for the spacing
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True)
class Recognition:
    """A setup and its confidence."""

    setup: Setup
    confidence: float  # 0..1


def candidate_setups() -> list[Setup]:
    """The setups that are tried."""
    return [make_setup(n) for n in ("panned", "xy", "ms", "ortf", "nos", "binaural")] + [
        make_setup("spaced", spacing=s) for s in SPACINGS
    ]


def compute_likelihoods(evidence: Evidence) -> Float[np.ndarray, " likelihoods"]:
    """For each candidate in turn: mean log density of the fitted mixture, and its share of diffuse sound."""
    values = []
    for setup in candidate_setups():
        azimuths = np.linspace(-setup.limit, setup.limit, 61).astype(np.float32)
        levels = mixture.quantise(steering_distance(evidence, setup, azimuths))
        fitted = mixture.fit(levels, evidence.weight, diffuse_density(evidence, setup), rounds=12)
        values += [fitted.likelihood, fitted.diffuse]
    return np.array(values, np.float32)


def compute_features(evidence: Evidence) -> Float[np.ndarray, " features"]:
    """The input of the network that recognises the setup."""
    few = evidence.keep_heaviest(MOST)
    values = compute_likelihoods(few)
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
    relative = values[::2] - values[::2].max()
    parts = [values, relative, levels, np.abs(levels), cues, evidence.ringing.ravel()]
    return np.concatenate(parts).astype(np.float32)


def recognise(evidence: Evidence) -> Recognition:
    """The most likely setup; without evidence "panned", with confidence 0."""
    if not len(evidence):
        return Recognition(make_setup("panned"), 0.0)
    features = compute_features(evidence)
    network = load_network("recognise")
    probabilities = network.predict_probabilities(features)
    best = network.classes[int(np.argmax(probabilities))]
    setup = make_setup(best, spacing=estimate_spacing(evidence) if best == "spaced" else None)
    return Recognition(setup, float(probabilities.max()))


def estimate_spacing(evidence: Evidence) -> float:
    """Metres between omnidirectional microphones: half a metre, unless the evidence contradicts it.

    One dry source alone does not tell: a wider pair and a smaller angle delay it as much.
    """
    few = evidence.keep_heaviest(FEW)
    spacings = np.geomspace(0.125, 2.0, 17)  # the usual one is among them
    values = []
    for metres in spacings:
        setup = make_setup("spaced", spacing=float(metres))
        azimuths = np.rad2deg(np.arcsin(np.linspace(-1, 1, 73))).astype(np.float32)
        levels = mixture.quantise(steering_distance(few, setup, azimuths))
        values.append(mixture.fit(levels, few.weight, diffuse_density(few, setup), rounds=7).likelihood)
    likelihood = np.array(values)
    near = np.abs(np.log(spacings / USUAL)) < 0.2
    if likelihood[near].max() > likelihood.max() - 0.03 - 0.15 * max(likelihood.max(), 0):
        return USUAL
    return float(spacings[np.argmax(likelihood - 0.02 * np.log(spacings / USUAL) ** 2)])
