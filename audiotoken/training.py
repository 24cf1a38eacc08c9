"""The paper's trainer (AudioToken, arXiv 2305.13050): only the embedder learns, everything else is read.

Conventions: latents are (batch, channels, height, width), already times the VAE's `scaling_factor`; features are
(batch, time, width) of the audio encoder; labels index the list of class names. What happens in a step depends on the
seed and the number of the step alone, so a run that was stopped goes on exactly as if it had not been.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from diffusers import DDPMScheduler
from diffusers.training_utils import EMAModel
from torch import Tensor, nn

from audiotoken.checkpoint import CheckpointError, fill, read_checkpoint, write_checkpoint
from audiotoken.embedder import AudioEmbedder
from audiotoken.losses import classification_loss, diffusion_loss, label_embeddings, token_l1
from audiotoken.prompt import TEMPLATE, encode_prompts

WANTED = "a checkpoint of this trainer"


@dataclass(frozen=True, eq=False)
class Batch:
    """Pictures and the sounds that go with them; one sound per picture."""

    latents: Tensor  # (batch, channels, height, width)
    features: Tensor  # (batch, time, width)
    labels: Tensor  # (batch,) int64
    texts: Sequence[str] = ()  # each with one <audio>; none: the paper's template
    weight: Tensor | None = None  # (batch, 1, height, width) of the squared error; none: 1 everywhere


@dataclass(frozen=True)
class LossWeights:
    """What each term of `audiotoken.losses` counts; the last two as published, where `classification` is an option."""

    diffusion: float = 1.0
    classification: float = 0.01
    token_l1: float = 0.01


@dataclass(frozen=True)
class Settings:
    """Of a run. The learning rate is the published 1e-5 per picture of a batch, for a batch of 8."""

    steps: int
    learning_rate: float = 8e-5
    weight_decay: float = 0.01
    ema: float | None = None  # decay of the running mean of the weights, which is then what comes out
    seed: int = 0
    save_every: int = 500
    weights: LossWeights = field(default_factory=LossWeights)


@dataclass(frozen=True)
class Progress:
    """Reported after each step."""

    step: int  # from 1
    losses: dict[str, float]  # the terms before weighting, and their weighted sum as "total"
    images_per_second: float


def step_losses(pipe: Any, embedder: nn.Module, scheduler: Any, batch: Batch, names: Tensor) -> dict[str, Tensor]:
    """The terms of one step, before weighting, with noise and noise levels from torch's random state."""
    device = pipe.unet.device
    latents = batch.latents.to(device).float()
    tokens = embedder(batch.features.to(device).float())  # (batch, tokens_per_clip, width)
    texts = batch.texts or [TEMPLATE] * len(latents)
    embeddings, _ = encode_prompts(texts, [[token] for token in tokens], pipe.tokenizer, pipe.text_encoder)
    noise = torch.randn(latents.shape).to(device)  # drawn on the CPU: the same on every device
    timesteps = torch.randint(scheduler.config.num_train_timesteps, (len(latents),)).to(device)
    weight = None if batch.weight is None else batch.weight.to(device)
    return {
        "diffusion": diffusion_loss(
            pipe.unet, scheduler, latents, embeddings.to(pipe.unet.dtype), noise, timesteps, weight
        ),
        "classification": classification_loss(tokens, batch.labels.to(device), names),
        "token_l1": token_l1(tokens),
    }


