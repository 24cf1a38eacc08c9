"""Results of `experiments.bench train` as CSV, a Markdown table and a chart, with a description of the machine."""

import csv
import io
import math
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from audiotoken.tables import markdown_table
from experiments.benchmarks.row import Measured, Row, Setting

LIBRARIES = ("torch", "diffusers", "transformers", "accelerate")
GIB = 2**30
COLOURS = {"published": "#8a8f98", "raw": "#2b6cb0", "cached": "#c2410c"}


def summarise(runs: Mapping[Row, Sequence[Measured]], by_clock: bool = True) -> list[dict[str, Any]]:
    """One line per row: medians over the runs, the slowest and the fastest run, and ratios to the published way.

    `faster` and `memory_ratio` compare with the published row of the same precision and batch; they are NaN if there is
    none. Speed is compared by wall time on a GPU, and by CPU time on a CPU, because CPUs are often shared.
    """
    lines = []
    for row, measured in runs.items():
        good = [each for each in measured if not each.why]
        speeds = sorted(row.batch / each.seconds for each in good)
        memory = [each.memory for each in good if each.memory is not None]
        reserved = [each.reserved for each in good if each.reserved is not None]
        line: dict[str, Any] = {"way": row.way, "precision": row.precision, "batch": row.batch, "compile": row.compile}
        line |= {"checkpointing": row.checkpointing, "runs": len(good)}
        line |= {"samples_per_second": _median(speeds), "least": _first(speeds), "most": _first(speeds[::-1])}
        line |= {"samples_per_cpu_second": _median([row.batch / each.cpu_seconds for each in good])}
        line |= {"memory_gib": _median(memory) / GIB, "reserved_gib": _median(reserved) / GIB}
        line |= {"compile_seconds": _first([each.first for each in good]) if row.compile else float("nan")}
        line |= {"why": next((each.why for each in measured if each.why), "")}
        lines.append(line)
    published = {(line["precision"], line["batch"]): line for line in lines if line["way"] == "published"}
    speed = "samples_per_second" if by_clock else "samples_per_cpu_second"
    for line in lines:
        other = published.get((line["precision"], line["batch"]), {})
        line["faster"] = line[speed] / other.get(speed, float("nan"))
        line["memory_ratio"] = line["memory_gib"] / other.get("memory_gib", float("nan"))
    return lines


def describe_setting(setting: Setting, repeats: int) -> dict[str, str]:
    """The machine and the settings of a measurement."""
    size = setting.size
    machine = f"{_processor()}, {platform.system()} {platform.machine()}"
    known = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{machine}, {setting.threads} thread{'s' if setting.threads > 1 else ''}",
        "device": _device(setting.device),
        "geometry": f"{setting.geometry}, {size}x{size} pixels, {setting.seconds:g} s of sound, random pictures",
        "versions": ", ".join([f"Python {platform.python_version()}", *(f"{n} {version(n)}" for n in LIBRARIES)]),
        "steps": f"{setting.steps} counted after {setting.warmup + 1}, in {repeats} alternating processes per row",
    }
    if setting.device.startswith("cuda"):
        return known | {"x published": "by wall time", "memory": "peak allocated on the GPU"}
    known |= {"x published": "by CPU time, because the machine is shared"}
    return known | {"memory": "peak resident, minus what was resident before; with compile, including the compiler"}


def to_csv(lines: Sequence[dict[str, Any]]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _plain(value) for key, value in line.items()} for line in lines)
    return stream.getvalue()


