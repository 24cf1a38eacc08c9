"""The whole road as a task: a simulated stereo recording and a prompt that names its sounds -> a picture.

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

from audiotoken.stereo.options import PlanOptions
from audiotoken.stereo.planning import Stages, make_plan
from audiotoken.stereo.words import THRESHOLD
from experiments.ablations.listening import (
    SEPARATIONS,
    Layout,
    average_finite,
    draw_layouts,
    listen_to_scene,
    pair_sources,
    record_layout,
    replace_signals,
)
from experiments.ablations.shared import load_pipeline_once
from experiments.benchmarks.cases import Case, regions_of
from experiments.benchmarks.placement import REACH
from experiments.benchmarks.seeing import look
from experiments.benchmarks.tables import sheet_of
from experiments.door import check_choices
from experiments.world.measure import article
from guidance.metrics import average_placements, measure_placement
from guidance.sampling import sample
from spatial.matching import Match, match
from spatial.metrics import mean_error, si_sdr_improvement

MATCHINGS = ("hungarian", "greedy", "none", "oracle")
BATCH = 8
SEEN = 38.0  # degrees to a side; the camera sees 45


@dataclass(frozen=True, eq=False)
class Way:
    """How each stage is done."""

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
    pipe, way = load_pipeline_once(model), Way(directions, separation, matching)
    found: dict[str, list[float]] = defaultdict(list)
    plans, scenes = [], draw_layouts(n, num_sources, seed, SEEN, sides=True)
    for layout in scenes:
        start = time.process_time()
        simulated = record_layout(layout, setup, rt60, snr)
        options = PlanOptions(prompt=name_all(layout), unmatched="drop")
        stages = make_stages(layout, simulated, way)
        plan = make_plan(simulated.recording, simulated.scene.rate, pipe, options, stages=stages)
        plans.append(plan)
        for name, value in score_plan(plan, layout, simulated).items():
            found[name].append(value)
        found["cpu_per_scene"].append(time.process_time() - start)
    shown = n if drawn is None else min(drawn, n)
    figures = {name: average_finite(values) for name, values in found.items()}
    return figures | (
        _draw_and_score(pipe, plans[:shown], scenes[:shown], energy, sampling_steps, Path(out)) if shown else {}
    )


def make_stages(layout: Layout, simulated: Any, way: Way) -> Stages:
    """The stages of `audiotoken.stereo.planning.make_plan`, done as `way` says."""

    def find_sources(recording: Any, rate: int, options: PlanOptions, report_progress: Any) -> Any:
        return replace_signals(listen_to_scene(simulated, "auto", None, way.directions), simulated, way.separation)

    def match_words(scores: np.ndarray, scene: Any, words: Sequence[Any]) -> list[Any]:
        return match_sources(scores, way.matching, find_true_words(scene, simulated, layout, words))

    return Stages(find_sources=find_sources, match=match_words)


def name_all(layout: Layout) -> str:
    """ "a photo of a dog and an owl", in an order that has nothing to do with who is where."""
    return "a photo of " + " and ".join(article(word) for word in sorted(layout.words))


def find_true_words(scene: Any, simulated: Any, layout: Layout, words: Sequence[Any]) -> dict[int, int]:
    """Source -> the word that it truly is, by the nearest true direction."""
    texts = [word.text for word in words]
    return {found: texts.index(layout.words[true]) for found, true in pair_sources(scene, simulated.scene)}


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


def score_plan(plan: Any, layout: Layout, simulated: Any) -> dict[str, float]:
    """Score a plan before anything is drawn."""
    said = {plan.words[pair.token].text: pair.source for pair in plan.matches if None not in (pair.source, pair.token)}
    near = dict(pair_sources(plan.scene, simulated.scene))
    right = [near.get(said.get(word, -1)) == true for true, word in enumerate(layout.words)]
    boxes = {region.label: region.box for region in plan.regions.values()}
    sided = [
        word in boxes and (boxes[word][0] + boxes[word][2] - 1) * azimuth > 0
        for word, azimuth in zip(layout.words, layout.azimuths, strict=True)
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
    pipe: Any, plans: Sequence[Any], scenes: Sequence[Layout], energy: str, steps: int | None, out: Path
) -> dict[str, float]:
    """Draw, detect, compare with where things truly were."""
    cases = [Case(layout.words, layout.azimuths, (-35.0,) * len(layout.words), layout.seed) for layout in scenes]
    images: list[Any] = []
    for i in range(0, len(plans), BATCH):
        rows = plans[i : i + BATCH]
        regions = [list(plan.regions.values()) for plan in rows]
        seeds = [case.seed for case in cases[i : i + BATCH]]
        prompts = [plan.prompt for plan in rows]
        images += sample(pipe, prompts, regions=regions, energy=energy, seed=seeds, num_inference_steps=steps).images
    sheet_of(images, out / "pictures" / "drawn.png")
    seen, clear = look(images, cases)
    true = [regions_of(case, [(0,)] * len(case.words)) for case in cases]
    scores = average_placements([measure_placement(want, see, REACH) for want, see in zip(true, seen, strict=True)])
    kept = {name: getattr(scores, name) for name in ("present", "side", "error", "all_present", "all_side")}
    return kept | {"clear": clear}