def train_embedder(
    pipe: Any,
    batches: Callable[[int], Iterable[Batch]],
    labels: Sequence[str],
    settings: Settings,
    *,
    checkpoint: str | os.PathLike | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> AudioEmbedder:
    """Train `pipe.audio_embedder` in place for `settings.steps` steps, or until the batches end; ready for inference.

    `batches(start)` yields the batches of the steps `start`, `start + 1`, ... (from 0). With `checkpoint` the state is
    written to that file every `save_every` steps and at the end, and a run that finds the file goes on from it:
    CheckpointError when it is of another run. Text encoder and UNet get no gradients; they are left as they were.
    """
    embedder, run = pipe.audio_embedder, _Run.begin(pipe.audio_embedder, settings)
    start = done = run.load(checkpoint) if checkpoint is not None and Path(checkpoint).exists() else 0
    scheduler = DDPMScheduler.from_config(pipe.scheduler.config)  # same noise levels; some know no velocity
    names = label_embeddings(labels, pipe.tokenizer, pipe.text_encoder).to(pipe.unet.device)
    began, seen = time.monotonic(), 0
    embedder.train()
    with _frozen(pipe.unet, pipe.text_encoder):
        for step, batch in zip(range(start, settings.steps), batches(start), strict=False):
            _check_batch(batch, len(labels))
            with _random_state_of(settings.seed, step, pipe.unet.device):
                terms = step_losses(pipe, embedder, scheduler, batch, names)
                losses = run.update(terms, step)
            seen, done = seen + len(batch.latents), step + 1
            if progress is not None:
                progress(Progress(done, losses, seen / (time.monotonic() - began)))
            if checkpoint is not None and done % settings.save_every == 0:
                run.save(checkpoint, done)
    if checkpoint is not None and done > start:
        run.save(checkpoint, done)
    return run.finish()


@dataclass(frozen=True, eq=False)
class _Run:
    """What changes while training, and how it is kept."""

    embedder: Any
    settings: Settings
    optimizer: torch.optim.Optimizer
    ema: EMAModel | None

    @classmethod
    def begin(cls, embedder: Any, settings: Settings) -> "_Run":
        weights = list(embedder.parameters())
        optimizer = torch.optim.AdamW(weights, settings.learning_rate, weight_decay=settings.weight_decay)
        ema = None if settings.ema is None else EMAModel(weights, decay=settings.ema)
        return cls(embedder, settings, optimizer, ema)

    def update(self, terms: dict[str, Tensor], step: int) -> dict[str, float]:
        """One step down the weighted sum -> the values of the terms and of the sum."""
        total = torch.stack([getattr(self.settings.weights, name) * term for name, term in terms.items()]).sum()
        if not total.isfinite():
            raise FloatingPointError(
                f"The loss is {total.item()} at step {step + 1}, but a number is wanted; lower the learning rate."
            )
        self.optimizer.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(self.embedder.parameters(), 1.0)
        self.optimizer.step()
        if self.ema is not None:
            self.ema.step(self.embedder.parameters())
        return {name: term.item() for name, term in {**terms, "total": total}.items()}

    def save(self, file: str | os.PathLike, step: int) -> None:
        state = {"step": step, "settings": _identity(self.settings), "embedder": self.embedder.state_dict()}
        state |= {"optimizer": self.optimizer.state_dict(), "ema": self.ema.state_dict() if self.ema else None}
        write_checkpoint(state, file)

    def load(self, file: str | os.PathLike) -> int:
        """Take up the state in `file` -> the step to go on with."""
        state = read_checkpoint(file, WANTED)
        if not isinstance(state, dict) or not {"step", "settings", "embedder", "optimizer", "ema"} <= state.keys():
            raise CheckpointError(f"Cannot resume from {file}: it is not {WANTED}; give another file name.")
        theirs, ours = state["settings"], _identity(self.settings)
        if changed := [key for key in ours | theirs if theirs.get(key) != ours.get(key)]:
            raise CheckpointError(
                f"Cannot resume from {file}: it was made with {changed[0]}={theirs.get(changed[0])}, now it is "
                f"{ours.get(changed[0])}; keep the settings, or give another file name."
            )
        fill(self.embedder, state["embedder"], file, WANTED)
        self.optimizer.load_state_dict(state["optimizer"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        return state["step"]

    def finish(self) -> Any:
        if self.ema is not None:
            self.ema.copy_to(self.embedder.parameters())
        return self.embedder.eval()


def _identity(settings: Settings) -> dict[str, Any]:
    """What must be the same for a run to go on: everything but how long and how often."""
    return {key: value for key, value in asdict(settings).items() if key not in ("steps", "save_every")}


@contextmanager
def _frozen(*modules: nn.Module) -> Iterator[None]:
    """No gradients for the weights of `modules`, though gradients flow through them; put back on exit."""
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
def _random_state_of(seed: int, step: int, device: torch.device) -> Iterator[None]:
    """Torch's random state for this step; the caller's is put back."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed * 1_000_003 + step)
        yield


def _check_batch(batch: Batch, classes: int) -> None:
    """One sentence at the door for what does not belong together."""
    sizes = {len(batch.latents), len(batch.features), len(batch.labels), *([len(batch.texts)] if batch.texts else [])}
    if len(sizes) != 1 or batch.latents.ndim != 4:
        raise ValueError(
            f"Got latents {tuple(batch.latents.shape)}, features {tuple(batch.features.shape)}, {len(batch.labels)} "
            f"labels and {len(batch.texts)} texts; want one of each per picture."
        )
    if batch.labels.min() < 0 or batch.labels.max() >= classes:
        raise ValueError(f"Got labels {batch.labels.tolist()}, want 0 to {classes - 1}; give the names of all classes.")
