"""What guidance costs: seconds and peak memory per picture, without guidance and with each method.

    python -m experiments.bench guidance geometry=mini device=cpu out=runs/guidance
    python -m experiments.bench guidance geometry=sd1 device=cuda precision=float16    # 512 x 512, 50 steps
    python -m experiments.bench guidance steps         # at the true size on any machine, see `true_size`
    python -m experiments.bench guidance launches      # kernels that a GPU starts, see `counting`
    python -m experiments.bench guidance arithmetic    # operations and memory at the true size, without a GPU

"sd1" is Stable Diffusion 1.5 built from its config files with random weights; its queries and keys are scaled up,
because fresh ones attend evenly. Updates never stop early, so that the cost of each method is its maximum. Each row is
measured in processes of its own; rows take turns.
"""

import json
import os
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from audiotoken.errors import OptionError
from audiotoken.tables import markdown_table
from audiotoken.writing import write_bytes
from experiments.benchmarks import row
from experiments.benchmarks.counting import UNETS, tabulate_arithmetic, tabulate_launches
from experiments.benchmarks.models import build as build_geometry
from experiments.benchmarks.models import sharpen_attention
from experiments.benchmarks.process import in_process, place
from experiments.benchmarks.row import _reason
from experiments.benchmarks.training_report import _device, _processor
from experiments.benchmarks.true_size import bench_steps
from experiments.hydra_cli import run_from_signature
from guidance import Guidance, Region, sample
from guidance.methods import ENERGY_METHODS as KNOWN

METHODS = ("none", "layout", "boxdiff", "combined")
STEPS = {"sd1": 50, "mini": 20, "debug": 4}
BOXES = ((0.05, 0.3, 0.45, 0.9), (0.55, 0.2, 0.95, 0.8))


@dataclass(frozen=True)
class Setting:
    """What all rows share. `threads`, `device` and `compiled` are read by the helpers in `benchmarks.row`."""

    geometry: str
    device: str
    precision: str
    steps: int
    pictures: int
    threads: int
    compiled: str = ""


@dataclass(frozen=True)
class Measurement:
    """One method in one process; `why` is the reason if there is none."""

    method: str
    seconds: float = float("nan")  # median wall time per picture
    cpu_seconds: float = float("nan")  # median CPU time of this process per picture
    memory: int | None = None  # peak in bytes: allocated on the GPU, or resident memory beyond that before
    updates: int = 0  # of the latents, per picture
    why: str = ""


def bench_guidance(
    *,
    geometry: str | None = None,
    device: str | None = None,
    precision: str = "float32",
    methods: Sequence[str] = METHODS,
    steps: int | None = None,
    pictures: int = 3,
    repeats: int = 3,
    threads: int | None = None,
    limit: float = 1800.0,
    out: str | os.PathLike = "runs/guidance",
    on_row: Callable[[str], None] | None = None,
) -> str:
    """Measure each method, write table.md and rows.json into `out` -> the Markdown table.

    geometry: "sd1" (50 steps), "mini" (20) or "debug" (4); by default chosen for the device. pictures: measured in each
    process, after a warm-up picture. repeats: processes per method. OptionError for options out of range.
    """
    device, geometry = place(device, geometry)
    if geometry not in STEPS or not set(methods) <= set(METHODS) or min(pictures, repeats) < 1:
        expected = f"{', '.join(STEPS)} and some of {', '.join(METHODS)}, pictures and repeats from 1"
        raise OptionError(f"Got geometry={geometry}, methods={','.join(methods)}, expected {expected}; change it.")
    cores = threads or (1 if device == "cpu" else os.cpu_count() or 1)
    setting = Setting(geometry, device, precision, steps or STEPS[geometry], pictures, cores)
    runs: dict[str, list[Measurement]] = {}
    text = ""
    for _ in range(repeats):
        for method in methods:
            measured = in_process(run_row, (setting, method), limit, partial(_make_failure, method))
            runs.setdefault(method, []).append(measured)
            if on_row is not None:
                on_row(f"{method}: {measured.why or f'{measured.seconds:.3g} s a picture'}")
            text = _write([summarise(each) for each in runs.values()], setting, Path(out))  # whoever stops it has these
    return text


def _make_failure(method: str, why: str) -> Measurement:
    return Measurement(method, why=why)


