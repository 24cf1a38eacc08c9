"""Pages of a training run and of an evaluation: complete, self-contained, and written by the commands."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from html_reader import Reader
from PIL import Image
from typer.testing import CliRunner

from audiotoken.cli.app import app
from audiotoken.report.evaluation_page import MOST_CLIPS, Drawn, write_evaluation_page
from audiotoken.report.spread import spread_evenly
from audiotoken.report.training_page import MOST_SAMPLES, Run, training_page

BAD = '<script>alert("1")</script>'
TONE = 0.3 * np.sin(np.arange(8000) * 0.2).astype(np.float32)


def make_run(folder, steps=120):
    """A run as `audiotoken train` leaves it: step 100 was done twice."""
    (folder / "samples").mkdir(parents=True)
    (folder / "settings.json").write_text(json.dumps({"model": BAD, "batch": 8, "settings": {"lora": 4}}))
    rows = [f"{step},{1 / step:.4f},{2 / step:.4f},0.001,3" for step in [*range(1, 101), *range(100, steps + 1)]]
    (folder / "losses.csv").write_text("\n".join(["step,total,diffusion,learning_rate,images_per_second", *rows, ""]))
    for step in (40, 80, 120):
        Image.new("RGB", (64, 32), "red").save(folder / "samples" / f"step-{step:06d}.png")
    (folder / "skipped.csv").write_text("key,why\na,damaged\nb,damaged\n")
    return folder


def test_a_page_of_a_training_says_everything_and_loads_nothing(tmp_path):
    run = Run.read(make_run(tmp_path / "one"))
    assert run.steps == tuple(range(1, 121)) and set(run.losses) == {"total", "diffusion"} and run.skipped == 2
    text = training_page(run)
    page = Reader(text)
    assert "Training one" in page.text and "120 steps" in page.text and "2 examples could not be read" in page.text
    assert [each["id"] for each in page.all("h2")] == ["losses", "samples", "settings"]
    assert "settings.lora" in page.text and f"model {BAD}" in page.text and "<script" not in text
    assert "0.0083" in page.text and len(page.all("img")) == 3 and "after 120 steps" in page.text
    assert "http" not in text.replace("http-equiv", "")


def test_of_many_sheets_some_are_shown_and_the_last_comes_first(tmp_path):
    folder = make_run(tmp_path / "one")
    for step in range(1, 41):
        Image.new("RGB", (8, 8)).save(folder / "samples" / f"step-{step:06d}.png")
    sheets = [int(each["alt"].split()[2]) for each in Reader(training_page(Run.read(folder))).all("img")]
    assert len(sheets) == MOST_SAMPLES and sheets[0] == 120 and sheets == sorted(sheets, reverse=True)
    assert sheets[-1] < 6


@pytest.mark.parametrize("most", [1, 3, 7, 10, 12])
def test_items_from_all_over(most):
    chosen = spread_evenly(range(10), most)
    gaps = np.diff(chosen)
    assert len(chosen) == min(most, 10) and chosen[0] == 0 and (not len(gaps) or np.ptp(gaps) <= 1)
    assert spread_evenly([], most) == []


def test_a_run_that_was_stopped_early_has_a_page(tmp_path):
    folder = make_run(tmp_path / "one")
    (folder / "losses.csv").write_text("")
    assert "no step was done" in Reader(training_page(Run.read(folder))).text


def test_a_damaged_run_has_a_page_of_what_is_whole(tmp_path):
    folder = make_run(tmp_path / "one")
    with (folder / "losses.csv").open("ab") as file:
        file.write(b"121,0.5\n\x00\xff\n122,0.1,0.2,0.001,3")
    (folder / "skipped.csv").write_bytes(b"key,why\n\xff,damaged\n")
    (folder / "samples" / "step-last.png").write_bytes(b"")
    run = Run.read(folder)
    assert run.steps[-1] == 120 and run.skipped == 1 and "120 steps" in Reader(training_page(run)).text


def test_a_page_of_an_evaluation_has_the_table_and_the_pictures(tmp_path):
    soundfile.write(tmp_path / "b.wav", TONE, 8000)
    picture = Image.new("RGB", (40, 40), "blue")
    drawn = [
        Drawn("a", "dog", (TONE, 8000), {"labels": picture, "AudioToken": picture}),
        Drawn(BAD, "", tmp_path / "b.wav", {"labels": picture}),
    ]
    path = tmp_path / "out.html"
    write_evaluation_page(path, head=["system", "ais"], rows=[["labels", "0.31"]], about="by CLIP", drawn=drawn)
    text = path.read_text("utf-8")
    page = Reader(text)
    assert "0.31" in page.text and "by CLIP" in page.text and "dog" in page.text and "<script" not in text
    assert len(page.all("img")) == len(page.all("figcaption")) == 3 and len(page.all("audio")) == 2
    assert [each["alt"] for each in page.all("img")][:2] == ["a: labels", "a: AudioToken"]


def test_of_many_clips_some_are_shown(tmp_path):
    picture = Image.new("RGB", (8, 8))
    drawn = [Drawn(f"clip {i}", "", (TONE[:800], 8000), {"one": picture}) for i in range(MOST_CLIPS + 5)]
    write_evaluation_page(tmp_path / "a.html", head=["", "x"], rows=[["one", "1"]], about="", drawn=drawn)
    page = Reader((tmp_path / "a.html").read_text("utf-8"))
    assert len(page.all("article")) == MOST_CLIPS and f"{MOST_CLIPS} of {MOST_CLIPS + 5} clips" in page.text


@pytest.mark.parametrize(
    ("command", "function"),
    [
        ("evaluate -o one", "audiotoken.evaluation.evaluate.evaluate"),
        ("train --data data -o one", "audiotoken.tasks.train.train"),
    ],
)
def test_the_commands_pass_the_page_on(command, function, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    Path("data/manifest.json").write_text("{}")
    given = {}
    monkeypatch.setattr(function, lambda **options: str(given.update(options)))
    monkeypatch.setattr("audiotoken.cli.composing.convert_config", lambda name, values: dict(values))
    said = CliRunner().invoke(app, [*command.split(), "--report", "one.html"])
    assert said.exit_code == 0 and "report one.html" in said.output, said.output
    assert given["report"] == "one.html"
