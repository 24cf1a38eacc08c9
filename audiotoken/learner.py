"""The state of a training run: settings, trainable weights, optimizer and EMA, and the checkpoint that holds them."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import torch
from accelerate import Accelerator
from diffusers.training_utils import EMAModel, cast_training_params
from peft import LoraConfig, get_peft_model_state_dict, set_peft_model_state_dict
from torch import Tensor, nn

from audiotoken.checkpoint import load_weights, read_checkpoint, write_checkpoint
from audiotoken.embedder import AudioEmbedder
from audiotoken.errors import CheckpointError
from audiotoken.objective import LossWeights
from audiotoken.protocols import TrainablePipeline

WANTED = "a checkpoint of this trainer"
ADAPTER = "audiotoken"
ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"]  # where diffusers' own LoRA trainers put their layers
MAY_CHANGE = ("steps", "save_every", "accumulate", "gradient_checkpointing", "compile")  # between two parts of a run
SCHEDULES = {
    "constant": lambda part: 1.0,
    "linear": lambda part: 1.0 - part,
    "cosine": lambda part: 0.5 * (1.0 + math.cos(math.pi * part)),
}


RANGES = {  # smallest and largest value of a setting
    "steps": (1, 10**9),
    "warmup": (0, 10**9),
    "lora": (0, 4096),
    "accumulate": (1, 10**6),
    "seed": (0, 2**32),
    "save_every": (1, 10**9),
}


@dataclass(frozen=True)
class Settings:
    """Settings of a run. The default learning rate is the published 1e-5 per image, for a batch of 8."""

    steps: int
    learning_rate: float = 8e-5
    warmup: int = 0  # steps over which the learning rate grows from zero
    schedule: str = "constant"  # or "cosine", "linear": down to zero at `steps`
    weight_decay: float = 0.01
    clip: float = 1.0  # maximum norm of the gradients
    ema: float | None = None  # decay of the exponential moving average of the weights, which is then the result
    lora: int = 0  # rank of LoRA layers on the denoiser's attention; 0: no LoRA
    min_snr: float | None = None  # gamma of the min-SNR weighting, 5 in its paper; None: all noise levels weigh 1
    accumulate: int = 1  # gradient accumulation: each batch is processed in this many parts
    gradient_checkpointing: bool | str = False  # less memory, a third slower; "auto": from a step on that does not fit
    compile: bool = False  # torch.compile of the denoiser
    seed: int = 0
    save_every: int = 500  # steps between checkpoints
    weights: LossWeights = field(default_factory=LossWeights)

    def __post_init__(self) -> None:
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                raise ValueError(
                    f"Got settings.{name}={value!r}, expected a whole number from {low} to {high}; change it"
                )
        if self.gradient_checkpointing not in (True, False, "auto"):
            raise ValueError(
                f'Got settings.gradient_checkpointing={self.gradient_checkpointing!r}, expected true, false or "auto"; '
                "change it"
            )
        for name in ("learning_rate", "weight_decay", "clip", "min_snr", "ema"):
            value = getattr(self, name)
            if value is None and name in ("min_snr", "ema"):
                continue
            zero = name in ("learning_rate", "weight_decay")
            real = isinstance(value, int | float) and (0 < value < math.inf or (zero and value == 0))
            if not real or (name == "ema" and value >= 1):
                wanted = (
                    "a number between 0 and 1" if name == "ema" else f"a number{', at least' if zero else ' above'} 0"
                )
                raise ValueError(f"Got settings.{name}={value!r}, expected {wanted}; change it")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The contents of a checkpoint file; the names of the fields are its keys."""

    step: int  # steps done
    settings: dict[str, Any]  # those that must stay the same
    about: dict[str, Any]  # what else must stay the same, such as the data
    embedder: dict[str, Tensor]
    lora: dict[str, Tensor]
    optimizer: dict[str, Any]
    ema: dict[str, Any] | None
    scaler: dict[str, Any] | None


