"""What the README and the model card tell people to type is typed here, on tiny parts."""

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image
from typer.testing import CliRunner

from audiotoken.cli.app import app
from audiotoken.debug import debug_pipeline
from audiotoken.debug_transformers import debug_joint_pipeline
from audiotoken.pipeline import AudioTokenPipeline

ROOT = Path(__file__).resolve().parent.parent
READERS = (
    "README.md",
    "audiotoken/mini/README.md",
    "docs/index.md",
    "docs/placing.md",
    "docs/moving.md",
    "docs/layouts.md",
    "docs/extending.md",
)
SNIPPETS = (*READERS, "docs/generators.md", "docs/real-rooms.md")  # whose Python is run
GIVEN = {"docs/generators.md": lambda: {"pipe": debug_joint_pipeline("flux2")}}  # what a page takes for granted
ELSEWHERE = ("audiotoken demo", "--model my-")  # ends with Ctrl-C; wants weights: bound in test_commands.py
CLIPS = {"clip": 1, "dog": 1, "frog": 1, "bell": 1, "street": 2, "passing": 2}  # channels
TARGETS = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)


def blocks(file: str, language: str) -> list[str]:
    """The fenced blocks of a Markdown file in one language; "" for none."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", (ROOT / file).read_text(), re.MULTILINE | re.DOTALL)
    return [block for name, block in found if name == language]


COMMANDS = [line.split("#")[0].strip() for file in READERS for block in blocks(file, "") for line in block.splitlines()]
RUN = sorted(
    {each for each in COMMANDS if each.startswith("audiotoken ") and not any(part in each for part in ELSEWHERE)}
)


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with the clips that are named, and tiny parts instead of any checkpoint."""
    for i, (name, channels) in enumerate(CLIPS.items()):
        tones = [np.sin(np.arange(16_000) / (3 + i + channel)) for channel in range(channels)]
        for folder in (tmp_path, tmp_path / "demo", tmp_path / "clips"):
            folder.mkdir(exist_ok=True)
            soundfile.write(folder / f"{name}.wav", 0.3 * np.stack(tones, axis=1), 16_000)
            Image.new("RGB", (128, 128), "white").save(folder / "street.png")  # for `check`
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(AudioTokenPipeline, "from_pretrained", lambda model, **kwargs: debug_pipeline())
    return tmp_path


def test_there_is_something_to_type():
    assert sum(command.startswith("audiotoken generate") for command in COMMANDS) >= 2
    assert {"make demo", "make test"} <= set(COMMANDS)


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("make ")])
def test_make_knows_its_targets(command):
    assert command.split()[1] in TARGETS


@pytest.mark.parametrize("command", RUN)
def test_the_commands_run(command, workplace):
    result = CliRunner().invoke(app, shlex.split(command)[1:])
    assert result.exit_code == 0, result.output
    for path in re.findall(r"^(?:drew|report) +(.+[.](?:png|gif|jpg))$", result.output, re.MULTILINE):
        Image.open(workplace / path).verify()


@pytest.mark.parametrize("file", SNIPPETS)
def test_the_python_runs(file, workplace, capsys):
    names: dict[str, Any] = GIVEN.get(file, dict)()
    for code in blocks(file, "python"):
        exec(compile(code, file, "exec"), names)
