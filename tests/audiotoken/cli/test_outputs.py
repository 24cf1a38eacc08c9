"""What cannot be written is refused by every command in one sentence, before a model is loaded or anything is made."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from diffusers.models.modeling_utils import ModelMixin
from PIL import Image
from typer.testing import CliRunner

from audiotoken.cli.app import app
from audiotoken.pipeline import AudioTokenPipeline
from audiotoken.writing import check_output, write_bytes

RATE = 16_000
FILES = {  # command before the name of the file, and the suffix
    "generate clip.wav -o": ".png",
    "place clip.wav -o": ".png",
    "animate clip.wav -o": ".gif",
    "listen clip.wav --plot": ".png",
    "listen clip.wav --json": ".json",
    "layout clip.wav -o": ".json",
    "check clip.png clip.wav --figure": ".png",
    "check clip.png clip.wav -o": ".json",
    "generate clip.wav -o new.png --report": ".html",
    "place clip.wav -o new.png --report": ".html",
    "animate clip.wav -o new.gif --report": ".html",
    "listen clip.wav --report": ".html",
    "layout clip.wav --report": ".html",
    "check clip.png clip.wav --report": ".html",
    "generate clips -o new --report": ".html",
    "place clips -o new --report": ".html",
    "listen clips -o new --report": ".html",
    "layout clips -o new --report": ".html",
    "train --data prepared --steps 1 -o new --report": ".html",
    "evaluate --clips clips -o new --report": ".html",
}
FOLDERS = (
    "generate clips -o",
    "place clips -o",
    "listen clips -o",
    "layout clips -o",
    "listen clip.wav --stems",
    "assemble --base mini --encoder mini -o",
    "prepare --source pairs source.folder=clips -o",
    "train --data prepared --steps 1 -o",
    "evaluate --clips clips -o",
)
NAMES = [f"{start} {name}{suffix}" for start, suffix in FILES.items() for name in ("file/x", "file/x/y")]
NAMES += [f"{start} {name}" for start in FOLDERS for name in ("file", "file/x", "file/x/y")]
WRITTEN = [f"{start} x{suffix}" for start, suffix in FILES.items()] + [f"{start} x" for start in FOLDERS]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "clips").mkdir()
    (tmp_path / "prepared").mkdir()
    (tmp_path / "prepared" / "manifest.json").touch()
    noise = 0.1 * np.random.default_rng(0).normal(size=(RATE, 2))
    for name in ("clip", "clips/a", "clips/b"):
        soundfile.write(tmp_path / f"{name}.wav", noise, RATE)
    Image.new("RGB", (64, 64)).save(tmp_path / "clip.png")
    monkeypatch.chdir(tmp_path)
    for kind in (AudioTokenPipeline, ModelMixin):
        monkeypatch.setattr(kind, "from_pretrained", lambda *_, **__: pytest.fail("a model is loaded"))
    return tmp_path


def refuse(command: str, folder: Path, words: str) -> None:
    before = sorted(folder.rglob("*"))
    said = CliRunner().invoke(app, command.split())
    assert said.exit_code == 2 and said.stderr.count("\n") == 1, (said.output, said.exception)
    assert said.stderr.startswith("Cannot write") and words in said.stderr, said.stderr
    assert sorted(folder.rglob("*")) == before and (folder / "file").read_text() == "mine"


@pytest.mark.parametrize("command", NAMES)
def test_below_a_file_there_are_no_files(command, here):
    refuse(command, here, "file is a file; choose another folder")


@pytest.mark.parametrize(("start", "suffix"), FILES.items())
def test_a_folder_is_no_file(start, suffix, here):
    (here / f"x{suffix}").mkdir()
    refuse(f"{start} x{suffix}", here, f"it is a folder; give a file name such as x{suffix}/out{suffix}")


@pytest.mark.parametrize("command", WRITTEN)
def test_a_folder_that_may_not_be_written(command, here, monkeypatch):
    def refused(path, *args, **kwargs):
        raise PermissionError(13, os.strerror(13), str(path))

    access, mkdir = os.access, Path.mkdir
    monkeypatch.setattr(os, "access", lambda path, mode, **k: not mode & os.W_OK and access(path, mode, **k))
    for name in ("touch", "write_bytes"):
        monkeypatch.setattr(Path, name, refused)
    monkeypatch.setattr(Path, "mkdir", lambda path, *a, **k: mkdir(path, *a, **k) if path.is_dir() else refused(path))
    refuse(command, here, "Permission denied; choose a folder that you can write to")


def test_a_command_that_fails_leaves_no_folder(here):
    before = sorted(here.rglob("*"))
    said = CliRunner().invoke(app, ["place", "clip.wav", "--model", "nowhere", "-o", "new/deep/x.png"])
    assert said.exit_code == 2 and "there is no such folder" in said.stderr, said.output
    assert sorted(here.rglob("*")) == before


def test_a_folder_is_made_for_what_is_written_and_another_one_stays(here):
    (here / "own").mkdir()
    for folder in ("own", "new/deep"):
        check_output(here / folder / "x.png")
    assert (here / "own").is_dir() and not (here / "new").exists()
    write_bytes(b"x", here / "new/deep/x.png")
    assert (here / "new/deep/x.png").read_bytes() == b"x"
