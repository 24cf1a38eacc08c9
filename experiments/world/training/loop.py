"""The training loop that UNet and transformer share: rate, updates, averages, checkpoints, copies to choose from.

The rate falls with the root of the scenes seen, so that the weights are usable whenever the training is stopped; two
averages of different lengths are kept, and every 100,000 scenes a copy of both in half precision.
"""

import argparse
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from audiotoken.mini.things import WORDS
from audiotoken.training import catch_stop_signals
from experiments.world.training import checkpoints, workers
from experiments.world.training.checkpoints import PowerEma
from experiments.world.training.shards import Latents, NewScenes, ShardCache
from experiments.world.training.workers import Log, Worker

SINGLES = 32_000  # scenes of one thing that come first
ALONE = 3  # with a focus, every third batch shows one thing only
LEVEL = 150_000  # scenes after which the rate falls
AVERAGES = (0.05, 0.1)  # relative widths
EVERY = 100_000  # scenes between copies to choose from
COOLING = 0.25  # share of the scenes over which the rate falls to zero in the end, unless told otherwise
WARM_UP = 100  # steps
SAVE_EVERY = 50  # steps between checkpoints


@dataclass(frozen=True)
class Schedule:
    """How many scenes a training sees, a step and in all, and how its learning rate follows."""

    scenes: int  # in all, those of the weights that it starts from included
    batch: int  # scenes a step, of all workers
    peak: float  # learning rate
    seen: int = 0  # scenes that the weights it starts from had seen
    cooling: int | None = None  # scenes over which the rate falls to zero in the end; None: COOLING of all

    @property
    def first(self) -> int:
        """The step to begin with."""
        return self.seen // self.batch

    @property
    def steps(self) -> int:
        return self.scenes // self.batch


@dataclass(frozen=True)
class Options:
    """What UNet and transformer are trained with; the options of both commands."""

    atlas: Path  # drawings
    out: Path  # folder of the run
    scenes: int
    batch: int  # scenes a worker and step
    lr: float
    seen: int = 0
    cooling: int | None = None
    start: Path | None = None  # checkpoint folder to take weights from
    stop: int | None = None  # step to stop at
    focus: Sequence[str] = ()  # words to see more often

    def plan(self, worker: Worker) -> Schedule:
        """The schedule of all workers together."""
        return Schedule(self.scenes, self.batch * worker.count, self.lr, self.seen, self.cooling)


@dataclass
class TrainingRun:
    """A training and where it is."""

    worker: Worker
    path: Path  # of its checkpoint
    models: nn.ModuleDict
    optimisers: list[torch.optim.Optimizer]
    emas: list[PowerEma]
    state: dict[str, Any] | None  # as it was saved last; None in the beginning


def start_run(worker: Worker, path: Path, models: nn.ModuleDict, lr: float) -> TrainingRun:
    """Optimisers and averages of `models`, all of them where `path` left them if it is there."""
    optimisers = workers.make_optimisers(models, lr, worker)
    emas = [PowerEma(models, width) for width in AVERAGES]
    state = checkpoints.resume(path, models, list(emas), optimisers)
    return TrainingRun(worker, path, models, optimisers, emas, state)


def train_models(
    run: TrainingRun,
    source: ShardCache | NewScenes,
    compute_terms: Callable[[Latents, int], dict[str, Tensor]],
    scale: float,
    options: Options,
) -> None:
    """Lower `compute_terms(scenes, seed)` until all scenes were seen; all chance of a step comes from its seed.

    A single worker that is asked to stop writes everything before it does.
    """
    worker, schedule = run.worker, options.plan(run.worker)
    end = options.stop or schedule.steps
    log = Log(schedule.steps, 10, not worker.first)
    focused = isinstance(source, ShardCache) and len(source.focus) > 0
    with catch_stop_signals() if worker.count == 1 else nullcontext(threading.Event()) as asked:
        for step in range(run.state["step"] if run.state else schedule.first, end):
            workers.set_learning_rate(run.optimisers, compute_learning_rate(step, schedule))
            single = step * schedule.batch < SINGLES or (focused and step % ALONE == 0)
            drawn = source.batch(step, options.batch, single)
            with worker.autocast():
                terms = compute_terms(drawn, step * worker.count + worker.rank)
            update_models(run, terms)
            log(step, schedule.batch, **terms)
            stops = asked.is_set() and step + 1 < end
            if worker.first:
                whole = stops or (step + 1) % SAVE_EVERY == 0 or step + 1 == end
                save_progress(run, step + 1, schedule.batch, scale, whole, copy=stops)
            if stops:
                sys.exit(f"Stopped after step {step + 1} of {end}; the same command goes on from there.")


