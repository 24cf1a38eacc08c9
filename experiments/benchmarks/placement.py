"""Is everything on its side? Pictures of one and of two things at seeded places, drawn by the mini checkpoint.

    python -m experiments.bench placement n=200 out=runs/placement
    python -m experiments.bench placement n=24 methods=[none,ours] tokens=audio
    python -m experiments.bench placement model=my-sd detector=google/owlv2-base-patch16-ensemble

Directions are the true ones: what is measured is guidance, not listening. Judged by a detector that guidance never
sees. Controls: the same scenes with channels swapped, and mono, where no side can be known.
"""

import inspect
import math
import os
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from experiments.benchmarks.pictures import draw_all
from experiments.benchmarks.seeing import ALONE, PAIRS, Eyes, Pairs, eyes_of, pairs_of, shares_of
from experiments.generate import OptionError, errors_as_sentences, run_hydra

METHODS = ("none", "forward", "layout", "boxdiff", "centroid", "ours")
CONTROLS = ("swapped", "mono")
TOKENS = ("label", "audio")
REACH = 0.15  # of the width: what counts as near
AZIMUTHS = (10.0, 38.0)  # degrees off the middle, of a camera that sees 45 to each side
LEVELS = {1: (-40.0, -15.0), 2: (-45.0, -25.0)}  # dB, by number of things: how large (see spatial.camera)
FEW = 20  # pictures: a distance between fewer says nothing
QUALITY = ("CLIP score", "FID", "CLIP-FID")


@dataclass(frozen=True, eq=False)
class Case:
    """One picture to draw: words, where they are heard, and the seed of its noise."""

    words: tuple[str, ...]
    azimuths: tuple[float, ...]  # degrees, positive right
    levels: tuple[float, ...]  # dB
    seed: int

    def swapped(self) -> "Case":
        return replace(self, azimuths=tuple(-azimuth for azimuth in self.azimuths))


