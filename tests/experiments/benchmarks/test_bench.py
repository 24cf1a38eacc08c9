"""The benchmark: what it compares is what it says, what fails is a line in its table, ratios are worked out right."""

import csv
import inspect
import io
import math
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import bench_targets
import pytest
import torch
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from audiotoken.debug import debug_pipeline
from audiotoken.denoising import DiffusionDenoising
from audiotoken.errors import OptionError
from audiotoken.objective import Batch, Objective
from experiments.benchmarks import command, process
from experiments.benchmarks import row as bench_row
from experiments.benchmarks import train as bench
from experiments.benchmarks.models import InMemory, build
from experiments.benchmarks.parts import FROZEN, bench_parts, count_kept_bytes, count_sd1, sum_flops, time_parts
from experiments.benchmarks.published import Published
from experiments.benchmarks.row import Measured, Row, Setting, measure
from experiments.benchmarks.train import bench_train, list_rows, run_all
from experiments.benchmarks.training_report import plot_chart, summarise, to_csv, to_markdown

SETTING = Setting("debug", "cpu", 32, 1.0, 1, 2, 1, 4, "", "")


@pytest.mark.parametrize(("name", "run"), [("bench", bench_train), ("bench_parts", bench_parts)])
def test_the_keys_of_the_configs_are_parameters(name, run):
    with initialize_config_module("configs", version_base=None):
        config = OmegaConf.to_container(compose(name))
    parameters = inspect.signature(run).parameters
    defaults = {key: each.default for key, each in parameters.items() if key != "on_row"}
    assert isinstance(config, dict)
    assert config == {key: list(each) if isinstance(each, tuple) else each for key, each in defaults.items()}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ways": ["publshed"]}, "Got ways=publshed"),
        ({"ways": []}, "expected some of published"),
        ({"precisions": ["fp8"]}, "Got precisions=fp8"),
        ({"geometry": "sd3"}, "expected some of sd1, mini"),
        ({"steps": 0}, "for steps"),
        ({"size": 100}, "Got size=100, expected a multiple of 64"),
        ({"warmup": -1}, "for warmup"),
        ({"batch_sizes": [4, 0]}, "for batch_sizes"),
        ({"device": "cuda:99"}, "no device cuda:99"),
    ],
)
def test_what_cannot_be_measured_is_one_sentence(options, words, tmp_path):
    with pytest.raises(OptionError, match=words) as error:
        bench_train(**{"device": "cpu", "out": tmp_path, **options})
    assert "\n" not in str(error.value) and not any(tmp_path.iterdir())


def test_processes_are_told_whole_paths(monkeypatch, tmp_path):
    """The compiler works in folders of its own."""
    seen = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench, "run_all", lambda setting, *others: seen.append(setting) or example_runs())
    bench_train(geometry="debug", device="cpu", out="here")
    assert seen[0].compiled.startswith(str(tmp_path)) and seen[0].prepared.startswith(str(tmp_path))


def test_an_unknown_command_is_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["bench", "trian"])
    with pytest.raises(SystemExit, match="2"):
        command.main()
    assert "'trian', expected one of train, parts" in capsys.readouterr().err


@pytest.mark.parametrize("name", command.COMMANDS)
def test_each_command_finds_its_benchmark(name, monkeypatch):
    found, find = [], command.find
    monkeypatch.setattr(command, "find", lambda target: found.append(find(target)) or str)
    for runner in ("run_from_config", "run_from_signature"):
        monkeypatch.setattr(command, runner, lambda *options: None)
    command.COMMANDS[name]()
    assert len(found) == 1 and found[0].__module__.startswith("experiments.benchmarks.")


def test_only_the_benchmark_that_was_asked_for_is_imported():
    code = "import sys, experiments.bench; print('torch' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(Path(command.__file__).parents[2])}
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment).stdout
        == "False\n"
    )


