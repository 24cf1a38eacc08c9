"""The fuzz by kinds notices what a command owes its user, and a few members of each cheap kind hold."""

import os
import shutil
import sqlite3
from contextlib import closing
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from audiotoken.errors import OptionError
from tests.fuzz import adapters, documents, kinds, limits, things
from tests.fuzz import run as fuzz
from tests.fuzz.cases import Wrong
from tests.fuzz.containers import content, find_tones, tones
from tests.fuzz.kept import DISGUISES
from tests.fuzz.values import DOORS, LINES, list_keys, list_options
from tests.fuzz.watched import run_command, run_watched

REFUSED = "Cannot do it: this came, that was expected; change it."


def result(code=0, err="", error=None):
    return SimpleNamespace(exit_code=code, exception=error, stdout="", stderr=err)


def write(name, text="x"):
    def act():
        with open(name, "w") as file:
            file.write(text)
        return result()

    return act


def remove(name):
    def act():
        os.unlink(name)
        return result()

    return act


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (write("mine.txt", "other"), "it changed .*mine.txt"),
        (remove("mine.txt"), "it removed .*mine.txt"),
        (remove("link"), "it removed .*link"),
        (write(".out.123.png"), "left behind"),
        (lambda: result(3), "exit code 3"),
        (lambda: result(2, "Traceback (most recent call last):\nValueError: x"), "Traceback"),
        (lambda: result(2, f"something\n{REFUSED}"), "more than one line"),
        (lambda: result(2, "no"), "no sentence"),
        (lambda: write("half.png")() and result(2, REFUSED), "refused, but it wrote .*half.png"),
    ],
)
def test_what_a_command_owes_its_user_is_watched(act, words, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "link").symlink_to("mine.txt")
    with pytest.raises(Wrong, match=words):
        run_watched(act, tmp_path, "a test")


def test_a_refusal_is_counted_as_one_and_an_error_is_raised(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OptionError, match="this came"):
        run_watched(lambda: result(2, f"note   first\n{REFUSED}"), tmp_path, "a test")
    with pytest.raises(ZeroDivisionError):
        run_watched(lambda: result(1, error=ZeroDivisionError()), tmp_path, "a test")
    run_watched(write("mine.txt", "other"), tmp_path, "a test", own=["mine.txt"])
    with pytest.raises(OptionError, match="No such option"):
        run_command(["listen", "--nosuch", "x"], tmp_path)


def test_every_command_and_every_key_is_tried():
    from typer.main import get_command

    from audiotoken.cli.app import app

    assert set(LINES) == set(get_command(app).commands)
    assert {"--seed", "--report"} <= {name for each in list_options("place") for name in each.opts}
    assert {"settings.seed", "augment.gain_db", "batch", "source.folder"} <= set(list_keys("train"))
    assert {"seed", "clip"} <= set(list_keys("generate")) and set(DOORS) == {"generate", "folder", "assemble"}


def test_the_containers_hold_what_they_should():
    assert find_tones(tones(3, 0.5), 48_000) == [1, 2, 3]
    assert len(content("flac")) > 5000 and content("aac")[:1] == b"\xff"


def test_documents_are_spoilt(tmp_path):
    path, hows = tmp_path / "a.json", set()
    for seed in range(150):
        path.write_text('{"a": [1, {"b": 2}], "c": "d"}')
        hows.add(documents.damage(np.random.default_rng(seed), path).split(" ")[0])
        (path.rmdir if path.is_dir() else lambda: path.unlink(missing_ok=True))()
    assert {"/a", "/a/1/b", "/c", "gone"} <= hows and len(hows) > 8
    things.copy(things.study, tmp_path / "study")
    with closing(sqlite3.connect(tmp_path / "study" / "ratings.sqlite")) as file:
        assert len(file.execute("SELECT * FROM answers").fetchall()) == 4


CHEAP = {
    "kept": 12,
    "joined": 12,
    "cut": 12,
    "lying": 12,
    "order": 12,
    "lora": 6,
    "prompts": 6,
    "overflow": 4,
    "disk": 4,
}


@pytest.mark.parametrize(("case", "count"), CHEAP.items())
def test_some_of_each_cheap_kind_hold(case, count, tmp_path):
    for i in [i for i in range(3000) if fuzz.family(1, i, "kinds") == case][:count]:
        (tmp_path / str(i)).mkdir()
        row = fuzz.attempt(1, i, tmp_path / str(i), "kinds")
        assert row["verdict"] != "bug", row


@pytest.mark.parametrize("name", ["a.png", "a.gif", "a.json", "a.jsonl", "a.wav", "a.html", "a.safetensors"])
def test_a_file_that_is_there_in_part_is_noticed(name, tmp_path):
    texts = {".json": "[1, 2, 3, 4]", ".jsonl": '{"a": 1}\n{"a": 2}\n', ".html": "<html></html>"}
    write = {
        ".png": lambda path: Image.new("RGB", (64, 64), "red").save(path),
        ".gif": lambda path: Image.effect_noise((64, 64), 9).save(path),
        ".wav": things.write_clip,
        ".safetensors": lambda path: save_file({"a": torch.ones(99)}, path),
    }
    path = tmp_path / name
    write.get(path.suffix, lambda path: path.write_text(texts[path.suffix]))(path)
    limits.check_whole(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - 8] if path.suffix != ".wav" else content[:20])
    with pytest.raises(Wrong, match="there in part"):
        limits.check_whole(tmp_path)


def test_no_file_grows_beyond_the_limit(tmp_path):
    with limits.files_at_most(10), pytest.raises(OSError, match="File too large"):
        (tmp_path / "a").write_bytes(b"x" * 11)
    (tmp_path / "a").write_bytes(b"x" * 11)


def test_weights_that_a_fuse_missed_are_counted(tmp_path):
    shutil.copytree(things.base(), tmp_path / "made")
    assert adapters._compare(tmp_path / "made") == (set(), True)
    (file,) = (tmp_path / "made" / "unet").glob("*.safetensors")
    weights = load_file(file)
    weights["conv_in.weight"] = weights["conv_in.weight"] * float("nan")
    save_file(weights, file)
    assert adapters._compare(tmp_path / "made") == ({"conv_in"}, False)


def test_each_disguise_is_another_name_of_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clips").mkdir()
    given = things.write_clip(tmp_path / "a.png")
    names = [each(given, tmp_path) for each in DISGUISES]
    assert all(os.path.samefile(name, given) for name in names) and len(set(names)) >= 10


def test_the_families_are_chosen():
    assert fuzz.list_families("kinds").keys() == kinds.CASES.keys()
    assert {fuzz.family(0, i, "kinds") for i in range(400)} == set(kinds.CASES)
    with pytest.raises(OptionError, match="Got of=x, expected one of inputs, kinds"):
        fuzz.fuzz(of="x")
