"""Shared parts of the mini checkpoint's training: one worker per core or GPU, Muon, EMA and atomic checkpoints.

There are several workers even on one CPU: on a busy machine, two single-threaded processes that average their gradients
run about twice as fast as one process with two threads.
"""

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn


@dataclass(frozen=True)
class Worker:
    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        return self.rank == 0

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        if self.count == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([g.flatten() for g in gradients])
        dist.all_reduce(flat)
        flat /= self.count
        for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))

    def synchronise(self) -> None:
        """Wait until the first worker calls this as well, when it is done."""
        if self.count > 1:
            dist.barrier()

    def autocast(self) -> torch.autocast:
        return autocast(self.device)


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 wherever the hardware has it: on a CPU with AMX the UNet trains 1.5 times as fast so."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=has_bfloat16(device))


def has_bfloat16(device: torch.device) -> bool:
    """Whether the hardware has bfloat16; a CPU that emulates it takes ten times as long as in float32."""
    return device.type == "cuda" or torch.ops.mkldnn._is_mkldnn_bf16_supported()


def run_workers(function: Callable[..., None], *args: Any, workers: int | None = None) -> None:
    """Run `function(worker, *args)` in every worker and wait for all of them."""
    if workers is None:
        workers = torch.cuda.device_count() or min(os.cpu_count() or 1, 4)
    if workers == 1:
        return function(_worker(0, 1), *args)
    port = 20000 + os.getpid() % 20000
    mp.spawn(_start, args=(workers, port, function, args), nprocs=workers)


def _worker(rank: int, count: int) -> Worker:
    cuda = torch.cuda.is_available()
    if not cuda:
        torch.set_num_threads(1)
    return Worker(rank, count, torch.device("cuda", rank) if cuda else torch.device("cpu"))


def _start(rank: int, count: int, port: int, function: Callable[..., None], args: tuple) -> None:
    worker = _worker(rank, count)
    backend = "nccl" if worker.device.type == "cuda" else "gloo"
    dist.init_process_group(backend, init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=count)
    try:
        function(worker, *args)
    finally:
        dist.destroy_process_group()


