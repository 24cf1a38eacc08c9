"""Train the strict judge on scenes in which half of the things are spoilt (judge_scenes.py).

    python -m experiments.world.training.train_judge --start runs/mini/detector --out runs/mini/judge
    python -m experiments.world.training.train_judge --start audiotoken/mini/judge --first 4000 --out runs/mini/judge

It starts from the body of the lenient detector, or goes on from a judge. It never sees a picture that a checkpoint
drew, and its scenes have seeds of their own. The threshold is the strictest one that still accepts `ACCEPTED` of
composed scenes with one thing, and of those with two. A stopped training goes on from its last checkpoint, `OUT.pt`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from audiotoken.mini.strict_judge import (
    HEADS,
    NOTHING,
    SPOILT,
    Marks,
    StrictJudge,
    Verdict,
    judge,
    load_judge,
    save_judge,
)
from audiotoken.mini.things import BACKDROPS, WORDS
from experiments.world.scenes import Painter, Scenes
from experiments.world.training import checkpoints, workers
from experiments.world.training.checkpoints import read_weights
from experiments.world.training.detector import degrade_images
from experiments.world.training.judge_scenes import IGNORE, JudgeBatch, JudgeScenes
from experiments.world.training.workers import Ema, Log, Worker

FIRST_SEED = 700_000_000  # different from the seeds of the checkpoint, its detector and its CLIP
HELD_OUT = FIRST_SEED - 1_000  # seeds of the scenes for the threshold and the report
TOGETHER = 4  # batches that are painted at once, so that drawings can be merged with others
QUIET = 0.1  # weight of cells at no thing's centre
ACCEPTED = 0.985  # share of composed scenes that the threshold lets pass
ONE, TWO = (1.0, 0, 0, 0), (0, 1.0, 0, 0)  # shares of scenes with one to four things
LOWEST = 0.3  # the threshold is not below this
SAVE_EVERY = 20  # steps


def compute_losses(marks: Marks, drawn: JudgeBatch) -> dict[str, Tensor]:
    """Cross-entropy of the three heads; spoilt centres weigh as much as whole ones."""
    weight = torch.where((drawn.centres != NOTHING) | drawn.spoilt, 1.0, QUIET)
    each = F.cross_entropy(marks.centres, drawn.centres, ignore_index=IGNORE, reduction="none")
    kinds = torch.ones(SPOILT + 1)
    kinds[NOTHING] = 0.3
    return {
        "centres": (each * weight).sum() / weight[drawn.centres != IGNORE].sum(),
        "cells": 0.5 * F.cross_entropy(marks.cells, drawn.cells, kinds.to(each.device)),
        "backdrops": 0.3 * F.cross_entropy(marks.backdrops, drawn.backdrops),
    }


class JudgeBatches:
    """Batches of labelled scenes, several painted at once."""

    def __init__(self, source: JudgeScenes, worker: Worker, size: int):
        self.source, self.worker, self.size = source, worker, size
        self.number, self.painted = -1, source.paint(1, FIRST_SEED)

    def batch(self, step: int) -> JudgeBatch:
        """The batch of a step; its degradation depends on the step too."""
        number, row = divmod(step, TOGETHER)
        if number != self.number:
            seed = FIRST_SEED + number * self.worker.count + self.worker.rank
            self.number, self.painted = number, self.source.paint(self.size * TOGETHER, seed)
        drawn = self.painted[slice(row * self.size, (row + 1) * self.size)]
        images = degrade_images(drawn.images, torch.Generator().manual_seed(FIRST_SEED + step))
        parts = (drawn.centres, drawn.cells, drawn.spoilt, drawn.backdrops)
        return JudgeBatch(*(part.to(self.worker.device) for part in (images, *parts)))


def train(
    worker: Worker, atlas: Path, drawings: Path, start: Path, out: Path, steps: int, batch: int, first: int = 0
) -> None:
    """Train for `steps` batches, drawn from number `first` on."""
    torch.manual_seed(4)
    painter, model = Painter(atlas, mirrored=0.5), StrictJudge()
    checkpoints.warm_start(model, select_weights(start))
    model.to(worker.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0.01)
    ema, log, path = Ema(model, 0.99), Log(steps, 10, not worker.first), out.with_suffix(".pt")
    batches = JudgeBatches(JudgeScenes(painter, drawings), worker, batch)
    state = checkpoints.resume(path, model, [ema], [optimiser])
    for step in range(state["step"] if state else 0, steps):
        workers.set_learning_rate([optimiser], 2e-3 * min(1, (step + 1) / 30, (steps - step) / (0.7 * steps)))
        drawn = batches.batch(first + step)
        with worker.autocast():
            marks = model(drawn.images.contiguous(memory_format=torch.channels_last))
        terms = compute_losses(Marks(marks.centres.float(), marks.cells.float(), marks.backdrops.float()), drawn)
        sum(terms.values(), torch.zeros((), device=worker.device)).backward()
        worker.average_gradients(model.parameters())
        optimiser.step()
        optimiser.zero_grad()
        ema.update(model)
        log(step, batch * worker.count, **terms)
        if worker.first and ((step + 1) % SAVE_EVERY == 0 or step + 1 == steps):
            checkpoints.save(path, step + 1, model, [ema], [optimiser])
    if worker.first:
        model.load_state_dict(ema.weights)
        save_judge(ema.weights, find_threshold(model.cpu().eval(), painter), out)
        measure_judge(out, painter, batches.source)


def select_weights(start: Path) -> dict[str, Tensor]:
    """The body of a detector, whose head is for other classes, or all of a judge."""
    weights = read_weights(start)
    if weights["head.weight"].shape[0] == sum(HEADS):
        return weights
    return {name: each for name, each in weights.items() if name.startswith("body.")}


def paint_scenes(
    painter: Painter, count: int, seed: int, counts: tuple[float, ...] = ONE
) -> tuple[Scenes, list[list[str]]]:
    """Composed scenes with one thing, or two, and the words of each."""
    scenes = painter.paint(count, seed, counts=counts)
    return scenes, [[WORDS[kind] for kind in kinds if kind >= 0] for kinds in scenes.kinds.tolist()]


def find_threshold(model: StrictJudge, painter: Painter, count: int = 480) -> float:
    """The highest threshold that accepts `ACCEPTED` of composed scenes, of one thing and of two; at least `LOWEST`."""
    model.threshold = 0.0
    limits = []
    for number, counts in enumerate((ONE, TWO)):
        scenes, words = paint_scenes(painter, count, HELD_OUT + 10 * number, counts)
        scores = [score_scene(*pair) for pair in zip(judge(scenes.images.cpu(), model), words, strict=True)]
        limits.append(float(np.quantile(scores, 1 - ACCEPTED)) - 1e-3)
    return max(LOWEST, min(limits))


def score_scene(verdict: Verdict, words: Sequence[str]) -> float:
    """The least certain of a scene's things, if the most certain ones are its words; else 0."""
    first = verdict.things[: len(words)]
    return first[-1].score if sorted(thing.word for thing in first) == sorted(words) else 0.0


