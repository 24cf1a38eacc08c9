"""Measure training side by side with the published code.

    python -m experiments.bench train                              # SD 1.4's size on a GPU, the mini one on a CPU
    python -m experiments.bench train batch_sizes=[4] repeats=1 checkpointing=true out=runs/bench

Each row is measured in fresh processes, one at a time, alternating with the other rows. A row that runs out of memory
is listed as such. Writes rows.csv, table.md and chart.png to `out`. `experiments.benchmarks.published` defines the
published way.
"""

import os
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from audiotoken.errors import OptionError
from audiotoken.writing import cannot_write, write_bytes
from experiments.benchmarks.models import GEOMETRIES
from experiments.benchmarks.process import in_process, place
from experiments.benchmarks.row import WAYS, Measured, Row, Setting, run_prepare, run_row
from experiments.benchmarks.training_report import describe_setting, plot_chart, summarise, to_csv, to_markdown

PRECISIONS = ("float32", "bfloat16")


def bench_train(
    *,
    geometry: str | None = None,
    device: str | None = None,
    ways: Sequence[str] = WAYS,
    precisions: Sequence[str] = PRECISIONS,
    batch_sizes: Sequence[int] = (4, 16),
    compile: bool = True,
    checkpointing: bool = False,
    size: int | None = None,
    seconds: float | None = None,
    steps: int = 10,
    warmup: int = 2,
    repeats: int = 3,
    threads: int | None = None,
    limit: float = 1800.0,
    out: str | os.PathLike = "runs/bench",
    on_row: Callable[[str], None] | None = None,
) -> str:
    """Measure every combination, write the results to `out` and return the Markdown table.

    geometry: "sd1" or "mini"; by default "sd1" on a GPU and "mini" elsewhere. ways: some of `WAYS`. compile: adds a
    row with torch.compile to each of ours. checkpointing: adds a row with gradient checkpointing to each of ours.
    size: pixels of a side, a multiple of 64. seconds: length of a clip. Both are the geometry's by default. Each row
    runs in `repeats` processes. Each process takes 1 + `warmup` uncounted steps, then `steps` counted ones, and may
    last `limit` seconds. threads: number of torch threads on the CPU. on_row: receives progress messages. Raises
    OptionError if a value is out of range.
    """
    device, geometry = place(device, geometry)
    _check(ways=(ways, WAYS), precisions=(precisions, PRECISIONS), geometry=([geometry], tuple(GEOMETRIES)))
    _check_counts(batch_sizes=min(batch_sizes, default=0), steps=steps, repeats=repeats, threads=threads or 1)
    _check_counts(warmup=warmup + 1)
    size = GEOMETRIES[geometry].size if size is None else size
    if size < 32 or (size % 64 and size != GEOMETRIES[geometry].size):
        raise OptionError(f"Got size={size}, expected a multiple of 64 pixels; change it.")
    folder, tell = Path(out).absolute(), on_row or (lambda text: None)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from None
    with TemporaryDirectory(dir=folder, prefix=".bench-") as scratch:
        setting = Setting(
            geometry,
            device,
            size,
            float(seconds or GEOMETRIES[geometry].seconds),
            warmup,
            steps,
            threads or (1 if device == "cpu" else os.cpu_count() or 1),
            2 * max(batch_sizes),
            f"{scratch}/prepared",
            f"{scratch}/compiled",
        )
        rows = list_rows(ways, precisions, batch_sizes, compile, checkpointing)
        runs = run_all(setting, rows, repeats, limit, tell, lambda runs: _write_table(setting, runs, repeats, folder))
    return _write(setting, runs, repeats, folder)


def list_rows(
    ways: Sequence[str], precisions: Sequence[str], batch_sizes: Sequence[int], compile: bool, checkpointing: bool
) -> list[Row]:
    """One row per combination, and a row of ours for each switched-on option; the published way has no options."""
    rows = []
    for precision, batch, way in product(precisions, batch_sizes, ways):
        rows.append(Row(way, precision, batch))
        if way != "published":
            rows += [Row(way, precision, batch, compile=True)] * compile
            rows += [Row(way, precision, batch, checkpointing=True)] * checkpointing
    return rows


def run_all(
    setting: Setting,
    rows: Sequence[Row],
    repeats: int,
    limit: float,
    tell: Callable[[str], None],
    keep: Callable[[dict[Row, list[Measured]]], Any] = lambda runs: None,
) -> dict[Row, list[Measured]]:
    """Measure all rows once, then all rows again, so that other work on the machine affects all of them.

    `keep` gets the rows that were measured after each of them, for whoever stops the rest.
    """
    runs: dict[Row, list[Measured]] = {row: [] for row in rows}
    if any(row.way == "cached" for row in rows):
        tell("encoding the examples for the cached rows")
        if why := in_process(run_prepare, (setting,), limit, lambda why: why):
            raise OptionError(
                f"Cannot prepare the examples: {why}; leave out the cached rows with ways=[published,raw]."
            )
    for turn in range(repeats):
        for number, row in enumerate(rows):
            if runs[row] and runs[row][-1].why:
                continue  # it would fail again
            measured = in_process(run_row, (setting, row), limit, lambda why: Measured(why=why))
            runs[row].append(measured)
            said = measured.why or f"{row.batch / measured.seconds:.3g} samples/s"
            tell(f"{turn * len(rows) + number + 1}/{repeats * len(rows)}  {row}: {said}")
            keep({row: measured for row, measured in runs.items() if measured})
    return runs


def _write(setting: Setting, runs: dict[Row, list[Measured]], repeats: int, folder: Path) -> str:
    table = _write_table(setting, runs, repeats, folder)
    lines, known = summarise(runs, setting.device.startswith("cuda")), describe_setting(setting, repeats)
    write_bytes(to_csv(lines).encode(), folder / "rows.csv")
    plot_chart(lines, known, folder / "chart.png")
    return f"{table}\nwrote rows.csv, table.md and chart.png to {folder}"


def _write_table(setting: Setting, runs: dict[Row, list[Measured]], repeats: int, folder: Path) -> str:
    table = to_markdown(summarise(runs, setting.device.startswith("cuda")), describe_setting(setting, repeats))
    write_bytes(table.encode(), folder / "table.md")
    return table


def _check(**choices: tuple[Sequence[str], Sequence[str]]) -> None:
    for name, (values, known) in choices.items():
        if not values or not set(values) <= set(known):
            raise OptionError(f"Got {name}={','.join(values)}, expected some of {', '.join(known)}; change {name}.")


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise OptionError(f"Got too small a value for {name}; pass a larger one.")