def test_what_is_published_neither_compiles_nor_checkpoints():
    rows = list_rows(("published", "cached"), ("float32",), (4, 16), True, True)
    assert len(rows) == len(set(rows)) == 8
    assert [(row.compile, row.checkpointing) for row in rows if row.way == "published"] == [(False, False)] * 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_published_trains_the_embedder_alone_in_the_weights_precision(dtype):
    pipe = debug_pipeline()
    model = Published(pipe, dtype, 2)
    assert {weight.dtype for weight in model.parameters()} == {dtype}
    assert {name.split(".")[0] for name, each in model.named_parameters() if each.requires_grad} == {"embedder"}
    assert model.embedder.training and not model.unet.training and not model.vae.training
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    source = InMemory(2, 32, 1.0, 16_000)
    waveform = torch.stack([torch.from_numpy(each.recording[0]) for each in source.examples])
    losses = [model.step(torch.rand(2, 3, 32, 32) * 2 - 1, waveform) for _ in range(3)]
    assert all(map(math.isfinite, losses)) and len(set(losses)) == 3
    changed = {name.split(".")[0] for name, each in model.named_parameters() if not torch.equal(each, before[name])}
    assert changed == {"embedder"}


@pytest.mark.parametrize("way", ["published", "raw"])
def test_steps_are_counted_after_the_warmup(way, monkeypatch):
    clock, waits = iter(range(1000)), []

    def now(device, wait):
        waits.append(wait)
        return float(tick := next(clock) ** 2), 2.0 * tick

    monkeypatch.setattr(bench_row, "_settle", lambda setting: None)
    monkeypatch.setattr(bench_row, "now", now)
    measured = measure(SETTING, Row(way, "float32", 2))
    # ticks at 0, 1, 4, 9, 16: the first step, a warm-up step, two that count
    assert (measured.seconds, measured.cpu_seconds, measured.first) == (6.0, 12.0, 1.0 - 6.0)
    assert waits == [True, True, True, False, True]  # counted steps follow one another as in a run
    assert measured.memory is None or 0 <= measured.memory < 2**30  # this process may have freed as much on the way


def test_cached_rows_need_no_frozen_parts():
    pipe = build("debug", "cpu", torch.float32, frozen_parts=False)
    assert pipe.vae is None and pipe.audio_encoder is None and pipe.unet is not None


@pytest.mark.slow
def test_a_row_that_dies_is_told_and_the_rest_goes_on(monkeypatch):
    """In real fresh processes, of a server that has imported nothing; nor do they: the rows are light."""
    monkeypatch.setattr(process, "PRELOADED", [])
    rows, told = [bench_targets.LightRow("published"), bench_targets.LightRow("raw")], []
    for target, words in (
        (bench_targets.dies, "killed, most likely out of memory"),
        (bench_targets.leaves, "code 3"),
        (bench_targets.hangs, "not finished after"),
    ):
        monkeypatch.setattr(bench, "run_row", target)
        runs = run_all("a setting", rows, 2, 0.5 if target is bench_targets.hangs else 600.0, told.append)
        assert [[words in each.why for each in runs[row]] for row in rows] == [[True]] * 2  # not tried twice
    assert len(told) == 6 and told[0].startswith(f"1/4  {rows[0]}: killed")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried\nto"), "out of memory"),
        (KeyError("a\nb"), "KeyError: 'a"),
        (ValueError(), "no message"),
    ],
)
def test_what_goes_wrong_in_a_row_is_sent(error, words, monkeypatch):
    def fail(setting, row):
        raise error

    class Connection(list):
        send, close = list.append, lambda self: None

    monkeypatch.setattr(bench_row, "measure", fail)
    sent = Connection()
    bench_row.run_row(SETTING, Row("raw", "float32", 4), sent)
    assert words in sent[0].why and "\n" not in sent[0].why


def example_runs():
    published, cached = Row("published", "float32", 4), Row("cached", "float32", 4)
    compiled, broken = Row("cached", "float32", 4, compile=True), Row("raw", "float32", 4)
    gib = 2**30
    return {
        published: [Measured(seconds, 2.0, 0.1, 8 * gib) for seconds in (2.0, 4.0, 1.0)],
        broken: [Measured(why="out of memory")],
        cached: [Measured(0.5, 0.5, 0.1, 4 * gib, 5 * gib)],
        compiled: [Measured(0.25, 0.5, first, 2 * gib) for first in (60.0, 3.0)],
    }


