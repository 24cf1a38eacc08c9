"""Measure the networks of `spatial` on features of scenes that they were not fitted on.

    python -m experiments.world.training.measure_listening runs/features/val

The folder is one of `listening_features`. Number and azimuths are measured with the setup known.
"""

import argparse
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatial.learned import Answer, load_network, predict_heatmap
from spatial.localisation import pick_peaks
from spatial.maps import COUNT, Maps
from spatial.metrics import WITHIN

CONFIDENCES = (0.0, 0.55, 0.8, 0.95, 1.01)
Truth = dict[str, Any]  # of `listening_features.Truth`


@dataclass(frozen=True, eq=False)
class Features:
    """Scenes, and what is seen of them under one or two assumptions each."""

    features: NDArray  # (scenes, features), for the setup
    scenes: list[Truth]  # one truth of each scene
    overall: NDArray  # (assumptions, MAPS, COUNT) float16
    timed: NDArray  # (assumptions, TIMED, blocks, COUNT) float16
    truths: list[Truth]  # of each assumption


def load_features(folder: Path) -> Features:
    """Load all shards of a folder."""
    rows: list[NDArray] = []
    overall: list[NDArray] = []
    timed: list[NDArray] = []
    scenes: list[Truth] = []
    truths: list[Truth] = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as stored:
            facts, of = json.loads(str(stored["truths"])), stored["of"]
            for rows_of, name in ((rows, "features"), (overall, "overall"), (timed, "timed")):
                rows_of.append(stored[name])
        scenes += [facts[int(np.flatnonzero(of == index)[0])] for index in range(len(rows[-1]))]
        truths += facts
    return Features(np.concatenate(rows), scenes, np.concatenate(overall), np.concatenate(timed), truths)


def measure_setups(scenes: Features) -> list[str]:
    """Lines: how often each setup is recognised, dry and in rooms; how often the network is right when it is sure."""
    net = load_network("recognise")
    shares = net.predict_probabilities(scenes.features)
    guesses = [net.classes[int(row.argmax())] for row in shares]
    groups: dict[str, list[tuple[bool, str]]] = defaultdict(list)
    sure: dict[float, list[bool]] = defaultdict(list)
    for guess, row, truth in zip(guesses, shares, scenes.scenes, strict=True):
        right = guess == truth["setup"]
        for key in (f"{truth['setup']} {_room(truth)}", "all"):
            groups[key].append((right, guess))
        sure[max(edge for edge in CONFIDENCES if edge <= row.max())].append(right)
    lines = []
    for key, results in sorted(groups.items()):
        wrong = [guess for right, guess in results if not right]
        taken = {name: wrong.count(name) for name in sorted(set(wrong))}
        lines.append(f"{key:14s} {len(results):5d} scenes: setup {_percent(right for right, _ in results)}  {taken}")
    lines += [f"confidence from {low:.2f}: {_percent(sure[low])} right of {len(sure[low])}" for low in sorted(sure)]
    return lines


def measure_directions(scenes: Features) -> list[str]:
    """Lines: how often number and azimuths are right; how well validity tells right from wrong assumptions."""
    groups: dict[str, list[tuple[int, ...]]] = defaultdict(list)
    validity = []
    for overall, timed, truth in zip(scenes.overall, scenes.timed, scenes.truths, strict=True):
        answer = predict_heatmap(Maps(overall.astype(np.float32), timed.astype(np.float32)))
        validity.append(answer.validity)
        if truth["right"]:
            for key in ("all", f"{truth['setup']} {_room(truth)}", f"{len(truth['azimuths'])} {_room(truth)}"):
                groups[key].append(score_peaks(answer, truth))
    lines = []
    for key, results in sorted(groups.items()):
        right, true, found, near, told = np.array(results).T
        score = 200 * near.sum() / (true.sum() + found.sum())
        lines.append(
            f"{key:14s} {len(right):5d} scenes: number {_percent(right)}, F at {WITHIN:g} degrees {score:.1f} %, "
            f"within {WITHIN:g} degrees, number told {100 * told.sum() / true.sum():.1f} %"
        )
    return [*lines, f"area under the curve of validity: {_area(validity, [t['right'] for t in scenes.truths]):.3f}"]


def score_peaks(answer: Answer, truth: Truth) -> tuple[int, ...]:
    """(number right, true sources, sources found, true ones found, and found with the number told).

    The number is the network's own; `spatial.counting` is better, but needs the recording.
    """
    true = np.array(truth["azimuths"])
    scale = truth["limit"] / ((COUNT - 1) / 2)
    free, told = (
        np.array([position * scale - truth["limit"] for position, _ in pick_peaks(answer, count)])
        for count in (int(answer.counts.argmax()) + 1, len(true))
    )
    near = [int(sum(np.abs(each - azimuth).min(initial=180) <= WITHIN for azimuth in true)) for each in (free, told)]
    return int(len(free) == len(true)), len(true), len(free), *near


def _area(scores: list[float], truth: list[bool]) -> float:
    """Area under the receiver operating characteristic, by ranks."""
    ranks, positive = np.argsort(np.argsort(scores)), np.array(truth)
    return float((ranks[positive].mean() - (positive.sum() - 1) / 2) / max((~positive).sum(), 1))


def _room(truth: Truth) -> str:
    return "room" if truth["rt60"] else "dry"


def _percent(values: Any) -> str:
    return f"{100 * float(np.mean(list(values))):.1f} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    scenes = load_features(parser.parse_args().folder)
    print("\n".join([*measure_setups(scenes), "", *measure_directions(scenes)]))


if __name__ == "__main__":
    main()