@dataclass(frozen=True)
class Quality:
    """What placing may cost; not a number where no judge knows the pictures."""

    clip: float  # cosine of picture and sentence, the mean (CLIP score, Hessel et al. 2021, without its factor)
    fid: float  # Frechet distance to painted scenes, by the features of the detector
    clip_fid: float  # and by CLIP's


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
    quality: "Quality"
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

    controls: "swapped" draws what `ours` draws with left and right exchanged, "mono" with both in the middle. tokens:
    "label" says the word, "audio" the embedder's token of a synthesised sound of unseen seed (of the 16 heard words).
    detector: "mini" knows what the mini checkpoint paints; for other models a folder or hub id of OWLv2 or Grounding
    DINO, and no quality is judged. Writes table.md, rows.json, the pictures and a sheet of each row into `out`, and
    goes on where it was stopped. OptionError for what is out of range.
    """
    check(n, methods=(methods, METHODS), controls=(controls, CONTROLS), tokens=([tokens], TOKENS))
    import torch

    from experiments.generate import load_parts

    torch.set_num_threads(threads)
    folder, tell = Path(out), on_row or (lambda text: None)
    folder.mkdir(parents=True, exist_ok=True)
    pipe, eyes = load_parts(model, "cpu"), eyes_of(detector)
    lines: list[Line] = []
    for things, count in ((1, (n + 1) // 2 if singles is None else singles), (2, n)):
        cases = make_cases(count, things, seed, tokens)
        words = read(pipe, cases, tokens)
        rows = [(method, "") for method in methods] + [("ours", control) for control in controls]
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


def make_cases(count: int, things: int, seed: int, tokens: str = "label") -> list[Case]:
    """Case i depends on the seed and i only. Two things are one left and one right, of different words."""
    from experiments.world.things import HEARD, WORDS

    cases = []
    for i in range(count):
        rng = random.Random(f"{seed}/{things}/{i}")
        words = rng.sample(WORDS if tokens == "label" else HEARD, things)
        sides = rng.sample((-1, 1), 2)[:things]
        azimuths = tuple(side * rng.uniform(*AZIMUTHS) for side in sides)
        cases.append(Case(tuple(words), azimuths, tuple(rng.uniform(*LEVELS[things]) for _ in words), i))
    return cases


def read(pipe: Any, cases: Sequence[Case], tokens: str) -> list[tuple[Any, tuple[tuple[int, ...], ...]]]:
    """(prompt, positions of each thing) of every case."""
    from audiotoken.prompt import word_positions
    from experiments.world.sounds import synthesise

    rate, found = 22_050, []
    for case in cases:
        if tokens == "audio":
            clips = [synthesise(word, rate, 4.0, 700_000 + case.seed) for word in case.words]
            prompt = pipe.read("a photo of " + " and ".join(["<audio>"] * len(clips)), pipe.sounds(clips, rate))[0]
            found.append((prompt, prompt.positions))
            continue
        prompt = pipe.read(sentence_of(case))[0]
        found.append((prompt, tuple(word_positions(prompt.text, word, pipe.tokenizer) for word in case.words)))
    return found


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
    from guidance.metrics import place, score
    from guidance.sampling import sample

    told = [case.swapped() if control == "swapped" else case for case in cases]
    regions = [regions_of(case, at, control == "mono") for case, (_, at) in zip(told, words, strict=True)]

    def draw(part: slice) -> tuple[list[Any], list[Any]]:
        prompts, seeds = [prompt for prompt, _ in words[part]], [case.seed for case in cases[part]]
        drawn = sample(pipe, prompts, regions=regions[part], energy=method, seed=seeds, steps=steps)
        return drawn.images, [None] * len(drawn.images)

    asked = {"method": method, "control": control, "steps": steps} | (settings or {})
    drawn = draw_all([asked | {"case": asdict(case)} for case in cases], folder, draw)
    images, seconds = [each.image for each in drawn], sum(each.seconds for each in drawn) / len(drawn)
    wanted = [regions_of(case, at) for case, (_, at) in zip(told, words, strict=True)]
    seen, clear = (eyes or look)(images, cases)
    scores = asdict(score([place(want, see, REACH) for want, see in zip(wanted, seen, strict=True)]))
    kept = {name: scores[name] for name in ("present", "side", "near", "all_present", "all_side", "error", "iou")}
    things = len(cases[0].words)
    line = Line(things, method, control, len(cases), **kept, clear=clear, quality=judge(images, cases, eyes),
                seconds=seconds, ratio=1, pairs=pairs_of(wanted, seen))  # fmt: skip
    return line, images


def name_of(things: int, method: str, control: str) -> str:
    return "-".join([str(things), method, *[control] * bool(control)])


def sentence_of(case: Case) -> str:
    return "a photo of " + " and ".join(f"{'an' if word[0] in 'aeiou' else 'a'} {word}" for word in case.words)


def judge(images: Sequence[Any], cases: Sequence[Case], eyes: Eyes | None = None) -> Quality:
    """By the small judges, who know painted pictures: not of what other `eyes` look at. Of few there is no distance."""
    if eyes not in (None, look):
        return Quality(math.nan, math.nan, math.nan)
    from audiotoken.clip import load_clip
    from audiotoken.metrics import cosine, frechet_distance
    from experiments.evaluation.judges import painted_of, seen_by_detector

    clip = load_clip("mini")
    seen, features = clip.images(images), seen_by_detector(images)[0]
    score = float(cosine(seen, clip.texts([sentence_of(case) for case in cases])).mean())
    if len(images) < FEW:
        return Quality(score, math.nan, math.nan)
    real = painted_of(len(cases[0].words))
    return Quality(score, frechet_distance(features, real["features"]), frechet_distance(seen, real["clip"]))


def regions_of(case: Case, positions: Sequence[tuple[int, ...]], mono: bool = False) -> list[Any]:
    """The camera's boxes of true directions; mono: all of them in the middle."""
    import numpy as np

    from guidance.regions import Region
    from spatial.camera import Camera
    from spatial.scene import Direction, Source

    silence = np.zeros(1, np.float32)
    azimuths = [0.0] * len(case.azimuths) if mono else case.azimuths
    sources = [
        Source(silence, Direction(azimuth, 0.0, 1.0), level, ())
        for azimuth, level in zip(azimuths, case.levels, strict=True)
    ]
    boxes = [Camera().box(source) for source in sources] if mono else Camera().boxes(sources)
    return [Region(box, at, word) for box, at, word in zip(boxes, positions, case.words, strict=True)]


def look(images: Sequence[Any], cases: Sequence[Case]) -> tuple[list[list[Any]], float]:
    """What the detector sees of the words in each picture, and how sure it is, in [0, 1]."""
    import numpy as np
    import torch

    from experiments.world.detector import detect, load_detector
    from experiments.world.things import WORDS
    from guidance.metrics import Detection

    arrays = np.stack([np.asarray(image, np.float32) for image in images])
    batch = torch.from_numpy(arrays).permute(0, 3, 1, 2) / 127.5 - 1
    seen: list[list[Any]] = []
    sure: list[float] = []
    found = detect(load_detector(), batch)
    with torch.no_grad():
        shares = load_detector()(batch).softmax(1)  # (batch, 25, 16, 16)
    for i, case in enumerate(cases):
        seen.append([])
        for kind in [WORDS.index(word) for word in case.words if found.present()[i, WORDS.index(word)]]:
            x, y = found.centre[i, kind].tolist()
            seen[-1].append(Detection(WORDS[kind], (x, y), _box(shares[i, kind]), found.area[i, kind].item() / 256))
            own = shares[i, kind][shares[i].argmax(0) == kind]
            sure.append(own.mean().item() if len(own) else 0.0)
    return seen, sum(sure) / max(len(sure), 1)


