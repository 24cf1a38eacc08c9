"""The whole road, from stereo sound to a picture: is what is heard on the left painted on the left?

    python -m experiments.bench heard n=200 out=runs/heard
    python -m experiments.bench heard n=24 methods=[combined] setups=[panned] rt60=null

Scenes of one and two synthesised sounds of unseen seeds, at seeded places, as seeded kinds of stereo; nothing is told.
Directions, what sounds and how many there are is all found by listening; the picture is judged against the truth by a
detector that guidance never sees. Controls: the channels swapped, so that the truth is mirrored; and both mixed into
one, where no side can be known. What listening alone got right stands beside what the picture did.
"""

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audiotoken.errors import OptionError
from audiotoken.mini.sounds import synthesise
from audiotoken.model import load_pipeline
from audiotoken.stereo.planning import plan
from audiotoken.tables import markdown_table
from experiments.benchmarks.cases import Case, make_cases, regions_of
from experiments.benchmarks.pictures import draw_all
from experiments.benchmarks.placement import METHODS as KNOWN
from experiments.benchmarks.placement import REACH
from experiments.benchmarks.quality import QUALITY, Quality, judge, quality_of
from experiments.benchmarks.seeing import ALONE, PAIRS, Eyes, Pairs, eyes_of, look, pairs_of, shares_of
from experiments.benchmarks.tables import name_of, row_of, sheet_of, write_lines
from experiments.door import check, run_from_signature
from guidance.metrics import average_placements, measure_placement
from guidance.sampling import sample
from spatial.simulation import simulate

SETUPS = ("panned", "ortf", "spaced", "binaural")
METHODS = ("none", "combined")
CONTROLS = ("swapped", "mono")
RATE, SECONDS = 22_050, 4.0
SEED = 800_000  # of the sounds: nothing was trained on these


@dataclass(frozen=True)
class Line:
    """One row of the table; shares are 0 to 1, `all_*` of pictures, the others of things."""

    things: int
    method: str
    control: str
    pictures: int
    counted: float  # of the scenes: as many sources were found as there are
    heard_side: float  # things with a source of their name on their side
    present: float
    side: float
    near: float
    all_present: float
    all_side: float
    flipped: float  # of the pictures that were all right: still so when swapped; else not a number
    clear: float  # how sure the detector is: of the cells that it calls the word, or of the box
    quality: Quality
    seconds: float  # of this process, a picture
    pairs: Pairs = ALONE


