"""A data set -> shards of what the frozen parts of a model make of it, so that training need not run them again.

    python -m experiments.prepare source=pairs source.folder=clips output=prepared/clips model=sd14-beats
    python -m experiments.prepare ... part=0 parts=2 & python -m experiments.prepare ... part=1 parts=2

`audiotoken prepare` does the same without Hydra; both call `prepare` below. The same command continues where it was
stopped. Train with the result: `python -m experiments.train data=prepared/clips ...`.
"""

import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from audiotoken.data import PairFolder, prepared
from audiotoken.data.augment import make_augment
from audiotoken.data.folders import Source
from audiotoken.data.manifest import Report
from audiotoken.data.prepared import SizeEstimate
from audiotoken.errors import OptionError
from audiotoken.model import load_pipeline
from audiotoken.options import check_options
from audiotoken.tasks.flow import own_size
from audiotoken.writing import check_inputs_kept, list_model_paths

MOST_WORKERS, MOST_PIXELS = 1024, 8192


def prepare(
    source: Source | str | os.PathLike,
    output: str | os.PathLike,
    *,
    model: str = "mini",
    size: int | None = None,
    seconds: float = 5.0,
    dtype: str = "float16",
    copies: int = 1,
    augment: Mapping[str, Any] | None = None,
    seed: int = 0,
    shard_size: int = 128,
    part: int = 0,
    parts: int = 1,
    workers: int | None = None,
    device: str | None = None,
    precision: str = "float32",
    on_estimate: "Callable[[SizeEstimate], None] | None" = None,
    on_item: Callable[[int, int], None] | None = None,
) -> "Report":
    """Encode `source` into the folder `output`; the options are those of `audiotoken.data.prepared.prepare`.

    source: a data set of `audiotoken.data`, or a folder of name.wav + name.jpg. size: of the pictures in pixels, by
    default the model's own. seconds: length of each clip. augment: parameters of `audiotoken.data.augment.Augment`, for
    `copies` of each example. workers: decoding threads, by default one per processor. precision: of the VAE; dtype: of
    what is stored. Raises DataError, CheckpointError or OptionError.
    """
    check_options(dtype=precision, seed=seed)
    _check_numbers(size, seconds, workers)
    check_inputs_kept([output], [*list_model_paths(model), source if isinstance(source, str | os.PathLike) else None])

    source = PairFolder(source) if isinstance(source, str | os.PathLike) else source
    change = make_augment(augment)
    pipe = load_pipeline(model, device, precision)
    return prepared.prepare(
        source,
        pipe,
        output,
        size=size or own_size(pipe),
        seconds=seconds,
        dtype=dtype,
        copies=copies,
        augment=change,
        seed=seed,
        shard_size=shard_size,
        part=part,
        parts=parts,
        workers=workers or os.cpu_count() or 1,
        on_estimate=on_estimate,
        on_item=on_item,
    )


def _check_numbers(size: int | None, seconds: float, workers: int | None) -> None:
    if size is not None and (not 8 <= size <= MOST_PIXELS or size % 8):
        raise OptionError(f"Got size={size}, expected a multiple of 8 pixels, at most {MOST_PIXELS}; change it.")
    if not 0.1 <= seconds <= 600:
        raise OptionError(f"Got seconds={seconds}, expected 0.1 to 600; change it.")
    if workers is not None and not 1 <= workers <= MOST_WORKERS:
        raise OptionError(f"Got workers={workers}, expected 1 to {MOST_WORKERS}; change it.")


def print_progress() -> dict[str, Any]:
    """`on_estimate` and `on_item` that print the expected size, and every 10 s the progress, on stderr."""
    reports: list[tuple[float, int]] = []  # (time, number of examples done)

    def on_item(done: int, count: int) -> None:
        now = time.monotonic()
        if not reports:
            reports.append((now, done))
        elif now - reports[-1][0] > 10 or done == count:
            speed = (done - reports[0][1]) / max(now - reports[0][0], 1e-3)
            reports.append((now, done))
            print(f"{done} of {count}, {speed:.1f} a second", file=sys.stderr, flush=True)

    return {"on_estimate": lambda estimate: print(estimate, file=sys.stderr, flush=True), "on_item": on_item}