@dataclass(frozen=True, eq=False)
class Learner:
    """The trainable weights and everything that is updated with them; `create` makes one.

    The EMA is diffusers' `EMAModel` and the optimizer is torch's AdamW.
    """

    pipe: TrainablePipeline
    settings: Settings
    about: dict[str, Any]
    weights: list[nn.Parameter]
    optimizer: torch.optim.Optimizer
    ema: EMAModel | None
    scaler: torch.amp.GradScaler | None = None  # of float16 gradients

    @classmethod
    def create(
        cls,
        pipe: TrainablePipeline,
        settings: Settings,
        about: dict[str, Any] | None = None,
        scaler: torch.amp.GradScaler | None = None,
    ) -> "Learner":
        """Start from the weights of `pipe`; all of them but the embedder's must be frozen already."""
        check_schedule(settings.schedule)
        weights = list(pipe.audio_embedder.requires_grad_(True).parameters())
        if settings.lora:
            weights += _add_lora_layers(pipe.denoiser, settings.lora, settings.seed)
        on_gpu = all(weight.device.type == "cuda" for weight in weights)  # then one kernel updates all of them
        optimizer = torch.optim.AdamW(
            weights, settings.learning_rate, weight_decay=settings.weight_decay, fused=on_gpu or None
        )
        ema = None if settings.ema is None else EMAModel(weights, decay=settings.ema)
        return cls(pipe, settings, about or {}, weights, optimizer, ema, scaler)

    def learning_rate(self, step: int) -> float:
        """The learning rate of a step: warmup, then the schedule."""
        settings = self.settings
        part = min(1.0, max(0.0, (step - settings.warmup) / max(1, settings.steps - settings.warmup)))
        warm = min(1.0, (step + 1) / settings.warmup) if settings.warmup else 1.0
        return settings.learning_rate * warm * SCHEDULES[settings.schedule](part)

    def set_learning_rate(self, step: int) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(step)

    def update(self, accelerator: Accelerator) -> None:
        """Clip the gradients, step the optimizer and the EMA, and clear the gradients."""
        accelerator.clip_grad_norm_(self.weights, self.settings.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.ema is not None:
            self.ema.step(self.weights)

    def save(self, file: str | os.PathLike, step: int) -> None:
        """Write the checkpoint; CheckpointError, and the old file kept, when it cannot be written."""
        checkpoint = Checkpoint(
            step=step,
            settings=self._fixed_settings(),
            about=self.about,
            embedder=self.pipe.audio_embedder.state_dict(),
            lora=self.lora_state(),
            optimizer=self.optimizer.state_dict(),
            ema=self.ema.state_dict() if self.ema else None,
            scaler=self.scaler.state_dict() if self.scaler else None,
        )
        try:
            write_checkpoint(vars(checkpoint), file)
        except OSError as error:
            raise CheckpointError(
                f"Cannot write {file} at step {step}: {error.strerror or error}; make room and start again, "
                "it continues from the checkpoint before."
            ) from error

    def load(self, file: str | os.PathLike) -> int:
        """Restore the state in `file` and return the step to continue with.

        CheckpointError when the file is no checkpoint, or one of a run with other settings or other data.
        """
        checkpoint = _read(file)
        theirs, ours = checkpoint.settings | checkpoint.about, self._fixed_settings() | self.about
        if changed := [key for key in ours | theirs if theirs.get(key) != ours.get(key)]:
            raise CheckpointError(
                f"Cannot resume from {file}: it was made with {changed[0]}={theirs.get(changed[0])}, now it is "
                f"{ours.get(changed[0])}; keep the settings, or give another file name."
            )
        load_weights(self.pipe.audio_embedder, checkpoint.embedder, file, WANTED)
        if checkpoint.lora:
            set_peft_model_state_dict(self.pipe.denoiser, checkpoint.lora, ADAPTER)
        self.optimizer.load_state_dict(checkpoint.optimizer)
        if self.ema is not None:
            self.ema.load_state_dict(checkpoint.ema)
        if self.scaler is not None and checkpoint.scaler:
            self.scaler.load_state_dict(checkpoint.scaler)
        return checkpoint.step

    def lora_state(self) -> dict[str, Tensor]:
        """The LoRA layers by name; empty without LoRA."""
        return lora_state(self.pipe.denoiser) if self.settings.lora else {}

    @contextmanager
    def result_weights(self) -> Iterator[None]:
        """Context manager: use the weights that `finish` would leave now, in inference mode; exit restores them."""
        embedder = self.pipe.audio_embedder.eval()
        if self.ema is not None:
            self.ema.store(self.weights)
            self.ema.copy_to(self.weights)
        try:
            yield
        finally:
            if self.ema is not None:
                self.ema.restore(self.weights)
            embedder.train()

    def finish(self) -> AudioEmbedder:
        """The trained embedder, ready for inference, with the EMA of its weights if there is one."""
        if self.ema is not None:
            self.ema.copy_to(self.weights)
        return self.pipe.audio_embedder.eval()

    def _fixed_settings(self) -> dict[str, Any]:
        """The settings that a resumed run must share; `steps` too where the learning rate depends on it."""
        free = MAY_CHANGE[1:] if self.settings.schedule != "constant" else MAY_CHANGE
        return {key: value for key, value in asdict(self.settings).items() if key not in free}


def check_schedule(name: str) -> None:
    """ValueError, one sentence, for a name that is not in `SCHEDULES`."""
    if name not in SCHEDULES:
        raise ValueError(f"Got schedule={name!r}, expected one of {', '.join(SCHEDULES)}; change it.")


def lora_state(denoiser: nn.Module) -> dict[str, Tensor]:
    """The trained LoRA layers of a denoiser by name, in the form that `save_lora_weights` takes."""
    return get_peft_model_state_dict(denoiser, adapter_name=ADAPTER)


def _read(file: str | os.PathLike) -> Checkpoint:
    state, names = read_checkpoint(file, WANTED), [each.name for each in fields(Checkpoint)]
    if not isinstance(state, dict) or not state.keys() >= set(names):
        raise CheckpointError(f"Cannot resume from {file}: it is not {WANTED}; give another file name.")
    return Checkpoint(**{name: state[name] for name in names})


def _add_lora_layers(denoiser: Any, rank: int, seed: int) -> list[nn.Parameter]:
    """LoRA (Hu et al. 2021, arXiv 2106.09685) on the attention of `denoiser`, in float32; it has no effect at first."""
    if ADAPTER not in getattr(denoiser, "peft_config", {}):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            config = LoraConfig(r=rank, lora_alpha=rank, init_lora_weights="gaussian", target_modules=ATTENTION)
            denoiser.add_adapter(config, adapter_name=ADAPTER)
    layers = [weight for name, weight in denoiser.named_parameters() if f".{ADAPTER}." in name]
    for weight in layers:
        weight.requires_grad_(True)
    cast_training_params(denoiser, torch.float32)
    return [weight for weight in denoiser.parameters() if weight.requires_grad]
