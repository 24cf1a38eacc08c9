"""What guidance costs: seconds and peak memory of a picture, plain and with each method.

    python -m experiments.bench guidance geometry=mini device=cpu out=runs/guidance
    python -m experiments.bench guidance geometry=sd1 device=cuda precision=float16    # 512 x 512, 50 steps
    python -m experiments.bench guidance arithmetic    # operations at the size of Stable Diffusion 1.5, without a GPU

"sd1" is Stable Diffusion 1.5 by its config files with random weights, its queries and keys sharpened (freshly made,
they attend evenly). No energy counts as low enough, so that each method makes all the updates that it may: the most it
can cost. Each row is a process of its own; rows take turns.
"""

import math
import os
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from audiotoken.errors import OptionError
from audiotoken.tables import markdown_table
from audiotoken.writing import write_bytes
from experiments.benchmarks import row
from experiments.benchmarks.models import build as build_geometry
from experiments.benchmarks.process import in_process, place
from experiments.benchmarks.row import _reason
from experiments.benchmarks.training_report import _device, _processor
from experiments.door import run_from_signature
from guidance import Backbone, Region, capture_cross_attention, sample
from guidance.attention import record_gradients
from guidance.methods import METHODS as KNOWN
from guidance.steering import freeze_weights

METHODS = ("none", "layout", "boxdiff", "combined")
STEPS = {"sd1": 50, "mini": 20, "debug": 4}
BOXES = ((0.05, 0.3, 0.45, 0.9), (0.55, 0.2, 0.95, 0.8))
SHARPER = 4.0


@dataclass(frozen=True)
class Setting:
    """What all rows share. `threads` is read by the benchmark's own helpers, as `device` and `compiled` are."""

    geometry: str
    device: str
    precision: str
    steps: int
    pictures: int
    threads: int
    compiled: str = ""


@dataclass(frozen=True)
class Measured:
    """Of one method in one process; `why` says why there is nothing."""

    method: str
    seconds: float = float("nan")  # on the clock, a picture, the median
    cpu_seconds: float = float("nan")  # of this process, the median
    memory: int | None = None  # bytes at the peak: allocated on the GPU, or resident beyond what was before
    updates: int = 0  # that moved the latents
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

    geometry: "sd1" (50 steps), "mini" (20), "debug"; by default what the device can bear. pictures: in a process,
    after one that does not count. repeats: processes of each method. OptionError for what is out of range.
    """
    device, geometry = place(device, geometry)
    if geometry not in STEPS or not set(methods) <= set(METHODS) or min(pictures, repeats) < 1:
        known = f"{', '.join(STEPS)} and some of {', '.join(METHODS)}, pictures and repeats from 1"
        raise OptionError(f"Got geometry={geometry}, methods={','.join(methods)}, want {known}; change it.")
    cores = threads or (1 if device == "cpu" else os.cpu_count() or 1)
    setting = Setting(geometry, device, precision, steps or STEPS[geometry], pictures, cores)
    runs: dict[str, list[Measured]] = {method: [] for method in methods}
    for _ in range(repeats):
        for method in methods:
            measured = in_process(run_row, (setting, method), limit, partial(_failed, method))
            runs[method].append(measured)
            if on_row is not None:
                on_row(f"{method}: {measured.why or f'{measured.seconds:.3g} s a picture'}")
    lines = [summary(each) for each in runs.values()]
    return _write(lines, setting, Path(out))


def _failed(method: str, why: str) -> Measured:
    return Measured(method, why=why)


def run_row(setting: Setting, method: str, connection: Any) -> None:
    """The process: measure and send; whatever goes wrong is sent as well."""
    try:
        connection.send(measure(setting, method))
    except Exception as error:
        connection.send(Measured(method, why=_reason(error)))
    finally:
        connection.close()


def measure(setting: Setting, method: str) -> Measured:
    """Build, draw one picture that does not count, then those that do."""
    import torch

    row._settle(setting)  # type: ignore[arg-type]
    device = torch.device(setting.device)
    pipe = build(setting)
    prompt = pipe.encode_prompts("a dog and a frog")[0]
    regions = [Region(box, at) for box, at in zip(BOXES, ((2,), (5,)), strict=True)]
    energy: Any = method
    if method != "none":  # random weights never attend as they should, trained ones may: as many updates as there are
        energy = replace(KNOWN[method], schedule=replace(KNOWN[method].schedule, stop_below=0.0))
    options = {"regions": regions, "energy": energy, "num_inference_steps": setting.steps}
    before, known = row._resident("VmRSS"), row._reset_peak(device)
    sample(pipe, prompt, **options)
    times, updates = [row.now(device)], 0
    for seed in range(setting.pictures):
        drawn = sample(pipe, prompt, seed=seed, **options)
        updates = sum(sum(note.updates) for note in drawn.trace)
        times.append(row.now(device))
    clock, cpu = zip(*[(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(times)], strict=True)
    memory, _ = row._peak(device, before if known else None)
    return Measured(method, statistics.median(clock), statistics.median(cpu), memory, updates)


def build(setting: Setting) -> Any:
    """The pipeline of the geometry without ears, sharpened where its weights are random."""
    import torch

    pipe = build_geometry(setting.geometry, setting.device, getattr(torch, setting.precision))
    pipe.audio_encoder = pipe.audio_embedder = None
    if setting.geometry == "sd1":
        with torch.no_grad():
            for name, weight in pipe.unet.named_parameters():
                if "attn2.to_q" in name or "attn2.to_k" in name:
                    weight *= SHARPER
    return pipe


def arithmetic(geometry: str = "sd1") -> str:
    """What each method costs by counting, on torch's "meta" device: no numbers, no GPU -> Markdown.

    Of the denoiser, a picture, with all the updates that a method may make; and what an update keeps for its way back,
    in half precision.
    """
    import torch

    pipe, steps = build_geometry(geometry, "meta", torch.float32), STEPS[geometry]
    plain = steps * count_step(pipe)
    heads = ["method", "updates", "TFLOP of an update", "TFLOP a picture", "x plain", "kept by an update, MiB"]
    rows = [["none", "0", "", f"{plain / 1e12:.3g}", "1.00", ""]]
    for method in METHODS[1:]:
        schedule = KNOWN[method].schedule
        guided = math.ceil(schedule.steps * steps) if schedule.steps < 1 else min(int(schedule.steps), steps)
        updates, (each, kept) = guided * schedule.inner, count_update(pipe, KNOWN[method])
        cells = [f"{each / 1e12:.3g}", f"{(plain + updates * each) / 1e12:.3g}", f"{1 + updates * each / plain:.2f}"]
        rows.append([method, str(updates), *cells, f"{kept / 2 / 2**20:.0f}"])
    return markdown_table(heads, rows)


def count_step(pipe: Any) -> int:
    """Operations of a plain step: both halves of classifier-free guidance."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    latents, states = _inputs(pipe, 2)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        pipe.unet(latents, torch.zeros(2, device="meta"), states)
    return counter.get_total_flops()


