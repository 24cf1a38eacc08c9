"""Scores of the spatial benchmark.

A folder of scenes has index.json, a list of scene names, and in each scene's folder truth.json, the recording and its
sources as they are in it. Predictions are {"system", "given", "scenes": {name: {"sources": [{"azimuth_deg", "track",
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
import soundfile

from experiments.benchmarks.public_methods import FINDERS, SEPARATORS
from spatial import metrics

LISTENERS = ("listen", "listen-setup")  # `spatial.listen`, without and with the setup given
SYSTEMS = (*LISTENERS, *FINDERS, *SEPARATORS)

Values = dict[str, list[float]]
SCENE_SETUPS = {"spaced": "ab50"}  # names of setups in `spatial` -> in the scenes
COUNT_GIVEN = "-count"  # at the end of a system's name: the number of sources was given


@dataclass(frozen=True)
class Scored:
    """One scene: its truth, and the values of a system's answer."""

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
    """All scores but those of the stems."""
    true, estimated = truth["sources"], guess.get("sources", [])
    pairs = metrics.pair([_place_of(one) for one in true], [_place_of(one) for one in estimated])
    partners = {t: (e, error) for t, e, error in pairs}
    out: Values = defaultdict(list)
    for index, one in enumerate(true):
        partner, error = partners.get(index, (None, np.inf))
        out["recalled"].append(error <= metrics.WITHIN)
        if not one["moving"]:
            same = partner is not None and _side_of(estimated[partner]) == _side_of(one)
            out["side"].append(same)
        if partner is not None:
            out["error"].append(error)
            out["track" if one["moving"] else "still"].append(error)
        if any("label" in each for each in estimated):
            out["labelled"].append(any(_matches_label(one, each) for each in estimated))
    close = {partner for partner, error in partners.values() if error <= metrics.WITHIN}
    out["precise"] += [number in close for number in range(len(estimated))]
    out["count"].append(len(estimated) == truth["n_sources"])
    if "setup" in guess:
        names = [SCENE_SETUPS.get(name, name) for name in (guess["setup"], truth["setup"])]
        out["setup"].append(names[0] == names[1])
    out["wall"] += [guess["wall_s"]] if "wall_s" in guess else []
    return out


def score_stems(truth: Mapping[str, Any], stems: Sequence[np.ndarray], folder: Path) -> Values:
    """SI-SDR and its improvement over the mixture, dB, of two or more fixed sources; stems (frames,) or (2, frames)."""
    if truth["moving"] or truth["n_sources"] < 2:
        return {}
    mixture = read_audio(folder / truth["mix"])
    images = np.stack([read_audio(folder / one["image"]) for one in truth["sources"]])
    pairs = metrics.si_sdr_improvement([fit_length(stem, mixture.shape[1]) for stem in stems], images, mixture)
    return {"sdr": [after for after, _ in pairs], "sdri": [better for _, better in pairs]}


def score(scenes: Path, predictions: Path) -> list[Scored]:
    """Scores of every scene in a prediction file; those of stems if it names any."""
    predicted = json.loads(predictions.read_text())["scenes"]
    separated = any("stem" in one for guess in predicted.values() for one in guess["sources"])
    out = []
    for name, guess in predicted.items():
        truth = json.loads((scenes / name / "truth.json").read_text())
        values = score_scene(truth, guess)
        if separated:
            stems = [read_audio(predictions.parent / one["stem"]) for one in guess["sources"] if "stem" in one]
            values |= score_stems(truth, stems, scenes / name)
        out.append(Scored(truth, values))
    return out


def read_audio(path: Path) -> np.ndarray:
    """(channels, frames); one channel: (frames,)."""
    samples = soundfile.read(path, always_2d=True)[0].T
    return samples if len(samples) > 1 else samples[0]


def fit_length(stem: np.ndarray, frames: int) -> np.ndarray:
    """The stem cut or padded with silence."""
    stem = stem[..., :frames]
    return np.pad(stem, [(0, 0)] * (stem.ndim - 1) + [(0, frames - stem.shape[-1])])


def _place_of(one: Mapping[str, Any]) -> metrics.Place:
    return [(float(t), float(a)) for t, a in one["track"]] if one.get("track") else float(one["azimuth_deg"])


def _side_of(one: Mapping[str, Any]) -> int:
    return metrics.side(one["azimuth_deg"])


def _matches_label(true: Mapping[str, Any], estimated: Mapping[str, Any]) -> bool:
    """Whether the label is correct and the place within 10 degrees."""
    near = metrics.angular_error(_place_of(true), _place_of(estimated)) <= metrics.WITHIN
    return estimated.get("label") == true["label"] and near
