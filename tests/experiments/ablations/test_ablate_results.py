"""From runs to tables, plots and pages: known numbers in, known numbers out."""

import csv
import io
import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from paths import ROOT
from PIL import Image

from audiotoken.errors import OptionError
from experiments.ablations.docs import write_results
from experiments.ablations.git import git_state
from experiments.ablations.plots import write_plot
from experiments.ablations.results import collect, compare_rows, flatten_options, format_variant, summarise_values
from experiments.ablations.run import read_record
from experiments.ablations.summary import gather
from experiments.ablations.tables import format_csv, format_latex, format_markdown

STATE = {
    "git": {"commit": "abc123", "branch": "main", "changed": []}, "versions": {"python": "3.11", "torch": "2.11"},
    "machine": "Linux, 2 cores", "threads": 1, "began": "2026-11-25 10:00 UTC",
}  # fmt: skip
TARGET = "experiments.ablations.listening.listen_scenes"


def write_run(folder: Path, way, seed: int, figures: dict, **more) -> None:
    task = {"_target_": TARGET, "way": way, "deep": {"n": 4}}
    record = {
        "status": "finished", "name": "ways", "title": "Which <way>?", "shown": ["score"], "seed": seed, "key": "k",
        "task": task, "overrides": ["task.way=x"], "figures": figures, "state": STATE, "seconds": 6.0,
        "cpu_seconds": 3.0,
    } | more  # fmt: skip
    place = folder / "ways" / f"way={way},seed={seed}"
    (place / "pictures").mkdir(parents=True)
    Image.new("RGB", (8, 8), "red").save(place / "pictures" / "drawn.png")
    (place / "run.json").write_text(json.dumps(record))


@pytest.fixture
def runs(tmp_path):
    for seed, score in enumerate((1.0, 2.0, 6.0)):
        write_run(tmp_path, "a_b", seed, {"extra": 5.0, "score": score})
        write_run(tmp_path, None, seed, {"extra": float("nan"), "score": 2.0})
    write_run(tmp_path, "c", 0, {}, status="failed", error="Got <c>, expected a; change it.")
    return tmp_path


def test_an_interval_holds_the_mean_and_narrows_with_more_seeds():
    values = np.random.default_rng(3).normal(5.0, 1.0, 400)
    mean, low, high = summarise_values(values)
    assert mean == pytest.approx(values.mean()) and low < mean < high
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)  # of a mean of many: normal
    assert summarise_values([2.5]) == (2.5, 2.5, 2.5) and summarise_values([1.0, float("nan")])[0] == 1.0
    assert np.isnan(summarise_values([float("nan")])).all()
    assert summarise_values(values) == summarise_values(values)


def test_variants_are_compared_seed_by_seed(tmp_path):
    """Seeds differ by far more than the ways do; of a seed that only one of them has, nothing is known."""
    for seed, level in enumerate((1.0, 20.0, 300.0)):
        write_run(tmp_path, "low", seed, {"score": level}, baseline={"way": "low"})
        write_run(tmp_path, "high", seed, {"score": level + 0.5 + 0.1 * seed}, baseline={"way": "low"})
    write_run(tmp_path, "high", 7, {"score": 9000.0}, baseline={"way": "low"})
    (one,) = collect(tmp_path)
    assert format_variant(one.baseline) == "low"
    high = next(row for row in one.rows if row.variant["way"] == "high")
    mean, low, high_end = compare_rows(high, one.baseline, "score")
    assert mean == pytest.approx(0.6) and 0.5 <= low < mean < high_end <= 0.7001
    table = re.sub(" +", " ", format_markdown(one))
    assert "| score | score minus low |" in table and "+0.600 (+0.500 to +0.700) |" in table
    told = {row["way"]: row for row in csv.DictReader(io.StringIO(format_csv(one)))}
    assert float(told["high"]["minus baseline"]) == pytest.approx(0.6) and told["low"]["minus baseline"] == "0"


def test_an_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    found = [summarise_values(rng.normal(0, 1, 40), seed)[1:] for seed in range(200)]
    assert 0.88 <= np.mean([low <= 0 <= high for low, high in found]) <= 0.99


def test_variants_are_found_and_seeds_are_no_variant(runs):
    (one,) = collect(runs)
    assert one.varies == ["way"] and [row.variant["way"] for row in one.rows] == [None, "a_b"]
    assert one.rows[1].figures["score"][0] == pytest.approx(3.0) and one.rows[1].each["score"] == [1.0, 2.0, 6.0]
    assert one.figures == ["score", "extra"] and len(one.failed) == 1


