"""`audiotoken prepare`, `train` and `assemble` one after the other, as somebody would type them, on tiny parts."""

import os

import numpy as np
import pytest
import soundfile
from PIL import Image
from typer.testing import CliRunner

from audiotoken.cli.app import app
from audiotoken.debug import debug_folder, debug_pipeline

RATE = 16_000


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """`clips/`: four sounds with a picture each, in two classes; `model/`: tiny parts; `base/`: without audio parts."""
    random = np.random.default_rng(0)
    for i, label in enumerate(("dog", "dog", "bell", "bell")):
        (tmp_path / "clips" / label).mkdir(parents=True, exist_ok=True)
        name = tmp_path / "clips" / label / f"{label}{i}"
        soundfile.write(name.with_suffix(".wav"), 0.3 * np.sin(np.arange(RATE) / (3 + i)), RATE)
        Image.fromarray(random.integers(0, 255, (40, 48, 3), np.uint8)).save(name.with_suffix(".jpg"))
    debug_pipeline(kind="sd1").save_pretrained(tmp_path / "model")
    debug_folder("sd1", tmp_path / "base")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(app, [str(each) for each in arguments])


def refused(*arguments) -> str:
    result = run(*arguments)
    assert result.exit_code == 2 and result.stdout == "" and result.stderr.count("\n") == 1, result.output
    return result.stderr


TRAIN = ("train", "--data", "prepared", "--model", "model", "-o", "run", "--batch", 2, "--device", "cpu", "log=null")


@pytest.mark.slow
def test_prepared_trained_and_assembled(workplace):
    prepared = run("prepare", "--source", "clips", "-o", "prepared", "--model", "model", "--size", 32, "seconds=1")
    assert prepared.exit_code == 0 and "prepared 4 of 4 examples" in prepared.stdout, prepared.output
    trained = run(*TRAIN, "--recipe", "published", "--steps", 2, "sample_every=0")
    assert trained.exit_code == 0, (trained.output, trained.exception)
    assert trained.stdout.startswith("made   run/embedder") and "--embedder run" in trained.stdout
    assembled = run("assemble", "--base", "model", "--embedder", "run", "-o", "trained")
    assert assembled.exit_code == 0, (assembled.output, assembled.exception)
    drawn = run("generate", "clips", "--model", "trained", "--steps", 1, "-o", "pictures")
    assert drawn.exit_code == 0 and "drew   4 clips" in drawn.stdout, drawn.output
    said = refused("assemble", "--base", "base", "--embedder", "run", "-o", "new")
    assert "no audio encoder in base" in said


def test_missing_and_misspelt_options_are_one_sentence(workplace):
    assert "Got no source" in refused("prepare", "-o", "out")
    assert "Got no output" in refused("prepare", "--source", "clips")
    assert "source.pictures" in refused("prepare", "--source", "esc", "source.audio=clips", "-o", "out")
    assert "expected a folder or one of esc" in refused("prepare", "--source", "nothing", "-o", "out")
    assert "audiotoken/configs/prepare.yaml" in refused("prepare", "-o", "out", "source=nothing")
    assert "it has no manifest.json" in refused(*TRAIN)
    (workplace / "prepared").mkdir()
    (workplace / "prepared" / "manifest.json").touch()
    assert "audiotoken/configs/train.yaml" in refused(*TRAIN, "recipe=none")
    assert "settings.stepz" in refused(*TRAIN, "settings.stepz=4")
    assert "Got no out; pass --output" in refused("train", "--data", "prepared")
    assert "Got neither data nor source" in refused("train", "-o", "run")
    assert sorted(os.listdir()) == ["base", "clips", "model", "prepared"]
