"""Is everything on its side? Pictures of one and of two things at seeded places, drawn with each method.

    python -m experiments.bench placement n=200 out=runs/placement
    python -m experiments.bench placement n=24 methods=[none,combined] tokens=audio
    python -m experiments.bench placement model=my-sd detector=google/owlv2-base-patch16-ensemble

Directions are the true ones, so that guidance is measured and not listening. A detector that guidance does not use
judges the pictures. Controls: the same scenes with channels swapped, and mono, in which no side can be known.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image

from audiotoken.manifest import fingerprint
from audiotoken.model import load_pipeline
from audiotoken.prompt import Positions, Prompt
from audiotoken.protocols import SoundPipeline
from audiotoken.tables import markdown_table
from experiments.benchmarks.cases import Case, encode_cases, make_cases, make_regions
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
from experiments.benchmarks.pictures import draw_or_load
from experiments.benchmarks.quality import QUALITY_COLUMNS, Quality, format_quality, judge_quality
from experiments.benchmarks.tables import format_name, format_row, write_lines, write_sample_sheet
from experiments.hydra_cli import check, run_from_signature
from guidance.backbones import Backbone
from guidance.methods import Method
from guidance.metrics import average_placements, measure_placement
from guidance.sampling import sample

METHODS = ("none", "regional", "forward", "layout", "boxdiff", "centroid", "combined")
CONTROLS = ("swapped", "mono")
TOKENS = ("label", "audio")
REACH = 0.15  # of the width: the distance that counts as near


@dataclass(frozen=True)
class Row:
    """One row of the table. Shares are 0 to 1: `all_*` of pictures, the others of things."""

    things: int
    method: str | Method
    control: str
    pictures: int
    present: float
    side: float
    near: float
    all_present: float
    all_side: float
    error: float
    iou: float  # intersection over union of the boxes, 0 if absent
    clear: float  # confidence of the detector: in the cells that it gives the word, or in the box
    quality: Quality
    seconds: float  # CPU seconds of this process per picture
    ratio: float  # of seconds to those without guidance
    pairs: PairScores = NO_PAIRS


def bench_placement(
    *,
    n: int = 200,
    singles: int | None = None,
    methods: Sequence[str] = METHODS,
    controls: Sequence[str] = CONTROLS,
    tokens: str = "label",
    seed: int = 0,
    model: str = "mini",
    detector: str = "mini",
    steps: int | None = None,
    threads: int = 1,
    out: str | os.PathLike = "runs/placement",
    on_row: Callable[[str], None] | None = None,
) -> str:
    """Draw `n` pictures of two things and `singles` (n / 2) of one with each method -> the Markdown table.

    A transformer is drawn with "none" and "regional" only. controls: "swapped" draws with the model's own method and
    left and right exchanged, "mono" with everything in the middle.
    tokens: "label" names the thing in the prompt, "audio" uses the embedder's token of a synthesised sound with an
    unseen seed (one of the 16 audible words). detector: "mini" for the mini checkpoint; for other models a folder or
    hub id of OWLv2 or Grounding DINO, and quality is not judged. Writes table.md, rows.json, the pictures and a sheet
    of each row into `out`, and continues a stopped run. OptionError for options out of range.
    """
    check(n, methods=(methods, METHODS), controls=(controls or CONTROLS, CONTROLS), tokens=([tokens], TOKENS))
    torch.set_num_threads(threads)
    folder, report_row = Path(out), on_row or (lambda text: None)
    folder.mkdir(parents=True, exist_ok=True)
    pipe, detect = load_pipeline(model, "cpu"), load_detect(detector)
    own = Backbone.from_pipe(pipe)
    chosen = [method for method in methods if own.has_cross_attention or method in ("none", own.default_method)]
    lines: list[Row] = []
    for things, count in ((1, (n + 1) // 2 if singles is None else singles), (2, n)):
        cases = make_cases(count, things, seed, tokens)
        encoded = encode_cases(pipe, cases, tokens)
        rows = [(method, "") for method in chosen] + [(own.default_method, control) for control in controls]
        for method, control in rows if count else ():
            pictures = folder / "pictures" / format_name(things, method, control)
            settings = {"model": fingerprint(model), "tokens": tokens}
            line, images = draw_and_score(pipe, cases, encoded, method, control, steps, pictures, settings, detect)
            plain = next((each for each in lines if each.things == things and each.method == "none"), line)
            lines.append(replace(line, ratio=line.seconds / plain.seconds if plain.method == "none" else float("nan")))
            write_sample_sheet(images, folder / f"{format_name(things, method, control)}.png")
            write_lines(lines, format_table(lines), folder)
            report_row(f"| {' | '.join(_format_row(lines[-1]))} |")
    return format_table(lines)


def draw_and_score(
    pipe: SoundPipeline,
    cases: Sequence[Case],
    encoded: Sequence[tuple[Prompt, Positions]],
    method: str | Method,
    control: str,
    steps: int | None,
    folder: Path | None = None,
    settings: dict[str, Any] | None = None,
    detect: Detect = detect_painted,
) -> tuple[Row, list[Image]]:
    """Draw all cases with one method and score what `detect` finds -> (the row, pictures).

    encoded: of `encode_cases`. Pictures are saved in `folder` and identified by `settings`.
    """
    heard = [case.swap_sides() if control == "swapped" else case for case in cases]
    regions = [make_regions(case, at, control == "mono") for case, (_, at) in zip(heard, encoded, strict=True)]

    def draw(part: slice) -> tuple[list[Image], list[None]]:
        prompts, seeds = [prompt for prompt, _ in encoded[part]], [case.seed for case in cases[part]]
        drawn = sample(pipe, prompts, regions=regions[part], energy=method, seed=seeds, num_inference_steps=steps)
        return drawn.images, [None] * len(drawn.images)

    settings = {"method": method, "control": control, "steps": steps} | (settings or {})
    drawn = draw_or_load([settings | {"case": asdict(case)} for case in cases], folder, draw)
    images, seconds = [each.image for each in drawn], sum(each.seconds for each in drawn) / len(drawn)
    wanted = [make_regions(case, at) for case, (_, at) in zip(heard, encoded, strict=True)]
    detections, clear = detect(images, cases)
    placements = [measure_placement(want, see, REACH) for want, see in zip(wanted, detections, strict=True)]
    scores = asdict(average_placements(placements))
    columns = {name: scores[name] for name in ("present", "side", "near", "all_present", "all_side", "error", "iou")}
    things, quality = len(cases[0].words), judge_quality(images, cases, detect)
    row = Row(things, method, control, len(cases), **columns, clear=clear, quality=quality, seconds=seconds, ratio=1,
              pairs=score_pairs(wanted, detections))  # fmt: skip
    return row, images


def format_table(lines: Sequence[Row]) -> str:
    """Markdown; percent of things, or of pictures in columns that say "all"."""
    head = "things, method, pictures, present %, on its side %, within 0.15 %, all present %, all on their sides %"
    columns = [
        *head.split(", "),
        "detector sure %",
        *PAIR_COLUMNS,
        "centre error",
        "IoU",
        *QUALITY_COLUMNS,
        "CPU s",
        "x plain",
    ]
    return markdown_table(columns, map(_format_row, lines))


def _format_row(line: Row) -> list[str]:
    shares = [
        line.present,
        line.side,
        line.near,
        line.all_present,
        line.all_side,
        line.clear,
        *list_pair_shares(line.pairs),
    ]
    rest = [f"{line.error:.2f}", f"{line.iou:.2f}", *format_quality(line.quality)]
    return format_row(line, shares, [*rest, f"{line.seconds:.2f}", f"{line.ratio:.2f}"])


def main() -> None:
    run_from_signature(bench_placement)


if __name__ == "__main__":
    main()
