"""One row of `experiments.bench train`, measured in its own process."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from audiotoken.data import fit_image
from audiotoken.data.batches import Batches
from audiotoken.data.examples import RawExamples
from audiotoken.data.prepared import Prepared, prepare
from audiotoken.protocols import TrainablePipeline
from audiotoken.training import Settings, train_embedder
from experiments.benchmarks.models import InMemory, build
from experiments.benchmarks.published import Published

WAYS = ("published", "raw", "cached")
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Row:
    """One measured combination: a way to train, a precision, a batch size and the switched-on options."""

    way: str  # one of WAYS
    precision: str  # of the denoiser, the VAE and the text encoder
    batch: int
    compile: bool = False
    checkpointing: bool = False

    def __str__(self) -> str:
        on = [name for name in ("compile", "checkpointing") if getattr(self, name)]
        return f"{' + '.join([self.way, *on])}, {self.precision}, batch {self.batch}"


@dataclass(frozen=True)
class Setting:
    """Values that all rows share."""

    geometry: str
    device: str
    size: int  # pixels of a side
    seconds: float  # length of a clip
    warmup: int  # uncounted steps
    steps: int  # counted steps
    threads: int
    examples: int  # number in memory
    prepared: str  # folder of the prepared examples, for the cached rows
    compiled: str  # cache folder of torch.compile


@dataclass(frozen=True)
class Measured:
    """Results of one row in one process. `memory` is None if it is unknown; `why` is the reason for a failure."""

    seconds: float = float("nan")  # wall time per step
    cpu_seconds: float = float("nan")  # CPU time of this process per step
    first: float = float("nan")  # additional seconds of the first step: compilation, allocation
    memory: int | None = None  # bytes at the peak: allocated on the GPU, or the growth of resident memory
    reserved: int | None = None  # bytes reserved on the GPU at the peak
    why: str = ""


def run_row(setting: Setting, row: Row, connection: Any) -> None:
    """Measure a row in this process and send the result or the reason for a failure."""
    try:
        connection.send(measure(setting, row))
    except Exception as error:
        connection.send(Measured(why=_reason(error)))
    finally:
        connection.close()


def run_prepare(setting: Setting, connection: Any) -> None:
    """Encode the examples once, for the cached rows; send the reason for a failure, or ""."""
    try:
        import torch

        _settle(setting)
        pipe = build(setting.geometry, setting.device, torch.float32)
        prepare(
            _source(setting, pipe.audio_encoder.rate),
            pipe,
            setting.prepared,
            size=setting.size,
            seconds=setting.seconds,
        )
        connection.send("")
    except Exception as error:
        connection.send(_reason(error))
    finally:
        connection.close()


def measure(setting: Setting, row: Row) -> Measured:
    """Build the pipeline, warm up and train for the counted steps."""
    import torch

    _settle(setting)
    before = _resident("VmRSS")
    dtype, device = getattr(torch, row.precision), torch.device(setting.device)
    pipe = build(setting.geometry, device, dtype, frozen_parts=row.way != "cached")
    times: list[tuple[float, float]] = []  # at the start and after each step
    whole = _steps(setting)
    marks = (0, 1, whole - setting.steps, whole)  # elsewhere steps follow one another without waiting, as in a run

    def tick() -> None:
        times.append(now(device, wait=len(times) in marks))

    train = _published if row.way == "published" else _ours
    known = _reset_peak(device)
    train(setting, row, pipe, tick)
    memory, reserved = _peak(device, before if known else None)
    (start, start_cpu), (end, end_cpu) = times[-1 - setting.steps], times[-1]
    each = (end - start) / setting.steps, (end_cpu - start_cpu) / setting.steps
    return Measured(*each, times[1][0] - times[0][0] - each[0], memory, reserved)


def _published(setting: Setting, row: Row, pipe: TrainablePipeline, tick: Callable[[], None]) -> None:
    """Train the published way, on batches that are ready in memory: as for ours, decoding is not measured."""
    import torch

    source = _source(setting, pipe.audio_encoder.rate)
    pixels = torch.stack([fit_image(example.image, setting.size) for example in source.examples])
    waveforms = torch.stack([torch.from_numpy(example.recording[0]) for example in source.examples])
    model = Published(pipe, getattr(torch, row.precision), row.batch)
    tick()
    for step in range(_steps(setting)):
        rows = torch.arange(step * row.batch, (step + 1) * row.batch) % len(pixels)
        model.step(pixels[rows], waveforms[rows])
        tick()


def _ours(setting: Setting, row: Row, pipe: TrainablePipeline, tick: Callable[[], None]) -> None:
    """Run `train_embedder` as experiments.train does."""
    from accelerate import Accelerator

    examples: Any
    if row.way == "cached":
        examples = Prepared(setting.prepared)
    else:
        source = _source(setting, pipe.audio_encoder.rate)
        examples = RawExamples(source, pipe, size=setting.size, seconds=setting.seconds)
    settings = Settings(_steps(setting), compile=row.compile, gradient_checkpointing=row.checkpointing)
    mixed = "bf16" if row.precision == "bfloat16" else "no"
    accelerator = Accelerator(cpu=pipe.unet.device.type == "cpu", mixed_precision=mixed)
    tick()
    pinned = accelerator.device.type == "cuda"
    with contextlib.closing(cast(Any, Batches(examples, row.batch, pinned=pinned)(0))) as batches:

        def ticking(start: int) -> Iterator[Any]:
            for step, batch in enumerate(batches):
                if step:
                    tick()
                yield batch

        train_embedder(pipe, ticking, examples.names, settings, accelerator=accelerator)
    tick()


def _steps(setting: Setting) -> int:
    return 1 + setting.warmup + setting.steps  # the first is counted separately: it may compile


def _source(setting: Setting, rate: int) -> InMemory:
    return InMemory(setting.examples, setting.size, setting.seconds, rate)


def _settle(setting: Setting) -> None:
    """Set the number of threads; on a CPU also limit the cores, so that a thread that encodes ahead is not free."""
    import torch
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    for library in (diffusers_logging, transformers_logging):
        library.disable_progress_bar()
        library.set_verbosity_error()
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = setting.compiled
    torch.manual_seed(0)
    torch.set_num_threads(setting.threads)
    if torch.device(setting.device).type == "cpu" and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: setting.threads])


def now(device: Any, wait: bool = True) -> tuple[float, float]:
    """Wall time and CPU time of this process, in seconds; with `wait`, after the device has finished its work."""
    import torch

    if wait and device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter(), time.process_time()


def _reset_peak(device: Any) -> bool:
    """Reset the peak that building left; return False where that is impossible."""
    import torch

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return True
    with contextlib.suppress(OSError):
        RESET.write_text("5")
        return True
    return False


def _peak(device: Any, before: int | None) -> tuple[int | None, int | None]:
    """Peak bytes of memory, and peak bytes reserved on a GPU."""
    import torch

    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device), torch.cuda.max_memory_reserved(device)
    most = _resident("VmHWM")
    return (None if most is None or before is None else max(0, most - before)), None


def _resident(field: str) -> int | None:
    """Bytes of a field of Linux's /proc/self/status; None on other systems."""
    for line in _lines(STATUS):
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return None


def _lines(file: Path) -> Iterator[str]:
    with contextlib.suppress(OSError):
        yield from file.read_text().splitlines()


def _reason(error: Exception) -> str:
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return "out of memory"
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no message'}"[:200]
