"""Listening tasks: how well are sources found in simulated recordings of unheard sounds?

Figures of `spatial.metrics`, means over scenes: `error` degrees of the sources found; `side`, `recall`, `precision`,
`f`: shares; `count_right`: share of scenes with the right number; `setup_right`: share whose kind of stereo was
recognised; `si_sdr`, `si_sdr_improvement` dB where there are two sources or more; `cpu_per_scene`: seconds of this
process for listening.
"""

import os
import random
import time
import warnings
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audiotoken.errors import OptionError
from audiotoken.mini.things import AUDIBLE_WORDS
from experiments.ablations.shared import RATE, synthesise_clip
from experiments.benchmarks.cases import Case
from experiments.hydra_cli import check_choices
from spatial import metrics
from spatial.listening import listen
from spatial.metrics import pair
from spatial.scene import Scene
from spatial.separation import pick_louder_channels, separate
from spatial.simulation import simulation

AWAY = 70.0  # degrees: the farthest to a side; a panned recording has PANNED
PANNED = 40.0
APART = 20.0  # degrees between any two
MIDDLE = 10.0  # degrees either side of ahead that are neither left nor right
LEVEL = -35.0  # dB of each source, which sets the size of its box
SEPARATIONS = ("none", "estimated", "oracle")


def listen_scenes(
    *,
    setup: str = "ortf",
    known_setup: bool = False,
    known_count: bool = False,
    rt60: float | None = None,
    snr: float | None = None,
    num_sources: int = 2,
    directions: str = "estimated",
    separation: str = "estimated",
    n: int = 3,
    seed: int,
    out: str | os.PathLike,
) -> dict[str, float]:
    """Record `n` scenes of `seed` with that setup, listen, compare.

    known_setup, known_count: whether the listener is given the true setup and number of sources. rt60: seconds of
    reverberation, null: none; snr: dB of noise. directions: "estimated", or "oracle" for the true ones. separation:
    "none" gives each source the whole recording, "oracle" its true image.
    """
    check_choices(directions=([directions], ("estimated", "oracle")), separation=([separation], SEPARATIONS))
    found: dict[str, list[float]] = defaultdict(list)
    for case in spread_cases(n, num_sources, seed, PANNED if setup == "panned" else AWAY):
        simulated = record_case(case, setup, rt60, snr)
        start = time.process_time()
        scene = listen_to_scene(
            simulated, setup if known_setup else "auto", num_sources if known_count else None, directions
        )
        found["cpu_per_scene"].append(time.process_time() - start)
        scene = replace_signals(scene, simulated, separation)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a scene in which nothing was found
            scores = metrics.evaluate(simulated.scene, scene, simulated.recording if num_sources > 1 else None)
        scores["count_right"] = float(scores.pop("count_error") == 0)
        scores["setup_right"] = scores.pop("setup")
        for name, value in scores.items():
            found[name].append(value)
    plot_scene(case, simulated, scene, Path(out) / "pictures" / "last.png")
    return {name: average_finite(values) for name, values in found.items()}


def spread_cases(n: int, num_sources: int, seed: int, far: float, *, sides: bool = False) -> list[Case]:
    """Scene i depends on the seed and i alone: different words, up to `far` degrees away, `APART` from each other.

    sides: no source is in the middle, and two or more are not all on one side.
    """
    if n < 1 or not 1 <= num_sources <= 4:
        raise OptionError(
            f"Got n={n} and num_sources={num_sources}, expected at least 1 scene of 1 to 4 sources; change them."
        )
    scenes = []
    for i in range(n):
        rng = random.Random(f"{seed}/{num_sources}/{i}")
        words, azimuths = tuple(rng.sample(AUDIBLE_WORDS, num_sources)), _draw_azimuths(rng, num_sources, far)
        while sides and not _is_on_both_sides(azimuths):
            azimuths = _draw_azimuths(rng, num_sources, far)
        scenes.append(Case(words, tuple(rng.sample(azimuths, num_sources)), (LEVEL,) * num_sources, 1000 * seed + i))
    return scenes


