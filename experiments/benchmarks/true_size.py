"""What guidance costs at the true size of Stable Diffusion 1.5, on any machine, from a few steps of each method.

    python -m experiments.bench guidance steps                     # 256 x 256, on the CPU
    python -m experiments.bench guidance steps size=512 turns=1

Each method's kinds of steps (plain, biased, with an update) are timed in turns on random weights; a picture of 50 steps
is computed from them by the schedule of the method, with the maximum number of updates. On a CPU the time is that of
this process, as machines are often shared.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel

from audiotoken.errors import OptionError
from audiotoken.tables import markdown_table
from experiments.benchmarks.counting import KINDS, STEPS, TOKENS, UNETS, Costs, measure_steps
from experiments.benchmarks.models import create_weights_in, sharpen_attention
from experiments.benchmarks.row import now
from experiments.benchmarks.training_report import _processor
from experiments.hydra_cli import check_choices
from guidance.backbones import Conditioning, UNetBackbone
from guidance.methods import ENERGY_METHODS

METHODS = ("combined", "layout", "boxdiff")


@dataclass(frozen=True)
class Seconds:
    """Of one step."""

    seconds: float

    def __sub__(self, other: "Seconds") -> "Seconds":
        return Seconds(self.seconds - other.seconds)


def bench_steps(
    *,
    size: int = 256,
    methods: Sequence[str] = METHODS,
    turns: int = 2,
    regions: int = 2,
    precision: str = "float32",
    device: str = "cpu",
    threads: int = 1,
    on_row: Callable[[str], None] | None = None,
) -> str:
    """Markdown: seconds of each kind of step (medians over the turns), and of a picture in relation to a plain one.

    size: pixels of a side, a multiple of 64. turns: how often all methods are measured.
    """
    check_choices(methods=(methods, METHODS), precision=([precision], ("float32", "bfloat16", "float16")))
    if size % 64 or size < 64 or turns < 1:
        raise OptionError(f"Got size={size} and turns={turns}, expected a multiple of 64, and at least 1; change them.")
    torch.set_num_threads(threads)
    backbone, inputs = make_model(size, torch.device(device), getattr(torch, precision))
    rows: list[dict[str, list[Seconds]]] = [{} for _ in methods]
    for method in methods:
        measure(backbone, method, regions, inputs, ["own"])  # unmeasured: the first steps wait for memory and kernels
    for turn in range(turns):
        for method, row in zip(methods, rows, strict=True):
            measured = measure(backbone, method, regions, inputs)
            for kind, seconds in measured.items():
                row.setdefault(kind, []).append(seconds)
            if on_row is not None:
                told = ", ".join(f"{kind} {each.seconds:.2f} s" for kind, each in measured.items())
                on_row(f"turn {turn + 1}, {method}: {told}")
    return format_steps(
        methods, rows, f"{_processor()}, threads: {threads}; {size} x {size}, {precision}, {STEPS} steps"
    )


def make_model(
    size: int, device: torch.device, dtype: torch.dtype
) -> tuple[UNetBackbone, tuple[Conditioning, torch.Tensor]]:
    """A UNet of Stable Diffusion 1.5 with random weights and sharper attention, and its inputs for one picture."""
    with create_weights_in(device, dtype):
        unet = UNet2DConditionModel(**UNETS["sd1"]).eval().requires_grad_(False)
        prompt, latents = torch.randn(2, TOKENS, 768), torch.randn(1, 4, size // 8, size // 8)
    sharpen_attention(unet)
    parts: dict[str, Any] = {"unet": unet, "scheduler": DDIMScheduler(), "config": {}, "_execution_device": device}
    return UNetBackbone(SimpleNamespace(**parts)), (Conditioning(prompt[:1], prompt[1:], {}, {}, 7.5), latents)


def measure(
    backbone: UNetBackbone, method: str, regions: int, inputs: Any, kinds: Sequence[str] = tuple(KINDS)
) -> dict[str, Seconds]:
    """Seconds of a step of the pipeline's own, and of one of each kind of the method's."""
    device = inputs[1].device
    clock = int(device.type == "cpu")

    def take_time(run: Callable[..., Any], *args: Any) -> float:
        start = now(device)[clock]
        run(*args)
        return now(device)[clock] - start

    found = measure_steps(backbone, ENERGY_METHODS[method], regions, inputs, take_time, kinds)
    return {kind: Seconds(seconds) for kind, seconds in found.items()}


def format_steps(methods: Sequence[str], rows: Sequence[dict[str, list[Seconds]]], facts: str) -> str:
    """Markdown. A plain step is the median of all that were taken."""
    own = Seconds(statistics.median(each.seconds for row in rows for each in row["own"]))
    lines = []
    for method, row in zip(methods, rows, strict=True):
        plain, biased, guided = (
            Seconds(statistics.median(each.seconds for each in row[kind])) for kind in ("plain", "biased", "guided")
        )
        costs = Costs(own, plain, biased, guided - biased, ENERGY_METHODS[method].schedule)
        cells = [f"{each.seconds:.2f}" for each in (own, plain, biased, guided)]
        lines.append([method, str(costs.updates), *cells, f"{costs.ratio('seconds'):.2f}"])
    heads = ["method", "updates", "pipeline's step, s", "unguided step, s", "biased step, s", "with an update, s"]
    return f"{facts}\n\n{markdown_table([*heads, 'x plain, of a picture'], lines)}"
