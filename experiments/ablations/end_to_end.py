"""The end-to-end pipeline as a task: a simulated stereo recording and a prompt that names its sounds -> a picture.

Each stage can be replaced by the truth, or by doing nothing. Figures: `matched`: share of true
sources whose word is the right one; `sided`: share whose word was also given a place on the right side, before anything
is drawn; `present`, `side`, `all_present`, `all_side`, `error`: of the picture, as in `ablations.guidance`, against
where things truly were; `si_sdr_improvement` dB; `angle` degrees of the sources found; `cpu_per_scene` seconds.
"""

import os
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL.Image import Image

from audiotoken.protocols import SoundPipeline
from audiotoken.stereo.options import PlanOptions
from audiotoken.stereo.planning import Plan, Stages, make_plan
from audiotoken.stereo.words import THRESHOLD
from experiments.ablations.listening import (
    SEPARATIONS,
    average_finite,
    listen_to_scene,
    pair_sources,
    record_case,
    replace_signals,
    spread_cases,
)
from experiments.ablations.shared import load_pipeline_once
from experiments.benchmarks.cases import Case
from experiments.benchmarks.end_to_end import draw_plans, measure_pictures
from experiments.benchmarks.tables import write_sheet
from experiments.hydra_cli import check_choices
from experiments.world.measure import article
from guidance.metrics import average_placements
from spatial.matching import Match, match
from spatial.metrics import mean_error, si_sdr_improvement

MATCHINGS = ("hungarian", "greedy", "none", "oracle")
BATCH = 8
MAX_AZIMUTH = 38.0  # degrees to a side; the camera sees 45


@dataclass(frozen=True, eq=False)
class StageVariants:
    """Which variant of each stage to use."""

    directions: str
    separation: str
    matching: str


def place_sounds(
    *,
    model: str = "mini",
    setup: str = "ortf",
    rt60: float | None = None,
    snr: float | None = None,
    num_sources: int = 2,
    directions: str = "estimated",
    separation: str = "estimated",
    matching: str = "hungarian",
    energy: str = "combined",
    n: int = 5,
    drawn: int | None = None,
    sampling_steps: int | None = 10,
    seed: int,
    out: str | os.PathLike,
) -> dict[str, float]:
    """Record `n` scenes of `seed`, plan a picture of each and draw the first `drawn` (null: all), and look.

    directions: "estimated" by listening, or "oracle". separation: "estimated", "none" (each source hears everything) or
    "oracle" (its true image). matching of sources and words: "hungarian", "greedy" (best pair first), "none" (words in
    the order of the prompt, sources loudest first) or "oracle". The prompt says the words in a random order.
    """
    check_choices(
        directions=([directions], ("estimated", "oracle")),
        separation=([separation], SEPARATIONS),
        matching=([matching], MATCHINGS),
    )
    pipe, variants = load_pipeline_once(model), StageVariants(directions, separation, matching)
    found: dict[str, list[float]] = defaultdict(list)
    plans, scenes = [], spread_cases(n, num_sources, seed, MAX_AZIMUTH, sides=True)
    for case in scenes:
        start = time.process_time()
        simulated = record_case(case, setup, rt60, snr)
        options = PlanOptions(prompt=name_all(case), unmatched="drop")
        stages = make_stages(case, simulated, variants)
        plan = make_plan(simulated.recording, simulated.scene.rate, pipe, options, stages=stages)
        plans.append(plan)
        for name, value in score_plan(plan, case, simulated).items():
            found[name].append(value)
        found["cpu_per_scene"].append(time.process_time() - start)
    shown = n if drawn is None else min(drawn, n)
    figures = {name: average_finite(values) for name, values in found.items()}
    return figures | (
        _draw_and_score(pipe, plans[:shown], scenes[:shown], energy, sampling_steps, Path(out)) if shown else {}
    )


def make_stages(case: Case, simulated: Any, variants: StageVariants) -> Stages:
    """The stages of `audiotoken.stereo.planning.make_plan`, in these variants."""

    def find_sources(recording: Any, rate: int, options: PlanOptions, report_progress: Any) -> Any:
        return replace_signals(
            listen_to_scene(simulated, "auto", None, variants.directions), simulated, variants.separation
        )

    def match_words(scores: np.ndarray, scene: Any, words: Sequence[Any]) -> list[Any]:
        return match_sources(scores, variants.matching, find_true_words(scene, simulated, case, words))

    return Stages(find_sources=find_sources, match=match_words)


def name_all(case: Case) -> str:
    """ "a photo of a dog and an owl", in an order that has nothing to do with who is where."""
    return "a photo of " + " and ".join(article(word) for word in sorted(case.words))


def find_true_words(scene: Any, simulated: Any, case: Case, words: Sequence[Any]) -> dict[int, int]:
    """Source -> the word that it truly is, by the nearest true direction."""
    texts = [word.text for word in words]
    return {found: texts.index(case.words[true]) for found, true in pair_sources(scene, simulated.scene)}


def match_sources(scores: np.ndarray, matching: str, truth: dict[int, int]) -> list[Any]:
    """Sources and words, one to one."""
    if matching == "hungarian":
        return match(scores, threshold=THRESHOLD)
    if matching == "oracle":
        chosen = truth
    elif matching == "none":
        chosen = {i: i for i in range(min(scores.shape))}
    else:
        chosen = match_greedily(scores, THRESHOLD)
    return [Match(source, token, float(scores[source, token])) for source, token in sorted(chosen.items())]


def match_greedily(scores: np.ndarray, threshold: float) -> dict[int, int]:
    """Take the best pair first, then the best of the rest."""
    left, chosen = scores.astype(float).copy(), {}
    while left.size and left.max() >= threshold:
        source, token = (int(at) for at in np.unravel_index(left.argmax(), left.shape))
        chosen[source] = token
        left[source], left[:, token] = -np.inf, -np.inf
    return chosen


def score_plan(plan: Any, case: Case, simulated: Any) -> dict[str, float]:
    """Score a plan before anything is drawn."""
    said = {plan.words[pair.token].text: pair.source for pair in plan.matches if None not in (pair.source, pair.token)}
    near = dict(pair_sources(plan.scene, simulated.scene))
    right = [near.get(said.get(word, -1)) == true for true, word in enumerate(case.words)]
    boxes = {region.label: region.box for region in plan.regions.values()}
    sided = [
        word in boxes and (boxes[word][0] + boxes[word][2] - 1) * azimuth > 0
        for word, azimuth in zip(case.words, case.azimuths, strict=True)
    ]
    stems = [source.signal if source.image is None else source.image for source in plan.scene.sources]
    better = [gain for _, gain in si_sdr_improvement(stems, simulated.images, simulated.recording)]
    return {
        "matched": float(np.mean(right)),
        "sided": float(np.mean(sided)),
        "angle": mean_error(simulated.scene.azimuths, plan.scene.azimuths),
        "si_sdr_improvement": float(np.mean(better)),
    }


def _draw_and_score(
    pipe: SoundPipeline, plans: Sequence[Plan], cases: Sequence[Case], energy: str, steps: int | None, out: Path
) -> dict[str, float]:
    """Draw the plans and compare what is detected with where things truly were."""
    images: list[Image] = []
    for i in range(0, len(plans), BATCH):
        images += draw_plans(pipe, plans[i : i + BATCH], cases[i : i + BATCH], energy, steps)
    write_sheet(images, out / "pictures" / "drawn.png")
    _, _, clear, placements = measure_pictures(images, cases)
    scores = average_placements(placements)
    figures = {name: getattr(scores, name) for name in ("present", "side", "error", "all_present", "all_side")}
    return figures | {"clear": clear}
