"""Record scenes and compute what the networks of `spatial` see of them, in shards.

python -m experiments.world.training.listening_features --pool runs/pool.npz --bank runs/responses --out runs/features
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.world.training.recordings import Recorder, TrueRecording, read_pool
from experiments.world.training.responses import RATE
from spatial.cues import compute_features
from spatial.evidence import gather
from spatial.maps import compute_maps
from spatial.setups import NAMES, Setup, make_setup

SHARD = 50  # scenes
CONFUSED = {  # setups that are easily taken for each other
    "panned": ("xy", "ms", "spaced"),
    "xy": ("panned", "ms", "ortf"),
    "ms": ("xy", "panned", "binaural"),
    "ortf": ("binaural", "nos", "spaced", "xy"),
    "nos": ("ortf", "spaced", "binaural"),
    "binaural": ("ortf", "nos", "spaced"),
    "spaced": ("nos", "ortf", "binaural"),
    "other": NAMES,
}
WRONG = 0.6  # share of scenes that are seen with a wrong setup too


@dataclass(frozen=True)
class Truth:
    """What is true of a scene that a network sees with the assumption of one setup."""

    setup: str
    assumed: str
    right: bool
    limit: float  # degrees, of the assumed setup
    azimuths: tuple[float, ...]
    active: list[list[int]]  # (sources, blocks)
    spacing: float
    rt60: float
    head: str | None
    usual: bool  # False: the same level means another azimuth than in the standard setup
    seed: tuple[int, ...]


def draw_wrong_setup(setup: str, spacing: float, rng: np.random.Generator) -> Setup:
    """A setup that this is not, most often one that it is easily taken for."""
    if setup == "spaced" and rng.random() < 0.4:
        return make_setup("spaced", spacing=float(np.clip(spacing * rng.choice([0.5, 0.65, 1.5, 2.0]), 0.1, 6)))
    names = [name for name in (CONFUSED[setup] if rng.random() < 0.75 else NAMES) if name != setup]
    name = names[int(rng.integers(len(names)))]
    return make_setup(name, spacing=float(rng.choice([0.2, 0.35, 0.5, 0.7])) if name == "spaced" else None)


def draw_true_setup(recorded: TrueRecording, rng: np.random.Generator) -> Setup:
    """The true setup, its spacing as nearly as it can be estimated."""
    if recorded.setup != "spaced":
        return make_setup(recorded.setup)
    return make_setup("spaced", spacing=recorded.spacing * float(np.exp(rng.normal(0, 0.05))))


def compute_scene_features(
    recorded: TrueRecording, seed: tuple[int, ...], rng: np.random.Generator
) -> tuple[np.ndarray, list[Any], list[Truth]]:
    """(features of the setup, maps under one or two assumptions, what is true of each)."""
    evidence = gather(recorded.recording, RATE)
    assumed = [] if recorded.setup == "other" else [draw_true_setup(recorded, rng)]
    if not assumed or rng.random() < WRONG:
        assumed.append(draw_wrong_setup(recorded.setup, recorded.spacing, rng))
    seen = [compute_maps(evidence, setup) for setup in assumed]
    truths = [
        Truth(recorded.setup, setup.name, number == 0 and recorded.setup != "other", setup.limit, recorded.azimuths,
              recorded.active.astype(int).tolist(), recorded.spacing, recorded.facts["rt60"], recorded.facts["head"],
              recorded.facts["usual"], seed)
        for number, setup in enumerate(assumed)
    ]  # fmt: skip
    return compute_features(evidence), seen, truths


def draw_recording(recorder: Recorder, rng: np.random.Generator, plain: float, hard: float) -> TrueRecording:
    """A scene of one of those kinds or of any."""
    simple = rng.random() < plain
    if not simple and hard and rng.random() < hard:
        return recorder.record_hard(rng)
    return recorder.record(rng, count=int(rng.integers(1, 4)) if simple else None, plain=simple)


def make_shard(recorder: Recorder, seed: int, number: int, path: Path, plain: float = 0.0, hard: float = 0.0) -> None:
    """Write one shard, whole or not at all.

    A share `plain` of the scenes has no noise and few sources, and a share `hard` is that of `Recorder.record_hard`.
    """
    rows, overall, timed, truths, of = [], [], [], [], []
    for index in range(SHARD):
        key = (seed, number, index)
        rng = np.random.default_rng(key)
        recorded = draw_recording(recorder, rng, plain, hard)
        features, seen, facts = compute_scene_features(recorded, key, rng)
        rows.append(features)
        for maps, fact in zip(seen, facts, strict=True):
            overall.append(maps.overall.astype(np.float16))
            timed.append(maps.timed.astype(np.float16))
            truths.append(asdict(fact))
            of.append(index)
    blocks = max(each.shape[1] for each in timed)
    padded = [np.pad(each, ((0, 0), (0, blocks - each.shape[1]), (0, 0)), mode="edge") for each in timed]
    with path.with_suffix(".part").open("wb") as file:
        np.savez(file, features=np.array(rows), overall=np.array(overall), timed=np.array(padded), of=of,
                 truths=json.dumps(truths))  # fmt: skip
    path.with_suffix(".part").replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pool", type=Path, required=True, help="file of `recordings.save_pool`")
    parser.add_argument("--bank", type=Path, required=True, help="folder of `responses`")
    parser.add_argument("--without", default="", help="a head that is left out")
    parser.add_argument("--plain", type=float, default=0.0, help="share of scenes without noise and faults")
    parser.add_argument("--hard", type=float, default=0.0, help="share of scenes in rooms, not at a desk, of the rest")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shards", type=int, default=200)
    parser.add_argument("--part", default="0/1", help="i/n: every n-th shard from the i-th")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    pool = read_pool(args.pool)
    shares = (0.6, 0.2, 0.2) if "made" in pool.kinds else (1.0, 0.0, 0.0)
    recorder = Recorder(pool, args.bank, without=args.without, shares=shares)
    first, step = map(int, args.part.split("/"))
    for number in range(first, args.shards, step):
        path = args.out / f"{args.seed}-{number:04d}.npz"
        if not path.exists():
            make_shard(recorder, args.seed, number, path, args.plain, args.hard)
            print(f"{number}/{args.shards}", flush=True)


if __name__ == "__main__":
    main()
