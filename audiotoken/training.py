"""The paper's trainer (AudioToken, arXiv 2305.13050): the embedder learns, and LoRA layers if wanted; the rest is read.

Conventions: latents are (batch, channels, height, width), already times the VAE's `scaling_factor`; features are
(batch, time, width) of the audio encoder; labels index the list of class names. What happens in a step depends on the
seed, the number of the step and the place in the batch alone: a run that was stopped goes on exactly as if it had not
been, and a batch spread over processes is the batch of one.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from audiotoken.data.examples import derive_seed
from audiotoken.embedder import AudioEmbedder
from audiotoken.learner import Learner
from audiotoken.objective import Batch, LossWeights, Objective, check_batch


@dataclass(frozen=True)
class Settings:
    """Of a run. The learning rate is the published 1e-5 per picture of a batch, for a batch of 8."""

    steps: int
    learning_rate: float = 8e-5
    warmup: int = 0  # steps in which the learning rate grows from zero
    schedule: str = "constant"  # or "cosine", "linear": down to zero at `steps`
    weight_decay: float = 0.01
    clip: float = 1.0  # largest norm of the gradients
    ema: float | None = None  # decay of the running mean of the weights, which is then what comes out
    lora: int = 0  # rank of LoRA layers on the UNet's attention; 0: none
    min_snr: float | None = None  # gamma of the min-SNR weighting, 5 in its paper; None: every noise level counts 1
    accumulate: int = 1  # each batch goes through in this many parts
    gradient_checkpointing: bool = False  # less memory, a third slower
    compile: bool = False  # torch.compile of the UNet
    seed: int = 0
    save_every: int = 500
    weights: LossWeights = field(default_factory=LossWeights)


@dataclass(frozen=True)
class Progress:
    """Reported after each step, by the main process."""

    step: int  # from 1
    losses: dict[str, float]  # the terms before weighting, and their weighted sum as "total"; means over processes
    images_per_second: float
    learning_rate: float


def train_embedder(
    pipe: Any,
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
) -> AudioEmbedder:
    """Train `pipe.audio_embedder` in place for `settings.steps` steps, or until the batches end; ready for inference.

    `batches(start)` yields this process's batches of the steps `start`, `start + 1`, ... (from 0). With `checkpoint`
    the state is written to that file every `save_every` steps, at the end and on Ctrl-C or SIGTERM, and a run that
    finds it goes on from there: CheckpointError when it is of another run, or of other data (`about` says which).
    `evaluate(step)` is called every `evaluate_every` steps with the embedder as it would come out. Frozen parts get no
    gradients and are left as they were; with `lora` the layers stay on the UNet, as the adapter "audiotoken".
    """
    accelerator = accelerator or Accelerator(cpu=pipe.unet.device.type == "cpu")
    with _frozen(pipe), _stoppable() as stop:
        learner = Learner.begin(pipe, settings, about, accelerator.scaler)
        start = learner.load(checkpoint) if checkpoint is not None and Path(checkpoint).exists() else 0
        across = (lambda value: accelerator.reduce(value, "mean")) if accelerator.num_processes > 1 else None
        objective = Objective(pipe, labels, settings.min_snr, across)
        with _economical(pipe.unet, settings):
            wrapped, optimizer = accelerator.prepare(objective, learner.optimizer)
            learner = replace(learner, optimizer=optimizer)
            done, seen, began = start, 0, time.monotonic()
            pipe.audio_embedder.train()
            for step, batch in zip(range(start, settings.steps), batches(start), strict=False):
                check_batch(batch, len(labels))
                learner.set_rate(step)
                losses, stopped = _step(wrapped, learner, batch, step, accelerator, stop)
                done, seen = step + 1, seen + len(batch) * accelerator.num_processes
                if (
                    checkpoint is not None
                    and (stopped or done % settings.save_every == 0)
                    and accelerator.is_main_process
                ):
                    learner.save(checkpoint, done)
                if on_progress is not None and accelerator.is_main_process:
                    speed = seen / (time.monotonic() - began)
                    on_progress(Progress(done, losses, speed, learner.rate(step)))
                if evaluate is not None and evaluate_every and done % evaluate_every == 0:
                    if accelerator.is_main_process:
                        with learner.as_generator(), torch.random.fork_rng(), torch.no_grad():
                            evaluate(done)
                    accelerator.wait_for_everyone()
                if stopped:
                    raise KeyboardInterrupt
        if checkpoint is not None and done > start and accelerator.is_main_process:
            learner.save(checkpoint, done)
        accelerator.wait_for_everyone()
        return learner.finish()


def draw_noise(seed: int, step: int, place: int, shape: Sequence[int], levels: int) -> tuple[Tensor, int]:
    """Noise of `shape` and a noise level below `levels` for one place of one step's batch, the same on every device."""
    generator = torch.Generator().manual_seed(derive_seed("noise level", seed, step, place))
    return torch.randn(tuple(shape), generator=generator), int(torch.randint(levels, (), generator=generator))