def compute_learning_rate(step: int, schedule: Schedule) -> float:
    """Warm-up, level, then one over the root of the scenes seen; down to zero over the last scenes.

    The way down is one minus a root, which ends lower than a line (Haegele et al., arXiv 2405.18392, section 3).
    """
    seen = (step + 1) * schedule.batch
    cooling = COOLING * schedule.scenes if schedule.cooling is None else schedule.cooling
    down = 1 - (schedule.scenes - seen) / max(cooling, schedule.batch)  # how far it has come, from 0 to 1
    warm, fallen = (step + 1 - schedule.first) / WARM_UP, (LEVEL / seen) ** 0.5
    return schedule.peak * min(1.0, warm, fallen) * (1 - min(1.0, max(0.0, down)) ** 0.5)


def update_models(run: TrainingRun, terms: dict[str, Tensor]) -> None:
    sum(terms.values(), torch.zeros((), device=run.worker.device)).backward()
    run.worker.average_gradients(run.models.parameters())
    nn.utils.clip_grad_norm_(run.models.parameters(), 1.0)
    for optimiser in run.optimisers:
        optimiser.step()
        optimiser.zero_grad()
    for ema in run.emas:
        ema.update(run.models)


def save_progress(run: TrainingRun, steps: int, batch: int, scale: float, whole: bool, copy: bool = False) -> None:
    """The checkpoint that goes on, if `whole`; with `copy` or a round number of scenes, the averages in half."""
    seen = steps * batch
    if whole:
        checkpoints.save(run.path, steps, run.models, list(run.emas), run.optimisers, scale=scale, scenes=seen)
    if copy or seen // EVERY > (seen - batch) // EVERY:
        folder = run.path.with_suffix("")
        folder.mkdir(exist_ok=True)
        for ema in run.emas:
            half = {n: w.half().contiguous() for n, w in ema.weights.items()}
            save_file(half, folder / f"{seen:08d}-{ema.decay:g}.safetensors")


def make_parser(description: str | None, scenes: int) -> argparse.ArgumentParser:
    """The options of a training of `scenes` scenes, unless told otherwise."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--atlas", type=Path, default=Path("runs/art/atlas.safetensors"))
    parser.add_argument("--out", type=Path, default=Path("runs/mini"))
    parser.add_argument("--scenes", type=int, default=scenes)
    parser.add_argument("--batch", type=int, default=32, help="scenes a worker and step")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--focus", nargs="*", choices=WORDS, default=(), help="words to see more often, and more alone")
    parser.add_argument("--start", type=Path, default=None, help="checkpoint folder to take weights from")
    parser.add_argument("--seen", type=int, default=0, help="scenes that the weights of --start have seen: go on there")
    parser.add_argument("--cooling", type=int, default=None, help="last scenes, over which the rate falls to zero")
    parser.add_argument("--stop", type=int, default=None, help="step to stop at, to go on later")
    parser.add_argument("--workers", type=int, default=None, help="processes; by default one a GPU or a core")
    return parser


def read_options(args: argparse.Namespace) -> Options:
    """What `make_parser` read; it has options of its own beside."""
    return Options(**{each.name: getattr(args, each.name) for each in fields(Options)})