def test_shards_are_repetitions_as_seeds_are(tmp_path):
    for shard in (0, 1):
        task = {"_target_": TARGET, "way": "a", "shard": shard}
        write_run(tmp_path, f"a{shard}", 0, {"score": float(shard)}, task=task)
    (one,) = collect(tmp_path)
    assert one.varies == [] and one.rows[0].each["score"] == [0.0, 1.0]


def test_the_tables_say_the_same_three_times(runs):
    (one,) = collect(runs)
    table = re.sub(" +", " ", format_markdown(one))
    assert "| a_b | 3 | 3.000 (1.000 to 6.000) | 5.000 |" in table
    assert "| null | 3 | 2.000 | nan |" in table
    rows = list(csv.DictReader(io.StringIO(format_csv(one))))
    (row,) = [row for row in rows if row["way"] == "a_b" and row["figure"] == "score"]
    assert (row["mean"], row["low"], row["high"], row["of each seed"]) == ("3", "1", "6", "1 2 6")
    assert r"a\_b & 3.000 (1.000 to 6.000) & 5.000 \\" in format_latex(one) and format_latex(one).count(r"\\") == 3


def test_gathering_writes_everything_and_names_what_failed(runs):
    report = gather(runs)
    written = {path.name for path in runs.iterdir()}
    assert {"ways.csv", "ways.md", "ways.tex", "ways.png", "gallery.html"} <= written
    page = (runs / "gallery.html").read_text()
    assert "Which &lt;way&gt;?" in page and "Got &lt;c&gt;" in page and "<way>" not in page
    assert 'src="ways/way=a_b,seed=1/pictures/drawn.png"' in page
    assert len(report.failed) == 1 and "failed" in report.text


def test_a_plot_has_a_panel_for_each_figure_that_is_shown(runs):
    (one,) = collect(runs)
    write_plot(one, runs / "one.png")
    pixels = np.asarray(Image.open(runs / "one.png").convert("RGB"))
    assert pixels.std() > 5 and pixels.shape[1] == 380


def test_the_results_page_is_of_the_runs_alone(runs, tmp_path):
    path = write_results(collect(runs), tmp_path / "docs", ("ways", "others"))
    text = path.read_text()
    assert "## Which <way>?" in text and "experiment=ways -m" in text and "![ways](results-ways.png)" in text
    assert "- runs: 6, and 0 that" in text and "0.3 minutes of CPU; 0.6 minutes on the clock" in text
    assert "**Not run yet: others.**" in text
    assert "Got <c>, expected a; change it." in text and (tmp_path / "docs" / "results-ways.png").is_file()
    assert "`side`, `recall`" in text  # what the figures are, of the module that measures them


def test_results_leave_the_source_tree_alone(runs, tmp_path):
    """A run never edits configs/experiment: what was measured is in docs/results.md only."""
    configs = sorted((ROOT / "configs" / "experiment").glob("*.yaml"))
    before = [path.read_text() for path in configs]
    write_results(collect(runs), tmp_path / "docs")
    assert configs and [path.read_text() for path in configs] == before
    assert not any("Measured" in text for text in before)


def test_a_copy_installed_inside_another_repository_has_no_commit(tmp_path):
    (tmp_path / "site-packages").mkdir()
    for file in (".gitignore", "own.py", "site-packages/copy.py"):
        (tmp_path / file).write_text("site-packages/\n")
    for command in ("init -q -b here", "add .", "-c user.name=a -c user.email=a@b commit -q -m one"):
        subprocess.run(["git", *command.split()], cwd=tmp_path, check=True)
    own = git_state(tmp_path)
    assert own["branch"] == "here" and len(own["commit"]) == 12
    assert git_state(tmp_path / "site-packages") == {"commit": "", "branch": "", "changed": []}


def test_a_folder_without_runs_is_a_sentence(tmp_path):
    with pytest.raises(OptionError, match="There is no run in"):
        collect(tmp_path)
    (tmp_path / "run.json").write_text("[1, 2]")
    assert read_record(tmp_path) is None


def test_the_report_command(runs, monkeypatch, capsys):
    from experiments.ablations.summary import main

    monkeypatch.setattr("sys.argv", ["report", str(runs)])
    main()
    assert "| a_b | 3 |" in re.sub(" +", " ", capsys.readouterr().out)


def test_names_of_nested_options():
    assert flatten_options({"a": {"b": 1, "c": {"d": 2}}, "e": [3]}) == {"a.b": 1, "a.c.d": 2, "e": [3]}
