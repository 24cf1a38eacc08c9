"""Can a stranger name the pictures? A checkpoint of the painted world before its strict judge.

    python -m experiments.bench strict model=FOLDER out=runs/strict              # ten minutes on a core
    python -m experiments.bench strict model=FOLDER pictures=2 backdrops=0 pairs=0       # a first look

Words: `pictures` of "a photo of a WORD" for each of 24 words. *Lenient* is the share whose largest thing the detector
names right; *strict* the share in which the most certain whole thing is the word; *one* the share in which it is the
only thing, with hardly anything spoilt beside it. All of them in CLIP-mini's features against as many composed scenes:
kernel distance (KID) and precision and recall. Backdrops: `backdrops` of "a WORD in a meadow" for each of ten, named by
the judge. Pairs: two things placed with `method`; on their sides if the judge finds both there, doubled if it finds
more than one of a word. Sheets of all pictures lie in OUT. A stopped run goes on; pictures of other weights are
drawn again.
"""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL.Image import Image
from safetensors.numpy import load_file

from audiotoken.clip import load_clip
from audiotoken.distances import kernel_distance, precision_recall
from audiotoken.errors import OptionError
from audiotoken.evaluation.judges import REFERENCE
from audiotoken.labels import choose_article
from audiotoken.manifest import fingerprint
from audiotoken.mini.object_detector import load_detector
from audiotoken.mini.strict_judge import Verdict, judge_pictures, load_judge
from audiotoken.mini.things import BACKDROPS, WORDS
from audiotoken.model import load_pipeline
from audiotoken.protocols import SoundPipeline
from audiotoken.writing import write_bytes
from experiments.benchmarks.cases import Case, encode_cases, make_cases, make_regions
from experiments.benchmarks.pictures import draw_or_load
from experiments.benchmarks.sheets import labelled_pictures, labelled_sheet
from experiments.benchmarks.strict_scores import (
    PairShares,
    WordRow,
    format_figures,
    format_word,
    mean_share,
    score_pairs,
    score_word,
)
from experiments.hydra_cli import check_choices, run_from_signature
from experiments.world.captions import PLACES
from experiments.world.measure import recognise_things
from guidance.methods import METHODS
from guidance.sampling import sample

SEED = 20_000  # of the first picture


