"""docs/results.md and the measured lines of configs/experiment, both from runs."""

import re
import textwrap
from collections.abc import Sequence
from importlib import import_module
from importlib.resources import files
from pathlib import Path

from audiotoken.tables import markdown_table
from audiotoken.writing import write_bytes
from experiments.ablations.git import git_state
from experiments.ablations.plots import write_plot
from experiments.ablations.results import Experiment, Run, label
from experiments.ablations.tables import markdown, number

STAMP, WIDTH = "# Measured ", 118
MOST = 7  # figures of a table; all are in the CSV
INTRO = """# Results on the mini checkpoint

Written by `python -m experiments.ablations.set`, which makes the runs as well; no number is typed by hand. Each run is
small, so that all of them fit a laptop: what is told apart here is large, and what is not is open. A cell is the mean
over seeds and, where they differ, the 95 % interval of the mean (percentile bootstrap over seeds; with three seeds it
says how far they lie apart, and little more). Seeds are the same scenes in every row of a table: *minus* is the mean
difference from one row, seed by seed, with the interval of that. How to run larger ones: [ablations.md](ablations.md).
"""


def write_results(experiments: Sequence[Experiment], docs: Path, wanted: Sequence[str] = ()) -> Path:
    """Tables, plots and what they were made with; `wanted` are names of experiments that should be there."""
    docs.mkdir(parents=True, exist_ok=True)
    for one in experiments:
        write_plot(one, docs / f"results-{one.name}.png")
    known = [one for one in experiments if one.rows or one.failed]
    parts = [INTRO, _made(known), _times(known), *_open(known, wanted), *map(_section, known), _meanings(known)]
    path = docs / "results.md"
    write_bytes(("\n".join(parts).rstrip() + "\n").encode(), path)
    return path


def write_stamps(experiments: Sequence[Experiment]) -> None:
    """Time and result into each experiment's file, under its command; an installed copy stays as it is."""
    folder = Path(str(files("configs"))) / "experiment"
    for one in experiments if git_state(folder)["commit"] else ():
        path = folder / f"{one.name}.yaml"
        if one.rows and path.is_file():
            write_bytes(stamped(path.read_text(encoding="utf-8"), one).encode(), path)


def stamped(text: str, one: Experiment) -> str:
    """The file's text with a new measured line, its older one gone."""
    lines = text.splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith(STAMP)), None)
    if start is not None:
        end = next(i for i in range(start + 1, len(lines) + 1) if i == len(lines) or not lines[i].startswith("#  "))
        del lines[start:end]
    at = next(i for i, line in enumerate(lines) if line.startswith("# python -m")) + 1
    told = textwrap.wrap(_measured(one), WIDTH - 3)
    lines[at:at] = [f"# {told[0]}", *(f"#   {line}" for line in told[1:])]
    return "\n".join(lines) + "\n"


def _measured(one: Experiment) -> str:
    """Time, and the first figure of each variant."""
    name = next((figure for figure in one.shown if figure in one.figures), one.figures[0])
    told = ", ".join(f"{label(row)}: {number(row.figures[name][0])}" for row in one.rows if name in row.figures)
    began = max(run.record["state"]["began"] for run in one.runs)[:10]
    own = [run for run in one.runs if "same_as" not in run.record]
    shared = f", {len(one.runs) - len(own)} more taken from others" if len(own) < len(one.runs) else ""
    minutes, spent = (sum(run.record[key] for run in own) / 60 for key in ("seconds", "cpu_seconds"))
    time = f"{len(own)} runs{shared}, {minutes:.1f} minutes one after the other ({spent:.1f} of CPU)"
    return f"Measured {began}: {time}. {name}: {told}."


def _section(one: Experiment) -> str:
    """The question, its command, its answer."""
    names = one.figures[:MOST]
    fixed = _fixed(one)
    failed = [f"Failed: `{run.folder.name}`: {run.record['error']}" for run in one.failed]
    return "\n".join(
        [
            f"## {one.asks}\n",
            f"`python -m experiments.ablate experiment={one.name} -m`{fixed}\n",
            markdown(one, names) + "\n",
            f"![{one.name}](results-{one.name}.png)\n",
            *(f"{line}\n" for line in failed),
        ]
    )


def _fixed(one: Experiment) -> str:
    """Sizes that tell how much a number is worth."""
    options = one.runs[0].options if one.runs else {}
    sizes = [
        key for key in ("n", "num_sources", "steps", "batch", "rt60") if options.get(key) and key not in one.varies
    ]
    return f" (each run: {', '.join(f'{key}={options[key]}' for key in sizes)})" if sizes else ""


def _open(experiments: Sequence[Experiment], wanted: Sequence[str]) -> list[str]:
    """What was not run."""
    there = {one.name for one in experiments}
    missing = [name for name in wanted if name not in there]
    return [f"**Not run yet: {', '.join(missing)}.**\n"] if missing else []


def _made(experiments: Sequence[Experiment]) -> str:
    """Versions and machine, and when."""
    runs = [run for one in experiments for run in one.runs]
    if not runs:
        return "Nothing was run.\n"
    states = [run.record["state"] for run in runs]
    versions = states[-1]["versions"]
    commits = sorted({state["git"]["commit"] or "no git" for state in states})
    dates = sorted(state["began"] for state in states)
    own = _own(runs)
    spent, clock = (sum(run.record[key] for run in own) / 60 for key in ("cpu_seconds", "seconds"))
    lines = [
        f"- runs: {len(own)}, and {len(runs) - len(own)} that are the same as one of another table",
        f"- time: {spent:.1f} minutes of CPU; {clock:.1f} minutes on the clock, one after the other",
        f"- began: {dates[0]} to {dates[-1]}",
        f"- commits: {', '.join(commits)}",
        f"- machine: {states[-1]['machine']}, {states[-1]['threads']} thread a run",
        f"- versions: {', '.join(f'{name} {value}' for name, value in versions.items())}",
    ]
    return "\n".join(lines) + "\n"


def _times(experiments: Sequence[Experiment]) -> str:
    """What each costs."""
    rows = []
    for one in experiments:
        own = _own(one.runs)
        spent, clock = (sum(run.record[key] for run in own) / 60 for key in ("cpu_seconds", "seconds"))
        rows.append([one.asks, str(len(own)), f"{spent:.1f}", f"{clock:.1f}"])
    return markdown_table(["question", "runs of its own", "CPU minutes", "minutes on the clock"], rows) + "\n"


def _own(runs: Sequence[Run]) -> list[Run]:
    return [run for run in runs if "same_as" not in run.record]


def _meanings(experiments: Sequence[Experiment]) -> str:
    """What the figures are, as the modules that measure say it."""
    modules = dict.fromkeys(
        run.record["task"]["_target_"].rpartition(".")[0] for one in experiments for run in one.runs
    )
    told = []
    for name in modules:
        paragraphs = (import_module(name).__doc__ or "").strip().split("\n\n")
        told += [re.sub(r"\s+", " ", paragraph) + "\n" for paragraph in paragraphs if "Figures" in paragraph]
    return "\n".join(["## What the figures are\n", *told])
