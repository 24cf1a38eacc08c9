"""Recognise the stereo setup from the recording alone."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from spatial import mixture
from spatial.cues import compute_features
from spatial.evidence import Evidence, diffuse_density, steering_distance
from spatial.learned import Answer, load_network, predict_heatmap
from spatial.maps import compute_maps
from spatial.setups import Setup, make_setup

USUAL = 0.5  # metres between spaced microphones
WIDEST = 70.0  # degrees: sources further to the side are not expected
DOUBT = 0.06  # likelihood that another spacing must gain over the usual one, and more where the likelihood is high
FEW = 4000  # bins that are used for the spacing
SURE = 0.8  # share of the likeliest setup from which it is taken as it is
RIVALS, UNLIKELY = 3, 0.03  # setups that compete at most, and the share that each has at least


@dataclass(frozen=True, eq=False)
class Recognition:
    """A setup and its confidence."""

    setup: Setup
    confidence: float  # 0..1
    answer: Answer | None = None  # of the network that localises sources, given this setup; None unless setups competed


def recognise(evidence: Evidence) -> Recognition:
    """The most likely setup; without evidence "panned", with confidence 0.

    Where the cues leave it open, the likeliest setups compete: each is assumed in turn, and the network that localises
    sources says whether what it then sees looks like sources. Stereo that is none of these setups gets the likeliest
    of them, with a low confidence.
    """
    if not len(evidence):
        return Recognition(make_setup("panned"), 0.0)
    shares = weigh_setups(evidence)
    known = 1.0 - shares.pop("other", 0.0)
    ranked = sorted(shares, key=lambda name: -shares[name])
    if shares[ranked[0]] >= SURE * known:
        best = make_candidate(ranked[0], evidence)
        return Recognition(best, shares[ranked[0]])
    likely = [name for name in ranked[:RIVALS] if shares[name] > UNLIKELY] or ranked[:1]
    rivals = [make_candidate(name, evidence) for name in likely]
    answers = [predict_heatmap(compute_maps(evidence, one)) for one in rivals]
    pairs = zip(rivals, answers, strict=True)
    scores = np.array([shares[rival.name] * expit(answer.validity) for rival, answer in pairs])
    top = int(scores.argmax())
    return Recognition(rivals[top], known * float(scores[top] / scores.sum()), answers[top])


def weigh_setups(evidence: Evidence) -> dict[str, float]:
    """The probability of each setup, and of "other": the geometric mean over the recording and its mirror image.

    So exchanging the channels changes nothing. Mid-side is the exception: exchanged, it is no longer mid-side.
    """
    network = load_network("recognise")
    here, mirrored = (
        dict(zip(network.classes, network.predict_probabilities(compute_features(each)), strict=True))
        for each in (evidence, evidence.mirrored())
    )
    shares = {name: float(here[name] if name == "ms" else np.sqrt(here[name] * mirrored[name])) for name in here}
    total = sum(shares.values())
    return {name: share / total for name, share in shares.items()}


def make_candidate(name: str, evidence: Evidence) -> Setup:
    """The setup of that name, with its spacing estimated."""
    return make_setup(name, spacing=estimate_spacing(evidence) if name == "spaced" else None)


def estimate_spacing(evidence: Evidence) -> float:
    """Metres between omnidirectional microphones: half a metre, unless the evidence clearly contradicts it.

    One dry source alone does not tell: a wider pair and a smaller angle delay it as much. Sources are taken to be
    within `WIDEST` degrees, as otherwise half a metre would explain the sources of a metre.
    """
    few = evidence.keep_heaviest(FEW)
    spacings = np.geomspace(0.125, 4.0, 21)  # the usual one is among them
    edge = np.sin(np.deg2rad(WIDEST))
    values = []
    for metres in spacings:
        setup = make_setup("spaced", spacing=float(metres))
        azimuths = np.rad2deg(np.arcsin(np.linspace(-edge, edge, 73))).astype(np.float32)
        levels = mixture.quantise(steering_distance(few, setup, azimuths))
        values.append(mixture.fit(levels, few.weight, diffuse_density(few, setup), rounds=7).likelihood)
    likelihood = np.array(values)
    near = np.abs(np.log(spacings / USUAL)) < 0.2
    if likelihood[near].max() > likelihood.max() - DOUBT - 0.15 * max(likelihood.max(), 0):
        return USUAL
    return float(spacings[np.argmax(likelihood - 0.02 * np.log(spacings / USUAL) ** 2)])