class Muon(torch.optim.Optimizer):
    """Momentum orthogonalised by Newton-Schulz (Jordan et al. 2024), for weights with two or more dimensions.

    The update has the size of AdamW's: scaled by 0.2 * sqrt(max(rows, columns)) (Liu et al., arXiv 2502.16982).
    `torch.optim.Muon` does not accept convolutions and does not divide its iteration among workers.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        worker: Worker | None = None,
        dtype: torch.dtype = torch.bfloat16,
    ):
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.worker, self.dtype = worker, dtype

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            parameters = sorted((p for p in group["params"] if p.grad is not None), key=lambda p: -p.numel())
            for p, update in zip(parameters, self.updates(parameters, group["momentum"]), strict=True):
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update.view_as(p), alpha=-group["lr"] * 0.2 * max(p.flatten(1).shape) ** 0.5)

    def updates(self, parameters: list[nn.Parameter], momentum: float) -> list[Tensor]:
        """Orthogonalise the momenta (a third of a step's time); each worker computes a share, and all sum them."""
        rank, count = (self.worker.rank, self.worker.count) if self.worker else (0, 1)
        updates = []
        for i, p in enumerate(parameters):
            assert p.grad is not None
            buffer = self.state[p].setdefault("momentum", torch.zeros_like(p))
            buffer.mul_(momentum).add_(p.grad)
            mine = i % count == rank
            updates.append(
                orthogonalise((p.grad + momentum * buffer).flatten(1), dtype=self.dtype)
                if mine
                else torch.zeros_like(p)
            )
        if count == 1:
            return updates
        flat = torch.cat([u.flatten() for u in updates])
        dist.all_reduce(flat)
        return list(flat.split([u.numel() for u in updates]))


def orthogonalise(matrix: Tensor, steps: int = 5, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    """The nearest semi-orthogonal matrix, roughly: quintic Newton-Schulz iteration with Jordan's coefficients."""
    x = (matrix.float() / (matrix.norm() + 1e-7)).to(dtype)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    if dtype == torch.float32 and x.shape[1] > 2 * x.shape[0]:
        x = _small_iteration(x @ x.T, steps) @ x
    else:
        for _ in range(steps):
            x = _quintic(x @ x.T) @ x
    return (x.T if tall else x).float()


def _quintic(gram: Tensor) -> Tensor:
    product = torch.addmm(gram, gram, gram, beta=-4.7750, alpha=2.0315)
    product.diagonal().add_(3.4445)
    return product


def _small_iteration(gram: Tensor, steps: int) -> Tensor:
    """The product of all factors of the iteration, from the Gram matrix alone: convolutions are far wider than high."""
    total = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    for _ in range(steps):
        factor = _quintic(gram)
        total, gram = factor @ total, factor @ gram @ factor  # polynomials in the first one: they commute
    return total


def make_optimisers(
    model: nn.Module,
    lr: float,
    worker: Worker,
    weight_decay: float = 0.01,
    dtype: torch.dtype | None = None,
) -> list[torch.optim.Optimizer]:
    """Muon for hidden weights, AdamW for the rest (embeddings, first and last convolution, norms, biases).

    Muon's iteration runs in `dtype`; by default in bfloat16 if the hardware has it.
    """
    dtype = dtype or (torch.bfloat16 if has_bfloat16(worker.device) else torch.float32)
    parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
    edges = ("conv_in", "conv_out", "embedding", "quant_conv")
    hidden = [p for n, p in parameters.items() if p.ndim >= 2 and not any(e in n for e in edges)]
    ids = {id(p) for p in hidden}
    rest = [p for p in parameters.values() if id(p) not in ids]
    return [
        Muon(hidden, lr, weight_decay=weight_decay, worker=worker, dtype=dtype),
        torch.optim.AdamW(rest, lr, betas=(0.9, 0.98), weight_decay=weight_decay),
    ]


def set_learning_rate(optimisers: list[torch.optim.Optimizer], lr: float) -> None:
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = lr


def save_state(state: dict[str, Any], path: Path) -> None:
    """Save a checkpoint atomically, so that a crash leaves the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save(state, part)
    os.replace(part, path)


def load_state(path: Path) -> dict[str, Any] | None:
    return torch.load(path, map_location="cpu", weights_only=True) if path.exists() else None


class Ema:
    """Exponential moving average of a model's weights, with a warm-up so that early averages forget the start.

    The decay is that of diffusers' `EMAModel`. That class keeps parameters without their names and omits buffers, so
    its average cannot be saved as a state dict.
    """

    def __init__(self, model: nn.Module, decay: float):
        self.decay = decay
        self.steps = 0
        self.weights = {n: p.detach().clone().float() for n, p in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, value in model.state_dict().items():
            self.weights[name].lerp_(value.float(), 1 - decay)


class Log:
    """Print a line at intervals: step, losses, pictures per second, time left."""

    def __init__(self, total: int, every: int, quiet: bool):
        self.total, self.every, self.quiet = total, every, quiet
        self.sums: dict[str, Tensor] = {}  # where they were computed, so that no step waits for a GPU
        self.start, self.seen, self.count = time.monotonic(), 0, 0

    def __call__(self, step: int, pictures: int, **losses: Tensor | float) -> None:
        self.seen += pictures
        self.count += 1
        for name, value in losses.items():
            self.sums[name] = torch.as_tensor(value).detach() + self.sums.get(name, 0.0)
        if (step + 1) % self.every == 0 and not self.quiet:
            speed = self.seen / (time.monotonic() - self.start)
            means = "  ".join(f"{name} {float(value) / self.count:.4f}" for name, value in self.sums.items())
            left = (self.total - step - 1) * pictures / speed / 60
            print(f"step {step + 1}/{self.total}  {means}  {speed:.1f} pictures/s  {left:.1f} min left", flush=True)
            self.sums, self.count = {}, 0
