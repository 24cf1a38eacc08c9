"""One command for a lent GPU: stages have limits, what succeeded is not run again, checkpoints come in pieces."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from paths import ROOT

from audiotoken.errors import OptionError
from experiments.benchmarks import gpu


@pytest.fixture
def stages(monkeypatch, tmp_path):
    def make(*codes):
        scripts = [f"print('row {i}'); raise SystemExit({code})" for i, code in enumerate(codes)]
        names = ("smoke", "guidance", "train")
        chosen = [gpu.Stage(n, (sys.executable, "-c", s), 1.0) for n, s in zip(names, scripts, strict=False)]
        monkeypatch.setattr(gpu, "list_stages", lambda *_: chosen)
        said = []
        options = {"geometry": "debug", "device": "cpu", "training": False, "out": tmp_path}
        return gpu.bench_gpu(**options, on_row=said.append), said

    return make


def test_a_second_call_runs_what_failed_only(stages, tmp_path):
    text, said = stages(0, 3)
    assert [each.split(" after")[0] for each in said] == ["smoke: code 0", "guidance: code 3"]
    assert "row 0" in text and "exit code 3" in text and (tmp_path / "report.md").read_text() == text
    _, said = stages(0, 0)
    assert said[0] == "smoke: done before" and said[1].startswith("guidance: code 0")
    assert "smoke: exit code 0" in gpu.bench_gpu(report=True, out=tmp_path)


def test_a_stage_of_another_size_is_run_again(tmp_path):
    for size in ("1", "2", "2"):
        said = []
        gpu.run_stages([gpu.Stage("smoke", (sys.executable, "-c", f"print({size})"), 1.0)], 60, tmp_path, said.append)
    assert said == ["smoke: done before"] and "2" in gpu.write_report(tmp_path)


def test_no_stage_begins_when_the_time_is_over(tmp_path):
    said = []
    gpu.run_stages([gpu.Stage("smoke", (sys.executable, "-c", ""), 1.0)], 0.5, tmp_path, said.append)
    assert said == ["smoke: no time is left"] and not (tmp_path / "smoke.json").exists()


def test_the_training_wants_its_drawings(tmp_path):
    with pytest.raises(OptionError, match=r"experiments\.world\.art"):
        gpu.bench_gpu(geometry="debug", device="cpu", out=tmp_path / "out", atlas=tmp_path / "none")
    assert not (tmp_path / "out").exists()


def runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_stage_that_takes_too_long_is_stopped_with_all_that_it_started(tmp_path):
    script = "sleep 600 & echo $!; wait"  # of a shell, which begins long before its two seconds are over
    result = gpu.run_stage(gpu.Stage("mini", ("sh", "-c", script), 1.0), 2.0, tmp_path)
    assert result["code"] is None and json.loads((tmp_path / "mini.json").read_text())["code"] is None
    pid = int(result["said"])
    try:
        for _ in range(600):  # until the system has carried it out
            if not runs(pid):
                break
            time.sleep(0.05)
        assert not runs(pid)
    finally:
        if runs(pid):
            os.kill(pid, signal.SIGKILL)


def test_pieces_join_to_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "PIECE", 4)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "big").write_bytes(b"0123456789")
    (tmp_path / "a" / "small").write_bytes(b"012")
    (tmp_path / "a" / "shards").mkdir()
    (tmp_path / "a" / "shards" / "00000.safetensors").write_bytes(b"scenes")
    names = [path.name for path in gpu.split_large(tmp_path / "a", tmp_path / "b")]
    assert names == ["big.000", "big.001", "big.002", "small"]
    assert b"".join((tmp_path / "b" / name).read_bytes() for name in names[:3]) == b"0123456789"


def test_the_stages_are_commands_that_exist():
    stages = gpu.list_stages("debug", "cpu", gpu.Path("out"), gpu.Path("atlas"))
    assert tuple(stage.name for stage in stages) == gpu.NAMES
    assert all(stage.command[1] == "-m" for stage in stages)
    assert [stage.name for stage in gpu.list_stages("debug", "cpu", gpu.Path("out"))] == list(gpu.NAMES[:3])


def test_the_script_for_a_machine_without_internet(tmp_path):
    script = ROOT / "experiments" / "benchmarks" / "gpu.sh"
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)
    ran = subprocess.run(["sh", script, "minutes=1"], env={"PYTHON": str(python)}, capture_output=True, text=True)
    assert ran.stdout.splitlines()[-1] == "-m experiments.bench gpu minutes=1"
    ran = subprocess.run(["sh", script, "wheels", "--abi", "none"], env={"PYTHON": str(python)}, capture_output=True)
    assert b"--abi none" in ran.stdout and b"diffusers" in ran.stdout and b"experiments.bench" not in ran.stdout


@pytest.mark.slow
def test_pictures_of_half_precision_are_finite():
    assert gpu.run_smoke_test("debug", "cpu").count("not finite 0") == 2 * 4