def measure_judge(out: Path, painter: Painter, source: JudgeScenes, count: int = 480) -> None:
    """What the judge accepts of unseen scenes: composed ones, and those in which everything is spoilt."""
    load_judge.cache_clear()
    model = load_judge(out)
    scenes, words = paint_scenes(painter, count, HELD_OUT + 1)
    found = list(zip(judge(scenes.images.cpu(), model), (word for (word,) in words), strict=True))
    named, clean = (format_share([test(v, w) for v, w in found]) for test in (Verdict.names, Verdict.accepts))
    one = format_share([v.is_one(w) for v, w in found])
    behind = format_share(
        [v.backdrop == BACKDROPS[b] for (v, _), b in zip(found, scenes.backdrops.tolist(), strict=True)]
    )
    pairs, both = paint_scenes(painter, count, HELD_OUT + 11, TWO)
    judged = zip(judge(pairs.images.cpu(), model), both, strict=True)
    two = format_share([all(v.find(word) for word in words) for v, words in judged])
    bad = source.paint(count // 2, HELD_OUT + 2, bad=1.0)
    silent = format_share([not v.things for v in judge(bad.images, model)])
    print(f"threshold {model.threshold:.2f}  composed scenes: named {named}, accepted {clean}, alone {one}; two things "
          f"{two}; backdrop {behind}; scenes of spoilt things: nothing accepted in {silent}", flush=True)  # fmt: skip


def format_share(hits: Sequence[bool]) -> str:
    return f"{100 * sum(hits) / max(len(hits), 1):.1f} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--atlas", type=Path, default=Path("runs/art/atlas.safetensors"))
    parser.add_argument("--drawings", type=Path, default=Path("runs/art/judge.safetensors"), help="of judge_art.py")
    parser.add_argument("--start", type=Path, default=Path("runs/mini/detector"), help="folder of a detector or judge")
    parser.add_argument("--first", type=int, default=0, help="number of the first batch: those before have been seen")
    parser.add_argument("--out", type=Path, default=Path("runs/mini/judge"))
    parser.add_argument("--steps", type=int, default=1800)  # 1000 were too few
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--workers", type=int, default=None, help="default: one per GPU, or per core")
    args = parser.parse_args()
    workers.run_workers(
        train, args.atlas, args.drawings, args.start, args.out, args.steps, args.batch, args.first, workers=args.workers
    )


if __name__ == "__main__":
    main()
