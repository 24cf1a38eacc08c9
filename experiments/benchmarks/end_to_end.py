"""End to end, from stereo sound to a picture: is a sound from the left painted on the left?

    python -m experiments.bench end_to_end n=200 out=runs/end_to_end
    python -m experiments.bench end_to_end n=24 methods=[combined] setups=[panned] rt60=null
    python -m experiments.bench end_to_end n=100 sounds=../shared/esc10 folds=[4] out=runs/real     # real recordings
    python -m experiments.bench end_to_end n=12 sounds=../shared/esc10 folds=[4] draw=false         # see `hearing`

Scenes of one and two sounds, synthesised with unseen seeds or real recordings, at seeded places, in seeded kinds of
stereo. Their number, directions and words are all estimated from the recording; a detector that guidance does not use
judges the picture against the truth. Controls: the channels swapped, so that the truth is mirrored, and both mixed into
one, in which no side can be known. The table shows what was right after listening beside what is right in the picture.
"""

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL.Image import Image

from audiotoken.encoders.mini import MiniEncoder
from audiotoken.errors import OptionError
from audiotoken.manifest import fingerprint
from audiotoken.mini.sounds import synthesise
from audiotoken.model import load_pipeline
from audiotoken.protocols import SoundPipeline
from audiotoken.stereo.planning import Plan, plan
from audiotoken.tables import markdown_table
from experiments.benchmarks.cases import Case, make_cases, make_regions
from experiments.benchmarks.detection import (
    NO_PAIRS,
    PAIR_COLUMNS,
    Detect,
    PairScores,
    detect_painted,
    list_pair_shares,
    load_detect,
    score_pairs,
)
from experiments.benchmarks.hearing import bench_hearing
from experiments.benchmarks.pictures import draw_or_load
from experiments.benchmarks.placement import METHODS as KNOWN
from experiments.benchmarks.placement import REACH
from experiments.benchmarks.quality import QUALITY_COLUMNS, Quality, format_quality, judge_quality
from experiments.benchmarks.real_sounds import Clips, choose_clips, find_clips, load_active
from experiments.benchmarks.tables import format_name, format_row, write_lines, write_sample_sheet
from experiments.hydra_cli import check, run_from_signature
from guidance.metrics import Detection, Placement, average_placements, measure_placement
from guidance.regions import Region
from guidance.sampling import sample
from spatial.simulation import simulate

SETUPS = ("panned", "ortf", "spaced", "binaural")
METHODS = ("none", "combined")
CONTROLS = ("swapped", "mono")
RATE, SECONDS = 22_050, 4.0
REAL_RATE, REAL_SECONDS = 44_100, 5.0  # of scenes of real recordings
SEED = 800_000  # of the sounds; nothing was trained on these


@dataclass(frozen=True)
class Row:
    """One row of the table. Shares are 0 to 1: `all_*` of pictures, the others of things."""

    things: int
    method: str
    control: str
    pictures: int
    counted: float  # share of scenes in which the right number of sources was found
    heard_side: float  # share of things with a source of that name on their side
    present: float
    side: float
    near: float
    all_present: float
    all_side: float
    flipped: float  # share of the completely right pictures that are also right when swapped; nan in other rows
    clear: float  # confidence of the detector: in the cells that it gives the word, or in the box
    quality: Quality
    seconds: float  # CPU seconds of this process per picture
    pairs: PairScores = NO_PAIRS


