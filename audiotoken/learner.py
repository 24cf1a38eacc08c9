"""What changes while training, and how it is kept: the embedder, LoRA layers, optimizer, running means."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from diffusers.training_utils import EMAModel, cast_training_params
from torch import Tensor, nn

from audiotoken.checkpoint import load_weights, read_checkpoint, write_checkpoint
from audiotoken.errors import CheckpointError

WANTED = "a checkpoint of this trainer"
KEYS = {"step", "settings", "about", "embedder", "lora", "optimizer", "ema", "scaler"}
ADAPTER = "audiotoken"
ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"]  # where diffusers' own LoRA trainers put their layers
FREE = ("steps", "save_every", "accumulate", "gradient_checkpointing", "compile")  # may differ when a run goes on
SCHEDULES = {
    "constant": lambda part: 1.0,
    "linear": lambda part: 1.0 - part,
    "cosine": lambda part: 0.5 * (1.0 + math.cos(math.pi * part)),
}


@dataclass(frozen=True, eq=False)
class Learner:
    """Weights that learn, and what is kept beside them; `begin` makes one."""

    pipe: Any
    settings: Any  # training.Settings
    about: dict[str, Any]
    weights: list[nn.Parameter]
    optimizer: Any
    ema: EMAModel | None
    scaler: Any = None  # of float16 gradients

    @classmethod
    def begin(cls, pipe: Any, settings: Any, about: dict[str, Any] | None = None, scaler: Any = None) -> "Learner":
        """All other weights of `pipe` must be frozen already."""
        check_schedule(settings.schedule)
        weights = list(pipe.audio_embedder.requires_grad_(True).parameters())
        if settings.lora:
            weights += _lora_layers(pipe.unet, settings.lora, settings.seed)
        optimizer = torch.optim.AdamW(weights, settings.learning_rate, weight_decay=settings.weight_decay)
        ema = None if settings.ema is None else EMAModel(weights, decay=settings.ema)
        return cls(pipe, settings, about or {}, weights, optimizer, ema, scaler)

    def rate(self, step: int) -> float:
        """The learning rate of a step: warmup, then the schedule."""
        settings = self.settings
        part = min(1.0, max(0.0, (step - settings.warmup) / max(1, settings.steps - settings.warmup)))
        warm = min(1.0, (step + 1) / settings.warmup) if settings.warmup else 1.0
        return settings.learning_rate * warm * SCHEDULES[settings.schedule](part)

    def set_rate(self, step: int) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(step)

    def update(self, accelerator: Any) -> None:
        """Down the gradients, which are used up."""
        accelerator.clip_grad_norm_(self.weights, self.settings.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.ema is not None:
            self.ema.step(self.weights)

    def save(self, file: str | os.PathLike, step: int) -> None:
        """CheckpointError, and the file as it was, when there is no place for it."""
        state = {
            "step": step,
            "settings": self._identity(),
            "about": self.about,
            "embedder": self.pipe.audio_embedder.state_dict(),
            "lora": self.lora_state(),
            "optimizer": self.optimizer.state_dict(),
            "ema": self.ema.state_dict() if self.ema else None,
            "scaler": self.scaler.state_dict() if self.scaler else None,
        }
        try:
            write_checkpoint(state, file)
        except OSError as error:
            raise CheckpointError(
                f"Cannot write {file} at step {step}: {error.strerror or error}; make room and start again, "
                "it goes on from the checkpoint before."
            ) from error

    def load(self, file: str | os.PathLike) -> int:
        """Take up the state in `file` -> the step to go on with."""
        state = read_checkpoint(file, WANTED)
        if not isinstance(state, dict) or not state.keys() >= KEYS:
            raise CheckpointError(f"Cannot resume from {file}: it is not {WANTED}; give another file name.")
        theirs, ours = state["settings"] | state["about"], self._identity() | self.about
        if changed := [key for key in ours | theirs if theirs.get(key) != ours.get(key)]:
            raise CheckpointError(
                f"Cannot resume from {file}: it was made with {changed[0]}={theirs.get(changed[0])}, now it is "
                f"{ours.get(changed[0])}; keep the settings, or give another file name."
            )
        load_weights(self.pipe.audio_embedder, state["embedder"], file, WANTED)
        if state["lora"]:
            from peft import set_peft_model_state_dict

            set_peft_model_state_dict(self.pipe.unet, state["lora"], ADAPTER)
        self.optimizer.load_state_dict(state["optimizer"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        if self.scaler is not None and state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])
        return state["step"]

    def lora_state(self) -> dict[str, Tensor]:
        """The LoRA layers by name; empty without them."""
        return lora_state(self.pipe.unet) if self.settings.lora else {}

    @contextmanager
    def as_generator(self) -> Iterator[None]:
        """The weights as they would come out now, in inference mode; training goes on as if nothing had been."""
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

    def finish(self) -> Any:
        """The embedder, ready for inference, with the running mean of its weights where there is one."""
        if self.ema is not None:
            self.ema.copy_to(self.weights)
        return self.pipe.audio_embedder.eval()

    def _identity(self) -> dict[str, Any]:
        """What must be the same for a run to go on; its length too where the learning rate follows it."""
        free = FREE[1:] if self.settings.schedule != "constant" else FREE
        return {key: value for key, value in asdict(self.settings).items() if key not in free}


def check_schedule(name: str) -> None:
    if name not in SCHEDULES:
        raise ValueError(f"Got schedule={name!r}, want one of {', '.join(SCHEDULES)}; change it.")


def lora_state(unet: Any) -> dict[str, Tensor]:
    """The trained LoRA layers of a UNet, by name, as `save_lora_weights` takes them."""
    from peft import get_peft_model_state_dict

    return get_peft_model_state_dict(unet, adapter_name=ADAPTER)


def _lora_layers(unet: Any, rank: int, seed: int) -> list[nn.Parameter]:
    """LoRA (Hu et al. 2021, arXiv 2106.09685) on the attention of `unet`, float32, changing nothing at first."""
    from peft import LoraConfig

    if ADAPTER not in getattr(unet, "peft_config", {}):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            config = LoraConfig(r=rank, lora_alpha=rank, init_lora_weights="gaussian", target_modules=ATTENTION)
            unet.add_adapter(config, adapter_name=ADAPTER)
    layers = [weight for name, weight in unet.named_parameters() if f".{ADAPTER}." in name]
    for weight in layers:
        weight.requires_grad_(True)
    cast_training_params(unet, torch.float32)
    return [weight for weight in unet.parameters() if weight.requires_grad]