def run_row(setting: Setting, method: str, connection: Any) -> None:
    """The work of a process: measure and send the result; errors are sent too."""
    try:
        connection.send(measure(setting, method))
    except Exception as error:
        connection.send(Measurement(method, why=_reason(error)))
    finally:
        connection.close()


def measure(setting: Setting, method: str) -> Measurement:
    """Build the pipeline, draw a warm-up picture, then measure the others."""
    row._settle(setting)  # type: ignore[arg-type]
    device = torch.device(setting.device)
    pipe = build_pipeline(setting)
    prompt = pipe.encode_prompts("a dog and a frog")[0]
    regions = [Region(box, at) for box, at in zip(BOXES, ((2,), (5,)), strict=True)]
    energy: str | Guidance = method
    if method != "none":  # trained weights may stop early, random ones do not: the maximum number of updates for both
        energy = replace(KNOWN[method], schedule=replace(KNOWN[method].schedule, stop_below=0.0))
    options: dict[str, Any] = {"regions": regions, "energy": energy, "num_inference_steps": setting.steps}
    before, known = row._resident("VmRSS"), row._reset_peak(device)
    sample(pipe, prompt, **options)
    times, updates = [row.now(device)], 0
    for seed in range(setting.pictures):
        drawn = sample(pipe, prompt, seed=seed, **options)
        updates = sum(sum(step.updates) for step in drawn.trace)
        times.append(row.now(device))
    clock, cpu = zip(*[(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(times)], strict=True)
    memory, _ = row._peak(device, before if known else None)
    return Measurement(method, statistics.median(clock), statistics.median(cpu), memory, updates)


def build_pipeline(setting: Setting) -> Any:
    """The pipeline of the geometry without audio modules; random queries and keys are scaled up."""
    pipe = build_geometry(setting.geometry, setting.device, getattr(torch, setting.precision))
    pipe.audio_encoder = pipe.audio_embedder = None
    if setting.geometry == "sd1":
        sharpen_attention(pipe.unet)
    return pipe


def summarise(runs: Sequence[Measurement]) -> Measurement:
    """Medians over the successful processes."""
    good = [run for run in runs if not run.why]
    if not good:
        return runs[0]
    memory = [run.memory for run in good if run.memory is not None]
    return replace(
        good[0],
        seconds=statistics.median(run.seconds for run in good),
        cpu_seconds=statistics.median(run.cpu_seconds for run in good),
        memory=round(statistics.median(memory)) if memory else None,
    )


def format_table(lines: Sequence[Measurement], setting: Setting) -> str:
    """Markdown. Ratios to "none" are of wall time on a GPU and of CPU time on a CPU."""
    clock = setting.device.startswith("cuda")
    plain = next((line for line in lines if line.method == "none"), None)
    heads = ["method", "updates", "s a picture", "CPU s", "x plain", "peak memory, MiB", "x plain's memory"]
    failed = any(line.why for line in lines)
    rows = []
    for line in lines:
        spent, base = [(each.seconds if clock else each.cpu_seconds) if each else 0 for each in (line, plain)]
        memory = "" if line.memory is None else f"{line.memory / 2**20:.0f}"
        share = f"{line.memory / plain.memory:.2f}" if line.memory and plain and plain.memory else ""
        cells = [line.method, str(line.updates), f"{line.seconds:.3g}", f"{line.cpu_seconds:.3g}"]
        rows.append([*cells, f"{spent / base:.2f}" if base else "", memory, share, *[line.why] * failed])
    return markdown_table([*heads, *["failed"] * failed], rows)


def _write(lines: Sequence[Measurement], setting: Setting, folder: Path) -> str:
    facts = f"{_processor()}, {_device(setting.device)}, threads: {setting.threads}; {setting.geometry}, "
    facts += f"{setting.steps} steps, {setting.precision}, one picture at a time"
    text = f"{facts}\n\n{format_table(lines, setting)}\n"
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(text.encode(), folder / "table.md")
    write_bytes(json.dumps([asdict(line) for line in lines], indent=1).encode(), folder / "rows.json")
    return text


def main() -> None:
    if sys.argv[1:2] == ["steps"]:
        sys.argv.pop(1)
        run_from_signature(bench_steps)
    elif sys.argv[1:2] in (["arithmetic"], ["launches"]):
        tabulate = tabulate_arithmetic if sys.argv[1] == "arithmetic" else tabulate_launches
        print("\n\n".join(tabulate(geometry) for geometry in UNETS))
    else:
        run_from_signature(bench_guidance)


if __name__ == "__main__":
    main()
