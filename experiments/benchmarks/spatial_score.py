"""What the scores of the spatial benchmark are made of.

A folder of scenes has index.json, a list of scene names, and in each scene's folder truth.json, the recording and the
sources as they stand in it. Predictions are {"system", "given", "scenes": {name: {"sources": [{"azimuth_deg", "track",
"label", "stem"}], "setup", "wall_s"}}}. A *score* holds the values of one scene by name, to be pooled: a list with an
entry for each true source, pair, found source or scene.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from experiments.benchmarks.public_methods import FINDERS, SEPARATORS
from spatial import metrics

OURS = ("listen", "listen-setup")
SYSTEMS = (*OURS, *FINDERS, *SEPARATORS)


Values = dict[str, list[float]]
THEIRS = {"spaced": "ab50"}  # our setups by the names of the scenes
TOLD = "-count"  # at the end of a system's name: it was told how many there are


@dataclass(frozen=True)
class Scored:
    """One scene: what it is, and the values of a system's answer."""

    truth: Mapping[str, Any]
    values: Values = field(default_factory=dict)

    @property
    def kind(self) -> str:
        return "moving" if self.truth["moving"] else "static" if self.truth["snr_db"] is None else "noisy"

    @property
    def dry(self) -> bool:
        return not self.truth["rt60_s"]

    @property
    def count(self) -> int:
        return self.truth["n_sources"]


def score_scene(truth: Mapping[str, Any], guess: Mapping[str, Any]) -> Values:
    """Everything but the stems."""
    true, found = truth["sources"], guess.get("sources", [])
    places, heard = [_place(one) for one in true], [_place(one) for one in found]
    pairs = {t: (e, error) for t, e, error in metrics.pair(places, heard)}
    out: Values = defaultdict(list)
    for index, one in enumerate(true):
        partner, error = pairs.get(index, (None, np.inf))
        out["recalled"].append(error <= metrics.WITHIN)
        if not one["moving"]:
            same = partner is not None and _side(found[partner]) == _side(one)
            out["side"].append(same)
        if partner is not None:
            out["error"].append(error)
            out["track" if one["moving"] else "still"].append(error)
        if any("label" in each for each in found):
            out["labelled"].append(any(_is(one, each) for each in found))
    close = {partner for partner, error in pairs.values() if error <= metrics.WITHIN}
    out["precise"] += [number in close for number in range(len(found))]
    out["count"].append(len(found) == truth["n_sources"])
    if "setup" in guess:
        out["setup"].append(THEIRS.get(guess["setup"], guess["setup"]) == THEIRS.get(truth["setup"], truth["setup"]))
    out["wall"] += [guess["wall_s"]] if "wall_s" in guess else []
    return out


def score_stems(truth: Mapping[str, Any], stems: Sequence[np.ndarray], folder: Path) -> Values:
    """SI-SDR and its improvement over the mixture, dB, of two or more that stay; stems (frames,) or (2, frames)."""
    if truth["moving"] or truth["n_sources"] < 2:
        return {}
    mixture = read(folder / truth["mix"])
    images = np.stack([read(folder / one["image"]) for one in truth["sources"]])
    pairs = metrics.si_sdr_improvement([fitted(stem, mixture.shape[1]) for stem in stems], images, mixture)
    return {"sdr": [after for after, _ in pairs], "sdri": [better for _, better in pairs]}


def score(scenes: Path, predictions: Path) -> list[Scored]:
    """Every scene that a prediction file answers; the stems where it has any at all."""
    told = json.loads(predictions.read_text())["scenes"]
    separated = any("stem" in one for guess in told.values() for one in guess["sources"])
    out = []
    for name, guess in told.items():
        truth = json.loads((scenes / name / "truth.json").read_text())
        values = score_scene(truth, guess)
        if separated:
            stems = [read(predictions.parent / one["stem"]) for one in guess["sources"] if "stem" in one]
            values |= score_stems(truth, stems, scenes / name)
        out.append(Scored(truth, values))
    return out


def read(path: Path) -> np.ndarray:
    """(channels, frames); one channel: (frames,)."""
    import soundfile

    samples = soundfile.read(path, always_2d=True)[0].T
    return samples if len(samples) > 1 else samples[0]


def fitted(stem: np.ndarray, frames: int) -> np.ndarray:
    """Cut or filled up with silence."""
    stem = stem[..., :frames]
    return np.pad(stem, [(0, 0)] * (stem.ndim - 1) + [(0, frames - stem.shape[-1])])


def _place(one: Mapping[str, Any]) -> metrics.Place:
    return [(float(t), float(a)) for t, a in one["track"]] if one.get("track") else float(one["azimuth_deg"])


def _side(one: Mapping[str, Any]) -> int:
    return metrics.side(one["azimuth_deg"])


def _is(true: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """The right label and within 10 degrees."""
    return found.get("label") == true["label"] and metrics.angular_error(_place(true), _place(found)) <= metrics.WITHIN