def to_markdown(lines: Sequence[dict[str, Any]], known: dict[str, str]) -> str:
    """The settings as a list and the rows as a table: medians, with the slowest and the fastest run in brackets."""
    head = ["precision", "batch", "way", "samples/s (least to most)", "x published", "peak memory, GiB", "of published"]
    told = any(line["compile"] for line in lines)
    head += ["compile, s"] * told
    rows = []
    for line in sorted(lines, key=lambda line: (line["precision"] != "float32", line["batch"])):
        start = [line["precision"], str(line["batch"]), _name(line)]
        if not line["runs"]:
            rows.append([*start, line["why"], *[""] * (len(head) - 4)])
            continue
        spread = f"{line['samples_per_second']:.3g} ({line['least']:.3g} to {line['most']:.3g})"
        ratios = [_number(line["faster"], "{:.2f}"), _number(line["memory_gib"], "{:.3g}")]
        ratios += [_number(line["memory_ratio"], "{:.0%}")]
        rows.append([*start, spread, *ratios, *[_number(line["compile_seconds"], "{:.0f}")] * told])
    items = [f"- {key}: {value}" for key, value in known.items()]
    return "\n".join([*items, "", markdown_table(head, rows, "lrlr"), ""])


def plot_chart(lines: Sequence[dict[str, Any]], known: dict[str, str], path: Path) -> None:
    """Draw the speed above the memory, with a group of bars for each precision and batch size."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    groups = sorted({(line["precision"], line["batch"]) for line in lines}, key=lambda g: (g[0] != "float32", g[1]))
    figure = Figure(figsize=(max(5.0, 3.0 * len(groups)), 6), dpi=130, facecolor="white", layout="constrained")
    above, below = figure.subplots(2, 1)
    for axes, key, title in ((above, "samples_per_second", "samples/s"), (below, "memory_gib", "peak memory, GiB")):
        _bars(axes, lines, groups, key)
        axes.set_title(title, loc="left", fontsize=11)
    handles, names = above.get_legend_handles_labels()
    unique = dict(zip(names, handles, strict=True))
    above.legend(unique.values(), unique.keys(), fontsize=8, frameon=False)
    figure.suptitle(f"Training, side by side: {known['geometry'].split(',')[0]} on {known['device']}", fontsize=11)
    FigureCanvasAgg(figure).print_png(str(path))


def _bars(axes: Any, lines: Sequence[dict[str, Any]], groups: Sequence[tuple[str, int]], key: str) -> None:
    for place, group in enumerate(groups):
        row = [line for line in lines if (line["precision"], line["batch"]) == group]
        width = 0.84 / len(row)
        for i, line in enumerate(row):
            height = 0.0 if math.isnan(line[key]) else line[key]
            left = place - 0.42 + (i + 0.5) * width
            hatch = ("//" if line["compile"] else "") + ("..." if line["checkpointing"] else "")
            axes.bar(left, height, 0.9 * width, color=COLOURS[line["way"]], hatch=hatch, ec="white", label=_name(line))
            said = f"{height:.3g}" if height else "none"
            axes.annotate(said, (left, height), ha="center", va="bottom", fontsize=7)
    axes.set_xticks(range(len(groups)), [f"{precision}\nbatch {batch}" for precision, batch in groups], fontsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _name(line: dict[str, Any]) -> str:
    return " + ".join([line["way"], *(name for name in ("compile", "checkpointing") if line[name])])


def _device(name: str) -> str:
    import torch

    if not name.startswith("cuda"):
        return name
    return f"{torch.cuda.get_device_name(name)}, CUDA {torch.version.cuda}"


def _processor() -> str:
    """The name of the processor and its number of cores."""
    import os

    name = platform.processor() or platform.machine()
    try:
        models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        name = models[0].split(":", 1)[1].strip() if models else name
    except OSError:
        pass
    return f"{name} ({os.cpu_count()} cores)"


def _median(values: Sequence[float]) -> float:
    return median(values) if values else float("nan")


def _first(values: Sequence[float]) -> float:
    return values[0] if values else float("nan")


def _number(value: float, form: str) -> str:
    return "" if math.isnan(value) else form.format(value)


def _plain(value: Any) -> Any:
    return _number(value, "{:.6g}") if isinstance(value, float) else value