def _step(
    objective: Any, learner: Learner, batch: Batch, step: int, accelerator: Accelerator, stop: threading.Event
) -> tuple[dict[str, float], bool]:
    """One step down the weighted sum -> the values of the terms and of the sum; whether somebody wants to stop."""
    settings, first = learner.settings, accelerator.process_index * len(batch)
    inner = accelerator.unwrap_model(objective)
    draws = [
        draw_noise(settings.seed, step, first + i, batch.latents.shape[1:], inner.scheduler.config.num_train_timesteps)
        for i in range(len(batch))
    ]
    noise, timesteps = torch.stack([each for each, _ in draws]), torch.tensor([level for _, level in draws])
    size = -(-len(batch) // settings.accumulate)
    values: Any = 0.0
    with _random_state_of(derive_seed("dropout", settings.seed, step, accelerator.process_index), inner.unet.device):
        for start in range(0, len(batch), size):
            rows = slice(start, min(start + size, len(batch)))
            last = rows.stop == len(batch)
            with nullcontext() if last else accelerator.no_sync(objective):
                terms = objective(batch.rows(rows.start, rows.stop), noise[rows], timesteps[rows])
                total = torch.stack([getattr(settings.weights, name) * term for name, term in terms.items()]).sum()
                share = (rows.stop - rows.start) / len(batch)
                accelerator.backward(total * share)
            values = values + share * torch.stack([*terms.values(), total]).detach()
    flag = values.new_tensor([float(stop.is_set())])
    values = accelerator.reduce(torch.cat([values, flag]), "mean").tolist()
    losses = dict(zip([*terms, "total"], values, strict=False))
    if not torch.isfinite(torch.tensor(losses["total"])):
        raise FloatingPointError(
            f"The loss is {losses['total']} at step {step + 1}, but a number is wanted; lower the learning rate."
        )
    learner.update(accelerator)
    return losses, values[-1] > 0


@contextmanager
def _frozen(pipe: Any) -> Iterator[None]:
    """No gradients for the weights of what does not learn, though gradients flow through it; put back on exit."""
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
        for weight, needed in weights:
            weight.requires_grad_(needed)
        for module, training in modes:
            module.train(training)


@contextmanager
def _economical(unet: Any, settings: Settings) -> Iterator[None]:
    """Gradient checkpointing and compilation as wanted; the former is put back on exit."""
    if settings.compile:
        unet.compile()
    if not settings.gradient_checkpointing:
        yield
        return
    unet.enable_gradient_checkpointing()
    try:
        yield
    finally:
        unet.disable_gradient_checkpointing()


@contextmanager
def _stoppable() -> Iterator[threading.Event]:
    """Ctrl-C and SIGTERM set the event instead of tearing a step apart; a second one is heard at once."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, frame: Any) -> None:
        asked.set()
        signal.signal(number, before[number])

    try:
        for number in before:
            signal.signal(number, ask)
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _random_state_of(seed: int, device: torch.device) -> Iterator[None]:
    """Torch's random state, here for dropout; the caller's is put back."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