def test_ratios_are_to_the_published_row_of_the_same_kind():
    published, broken, cached, compiled = summarise(example_runs())
    assert (published["samples_per_second"], published["least"], published["most"]) == (2.0, 1.0, 4.0)
    assert (cached["faster"], cached["memory_ratio"], cached["reserved_gib"]) == (4.0, 0.5, 5.0)
    assert (compiled["faster"], compiled["memory_ratio"]) == (8.0, 0.25)
    assert compiled["compile_seconds"] == 60.0  # of the first process: later ones find it done
    by_cpu = summarise(example_runs(), by_clock=False)
    assert by_cpu[2]["faster"] == 4.0 and by_cpu[3]["faster"] == 4.0  # 0.5 s of the process's own, against 2
    assert broken["runs"] == 0 and broken["why"] == "out of memory" and math.isnan(broken["faster"])
    (other,) = summarise({Row("cached", "bfloat16", 4): [Measured(1.0, 1.0)]})
    assert math.isnan(other["faster"])


def test_tables_and_chart_hold_every_row(tmp_path):
    lines, known = summarise(example_runs()), {"geometry": "debug, tiny", "device": "cpu"}
    rows = list(csv.DictReader(io.StringIO(to_csv(lines))))
    assert [row["way"] for row in rows] == ["published", "raw", "cached", "cached"]
    assert rows[1]["samples_per_second"] == "" and rows[2]["faster"] == "4"
    table = re.sub(" +", " ", to_markdown(lines, known)).splitlines()
    body = [line for line in table if line.startswith("|")]
    assert len({line.count("|") for line in body}) == 1 and len(body) == 6
    assert "| raw | out of memory |" in body[3] and "8 (8 to 8) | 4.00 | 4 | 50% |" in body[4]
    plot_chart(lines, known, tmp_path / "chart.png")
    assert (tmp_path / "chart.png").stat().st_size > 5000


def test_the_true_size_is_the_true_size():
    """Numbers of weights as in the published files; a step without VAE and BEATs is 1.7 times less work."""
    counted = count_sd1()
    millions = {name: round(part.weights / 1e6, 1) for name, part in counted.items()}
    assert list(millions.values()) == [34.2, 90.7, 8.9, 123.1, 859.5]
    unet = counted["UNet, forward and backward"].flops
    assert unet == pytest.approx(1.67e12, rel=0.01)
    assert counted[FROZEN[0]].flops == pytest.approx(1.12e12, rel=0.01)
    whole, cached = sum_flops(counted)
    assert whole / cached == pytest.approx(1.71, abs=0.01)


def test_our_trainer_takes_the_true_size():
    """Shapes fit and gradients come back to the published embedder, without VAE and BEATs; no number is computed."""
    pipe = build("sd1", "meta", torch.float32, frozen_parts=False)
    with torch.device("meta"):
        latents, level = torch.empty(2, 4, 64, 64), torch.zeros(2, dtype=torch.long)
        batch = Batch(latents, torch.empty(2, 496, 2304), level)
        terms = Objective(pipe, ["dog", "rain"], DiffusionDenoising.of(pipe))(batch, latents, level)
    torch.stack(list(terms.values())).sum().backward()
    assert all(weight.grad is not None for name, weight in pipe.audio_embedder.named_parameters())


def test_gradient_checkpointing_keeps_a_fifth():
    assert 4 < count_kept_bytes("bfloat16", False) / count_kept_bytes("bfloat16", True) < 6


def test_every_part_of_a_step_takes_time():
    found = time_parts("debug", "cpu", "float32", 2, 1.0, 1, 1)
    assert len(found) == 8 and all(value > 0 for value in found.values())


def test_what_fresh_processes_begin_with_is_there():
    """Python says nothing of what it can not import into their server."""
    for name in process.PRELOADED:
        assert import_module(name)


def test_bench_train_on_tiny_parts(tmp_path, forked):
    told: list[str] = []
    said = bench_train(
        geometry="debug", device="cpu", precisions=["float32"], batch_sizes=[2], compile=False,
        steps=2, warmup=0, repeats=1, out=tmp_path, on_row=told.append,
    )  # fmt: skip
    rows = list(csv.DictReader((tmp_path / "rows.csv").open()))
    assert [(row["way"], row["why"]) for row in rows] == [("published", ""), ("raw", ""), ("cached", "")]
    assert all(float(row["samples_per_second"]) > 0 for row in rows)
    assert (tmp_path / "table.md").read_text() in said and len(told) == 4
    assert sorted(os.listdir(tmp_path)) == ["chart.png", "rows.csv", "table.md"]
