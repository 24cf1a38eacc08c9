"""A run: a task with its parameters and a seed -> a folder with everything about it.

In the folder: run.json (task, figures or error, versions, git, machine, seconds), config.yaml, pictures/, and after an
error traceback.txt. run.json is written last, in one piece: a folder that has it is finished.
A run resumes as a whole, not picture by picture as in `experiments.benchmarks.pictures`, because some runs train
instead of drawing, and the record holds one time and one state of the code.
"""

import hashlib
import json
import os
import re
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

from audiotoken.cli.schemas import convert_options
from audiotoken.errors import OptionError
from audiotoken.manifest import fingerprint
from audiotoken.writing import write_bytes
from experiments.ablations.git import git_state
from experiments.hydra_cli import is_first_process

RECORD = "run.json"
PACKAGES = ("torch", "diffusers", "transformers", "accelerate", "peft", "numpy", "scipy", "hydra-core")
KEYWORDS = (Parameter.KEYWORD_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
UNNAMED = ("experiment", "sweep", "out", "resume", "name", "threads")  # overrides that do not tell runs apart


@dataclass
class RunConfig:
    """The keys of configs/ablate.yaml and their types."""

    task: dict[str, Any]
    name: str
    title: str
    shown: list[str]
    baseline: dict[str, Any] | None
    seed: int
    out: str
    resume: bool
    threads: int


def run(config: Mapping[str, Any], overrides: Sequence[str] = (), *, alone: bool = True) -> str:
    """Make the run that `config` (configs/ablate.yaml) describes, unless it is finished -> a line about it.

    A run of a model whose weights have changed since is made again. A finished run of another experiment with the same
    task and seed is copied. With `alone`, an error is raised as well as recorded. OptionError for an unknown task or a
    wrong option.
    """
    function, options = resolve_task(config["task"])
    weights = find_weights(config)
    folder = _find_folder(config, overrides, weights)
    if config["resume"] and _is_finished(folder, weights):
        return f"kept    {folder}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if is_first_process():
            _write_config(config, folder)
    except OSError as error:
        raise OptionError(f"Cannot write {folder}: {error.strerror}; choose another folder with out=.") from None
    if config["resume"] and (other := _find_equal_run(folder, weights)):
        _copy_run(other, folder, config, overrides)
        return f"as in   {folder}: {other}"
    record = _run_and_record(
        lambda: _call_task(function, options, config, folder), describe_run(config, overrides, weights), folder, alone
    )
    if record["status"] == "failed":
        return f"failed  {folder}: {record['error']}"
    return f"done    {folder}  {'  '.join(f'{name} {value:.3g}' for name, value in record['figures'].items())}"


def _run_and_record(
    call: Callable[[], dict[str, float]], record: dict[str, Any], folder: Path, alone: bool
) -> dict[str, Any]:
    """Run, and write the record with the figures or the error; after Ctrl-C nothing is written."""
    start, spent = time.perf_counter(), time.process_time()
    raised: Exception | None = None
    try:
        record |= {"status": "finished", "figures": call()}
    except Exception as error:
        raised = error
        record |= {"status": "failed", "figures": {}, "error": str(error) or type(error).__name__}
    record |= {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - spent}
    if is_first_process():
        _write_record(record, folder, raised)
    if raised is not None and alone:
        raise raised
    return record


def resolve_task(node: Mapping[str, Any]) -> tuple[Callable[..., dict[str, float]], dict[str, Any]]:
    """The function that `_target_` names, and its options; OptionError for an unknown key or a wrong type."""
    options = dict(node)
    module, _, name = str(options.pop("_target_")).rpartition(".")
    try:
        function = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise OptionError(f"There is no task {module}.{name} ({error}); pass task=training, or another task.") from None
    known = {each.name for each in signature(function).parameters.values() if each.kind in KEYWORDS}
    if missing := {"seed", "out"} - known:
        raise OptionError(f"The task {module}.{name} has no parameter {min(missing)}; add it.")
    if unknown := sorted(set(options) - known | {"seed", "out"} & set(options)):
        kinds = ", ".join(sorted(known - {"seed", "out"}))
        raise OptionError(f"Got task.{unknown[0]}, expected one of {kinds}; change task.{unknown[0]}.")
    return function, convert_options(function, options, "task.")


def find_folder(config: Mapping[str, Any], overrides: Sequence[str] = ()) -> Path:
    """out/name/WHAT VARIES-KEY, or the existing folder with that key; a finished run of today's weights comes first."""
    return _find_folder(config, overrides, find_weights(config))


def _find_folder(config: Mapping[str, Any], overrides: Sequence[str], weights: str | None) -> Path:
    words, place, key = (
        [each.lstrip("+~") for each in overrides],
        Path(config["out"]) / config["name"],
        hash_run(config),
    )
    varied = [each.removeprefix("task.") for each in words if each.split("=")[0].split("@")[0] not in UNNAMED]
    slug = re.sub(r"[^\w.=,+-]+", "_", ",".join(varied))[:100] or "run"
    there = sorted(place.glob(f"*-{key}"), key=lambda folder: (not _is_finished(folder, weights), folder))
    return there[0] if there else place / f"{slug}-{key}"


def hash_run(config: Mapping[str, Any]) -> str:
    """Eight hexadecimal digits of task and seed, independent of the module that the function lives in."""
    task = dict(config["task"])
    task["_target_"] = str(task["_target_"]).rpartition(".")[2]
    facts = json.dumps([task, config["seed"]], sort_keys=True)
    return hashlib.sha256(facts.encode()).hexdigest()[:8]


def find_weights(config: Mapping[str, Any]) -> str | None:
    """The task's model and when its weights last changed; None for a task without a model."""
    model = config["task"].get("model")
    return fingerprint(model) if isinstance(model, str) else None


def read_record(folder: Path) -> dict[str, Any] | None:
    """The record of a run; None if it is missing or damaged."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        return record if isinstance(record, dict) and "status" in record else None
    except (OSError, ValueError):
        return None


def describe_run(config: Mapping[str, Any], overrides: Sequence[str], weights: str | None) -> dict[str, Any]:
    """The part of the record that is known before the run begins; weights: those of `find_weights`."""
    shared = {key: config.get(key) for key in ("name", "title", "shown", "baseline", "seed", "task")}
    return shared | {
        "overrides": list(overrides),
        "key": hash_run(config),
        "weights": weights,
        "state": describe_state(config["threads"]),
    }


def describe_state(threads: int) -> dict[str, Any]:
    """The code, the versions and the machine of a run."""
    machine = os.uname() if hasattr(os, "uname") else None
    return {
        "git": git_state(Path(__file__).resolve().parents[2]),
        "versions": {"python": sys.version.split()[0]} | {name: version(name) for name in PACKAGES},
        "machine": f"{machine.sysname} {machine.machine}, {os.cpu_count()} cores" if machine else sys.platform,
        "threads": threads,
        "began": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def _call_task(
    function: Callable[..., dict[str, float]], options: dict[str, Any], config: Mapping[str, Any], folder: Path
) -> dict[str, float]:
    """Call the task -> its figures as floats, nan where unknown."""
    from threadpoolctl import threadpool_limits

    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(config["threads"])
    else:
        os.environ["OMP_NUM_THREADS"] = str(config["threads"])  # it is read when torch is imported
    with threadpool_limits(config["threads"]):
        figures = function(**options, seed=config["seed"], out=folder)
    return {name: float(value) for name, value in figures.items()}


def _is_finished(folder: Path, weights: str | None) -> bool:
    """Is there a finished run, of a model that had these weights?"""
    record = read_record(folder)
    return record is not None and record["status"] == "finished" and record.get("weights") == weights


def _find_equal_run(folder: Path, weights: str | None) -> Path | None:
    """A finished run of another experiment with the same key and weights, in the same output folder."""
    key = folder.name.rpartition("-")[2]
    others = [other for other in sorted(folder.parent.parent.glob(f"*/*-{key}")) if other != folder]
    return next(
        (other for other in others if _is_finished(other, weights) and "same_as" not in (read_record(other) or {})),
        None,
    )


def _copy_run(other: Path, folder: Path, config: Mapping[str, Any], overrides: Sequence[str]) -> None:
    """Copy the pictures and the record of `other`, with the name, title and overrides of this run."""
    if (other / "pictures").is_dir():
        shutil.copytree(other / "pictures", folder / "pictures", dirs_exist_ok=True)
    shared = {key: config.get(key) for key in ("name", "title", "shown", "baseline")} | {"overrides": list(overrides)}
    _write_record((read_record(other) or {}) | shared | {"same_as": f"../../{other.parent.name}/{other.name}"}, folder)


def _write_config(config: Mapping[str, Any], folder: Path) -> None:
    from omegaconf import OmegaConf

    write_bytes(OmegaConf.to_yaml(OmegaConf.create(dict(config))).encode(), folder / "config.yaml")


def _write_record(record: Mapping[str, Any], folder: Path, raised: Exception | None = None) -> None:
    if raised is None:
        (folder / "traceback.txt").unlink(missing_ok=True)
    else:
        write_bytes("".join(traceback.format_exception(raised)).encode(), folder / "traceback.txt")
    write_bytes((json.dumps(record, indent=1) + "\n").encode(), folder / RECORD)
