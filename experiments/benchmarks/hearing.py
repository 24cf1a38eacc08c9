"""Listening only, on scenes of two sounds: how many are there, what are they, and where? Nothing is drawn.

    python -m experiments.bench end_to_end draw=false sounds=../shared/esc10 folds=[4] n=12 rt60=0.3

Each kind of stereo has `n` scenes without a room and `n` in one. A thing is heard if a source of that name would be
painted, in a place on the side of the thing; its word is matched if that source was on its side in a plan whose prompt
names both things. Recordings are saved in OUT/recordings and read again if they are there.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from audiotoken.protocols import SoundPipeline
from audiotoken.stereo.options import PlanOptions
from audiotoken.stereo.planning import Plan, Stages, make_plan
from audiotoken.tables import markdown_table
from experiments.benchmarks.cases import Case, write_caption
from experiments.benchmarks.tables import write_lines
from spatial.listening import SILENCE_PEAK, listen
from spatial.scene import MAX_SOURCES, Direction, Scene, Source
from spatial.separation import pick_louder_channels, separate
from spatial.setups import make_setup

Record = Callable[[Case, str, float | None], np.ndarray]  # case, setup, rt60 -> (2, frames)


@dataclass(frozen=True)
class HearingRow:
    """One kind of stereo; shares are 0 to 1, of scenes unless said otherwise."""

    setup: str
    rt60: float | None  # seconds; None: no room
    scenes: int
    setup_right: float
    counted: float  # the right number of sources, with those that a plan finds by their names
    both_heard: float  # both things have a place on their side, under their name
    both_matched: float  # the same in a plan whose prompt names both
    named: float  # share of things whose name is right if directions and setup are given
    ordered: float  # both names are heard, and in the right order from left to right


def bench_hearing(
    pipe: SoundPipeline,
    cases: Sequence[Case],
    record: Record,
    rate: int,
    setups: Sequence[str],
    rooms: Sequence[float | None],
    out: Path,
    on_row: Callable[[str], None],
) -> str:
    """Measure each setup in each room -> the Markdown table; writes table.md and rows.json into `out`."""
    rows: list[HearingRow] = []
    for setup in setups:
        for rt60 in rooms:
            folder = out / "recordings" / f"{setup}-{rt60 or 'dry'}"
            recordings = [_load_or_record(folder, case, setup, rt60, record) for case in cases]
            scores = [
                score_recording(pipe, case, recording, rate, setup)
                for case, recording in zip(cases, recordings, strict=True)
            ]
            means = {name: float(np.mean([each[name] for each in scores])) for name in scores[0]}
            rows.append(HearingRow(setup, rt60, len(cases), **means))
            write_lines(rows, format_hearing(rows), out)
            on_row(f"| {' | '.join(_format_row(rows[-1]))} |")
    return format_hearing(rows)


def score_recording(pipe: SoundPipeline, case: Case, recording: np.ndarray, rate: int, setup: str) -> dict[str, float]:
    """The shares of `HearingRow` for one recording."""
    scene = listen(recording, rate)
    free, told = (_plan_scene(pipe, recording, scene, prompt) for prompt in (None, write_caption(case)))
    given = name_sources(pipe, recording, separate_at(recording, rate, case.azimuths, setup))
    at = {name: azimuth for name, azimuth in zip(free.subjects, free.scene.azimuths, strict=True)}
    known = [word in at for word in case.words]
    ordered = all(known) and np.argmin([at[word] for word in case.words]) == np.argmin(case.azimuths)
    return {
        "setup_right": float(scene.setup == setup),
        "counted": float(len(free.scene.sources) == len(case.words)),
        "both_heard": float(all(check_placed(free, case))),
        "both_matched": float(all(check_placed(told, case))),
        "named": float(np.mean([a == b for a, b in zip(given, case.words, strict=True)])),
        "ordered": float(ordered),
    }


def check_placed(plan: Plan, case: Case) -> list[bool]:
    """For each thing: does a source of that name have a place on its side?"""
    placed = [(region.label, plan.scene.azimuths[i]) for i, region in plan.regions.items()]
    return [
        any(name == word and a * b > 0 for name, b in placed) for word, a in zip(case.words, case.azimuths, strict=True)
    ]


def name_sources(pipe: SoundPipeline, recording: np.ndarray, scene: Scene) -> list[str]:
    """The name of each source of a scene; "" for those of which separation left nothing."""
    audible = [np.abs(source.signal).max() > SILENCE_PEAK for source in scene.sources]
    if not any(audible):
        return [""] * len(audible)
    heard = replace(scene, sources=tuple(one for one, each in zip(scene.sources, audible, strict=True) if each))
    names = iter(_plan_scene(pipe, recording, heard, None, len(heard.sources)).subjects)  # none is added
    return [next(names) if each else "" for each in audible]


def separate_at(recording: np.ndarray, rate: int, azimuths: Sequence[float], setup: str) -> Scene:
    """The scene of a listener who was told the directions and the setup."""
    images = separate(recording, rate, list(azimuths), setup=setup)
    signals = pick_louder_channels(images)
    sources = [
        Source(signal, Direction(azimuth), 10 * float(np.log10(np.mean(np.square(image)) + 1e-12)), image=image)
        for signal, azimuth, image in zip(signals, azimuths, images, strict=True)
    ]
    return Scene(tuple(sources), rate, setup, make_setup(setup).spacing)


def _plan_scene(
    pipe: SoundPipeline, recording: np.ndarray, scene: Scene, prompt: str | None, most: int = MAX_SOURCES
) -> Plan:
    stages = Stages(find_sources=lambda *_: scene)
    return make_plan(recording, scene.rate, pipe, PlanOptions(prompt, max_sources=most), stages=stages)


def _load_or_record(folder: Path, case: Case, setup: str, rt60: float | None, record: Record) -> np.ndarray:
    path, wanted = folder / f"{case.seed:04}.npz", repr(asdict(case))
    if path.is_file():
        with np.load(path) as saved:
            if str(saved["case"]) == wanted:
                return saved["recording"]
    recording = record(case, setup, rt60)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(path, recording=recording, case=wanted)
    return recording


def format_hearing(rows: Sequence[HearingRow]) -> str:
    """Markdown; percent."""
    head = (
        "setup, RT60 s, scenes, setup right %, number right %, both heard with name and side %, "
        "both words of the prompt matched %, names right given directions %, order right by name %"
    )
    return markdown_table(head.split(", "), map(_format_row, rows))


def _format_row(row: HearingRow) -> list[str]:
    shares = [row.setup_right, row.counted, row.both_heard, row.both_matched, row.named, row.ordered]
    return [row.setup, f"{row.rt60:g}" if row.rt60 else "dry", str(row.scenes), *[f"{100 * x:.0f}" for x in shares]]
