"""Is everything on its side? Pictures of one and of two things at seeded places, drawn by the mini checkpoint.

    python -m experiments.bench placement n=200 out=runs/placement
    python -m experiments.bench placement n=24 methods=[none,combined] tokens=audio
    python -m experiments.bench placement model=my-sd detector=google/owlv2-base-patch16-ensemble

Directions are the true ones: what is measured is guidance, not listening. Judged by a detector that guidance never
sees. Controls: the same scenes with channels swapped, and mono, where no side can be known.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from audiotoken.model import load_pipeline
from audiotoken.tables import markdown_table
from experiments.benchmarks.cases import Case, make_cases, read, regions_of
from experiments.benchmarks.pictures import draw_all
from experiments.benchmarks.quality import QUALITY, Quality, judge, quality_of
from experiments.benchmarks.seeing import ALONE, PAIRS, Eyes, Pairs, eyes_of, look, pairs_of, shares_of
from experiments.benchmarks.tables import name_of, row_of, sheet_of, write_lines
from experiments.door import check, run_from_signature
from guidance.metrics import average_placements, measure_placement
from guidance.sampling import sample

METHODS = ("none", "forward", "layout", "boxdiff", "centroid", "combined")
CONTROLS = ("swapped", "mono")
TOKENS = ("label", "audio")
REACH = 0.15  # of the width: what counts as near


@dataclass(frozen=True)
class Line:
    """One row of the table; shares are 0 to 1, `all_*` of pictures, the others of things."""

    things: int
    method: str
    control: str
    pictures: int
    present: float
    side: float
    near: float
    all_present: float
    all_side: float
    error: float
    iou: float  # of the boxes, 0 when absent
    clear: float  # how sure the detector is: of the cells that it calls the word, or of the box
    quality: Quality
    seconds: float  # of this process, a picture
    ratio: float  # to the same without guidance
    pairs: Pairs = ALONE


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

    controls: "swapped" draws what `combined` draws with left and right exchanged, "mono" with both in the middle.
    tokens: "label" says the word, "audio" the embedder's token of a synthesised sound of unseen seed (of the 16 heard
    words). detector: "mini" knows what the mini checkpoint paints; for other models a folder or hub id of OWLv2 or
    Grounding DINO, and no quality is judged. Writes table.md, rows.json, the pictures and a sheet of each row into
    `out`, and goes on where it was stopped. OptionError for what is out of range.
    """
    check(n, methods=(methods, METHODS), controls=(controls, CONTROLS), tokens=([tokens], TOKENS))
    import torch

    torch.set_num_threads(threads)
    folder, tell = Path(out), on_row or (lambda text: None)
    folder.mkdir(parents=True, exist_ok=True)
    pipe, eyes = load_pipeline(model, "cpu"), eyes_of(detector)
    lines: list[Line] = []
    for things, count in ((1, (n + 1) // 2 if singles is None else singles), (2, n)):
        cases = make_cases(count, things, seed, tokens)
        words = read(pipe, cases, tokens)
        rows = [(method, "") for method in methods] + [("combined", control) for control in controls]
        for method, control in rows if count else ():
            kept = folder / "pictures" / name_of(things, method, control)
            settings = {"model": model, "tokens": tokens}
            line, images = run(pipe, cases, words, method, control, steps, kept, settings, eyes)
            plain = next((each for each in lines if each.things == things and each.method == "none"), line)
            lines.append(replace(line, ratio=line.seconds / plain.seconds if plain.method == "none" else float("nan")))
            sheet_of(images, folder / f"{name_of(things, method, control)}.png")
            write_lines(lines, table(lines), folder)
            tell(_row(lines[-1]))
    return table(lines)


def run(
    pipe: Any,
    cases: Sequence[Case],
    words: Sequence[Any],
    method: str,
    control: str,
    steps: int | None,
    folder: Path | None = None,
    settings: dict[str, Any] | None = None,
    eyes: Eyes | None = None,
) -> tuple[Line, list[Any]]:
    """Draw all cases one way, look at them with `eyes` (see `eyes_of`).

    Pictures are kept in `folder`, told apart by `settings`.
    """
    told = [case.swapped() if control == "swapped" else case for case in cases]
    regions = [regions_of(case, at, control == "mono") for case, (_, at) in zip(told, words, strict=True)]

    def draw(part: slice) -> tuple[list[Any], list[Any]]:
        prompts, seeds = [prompt for prompt, _ in words[part]], [case.seed for case in cases[part]]
        drawn = sample(pipe, prompts, regions=regions[part], energy=method, seed=seeds, num_inference_steps=steps)
        return drawn.images, [None] * len(drawn.images)

    asked = {"method": method, "control": control, "steps": steps} | (settings or {})
    drawn = draw_all([asked | {"case": asdict(case)} for case in cases], folder, draw)
    images, seconds = [each.image for each in drawn], sum(each.seconds for each in drawn) / len(drawn)
    wanted = [regions_of(case, at) for case, (_, at) in zip(told, words, strict=True)]
    seen, clear = (eyes or look)(images, cases)
    scores = asdict(
        average_placements([measure_placement(want, see, REACH) for want, see in zip(wanted, seen, strict=True)])
    )
    kept = {name: scores[name] for name in ("present", "side", "near", "all_present", "all_side", "error", "iou")}
    things = len(cases[0].words)
    line = Line(things, method, control, len(cases), **kept, clear=clear, quality=judge(images, cases, eyes),
                seconds=seconds, ratio=1, pairs=pairs_of(wanted, seen))  # fmt: skip
    return line, images


def table(lines: Sequence[Line]) -> str:
    """Markdown; percent of things, and of pictures where it says all."""
    head = "things, method, pictures, present %, on its side %, within 0.15 %, all present %, all on their sides %"
    columns = [*head.split(", "), "detector sure %", *PAIRS, "centre error", "IoU", *QUALITY, "CPU s", "x plain"]
    return markdown_table(columns, map(_row, lines))


def _row(line: Line) -> list[str]:
    shares = [line.present, line.side, line.near, line.all_present, line.all_side, line.clear, *shares_of(line.pairs)]
    rest = [f"{line.error:.2f}", f"{line.iou:.2f}", *quality_of(line.quality)]
    return row_of(line, shares, [*rest, f"{line.seconds:.2f}", f"{line.ratio:.2f}"])


def main() -> None:
    run_from_signature(bench_placement)


if __name__ == "__main__":
    main()