def bench_heard(
    *,
    n: int = 200,
    singles: int | None = None,
    methods: Sequence[str] = METHODS,
    controls: Sequence[str] = CONTROLS,
    setups: Sequence[str] = SETUPS,
    rt60: float | None = 0.2,
    token: str | None = None,
    seed: int = 0,
    model: str = "mini",
    detector: str = "mini",
    steps: int | None = None,
    threads: int = 1,
    out: str | os.PathLike = "runs/heard",
    on_row: Callable[[str], None] | None = None,
) -> str:
    """Draw `n` scenes of two sounds and `singles` (n / 2) of one with each method -> the Markdown table.

    setups: kinds of stereo that take turns; rt60: seconds of reverberation of those with microphones, None is dry.
    token: as in `stereo.plan`. detector: as in `bench_placement`. Controls are drawn by the last method. Writes
    table.md, rows.json, the pictures and a sheet of each row into `out`, and goes on where it was stopped. OptionError
    for what is out of range.
    """
    check(n, methods=(methods, KNOWN), controls=(controls, CONTROLS))
    if not setups:
        raise OptionError("Got no setups, want one or more, such as setups=[panned]; name some.")
    import torch

    torch.set_num_threads(threads)
    folder, tell = Path(out), on_row or (lambda text: None)
    folder.mkdir(parents=True, exist_ok=True)
    pipe, eyes, lines = load_pipeline(model, "cpu"), eyes_of(detector), []
    for things, count in ((1, (n + 1) // 2 if singles is None else singles), (2, n)):
        cases = make_cases(count, things, seed, "audio")
        settings = {"setups": list(setups), "rt60": rt60, "token": token, "model": model, "steps": steps}
        right: list[bool] = []
        for method, control in [(each, "") for each in methods] + [(methods[-1], each) for each in controls]:
            if not count:
                continue
            kept = folder / "pictures" / name_of(things, method, control)
            line, images, fine = run(pipe, cases, method, control, settings, right, kept, eyes)
            right = right if control else fine
            lines.append(line)
            sheet_of(images, folder / f"{name_of(things, method, control)}.png")
            write_lines(lines, table(lines), folder)
            tell(_row(line))
    return table(lines)


def recorded(case: Case, setups: Sequence[str], rt60: float | None) -> np.ndarray:
    """(2, frames): the case's things as one kind of stereo hears them; the louder, the nearer they are drawn."""
    rng = random.Random(f"{case.seed}/{case.words}")
    setup = setups[case.seed % len(setups)]
    gains = [10 ** ((level - max(case.levels)) / 40) for level in case.levels]  # half of the difference
    signals = [
        gain * synthesise(word, RATE, SECONDS, SEED + case.seed) for word, gain in zip(case.words, gains, strict=True)
    ]
    sources = list(zip(signals, case.azimuths, strict=True))
    room = None if setup == "panned" else rt60
    mixed = simulate(sources, setup, rate=RATE, rt60=room, seed=rng.randrange(2**31))
    return (mixed / max(1.0, float(np.abs(mixed).max()))).astype(np.float32)


def run(
    pipe: Any,
    cases: Sequence[Case],
    method: str,
    control: str,
    settings: dict[str, Any],
    before: Sequence[bool],
    folder: Path | None = None,
    eyes: Eyes | None = None,
) -> tuple[Line, list[Any], list[bool]]:
    """Listen, draw and look at all of them -> (the row, pictures, which were all present and on their sides)."""

    def draw(part: slice) -> tuple[list[Any], list[Any]]:
        scenes = [_changed(recorded(case, settings["setups"], settings["rt60"]), control) for case in cases[part]]
        plans = [plan(scene, RATE, pipe, token=settings["token"]) for scene in scenes]
        prompts, regions = [each.prompt for each in plans], [list(each.regions.values()) for each in plans]
        seeds = [case.seed for case in cases[part]]
        drawn = sample(pipe, prompts, regions=regions, energy=method, seed=seeds, num_inference_steps=settings["steps"])
        return drawn.images, [heard(each) for each in plans]

    asked = settings | {"method": method, "control": control}
    drawn = draw_all([asked | {"case": asdict(case)} for case in cases], folder, draw)
    truth = [case.swapped() if control == "swapped" else case for case in cases]
    wanted = [regions_of(case, [(1,)] * len(case.words)) for case in truth]
    images = [each.image for each in drawn]
    seen, clear = (eyes or look)(images, cases)
    looked = [measure_placement(want, see, REACH) for want, see in zip(wanted, seen, strict=True)]
    scores = asdict(average_placements(looked))
    kept = {name: scores[name] for name in ("present", "side", "near", "all_present", "all_side")}
    fine = [all(one.present and one.side for one in each) for each in looked]
    still = [now for now, then in zip(fine, before, strict=True) if then] if control == "swapped" else []
    flipped = sum(still) / len(still) if still else float("nan")
    pairs = list(zip([each.facts for each in drawn], truth, strict=True))
    counted = sum(len(found) == len(case.words) for found, case in pairs) / len(cases)
    sides = [ok for found, case in pairs for ok in heard_sides(found, case)]
    seconds = sum(each.seconds for each in drawn) / len(drawn)
    line = Line(len(cases[0].words), method, control, len(cases), counted, sum(sides) / len(sides), **kept,
                flipped=flipped, clear=clear, quality=judge(images, cases, eyes), seconds=seconds,
                pairs=pairs_of(wanted, seen))  # fmt: skip
    return line, images, fine


def heard(planned: Any) -> list[list[Any]]:
    """[name, azimuth in degrees] of each source."""
    names = zip(planned.subjects, planned.scene.sources, strict=True)
    return [[name, float(source.direction.azimuth)] for name, source in names]


def heard_sides(found: Sequence[Sequence[Any]], case: Case) -> list[bool]:
    """Of each thing: was a source of its name heard on its side?"""
    return [
        any(name == word and a * b > 0 for name, b in found) for word, a in zip(case.words, case.azimuths, strict=True)
    ]


def _changed(scene: np.ndarray, control: str) -> np.ndarray:
    if control == "mono":
        return scene.mean(axis=0, keepdims=True)
    return scene[::-1] if control == "swapped" else scene


def table(lines: Sequence[Line]) -> str:
    """Markdown; percent of things, and of pictures where it says all."""
    head = (
        "things, method, pictures, count heard right %, heard on its side %, present %, on its side %, within 0.15 %, "
        "all present %, all on their sides %, flipped with the channels %, detector sure %"
    )
    return markdown_table([*head.split(", "), *PAIRS, *QUALITY, "CPU s"], map(_row, lines))


def _row(line: Line) -> list[str]:
    shares = [line.counted, line.heard_side, line.present, line.side, line.near, line.all_present, line.all_side]
    shares += [line.flipped, line.clear, *shares_of(line.pairs)]
    return row_of(line, shares, [*quality_of(line.quality), f"{line.seconds:.2f}"])


def main() -> None:
    run_from_signature(bench_heard)


if __name__ == "__main__":
    main()