def _box(share: Any) -> tuple[float, float, float, float] | None:
    """Around all cells that show it more than half, (16, 16) -> box."""
    rows, columns = (share > 0.5).any(1).nonzero().flatten(), (share > 0.5).any(0).nonzero().flatten()
    if not len(rows):
        return None
    h, w = share.shape
    return int(columns[0]) / w, int(rows[0]) / h, int(columns[-1] + 1) / w, int(rows[-1] + 1) / h


def table(lines: Sequence[Line]) -> str:
    """Markdown; percent of things, and of pictures where it says all."""
    head = "things, method, pictures, present %, on its side %, within 0.15 %, all present %, all on their sides %"
    columns = [*head.split(", "), "detector sure %", *PAIRS, "centre error", "IoU", *QUALITY, "CPU s", "x plain"]
    return markdown(columns, map(_row, lines))


def _row(line: Line) -> str:
    shares = [line.present, line.side, line.near, line.all_present, line.all_side, line.clear, *shares_of(line.pairs)]
    rest = [f"{line.error:.2f}", f"{line.iou:.2f}", *quality_of(line.quality)]
    return row_of(line, shares, [*rest, f"{line.seconds:.2f}", f"{line.ratio:.2f}"])


def quality_of(quality: Quality) -> list[str]:
    return ["" if math.isnan(value) else f"{value:.2f}" for value in (quality.clip, quality.fid, quality.clip_fid)]


def row_of(line: Any, shares: Sequence[float], rest: Sequence[str]) -> str:
    """A row of Markdown: what was drawn and how, shares in percent (nothing where there is no number), and the rest."""
    cells = [str(line.things), f"{line.method} {line.control}".strip(), str(line.pictures)]
    cells += ["" if math.isnan(share) else f"{100 * share:.1f}" for share in shares]
    return "| " + " | ".join([*cells, *rest]) + " |"


def markdown(columns: Sequence[str], rows: Iterable[str]) -> str:
    return "\n".join(["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|", *rows])


def write_lines(lines: Sequence[Any], text: str, folder: Path) -> None:
    """rows.json and table.md, each whole."""
    import json

    from experiments.generate import write_bytes

    write_bytes(json.dumps([asdict(line) for line in lines], indent=1).encode(), folder / "rows.json")
    write_bytes((text + "\n").encode(), folder / "table.md")


def sheet_of(images: Sequence[Any], path: Path, most: int = 48) -> None:
    from experiments.world.measure import sheet

    sheet(images[:most], path, columns=8)


def check(n: int, **chosen: tuple[Sequence[str], Sequence[str]]) -> None:
    """OptionError for no pictures, and for a name=(values, known) of which some is not known."""
    if n < 1:
        raise OptionError(f"Got n={n}, want at least 1 picture; 200 tell 2 % apart.")
    for name, (values, known) in chosen.items():
        if not set(values) <= set(known):
            raise OptionError(f"Got {name}={','.join(values)}, want some of {', '.join(known)}; change it.")


def entry(function: Callable[..., str]) -> None:
    """The command line of `function`: its keyword parameters are the keys, `on_row` goes to stderr."""
    import sys

    import hydra
    from hydra.core.config_store import ConfigStore

    given = inspect.signature(function).parameters
    keys: dict[str, Any] = {name: each.default for name, each in given.items() if not name.startswith("on_")}
    silent = {"run": {"dir": "."}, "output_subdir": None}  # no folders: nothing but the results
    node = keys | {"hydra": silent, "defaults": [{"override hydra/job_logging": "stdout"}, "_self_"]}
    ConfigStore.instance().store(function.__name__, node)

    @hydra.main(version_base=None, config_name=function.__name__)
    def run_it(config: Any) -> None:
        with errors_as_sentences():
            print(function(**config, on_row=lambda text: print(text, file=sys.stderr, flush=True)))

    run_hydra(run_it)


def main() -> None:
    entry(bench_placement)


if __name__ == "__main__":
    main()
