"""docs/results.md and its plots, from runs."""

import re
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from audiotoken.tables import markdown_table
from audiotoken.writing import write_bytes
from experiments.ablations.plots import write_plot
from experiments.ablations.results import Experiment, Run
from experiments.ablations.tables import format_markdown

MAX_FIGURES = 7  # columns of a table; the CSV has all figures
INTRO = """# Results on the mini checkpoint

Written by `python -m experiments.ablations.default_set`, which makes the runs as well; no number is typed by hand. Each
run is small, so that all of them fit a laptop: the tables show large differences and leave small ones open. A cell is
the mean over seeds and, where they differ, the 95 % interval of the mean (percentile bootstrap over seeds; with three
seeds it says how far they lie apart, and little more). Each seed has the same scenes in every row of a table: *minus*
is the mean difference from one row, seed by seed, with its interval. How to run larger ones:
[ablations.md](ablations.md).
"""


def write_results(experiments: Sequence[Experiment], docs: Path, wanted: Sequence[str] = ()) -> Path:
    """Write tables, plots and what they were made with; `wanted` names the experiments that should be there."""
    docs.mkdir(parents=True, exist_ok=True)
    for one in experiments:
        write_plot(one, docs / f"results-{one.name}.png")
    known = [one for one in experiments if one.rows or one.failed]
    parts = [
        INTRO,
        _describe_runs(known),
        _list_times(known),
        *_list_missing(known, wanted),
        *map(_format_section, known),
        _explain_figures(known),
    ]
    path = docs / "results.md"
    write_bytes(("\n".join(parts).rstrip() + "\n").encode(), path)
    return path


def _format_section(one: Experiment) -> str:
    """The title of an experiment, its command, its table and its plot."""
    names = one.figures[:MAX_FIGURES]
    fixed = _format_sizes(one)
    failed = [f"Failed: `{run.folder.name}`: {run.record['error']}" for run in one.failed]
    return "\n".join(
        [
            f"## {one.title}\n",
            f"`python -m experiments.ablate experiment={one.name} -m`{fixed}\n",
            format_markdown(one, names) + "\n",
            f"![{one.name}](results-{one.name}.png)\n",
            *(f"{line}\n" for line in failed),
        ]
    )


def _format_sizes(one: Experiment) -> str:
    """The sizes of each run, which decide how much a number is worth."""
    options = one.runs[0].options if one.runs else {}
    sizes = [
        key for key in ("n", "num_sources", "steps", "batch", "rt60") if options.get(key) and key not in one.varies
    ]
    return f" (each run: {', '.join(f'{key}={options[key]}' for key in sizes)})" if sizes else ""


def _list_missing(experiments: Sequence[Experiment], wanted: Sequence[str]) -> list[str]:
    """A line about the experiments that were not run."""
    there = {one.name for one in experiments}
    missing = [name for name in wanted if name not in there]
    return [f"**Not run yet: {', '.join(missing)}.**\n"] if missing else []


def _describe_runs(experiments: Sequence[Experiment]) -> str:
    """Numbers of runs, time, dates, versions and machine."""
    runs = [run for one in experiments for run in one.runs]
    if not runs:
        return "There are no runs.\n"
    states = [run.record["state"] for run in runs]
    versions = states[-1]["versions"]
    commits = sorted({state["git"]["commit"] or "no git" for state in states})
    dates = sorted(state["began"] for state in states)
    own = _exclude_copies(runs)
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


def _list_times(experiments: Sequence[Experiment]) -> str:
    """A table of the time that each experiment took."""
    rows = []
    for one in experiments:
        own = _exclude_copies(one.runs)
        spent, clock = (sum(run.record[key] for run in own) / 60 for key in ("cpu_seconds", "seconds"))
        rows.append([one.title, str(len(own)), f"{spent:.1f}", f"{clock:.1f}"])
    return markdown_table(["experiment", "runs of its own", "CPU minutes", "minutes on the clock"], rows) + "\n"


def _exclude_copies(runs: Sequence[Run]) -> list[Run]:
    return [run for run in runs if "same_as" not in run.record]


def _explain_figures(experiments: Sequence[Experiment]) -> str:
    """What the figures mean, from the docstrings of the modules that measure them."""
    modules = dict.fromkeys(
        run.record["task"]["_target_"].rpartition(".")[0] for one in experiments for run in one.runs
    )
    texts = []
    for name in modules:
        paragraphs = (import_module(name).__doc__ or "").strip().split("\n\n")
        texts += [re.sub(r"\s+", " ", paragraph) + "\n" for paragraph in paragraphs if "Figures" in paragraph]
    return "\n".join(["## What the figures are\n", *texts])
