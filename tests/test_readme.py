"""What the README tells people to type works."""

import re
import shlex
from pathlib import Path

import pytest
import soundfile
from typer.testing import CliRunner

from experiments.cli import app
from experiments.world.sounds import synthesise

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
RATE = 22_050


@pytest.fixture
def clips(tmp_path, monkeypatch):
    """The clips that the README speaks of, in the current folder."""
    for name, word in (("clip", "frog"), ("frog", "frog"), ("bell", "bell")):
        soundfile.write(tmp_path / f"{name}.wav", synthesise(word, RATE, 2.0, 904_000), RATE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def commands() -> list[str]:
    return re.findall(r"^(audiotoken .*)$", README, re.MULTILINE)


def test_there_are_commands_to_try():
    assert len(commands()) >= 2 and "```python" in README


@pytest.mark.parametrize("command", commands())
def test_the_commands_run(command, clips):
    arguments = shlex.split(command)[1:]
    result = CliRunner().invoke(app, [*arguments, "--steps", "2"])
    assert result.exit_code == 0, result.output
    assert (clips / arguments[arguments.index("-o") + 1]).stat().st_size > 1000


def test_the_python_example_runs(clips):
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(
        compile(
            example.replace("pipe.hear", "pipe.set_progress_bar_config(disable=True) or pipe.hear"), "README", "exec"
        ),
        {},
    )
    assert (clips / "clip.png").stat().st_size > 1000


def test_what_make_is_said_to_do_it_can():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"`?make (\w+)", README)) <= set(targets)


def test_every_file_it_points_at_is_there():
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        if not link.startswith("http"):
            assert (ROOT / link).exists(), link
