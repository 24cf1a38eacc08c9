"""What every stage of the training shares: one state on disk that goes on exactly, and weights to start from."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from experiments.world.training import workers
from experiments.world.training.workers import Ema


def save(path: Path, step: int, model: nn.Module, emas: list[Ema], optimisers: list[Any], **more: Any) -> None:
    """Written whole or not at all."""
    state = {
        "step": step,
        "model": model.state_dict(),
        "emas": [{"decay": e.decay, "steps": e.steps, "weights": e.weights} for e in emas],
        "optimisers": [o.state_dict() for o in optimisers],
        **more,
    }
    workers.save_state(state, path)


def resume(path: Path, model: nn.Module, emas: list[Ema], optimisers: list[Any]) -> dict[str, Any] | None:
    """Put a saved state into everything it came from; None when there is none yet."""
    state = workers.load_state(path)
    if state is None:
        return None
    model.load_state_dict(state["model"])
    for ema, saved in zip(emas, state["emas"], strict=True):
        ema.steps = saved["steps"]
        for name, weights in saved["weights"].items():
            ema.weights[name].copy_(weights)
    for optimiser, saved in zip(optimisers, state["optimisers"], strict=True):
        optimiser.load_state_dict(saved)
    return state


def warm_start(model: nn.Module, weights: Mapping[str, Tensor]) -> float:
    """Copy every weight that fits by name, and of those of another shape the part that both have.

    Returns the share of the model's weights that came from there.
    """
    taken = total = 0
    with torch.no_grad():
        for name, own in model.state_dict().items():
            total += own.numel()
            if name in weights and weights[name].ndim == own.ndim:
                part = tuple(slice(min(a, b)) for a, b in zip(own.shape, weights[name].shape, strict=True))
                own[part] = weights[name][part].to(own.dtype)
                taken += own[part].numel()
    return taken / max(1, total)


def read_weights(folder: Path) -> dict[str, Tensor]:
    """All tensors of a component's folder, in one file or in several."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        sys.exit(f"{folder} holds no *.safetensors to start from: give a folder in the layout of Stable Diffusion.")
    return {name: tensor.float() for file in files for name, tensor in load_file(file).items()}


class PowerEma(Ema):
    """Average whose length grows with the training (Karras et al., arXiv 2312.02696, eq. 1 and 2).

    `width` is its relative width: about that share of the training so far is averaged over.
    """

    def __init__(self, model: nn.Module, width: float):
        super().__init__(model, width)
        self.exponent = find_exponent(width)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        self.steps += 1
        keep = (1 - 1 / self.steps) ** (self.exponent + 1)
        for name, value in model.state_dict().items():
            self.weights[name].lerp_(value.float(), 1 - keep)


def find_exponent(width: float) -> float:
    """The exponent of the profile t^gamma whose standard deviation is `width` of the training, by bisection."""
    low, high = 0.0, 1000.0
    for _ in range(60):
        middle = (low + high) / 2
        wide = ((middle + 1) / ((middle + 2) ** 2 * (middle + 3))) ** 0.5
        low, high = (middle, high) if wide > width else (low, middle)
    return low
