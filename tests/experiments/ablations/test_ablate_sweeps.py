"""Sweeps as they are run: failures are listed, a killed one goes on, and processes and jobs do the same."""

import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from experiments.ablations import ablate

PARENT = multiprocessing.get_context("fork")
ROOT = Path(__file__).resolve().parents[3]
TINY = """
import time
from pathlib import Path

def ask(*, way="a", log, gate="", seed, out):
    with open(log, "a") as file:
        file.write(f"{way}{seed}\\n")
    if way == "c":
        raise ValueError("Got way=c, expected a or b; change it.")
    while way == "b" and gate and not Path(gate).exists():
        time.sleep(0.02)
    return {"score": {"a": 1.0, "b": 2.0}[way] + seed}
"""
EXPERIMENT = """# @package _global_
name: tiny
title: Which way?
shown: [score]
task:
  _target_: tiny.ask
  way: a
  log: ???
  gate: ""
hydra:
  sweeper:
    params:
      task.way: a,b
      seed: 0,1
"""


@pytest.fixture
def place(tmp_path):
    """An experiment of its own, outside the package."""
    (tmp_path / "configs" / "experiment").mkdir(parents=True)
    (tmp_path / "configs" / "experiment" / "tiny.yaml").write_text(EXPERIMENT)
    (tmp_path / "tiny.py").write_text(TINY)
    return tmp_path


def options(place: Path, *overrides: str) -> list[str]:
    told = ["experiment=tiny", f"hydra.searchpath=[file://{place / 'configs'}]", f"out={place / 'runs'}"]
    return [*told, f"task.log={place / 'log'}", *overrides]


def run(place: Path, *overrides: str) -> None:
    """In a child: the command in that folder, all it says into the file `told`."""
    streams = os.open(place / "told", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number in (1, 2):
        os.dup2(streams, number)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    os.chdir(place)
    sys.path.insert(0, str(place))
    sys.argv = ["ablate", *options(place, *overrides)]
    ablate.main()


def sweep(place: Path, *overrides: str, sweeping: bool = True):
    """A process that has imported everything already."""
    process = PARENT.Process(target=run, args=(place, *overrides, *["-m"] * sweeping))
    process.start()
    return process


def ended(process, place: Path) -> str:
    process.join(300)
    return (place / "told").read_text()


def asked(place: Path) -> list[str]:
    return sorted((place / "log").read_text().split())


def finished(place: Path) -> list[dict]:
    records = [json.loads(path.read_text()) for path in (place / "runs" / "tiny").glob("*/run.json")]
    return [record for record in records if record["status"] == "finished"]


def test_a_failed_run_is_listed_and_the_rest_go_on(place):
    ran = sweep(place, "task.way=c,a")
    told = ended(ran, place)
    assert ran.exitcode == 1, told
    assert asked(place) == ["a0", "a1", "c0", "c1"] and len(finished(place)) == 2
    assert told.count("failed  ") >= 2 and "Got way=c, expected a or b; change it." in told
    table = (place / "runs" / "tiny" / "tiny.md").read_text()
    assert "| a | 2 | 1.500 (1.000 to 2.000) |" in re.sub(" +", " ", table)
    assert "failed: Got way=c" in (place / "runs" / "tiny" / "gallery.html").read_text()


@pytest.mark.slow
def test_a_killed_sweep_goes_on_where_it_was(place):
    gate = place / "gate"
    first = sweep(place, f"task.gate={gate}")
    until = time.monotonic() + 60
    while not ((place / "log").exists() and "b0" in asked(place)) and time.monotonic() < until:
        time.sleep(0.02)
    first.kill()
    ended(first, place)
    assert first.exitcode == -signal.SIGKILL
    before = asked(place)
    assert before == ["a0", "a1", "b0"] and len(finished(place)) == 2
    gate.touch()
    second = sweep(place, f"task.gate={gate}")
    told = ended(second, place)
    assert second.exitcode == 0, told
    assert asked(place) == ["a0", "a1", "b0", "b0", "b1"] and told.count("kept ") == 2
    assert {(run["task"]["way"], run["seed"]): run["figures"]["score"] for run in finished(place)} == {
        ("a", 0): 1.0, ("a", 1): 2.0, ("b", 0): 2.0, ("b", 1): 3.0
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "plugin", "more"),
    [("joblib", "hydra_joblib_launcher", ()), ("local", "hydra_submitit_launcher", ("seed=0",))],
)
@pytest.mark.slow
def test_processes_and_jobs_do_the_same(name, plugin, more, place):
    if find_spec("hydra_plugins") is None or find_spec(f"hydra_plugins.{plugin}") is None:
        pytest.skip(f"{plugin} is not installed")
    command = [sys.executable, "-m", "experiments.ablate", *options(place, f"sweep={name}", *more), "-m"]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{place}"}
    ran = subprocess.run(command, env=environment, cwd=place, text=True, capture_output=True)
    told = ran.stdout + ran.stderr
    assert ran.returncode == 0, told
    expected = {"a0", "b0"} if more else {"a0", "a1", "b0", "b1"}
    assert set(asked(place)) == expected and len(finished(place)) == len(expected), told


def test_a_misspelt_experiment_ends_with_a_sentence(place):
    ran = sweep(place, "experiment=poolin")
    told = ended(ran, place)
    assert ran.exitcode == 2 and "did you mean experiment=pooling?" in told and "Traceback" not in told


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("seed=first", "Got seed=first, expected a whole number; change seed."),
        ("baseline=a", "Got baseline=a, expected keys with values or null; change baseline."),
        ("tread=2", "Got tread=..., which is not a key of this command (did you mean threads?)"),
    ],
)
def test_a_wrong_value_or_key_ends_with_a_sentence(place, word, message):
    ran = sweep(place, word)
    text = ended(ran, place)
    assert ran.exitcode == 2 and message in text and "Traceback" not in text


@pytest.mark.parametrize("word", ["+task.ways=c", "seed=first"])
def test_of_one_run_an_error_of_ours_is_all_that_is_said(place, word):
    ran = sweep(place, word, sweeping=False)
    text = ended(ran, place)
    assert ran.exitcode == 2 and re.fullmatch("Got [^\n]*\n", text), text  # without Hydra's list of the overrides
