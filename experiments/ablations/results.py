"""Runs, grouped by variant, with means and intervals: `python -m experiments.report DIR`.

A *variant* is a set of runs of an experiment that differ in the seed only. Means and intervals are over
seeds: 95 % of 2000 means of as many runs drawn with replacement (percentile bootstrap, Efron 1979). Three seeds make
an interval that says how far the runs lie apart, and little more.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audiotoken.errors import OptionError
from audiotoken.metrics import bootstrap_interval
from experiments.ablations.run import RECORD, read_record

DRAWS, SHARE = 2000, 0.95
REPEATED = ("shard",)  # options that repeat a variant, as seeds do


@dataclass(frozen=True, eq=False)
class Run:
    """One run, as its folder records it."""

    folder: Path
    record: Mapping[str, Any]

    @property
    def options(self) -> dict[str, Any]:
        """The options of the task, with dotted names."""
        return flatten_options({key: value for key, value in self.record["task"].items()})

    @property
    def finished(self) -> bool:
        return bool(self.record["status"] == "finished")


@dataclass(frozen=True, eq=False)
class Row:
    """One variant: mean and interval (low, high) of each figure, and the figure of each seed."""

    variant: dict[str, Any]
    runs: list[Run]
    figures: dict[str, tuple[float, float, float]]
    each: dict[str, list[float]]


@dataclass(frozen=True, eq=False)
class Experiment:
    """All runs of one name."""

    name: str
    title: str
    shown: list[str]
    varies: list[str]
    rows: list[Row]
    failed: list[Run]
    baseline: Row | None = None  # what the others are compared with, seed by seed

    @property
    def figures(self) -> list[str]:
        """Names of all figures, those in `shown` first."""
        known = list(dict.fromkeys(name for row in self.rows for name in row.figures))
        return [name for name in self.shown if name in known] + [name for name in known if name not in self.shown]

    @property
    def runs(self) -> list[Run]:
        return [run for row in self.rows for run in row.runs]


def collect(folder: Path) -> list[Experiment]:
    """Read the experiments under a folder, by name; OptionError if there is no run."""
    found: dict[str, list[Run]] = defaultdict(list)
    for path in sorted(folder.rglob(RECORD)):
        record = read_record(path.parent)
        if record is not None:
            found[record["name"]].append(Run(path.parent, record))
    if not found:
        raise OptionError(f"There is no run in {folder}: no {RECORD}; give the folder of a sweep.")
    return [group_runs(name, runs) for name, runs in found.items()]


def group_runs(name: str, runs: Sequence[Run]) -> Experiment:
    """Group runs by variant, in the order of what was varied."""
    kinds = sorted({key for run in runs for key in run.options})
    values = {key: [repr(run.options.get(key)) for run in runs] for key in kinds}
    varies = [key for key in kinds if len(set(values[key])) > 1 and key not in ("_target_", *REPEATED)]
    varies.sort(key=lambda key: _find_position(key, runs[0].record["overrides"]))
    groups: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        groups[repr([run.options.get(key) for key in varies])].append(run)
    rows = [_make_row(varies, group) for group in groups.values() if any(run.finished for run in group)]
    rows.sort(key=lambda row: [_sort_key(value) for value in row.variant.values()])
    first = runs[0].record
    failed = [run for run in runs if not run.finished]
    baseline = _find_baseline(rows, first.get("baseline") or {})
    return Experiment(name, first.get("title", ""), list(first["shown"]), varies, rows, failed, baseline)


def _find_baseline(rows: Sequence[Row], wanted: Mapping[str, Any]) -> Row | None:
    """The one row whose runs have these options, varied or not; None if there is no such row, or several."""
    fit = [row for row in rows if wanted.items() <= row.runs[0].options.items()]
    return fit[0] if wanted and len(fit) == 1 and len(rows) > 1 else None


def summarise_values(values: Sequence[float], seed: int = 0) -> tuple[float, float, float]:
    """Mean and bootstrap interval (mean, low, high) of the finite values; nan for none."""
    known = [value for value in values if np.isfinite(value)]
    if not known:
        return (float("nan"),) * 3
    return float(np.mean(known)), *bootstrap_interval(known, resamples=DRAWS, level=SHARE, seed=seed)


def compare_rows(row: Row, baseline: Row, name: str) -> tuple[float, float, float]:
    """Mean, low and high of a figure minus the baseline's with the same seed, hence the same scenes and noise.

    Most of what makes a seed easy or hard cancels, which two intervals beside each other do not show.
    """
    here, there = ({_repetition(run): run.record["figures"].get(name) for run in each.runs} for each in (row, baseline))
    pairs = [(value, there.get(seed)) for seed, value in here.items()]
    return summarise_values([a - b for a, b in pairs if a is not None and b is not None])


def flatten_options(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a.b": 1}"""
    out: dict[str, Any] = {}
    for key, value in values.items():
        out |= flatten_options(value, f"{before}{key}.") if isinstance(value, Mapping) else {f"{before}{key}": value}
    return out


def format_variant(row: Row) -> str:
    """A variant in a few words."""
    return " ".join(format_value(value) for value in row.variant.values()) or "as it is"


def format_value(value: Any) -> str:
    if isinstance(value, list):
        return "+".join(map(str, value))
    return "null" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _make_row(varies: Sequence[str], runs: Sequence[Run]) -> Row:
    done = sorted(
        (run for run in runs if run.finished), key=lambda run: (run.record["seed"], run.options.get("shard", 0))
    )
    names = list(dict.fromkeys(name for run in done for name in run.record["figures"]))
    each = {name: [run.record["figures"].get(name, float("nan")) for run in done] for name in names}
    variant = {key: done[0].options.get(key) for key in varies}
    return Row(variant, done, {name: summarise_values(values) for name, values in each.items()}, each)


def _repetition(run: Run) -> tuple[Any, ...]:
    return run.record["seed"], *(run.options.get(each) for each in REPEATED)


def _find_position(key: str, overrides: Sequence[str]) -> int:
    """The position of a key among the overrides that vary."""
    named = [each.split("=")[0].removeprefix("task.") for each in overrides]
    return named.index(key) if key in named else len(named)


def _sort_key(value: Any) -> tuple[int, float, str]:
    """None first, then numbers by size, then words."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return (0, 0.0, "") if value is None else (2, 0.0, str(value))
    return (1, float(value), "")