@dataclass(frozen=True)
class StrictJudges:
    """The judges of one folder."""

    folder: Path

    def judge(self, images: Sequence[Image]) -> list[Verdict]:
        return judge_pictures(images, load_judge(self.folder / "judge"))

    def name(self, images: Sequence[Image]) -> list[str]:
        return recognise_things(images, load_detector(self.folder / "detector"))

    def compare(self, images: Sequence[Image]) -> dict[str, float]:
        """KID, precision and recall against composed scenes, as many of every word as there are pictures of it."""
        clip, reference = load_clip(self.folder / "clip"), load_file(self.folder / "clip" / REFERENCE)
        each = min(len(images) // len(WORDS), *np.bincount(reference["kinds"]).tolist())
        real = np.concatenate([reference["clip"][reference["kinds"] == kind][:each] for kind in range(len(WORDS))])
        drawn = clip.embed_images(images).reshape(len(WORDS), -1, clip.width)[:, :each].reshape(-1, clip.width)
        scale = clip.width**0.5  # the kernel expects features of unit variance, and embeddings have length 1
        if len(real) < 2 * len(WORDS):
            return {}
        figures = precision_recall(drawn, real)
        return {"kid": kernel_distance(drawn * scale, real.astype(float) * scale), **figures._asdict()}


def bench_strict(
    *,
    model: str = "mini",
    judges: str = "mini",
    pictures: int = 8,
    backdrops: int = 8,
    pairs: int = 60,
    method: str = "combined",
    steps: int | None = None,
    seed: int = 0,
    threads: int = 1,
    out: str | os.PathLike = "runs/strict",
    on_row: Callable[[str], None] | None = None,
) -> str:
    """Draw the pictures and judge them strictly -> the Markdown tables; 0 leaves a part out.

    pictures: of each word; backdrops: of each backdrop; pairs: in all. judges: "mini", or a folder with `judge`,
    `detector` and `clip`. Writes strict.json, strict.md and the sheets into `out`. OptionError for options out of
    range, CheckpointError for a folder that lacks a judge.
    """
    check_choices(method=([method], ("none", *METHODS)))
    if min(pictures, backdrops, pairs) < 0 or max(pictures, backdrops, pairs) == 0:
        raise OptionError(
            f"Got pictures={pictures}, backdrops={backdrops}, pairs={pairs}, expected numbers of which one is at "
            "least 1; pass pictures=8."
        )
    torch.set_num_threads(threads)
    jury = StrictJudges(Path(str(files("audiotoken.mini"))) if judges == "mini" else Path(judges))
    load_judge(jury.folder / "judge")  # a missing one shows before anything is drawn
    pipe, folder, say = load_pipeline(model, "cpu"), Path(out), on_row or (lambda text: None)
    draw = StoredDrawing(pipe, folder, {"model": fingerprint(model), "steps": steps}, steps, seed)
    figures: dict[str, Any] = {"model": model, "steps": steps, "seed": seed}
    if pictures:
        rows, drawn = measure_words(draw, jury, pictures, say)
        figures |= {"words": [asdict(row) for row in rows], "set": jury.compare(drawn)}
    if backdrops:
        figures["backdrops"] = measure_backdrops(draw, jury, backdrops)
    if pairs:
        figures["pairs"] = {"method": method, "pictures": pairs, **asdict(measure_pairs(draw, jury, pairs, method))}
    write_bytes((json.dumps(figures, indent=1) + "\n").encode(), folder / "strict.json")
    write_bytes((format_figures(figures) + "\n").encode(), folder / "strict.md")
    return format_figures(figures)


@dataclass(frozen=True)
class StoredDrawing:
    """Draws prompts, and keeps the pictures in folders of `out`."""

    pipe: SoundPipeline
    out: Path
    settings: dict[str, Any]
    steps: int | None
    seed: int

    def draw_prompts(self, name: str, prompts: Sequence[str]) -> list[Image]:
        """A picture of each; its noise depends on its place in the list."""
        seeds = [SEED + 10_000 * self.seed + i for i in range(len(prompts))]

        def draw(part: slice) -> tuple[list[Image], list[None]]:
            encoded = [self.pipe.encode_prompts(prompt)[0] for prompt in prompts[part]]
            drawn = sample(self.pipe, encoded, seed=seeds[part], num_inference_steps=self.steps).images
            return drawn, [None] * len(drawn)

        each = [self.settings | {"prompt": p, "seed": s} for p, s in zip(prompts, seeds, strict=True)]
        return [one.image for one in draw_or_load(each, self.out / "pictures" / name, draw)]

    def draw_cases(self, cases: Sequence[Case], method: str) -> list[Image]:
        """A picture of each case, with its things where they are heard."""
        encoded = encode_cases(self.pipe, cases, "label")

        def draw(part: slice) -> tuple[list[Image], list[None]]:
            regions = [make_regions(case, at) for case, (_, at) in zip(cases[part], encoded[part], strict=True)]
            drawn = sample(self.pipe, [prompt for prompt, _ in encoded[part]], regions=regions, energy=method,
                           seed=[case.seed for case in cases[part]], num_inference_steps=self.steps).images  # fmt: skip
            return drawn, [None] * len(drawn)

        each = [self.settings | {"method": method, "case": asdict(case)} for case in cases]
        return [one.image for one in draw_or_load(each, self.out / "pictures" / f"pairs-{method}", draw)]


def measure_words(
    draw: StoredDrawing, jury: StrictJudges, pictures: int, say: Callable[[str], None]
) -> tuple[list[WordRow], list[Image]]:
    """(a row for every word, all pictures in the order of the words); writes words.png."""
    rows, sheet = [], {}
    for word in WORDS:
        sheet[word] = draw.draw_prompts(f"words/{word}", [f"a photo of {choose_article(word)} {word}"] * pictures)
        rows.append(score_word(word, jury.name(sheet[word]), jury.judge(sheet[word])))
        say(f"| {' | '.join(format_word(rows[-1]))} |")
    labelled_sheet(sheet, draw.out / "words.png")
    return rows, [image for images in sheet.values() for image in images]


def measure_backdrops(draw: StoredDrawing, jury: StrictJudges, pictures: int) -> dict[str, float]:
    """The share of each backdrop that is named right; writes backdrops.png."""
    shares, sheet = {}, {}
    for i, (backdrop, places) in enumerate(PLACES.items()):
        words = [WORDS[(5 * i + 7 * k) % len(WORDS)] for k in range(pictures)]  # other words with every backdrop
        prompts = [f"{choose_article(word)} {word} {places[k % len(places)]}" for k, word in enumerate(words)]
        sheet[backdrop] = draw.draw_prompts(f"backdrops/{backdrop}", prompts)
        shares[backdrop] = mean_share([verdict.backdrop == backdrop for verdict in jury.judge(sheet[backdrop])])
    labelled_sheet(sheet, draw.out / "backdrops.png")
    return {name: shares[name] for name in BACKDROPS}


def measure_pairs(draw: StoredDrawing, jury: StrictJudges, count: int, method: str) -> PairShares:
    """Placed pairs; writes pairs.png, six in a row with their words, the left one first."""
    cases = make_cases(count, 2, draw.seed)
    images = draw.draw_cases(cases, method)
    captions = [" | ".join(w for _, w in sorted(zip(case.azimuths, case.words, strict=True))) for case in cases]
    labelled_pictures(images, captions, draw.out / "pairs.png")
    return score_pairs(cases, jury.judge(images))


def main() -> None:
    run_from_signature(bench_strict)


if __name__ == "__main__":
    main()