def bench_end_to_end(
    *,
    n: int = 200,
    singles: int | None = None,
    methods: Sequence[str] = METHODS,
    controls: Sequence[str] = CONTROLS,
    setups: Sequence[str] = SETUPS,
    rt60: float | None = 0.2,
    sounds: str | os.PathLike | None = None,
    folds: Sequence[int] = (4,),
    draw: bool = True,
    token: str | None = None,
    seed: int = 0,
    model: str = "mini",
    encoder: str | os.PathLike | None = None,
    detector: str = "mini",
    steps: int | None = None,
    threads: int = 1,
    out: str | os.PathLike = "runs/end_to_end",
    on_row: Callable[[str], None] | None = None,
) -> str:
    """Draw `n` scenes of two sounds and `singles` (n / 2) of one with each method -> the Markdown table.

    setups: kinds of stereo, used in turn. rt60: seconds of reverberation for those with microphones, None for none.
    sounds: a folder of real recordings such as ESC-10, of which `folds` are used, instead of synthesised ones. draw:
    false listens to the scenes of two only and gives the table of `hearing`. encoder: folder of another audio encoder,
    without an embedder: names stand for sounds. token: as in `audiotoken.stereo.plan`. detector: as in
    `bench_placement`. Controls are drawn with the last method.
    Writes table.md, rows.json, the pictures and a sheet of each row into `out`, and continues a stopped run.
    OptionError for options out of range.
    """
    check(n, methods=(methods, KNOWN), controls=(controls or CONTROLS, CONTROLS))
    if not setups:
        raise OptionError("Got no setups, expected one or more, such as setups=[panned]; name some.")
    torch.set_num_threads(threads)
    folder, report_row = Path(out), on_row or (lambda text: None)
    folder.mkdir(parents=True, exist_ok=True)
    pipe = load_pipeline(model, "cpu") if encoder is None else load_with_encoder(model, Path(encoder))
    clips = None if sounds is None else find_clips(Path(sounds), folds)
    if not draw:
        cases, rate = make_cases(n, 2, seed, "audio", sorted(clips) if clips else None), REAL_RATE if clips else RATE
        record = partial(record_scene, clips=clips)
        return bench_hearing(pipe, cases, record, rate, setups, (None, rt60) if rt60 else (None,), folder, report_row)
    detect = load_detect(detector)
    lines: list[Row] = []
    for things, count in ((1, (n + 1) // 2 if singles is None else singles), (2, n)):
        cases = make_cases(count, things, seed, "audio", sorted(clips) if clips else None)
        settings: dict[str, Any] = {"setups": list(setups), "rt60": rt60, "token": token, "model": fingerprint(model)}
        settings["steps"] = steps
        settings |= {} if clips is None else {"sounds": str(sounds), "folds": list(folds)}
        settings |= {} if encoder is None else {"encoder": fingerprint(str(encoder))}
        right: list[bool] = []
        for method, control in [(each, "") for each in methods] + [(methods[-1], each) for each in controls]:
            if not count:
                continue
            pictures = folder / "pictures" / format_name(things, method, control)
            line, images, fine = draw_and_score(pipe, cases, method, control, settings, right, pictures, detect, clips)
            right = right if control else fine
            lines.append(line)
            write_sample_sheet(images, folder / f"{format_name(things, method, control)}.png")
            write_lines(lines, format_table(lines), folder)
            report_row(f"| {' | '.join(_format_row(line))} |")
    return format_table(lines)


def load_with_encoder(model: str, encoder: Path) -> SoundPipeline:
    """The model with the mini audio encoder of that folder, without an embedder: that belongs to its own encoder."""
    pipe = load_pipeline(model, "cpu")
    other = MiniEncoder.from_pretrained(encoder, torch_dtype=torch.float32).eval()
    pipe.register_modules(audio_encoder=other, audio_embedder=None)
    return pipe


def record_case(case: Case, setups: Sequence[str], rt60: float | None, clips: Clips | None = None) -> np.ndarray:
    """(2, frames): the case in its kind of stereo of `setups`; desks have no room."""
    setup = setups[case.seed % len(setups)]
    return record_scene(case, setup, None if setup == "panned" else rt60, clips)


def record_scene(case: Case, setup: str, rt60: float | None, clips: Clips | None = None) -> np.ndarray:
    """(2, frames): the case in that kind of stereo; louder things are drawn nearer."""
    rng = random.Random(f"{case.seed}/{case.words}")
    gains = [10 ** ((level - max(case.levels)) / 40) for level in case.levels]  # half of the difference
    signals: list[np.ndarray]
    if clips is None:
        rate, signals = RATE, [synthesise(word, RATE, SECONDS, SEED + case.seed) for word in case.words]
    else:
        rate, files = REAL_RATE, choose_clips(clips, case.words, case.seed)
        signals = [0.1 * load_active(path, rate, REAL_SECONDS, case.seed) for path in files]
    sources = [(gain * signal, azimuth) for gain, signal, azimuth in zip(gains, signals, case.azimuths, strict=True)]
    mixed = simulate(sources, setup, rate=rate, rt60=rt60, seed=rng.randrange(2**31))
    return (mixed / max(1.0, float(np.abs(mixed).max()))).astype(np.float32)


def draw_and_score(
    pipe: SoundPipeline,
    cases: Sequence[Case],
    method: str,
    control: str,
    settings: dict[str, Any],
    before: Sequence[bool],
    folder: Path | None = None,
    detect: Detect = detect_painted,
    clips: Clips | None = None,
) -> tuple[Row, list[Image], list[bool]]:
    """Record, listen, draw and detect -> (the row, pictures, which pictures are completely right).

    before: which pictures are right without the control. A picture is right if everything is present on its side.
    """

    def draw(part: slice) -> tuple[list[Image], list[list[list[Any]]]]:
        scenes = [
            _apply_control(record_case(case, settings["setups"], settings["rt60"], clips), control)
            for case in cases[part]
        ]
        rate = RATE if clips is None else REAL_RATE
        plans = [plan(scene, rate, pipe, token=settings["token"]) for scene in scenes]
        images = draw_plans(pipe, plans, cases[part], method, settings["steps"])
        return images, [list_sources(each) for each in plans]

    keys = settings | {"method": method, "control": control}
    drawn = draw_or_load([keys | {"case": asdict(case)} for case in cases], folder, draw)
    truth = [case.swap_sides() if control == "swapped" else case for case in cases]
    images = [each.image for each in drawn]
    wanted, detections, clear, placements = measure_pictures(images, truth, detect)
    scores = asdict(average_placements(placements))
    columns = {name: scores[name] for name in ("present", "side", "near", "all_present", "all_side")}
    right = [all(one.present and one.side for one in each) for each in placements]
    still = [now for now, then in zip(right, before, strict=True) if then] if control == "swapped" else []
    flipped = sum(still) / len(still) if still else float("nan")
    pairs = list(zip([each.facts for each in drawn], truth, strict=True))
    counted = sum(len(sources) == len(case.words) for sources, case in pairs) / len(cases)
    sides = [ok for sources, case in pairs for ok in check_sides(sources, case)]
    seconds = sum(each.seconds for each in drawn) / len(drawn)
    row = Row(len(cases[0].words), method, control, len(cases), counted, sum(sides) / len(sides), **columns,
              flipped=flipped, clear=clear, quality=judge_quality(images, cases, detect), seconds=seconds,
              pairs=score_pairs(wanted, detections))  # fmt: skip
    return row, images, right


def draw_plans(
    pipe: SoundPipeline, plans: Sequence[Plan], cases: Sequence[Case], energy: str, steps: int | None
) -> list[Image]:
    """One picture per plan, in one batch, with the seed of its case."""
    prompts, regions = [each.prompt for each in plans], [list(each.regions.values()) for each in plans]
    seeds = [case.seed for case in cases]
    return sample(pipe, prompts, regions=regions, energy=energy, seed=seeds, num_inference_steps=steps).images


def measure_pictures(
    images: Sequence[Image], truth: Sequence[Case], detect: Detect = detect_painted
) -> tuple[list[list[Region]], list[list[Detection]], float, list[list[Placement]]]:
    """(regions where things truly are, detections, confidence of the detector, placements), per picture."""
    wanted = [make_regions(case, [(1,)] * len(case.words)) for case in truth]
    detections, clear = detect(images, truth)
    placements = [measure_placement(want, see, REACH) for want, see in zip(wanted, detections, strict=True)]
    return wanted, detections, clear, placements


def list_sources(plan: Plan) -> list[list[Any]]:
    """[name, azimuth in degrees] of each source."""
    names = zip(plan.subjects, plan.scene.sources, strict=True)
    return [[name, float(source.direction.azimuth)] for name, source in names]


def check_sides(sources: Sequence[Sequence[Any]], case: Case) -> list[bool]:
    """For each thing: was a source of that name heard on its side? `sources` are of `list_sources`."""
    return [
        any(name == word and a * b > 0 for name, b in sources)
        for word, a in zip(case.words, case.azimuths, strict=True)
    ]


def _apply_control(scene: np.ndarray, control: str) -> np.ndarray:
    if control == "mono":
        return scene.mean(axis=0, keepdims=True)
    return scene[::-1] if control == "swapped" else scene


def format_table(lines: Sequence[Row]) -> str:
    """Markdown; percent of things, or of pictures in columns that say "all"."""
    head = (
        "things, method, pictures, count heard right %, heard on its side %, present %, on its side %, within 0.15 %, "
        "all present %, all on their sides %, flipped with the channels %, detector sure %"
    )
    return markdown_table([*head.split(", "), *PAIR_COLUMNS, *QUALITY_COLUMNS, "CPU s"], map(_format_row, lines))


def _format_row(line: Row) -> list[str]:
    shares = [line.counted, line.heard_side, line.present, line.side, line.near, line.all_present, line.all_side]
    shares += [line.flipped, line.clear, *list_pair_shares(line.pairs)]
    return format_row(line, shares, [*format_quality(line.quality), f"{line.seconds:.2f}"])


def main() -> None:
    run_from_signature(bench_end_to_end)


if __name__ == "__main__":
    main()