def count_update(pipe: Any, guidance: Any) -> tuple[int, int]:
    """Of a forward to the last map that is read and of the way back to the latents: operations, bytes kept between."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    latents, states = _inputs(pipe, 1)
    regions = [Region(box, at) for box, at in zip(BOXES, ((2,), (5,)), strict=True)]
    layers = Backbone.from_pipe(pipe).select_layers(guidance.layers)
    weights = {weight.untyped_storage()._cdata for weight in pipe.unet.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = 0 if storage._cdata in weights else storage.nbytes()
        return tensor

    with freeze_weights(pipe.unet), capture_cross_attention(pipe.unet, layers) as capture:
        capture.stop_at_last_map = True
        with FlopCounterMode(display=False) as counter:
            latents.requires_grad_()
            with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
                with record_gradients():
                    pipe.unet(latents, torch.zeros(1, device="meta"), states)
                energy = guidance.energy(list(capture.maps.values()), regions, 1.0)
            energy.backward()  # to the latents alone
    return counter.get_total_flops(), sum(kept.values())


def _inputs(pipe: Any, rows: int) -> tuple[Any, Any]:
    """(latents, embeddings) without numbers."""
    import torch

    config = pipe.unet.config
    with torch.device("meta"):
        latents = torch.empty(rows, config.in_channels, config.sample_size, config.sample_size)
        return latents, torch.empty(rows, 77, config.cross_attention_dim)


def summary(runs: Sequence[Measured]) -> Measured:
    """Medians over the processes."""
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


def table(lines: Sequence[Measured], setting: Setting) -> str:
    """Markdown; ratios to plain sampling: time by the clock on a GPU, by the process's own seconds on a CPU."""
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


def _write(lines: Sequence[Measured], setting: Setting, folder: Path) -> str:
    import json

    facts = f"{_processor()}, {_device(setting.device)}, {setting.threads} threads; {setting.geometry}, "
    facts += f"{setting.steps} steps, {setting.precision}, one picture at a time"
    text = f"{facts}\n\n{table(lines, setting)}\n"
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(text.encode(), folder / "table.md")
    write_bytes(json.dumps([asdict(line) for line in lines], indent=1).encode(), folder / "rows.json")
    return text


def main() -> None:
    if sys.argv[1:] == ["arithmetic"]:
        print(arithmetic())
    else:
        run_from_signature(bench_guidance)


if __name__ == "__main__":
    main()