def _draw_azimuths(rng: random.Random, num_sources: int, far: float) -> list[float]:
    """Azimuths, left to right."""
    room = 2 * far - APART * (num_sources - 1)
    return [room * share - far + APART * i for i, share in enumerate(sorted(rng.random() for _ in range(num_sources)))]


def _is_on_both_sides(azimuths: Sequence[float]) -> bool:
    return min(map(abs, azimuths)) > MIDDLE and (len(azimuths) == 1 or min(azimuths) < 0 < max(azimuths))


def record_case(case: Case, setup: str, rt60: float | None, snr: float | None) -> Any:
    """The recording with its truth; sources equally loud."""
    clips = [synthesise_clip(word, 10 * case.seed + i) for i, word in enumerate(case.words)]
    loud = [each * 0.1 / max(float(np.sqrt(np.mean(np.square(each)))), 1e-6) for each in clips]
    return simulation(list(zip(loud, case.azimuths, strict=True)), setup, rate=RATE, rt60=rt60, snr=snr, seed=case.seed)


def listen_to_scene(simulated: Any, setup: str, count: int | None, directions: str) -> Any:
    """The scene as the listener estimates it; with oracle directions, the sources separated by these."""
    truth = simulated.scene
    if directions == "estimated":
        return listen(simulated.recording, truth.rate, setup=setup, count=count)
    images = separate(simulated.recording, truth.rate, truth.azimuths, setup=truth.setup)
    sources = [
        _replace_signal(source, image, signal)
        for source, image, signal in zip(truth.sources, images, pick_louder_channels(images), strict=True)
    ]
    return Scene(tuple(sources), truth.rate, truth.setup, truth.spacing)


def replace_signals(scene: Any, simulated: Any, separation: str) -> Any:
    """The scene with other signals: the whole recording for each source, or the nearest true image."""
    from dataclasses import replace

    if separation == "estimated":
        return scene
    images = [simulated.recording] * len(scene.sources)
    for source, true in pair_sources(scene, simulated.scene) if separation == "oracle" else ():
        images[source] = simulated.images[true]
    if not images:
        return scene
    heard = pick_louder_channels(np.stack(images))
    sources = [
        _replace_signal(source, image, signal)
        for source, image, signal in zip(scene.sources, images, heard, strict=True)
    ]
    return replace(scene, sources=tuple(sources))


def pair_sources(scene: Any, truth: Any) -> list[tuple[int, int]]:
    """(source, true source) that are nearest to each other in azimuth, one to one."""
    return [(found, true) for true, found, _ in pair(truth.azimuths, scene.azimuths)]


def average_finite(values: Sequence[float]) -> float:
    """The mean of the finite values; nan without any."""
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def plot_scene(case: Case, simulated: Any, scene: Any, path: Path) -> None:
    """Plot where the sources were and where they were heard."""
    from matplotlib.figure import Figure

    path.parent.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(5, 1.6), dpi=100, layout="constrained")
    axes = figure.subplots()
    axes.vlines(case.azimuths, 0, 1, color="#8a8f98", lw=6, alpha=0.5)
    axes.plot(scene.azimuths, [0.5] * len(scene.azimuths), "o", color="#c2410c")
    for word, azimuth in zip(case.words, case.azimuths, strict=True):
        axes.text(azimuth, 1.05, word, ha="center", fontsize=8)
    said = f"{simulated.scene.setup} (heard as {scene.setup}): degrees; bars are true, dots heard"
    axes.set(xlim=(-90, 90), ylim=(0, 1.3), yticks=[])
    axes.set_xlabel(said, fontsize=7)
    axes.tick_params(labelsize=7)
    figure.savefig(path)


def _replace_signal(source: Any, image: Any, signal: Any) -> Any:
    from dataclasses import replace

    return replace(source, image=image, signal=signal)
