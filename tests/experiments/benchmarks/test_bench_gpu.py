"""One command for a lent GPU: stages have limits, what succeeded is not run again, checkpoints come in pieces."""

import json
import sys

import pytest

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
    _, said = stages(1, 0)
    assert said[0] == "smoke: done before" and said[1].startswith("guidance: code 0")
    assert "smoke: exit code 0" in gpu.bench_gpu(report=True, out=tmp_path)


def test_a_stage_that_takes_too_long_is_stopped(tmp_path):
    slow = gpu.Stage("mini", (sys.executable, "-c", "import time; print('began', flush=True); time.sleep(60)"), 1.0)
    result = gpu.run_stage(slow, 2.0, tmp_path)
    assert result["code"] is None and result["seconds"] < 30
    assert json.loads((tmp_path / "mini.json").read_text())["code"] is None


def test_pieces_join_to_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "PIECE", 4)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "big").write_bytes(b"0123456789")
    (tmp_path / "a" / "small").write_bytes(b"012")
    names = [path.name for path in gpu.split_large(tmp_path / "a", tmp_path / "b")]
    assert names == ["big.000", "big.001", "big.002", "small"]
    assert b"".join((tmp_path / "b" / name).read_bytes() for name in names[:3]) == b"0123456789"


def test_the_stages_are_commands_that_exist():
    stages = gpu.list_stages("debug", "cpu", gpu.Path("out"))
    assert [stage.name for stage in stages] == ["smoke", "guidance", "train", "mini"]
    assert all(stage.command[1] == "-m" for stage in stages)


@pytest.mark.slow
def test_pictures_of_half_precision_are_finite():
    assert gpu.smoke("debug", "cpu").count("not finite 0") == 2 * 4
