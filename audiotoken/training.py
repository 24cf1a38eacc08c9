"""The trainer of AudioToken (arXiv 2305.13050): trains the embedder, LoRA layers if asked, and freezes the rest.

Conventions: latents are (batch, channels, height, width), already multiplied by the VAE's `scaling_factor`, if it has
one; features are (batch, time, width) of the audio encoder; labels index the list of class names. A step depends only
on the seed, the number of the step and the index in the batch. So a run that was stopped continues exactly as if it had
not been, and a batch spread over processes equals the same batch in one process.

No step waits for a GPU: the losses of a step are read when the next one has been started.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from audiotoken.data.examples import derive_seed
from audiotoken.denoising import Denoising, DiffusionDenoising
from audiotoken.embedder import AudioEmbedder
from audiotoken.learner import Learner, Settings
from audiotoken.objective import Batch, LossWeights, Objective, check_batch
from audiotoken.protocols import TrainablePipeline
from audiotoken.step_losses import StepLosses, WaitingLosses

logger = logging.getLogger(__name__)

__all__ = ["Batch", "LossWeights", "Progress", "Settings", "draw_noise", "train_embedder"]


@dataclass(frozen=True)
class Progress:
    """Reported after each step, on a GPU after the next one was started, by the main process."""

    step: int  # from 1
    losses: dict[str, float]  # the terms before weighting, and their weighted sum as "total"; means over processes
    images_per_second: float
    learning_rate: float


def train_embedder(
    pipe: TrainablePipeline,
    batches: Callable[[int], Iterable[Batch]],
    labels: Sequence[str],
    settings: Settings,
    *,
    checkpoint: str | os.PathLike | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    evaluate: Callable[[int], None] | None = None,
    evaluate_every: int = 0,
    accelerator: Accelerator | None = None,
    about: dict[str, Any] | None = None,
    denoising: Denoising | None = None,
) -> AudioEmbedder:
    """Train `pipe.audio_embedder` in place and return it, ready for inference.

    Training ends after `settings.steps` steps, or when the batches end. `batches(start)` yields this process's batches
    of the steps `start`, `start + 1`, ... (from 0). With `checkpoint` the state is written to that file every
    `save_every` steps, at the end, and on Ctrl-C or SIGTERM; when the file exists, training resumes from it.
    CheckpointError when it belongs to a run with other settings, or other data (`about` describes them).
    `denoising` says how the denoiser is trained, by default as UNets are, with `settings.min_snr`.
    `evaluate(step)` is called every `evaluate_every` steps, with the weights that the result would have. Frozen modules
    get no gradients and keep their state; LoRA layers stay on the denoiser, as the adapter "audiotoken".
    """
    accelerator = accelerator or Accelerator(cpu=pipe.denoiser.device.type == "cpu")
    if settings.gradient_checkpointing == "auto" and accelerator.num_processes > 1:
        raise ValueError(
            'Got settings.gradient_checkpointing="auto" with several processes, which would not agree; choose true or '
            "false."
        )
    with _freeze_other_modules(pipe), catch_stop_signals() as stop:
        learner = Learner.create(pipe, settings, about, accelerator.scaler)
        start = learner.load(checkpoint) if checkpoint is not None and Path(checkpoint).exists() else 0
        mean = (lambda value: accelerator.reduce(value, "mean")) if accelerator.num_processes > 1 else None
        objective = Objective(pipe, labels, denoising or DiffusionDenoising.of(pipe, settings.min_snr), mean)
        with _memory_settings(pipe.denoiser, settings) as save_memory:
            wrapped, optimizer = accelerator.prepare(objective, learner.optimizer)
            learner = replace(learner, optimizer=optimizer)
            done, images, waiting = start, 0, WaitingLosses()
            behind, report = steps_behind(objective.device), _make_reporter(on_progress, learner, accelerator)
            keeper = _Keeper(learner, accelerator, settings, checkpoint, evaluate, evaluate_every, stop)
            pipe.audio_embedder.train()
            for step, batch in zip(range(start, settings.steps), batches(start), strict=False):
                check_batch(batch, len(labels))
                learner.set_learning_rate(step)
                done, images = step + 1, images + len(batch) * accelerator.num_processes
                names, values = _run_step_that_fits(wrapped, learner, batch, step, accelerator, stop, save_memory)
                waiting.add(done, images, names, values)
                read = waiting.read(keep=behind)  # of this step before its update; on a GPU, of the step before
                learner.update(accelerator)
                keeper.finish_step(done, read, waiting, report)
            for each in waiting.read():
                report(each)
        if done > start:
            keeper.save(done)
        accelerator.wait_for_everyone()
        return learner.finish()


def _make_reporter(
    on_progress: Callable[[Progress], None] | None, learner: Learner, accelerator: Accelerator
) -> Callable[[StepLosses], None]:
    """A function that calls `on_progress`, in the main process; the speed counts from now on."""
    began = time.monotonic()

    def report(losses: StepLosses) -> None:
        if on_progress is not None and accelerator.is_main_process:
            speed = losses.images / (time.monotonic() - began)
            on_progress(Progress(losses.step, losses.values, speed, learner.learning_rate(losses.step - 1)))

    return report


@dataclass(frozen=True)
class _Keeper:
    """What follows the update of a step: reports, checkpoints, evaluations, and the end after Ctrl-C or SIGTERM."""

    learner: Learner
    accelerator: Accelerator
    settings: Settings
    checkpoint: str | os.PathLike | None
    evaluate: Callable[[int], None] | None
    evaluate_every: int
    stop: threading.Event

    def finish_step(
        self, done: int, read: list[StepLosses], waiting: WaitingLosses, report: Callable[[StepLosses], None]
    ) -> None:
        """After `done` steps; read: losses that are not reported yet. KeyboardInterrupt if the training is to stop."""
        alone = self.accelerator.num_processes == 1
        stopped = any(each.stops for each in read) or (alone and self.stop.is_set())
        saves = stopped or done % self.settings.save_every == 0
        evaluates = self.evaluate_every > 0 and done % self.evaluate_every == 0
        read = [*read, *(waiting.read() if saves or evaluates else [])]
        if saves:
            self.save(done)
        for each in read:
            report(each)
        if self.evaluate is not None and evaluates:
            if self.accelerator.is_main_process:
                with self.learner.result_weights(), torch.random.fork_rng(), torch.no_grad():
                    self.evaluate(done)
            self.accelerator.wait_for_everyone()
        if stopped:
            raise KeyboardInterrupt

    def save(self, done: int) -> None:
        """Write the checkpoint, if there is to be one, in the main process."""
        if self.checkpoint is not None and self.accelerator.is_main_process:
            self.learner.save(self.checkpoint, done)


def steps_behind(device: torch.device) -> int:
    """How many steps later losses are read: one on a GPU, which then is busy with the next step."""
    return int(device.type == "cuda")


def draw_noise(
    seed: int, step: int, index: int, shape: Sequence[int], draw_level: Callable[[torch.Generator], Tensor]
) -> tuple[Tensor, Tensor]:
    """Noise of `shape` and a noise level by `draw_level` for one example of one step, the same on every device.

    `index` is the example's place in the batch of all processes.
    """
    generator = torch.Generator().manual_seed(derive_seed("noise level", seed, step, index))
    return torch.randn(tuple(shape), generator=generator), draw_level(generator)


def _run_step(
    objective: nn.Module, learner: Learner, batch: Batch, step: int, accelerator: Accelerator, stop: threading.Event
) -> tuple[list[str], Tensor]:
    """Gradients of one step -> names of the terms of the loss and "total"; their values, then whether to stop."""
    settings, first = learner.settings, accelerator.process_index * len(batch)
    inner = accelerator.unwrap_model(objective)
    draws = [
        draw_noise(settings.seed, step, first + i, batch.latents.shape[1:], inner.denoising.draw_level)
        for i in range(len(batch))
    ]
    noise, levels = (torch.stack(each) for each in zip(*draws, strict=True))
    size = -(-len(batch) // settings.accumulate)
    values: Any = 0.0
    with _fork_random_state(derive_seed("dropout", settings.seed, step, accelerator.process_index), inner.device):
        for start in range(0, len(batch), size):
            rows = slice(start, min(start + size, len(batch)))
            last = rows.stop == len(batch)
            with nullcontext() if last else accelerator.no_sync(objective):
                terms = objective(batch.rows(rows.start, rows.stop), noise[rows], levels[rows])
                total = torch.stack([getattr(settings.weights, name) * term for name, term in terms.items()]).sum()
                share = (rows.stop - rows.start) / len(batch)
                accelerator.backward(total * share)
            values = values + share * torch.stack([*terms.values(), total]).detach()
    flag = torch.full_like(values[:1], float(stop.is_set()))
    return [*terms, "total"], accelerator.reduce(torch.cat([values, flag]), "mean")


def _run_step_that_fits(
    objective: nn.Module,
    learner: Learner,
    batch: Batch,
    step: int,
    accelerator: Accelerator,
    stop: threading.Event,
    save_memory: Callable[[], bool],
) -> tuple[list[str], Tensor]:
    """`_run_step`; once more where memory was not enough and can be saved. All chance of a step comes from its seed."""
    try:
        return _run_step(objective, learner, batch, step, accelerator, stop)
    except torch.OutOfMemoryError:
        if not save_memory():
            raise
    learner.optimizer.zero_grad()
    torch.cuda.empty_cache()
    logger.warning("Step %d does not fit into memory; gradient checkpointing is on from here.", step + 1)
    return _run_step(objective, learner, batch, step, accelerator, stop)


@contextmanager
def _freeze_other_modules(pipe: TrainablePipeline) -> Iterator[None]:
    """Disable gradients of all weights but the embedder's, though gradients flow through them; restored on exit."""
    modules = [
        part for part in pipe.components.values() if isinstance(part, nn.Module) and part is not pipe.audio_embedder
    ]
    weights = [(weight, weight.requires_grad) for module in modules for weight in module.parameters()]
    modes = [(module, module.training) for module in modules]
    try:
        for module in modules:
            module.requires_grad_(False).eval()
        yield
    finally:
        for weight, requires_grad in weights:
            weight.requires_grad_(requires_grad)
        for module, training in modes:
            module.train(training)


@contextmanager
def _memory_settings(denoiser: Any, settings: Settings) -> Iterator[Callable[[], bool]]:
    """Compile the denoiser and enable gradient checkpointing, as the settings say; the latter is undone on exit.

    Yields what enables it where "auto" left it off so far, and says whether it did.
    """
    if settings.compile:
        denoiser.compile()
    enabled = False

    def enable(wanted: bool = settings.gradient_checkpointing == "auto") -> bool:
        nonlocal enabled
        enables, enabled = wanted and not enabled, wanted or enabled
        if enables:
            denoiser.enable_gradient_checkpointing()
        return enables

    enable(settings.gradient_checkpointing is True)
    try:
        yield enable
    finally:
        if enabled:
            denoiser.disable_gradient_checkpointing()


@contextmanager
def catch_stop_signals() -> Iterator[threading.Event]:
    """The first Ctrl-C or SIGTERM sets the event, so that the step is completed; a second one acts at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def request_stop(number: int, frame: Any) -> None:
        stop.set()
        signal.signal(number, before[number])

    try:
        for number in before:
            signal.signal(number, request_stop)
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _fork_random_state(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators, which dropout uses; the caller's state is restored on exit."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
