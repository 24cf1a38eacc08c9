"""Every command that a document, a docstring or a configuration tells to type is run, or read by its own parser.

What is only read stands in `BOUND`, with the reason; what is neither run nor bound fails. Run are the commands of
`test_readme.py`, and the commands of docs/training.md below.
"""

import os
import re
import shlex
import subprocess
import sys
from importlib import import_module
from importlib.resources import files
from importlib.util import find_spec

import pytest
import test_readme
from commands import ROOT, Command, UnknownCommand, bind, commands
from PIL import Image
from test_readme import blocks
from typer.testing import CliRunner

from audiotoken.cli.app import app

HOURS = "minutes to hours; its own tests run it small"
MAKES = "makes the shipped checkpoint: hours, ESC-10, or what an earlier stage made"
SCENES = "wants a folder of scenes or clips that is not in the repository"
WEIGHTS = "wants weights that are not in the repository"
SERVER = "ends with Ctrl-C"
INSTALLS = "installs, or runs other programs"
NAMED = "a mention in a sentence: a name, an example of options"
BOUND = {
    r"make (demo|test|quick|lint|newest|lock|mutants|docs|mini|mini-dit|comfy|measure|results|clean)": INSTALLS,
    r"(python3|python|source|uv) (install\.py|-m (venv|uv)|\.venv/|pip )": INSTALLS,
    r"python -m audiotoken$": NAMED,
    r"python -m audiotoken\.comfy\.build": "run by test_comfy_layout.py",
    r"(python -m )?pip install ": INSTALLS,
    r"(\.venv/bin/)?python -m pytest": INSTALLS,
    r"jupyter ": INSTALLS,
    r"accelerate launch ": "starts processes on several GPUs",
    r"python -m experiments\.world\.": MAKES,
    r"python -m experiments\.(ablate|ablations\.default_set|bench|benchmarks\.generators|evaluate|demo)\b": HOURS,
    r"python -m tests\.fuzz\.run\b": HOURS,
    r"python -m experiments\.(train|prepare|assemble|folder|generate|report|listening_demo)\b": SCENES,
    r"python -m experiments\.notebook": "run by test_notebook.py",
    r"sh experiments/benchmarks/gpu\.sh": HOURS,
    r"(CUDA_VISIBLE_DEVICES=\d )?audiotoken generate .*--model my-model": WEIGHTS,
    r"audiotoken demo": SERVER,
    r"audiotoken rate ": SERVER,
    r"audiotoken (evaluate|train|prepare) ": HOURS,
    r"audiotoken (assemble|\w+ .*--model my-(model|sd|flux2))": WEIGHTS,
    r"audiotoken --help": NAMED,
}
NOT_HERE = {"sweep=joblib": "hydra_plugins.hydra_joblib_launcher"}
NOT_HERE |= dict.fromkeys(("sweep=slurm", "sweep=local"), "hydra_plugins.hydra_submitit_launcher")

FOUND = commands()
TEXTS = {each.text: each for each in reversed(FOUND) if each.fenced} | {
    each.text: each for each in reversed(FOUND) if not each.fenced
}
ROAD = [each.text for each in FOUND if each.file == "docs/training.md" and each.fenced]
SMALLER = {  # what is said last counts
    "python -m experiments.world.pairs": "--each 1 --words dog frog",
    "audiotoken prepare": "seconds=1",
    "audiotoken train": "--steps 2 --batch 2 sample_every=0 log=null",
    "audiotoken assemble": "",
    "audiotoken generate": "--steps 1",
}


def typed(text: str) -> str:
    """Without what is a comment."""
    return re.split(r"\s+#", text)[0].strip()


RUN = {typed(text) for text in (*test_readme.RUN, *ROAD)}


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """What some commands read: the folder `clips/`, and the experiment of one's own of docs/ablations.md."""
    (tmp_path / "clips").mkdir()
    (mine := tmp_path / "mine" / "experiment").mkdir(parents=True)
    (shown,) = blocks("docs/ablations.md", "yaml")
    (mine / "ways.yaml").write_text(shown)
    (module,) = blocks("docs/ablations.md", "python")
    (tmp_path / "my_module.py").write_text(module)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", TEXTS.values(), ids=[re.sub(r"[^\w.=+-]+", " ", text)[:90] for text in TEXTS])
def test_a_command_is_one_that_there_is(command: Command, workplace):
    for choice, plugin in NOT_HERE.items():
        if choice in command.text and find_spec(plugin) is None:
            pytest.skip(f"{plugin} is not installed")
    bind(command.text, command.fenced)


def test_every_command_is_run_or_has_a_reason_not_to_be():
    left = [str(each) for each in FOUND if each.fenced and typed(each.text) not in RUN and not reason(each.text)]
    assert not left, "neither run nor bound; add them to READERS of test_readme.py, or to BOUND with the reason"
    assert len(RUN) >= 15 and {"README.md", "docs/training.md"} <= {each.file for each in FOUND}


def test_every_reason_is_needed():
    unused = [each for each in BOUND if not any(re.match(each, command.text) for command in FOUND)]
    assert not unused


def reason(text: str) -> str:
    return next((why for pattern, why in BOUND.items() if re.match(pattern, typed(text))), "")


@pytest.mark.slow
def test_the_road_of_training_runs(tmp_path, monkeypatch, capsys):
    if not (files("audiotoken.mini") / "model_index.json").is_file():
        pytest.skip("the mini checkpoint is not in this checkout: make mini")
    monkeypatch.chdir(tmp_path)
    assert len(ROAD) == len(SMALLER)
    for text, (start, smaller) in zip(ROAD, SMALLER.items(), strict=True):
        assert text.startswith(start)
        words = [*shlex.split(text), *shlex.split(smaller)]
        if words[0] == "audiotoken":
            ran = CliRunner().invoke(app, words[1:])
            assert ran.exit_code == 0, (text, ran.output, ran.exception)
        else:
            monkeypatch.setattr("sys.argv", words[2:])
            import_module(words[2]).main()
    with Image.open(tmp_path / "dog.png") as picture:
        assert picture.size == (128, 128)


@pytest.mark.slow
def test_an_experiment_of_ones_own_runs_as_it_is_written(workplace):
    (command,) = [each.text for each in FOUND if each.fenced and "experiment=ways" in each.text]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    words = [sys.executable, *shlex.split(command)[1:]]
    ran = subprocess.run(words, cwd=workplace, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0 and not ran.stderr, ran.stderr
    assert "2.100 (2.000 to 2.200)" in (workplace / "runs/ablate/ways/ways.md").read_text()


@pytest.mark.parametrize(
    "command",
    [
        "audiotoken place clip.wav --energie ours",
        "audiotoken plays clip.wav",
        "audiotoken train --data prepared embedder.poling=mean",
        "make demos",
        "make demo TROCH=cpu",
        "python3 install.py --troch cpu",
        "python -m experiments.ablate experiment=pooling task.stepz=3",
        "python -m experiments.ablate experiment=poolings -m",
        "python -m experiments.ablate experiment=pooling seed=1,2",
        "python -m experiments.bench spatial scenes=SCENES only=^(panned|xy)",
        "python -m experiments.bench placement m=200",
        "python -m experiments.bench arithmetics",
        "python -m experiments.world.pairs --oot pairs",
        "python -m experiments.ablate_sets --only",
        "accelerate launch --multigpu -m experiments.train data=prepared",
        "accelerate launch -m experiments.train dota=prepared",
        "pip install 'spatial-audiotoken[demos]'",
        "python -m pytest tests/test_places.py",
        "listen clip.wav",
    ],
)
def test_what_there_is_not_is_refused(command, workplace, capsys):
    with pytest.raises(Exception) as error:
        bind(command)
    assert (
        isinstance(error.value, UnknownCommand | ImportError)
        or "hydra" in type(error.value).__module__.lower()
        or (type(error.value).__name__ in ("NoSuchOption", "ConfigAttributeError", "ConfigKeyError"))
    ), error


def test_a_block_of_a_page_is_commands_or_said_to_be_none(tmp_path, monkeypatch):
    import commands as found

    (tmp_path / "docs").mkdir()
    for page in found.PAGES:
        (tmp_path / page).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / page).write_text("")
    (tmp_path / "Makefile").write_text("")
    (tmp_path / "docs" / "page.md").write_text("```\nrm -rf runs  # all\n```\n\nas `audiotoken\nlisten a.wav` says\n")
    monkeypatch.setattr(found, "ROOT", tmp_path)
    assert [each.text for each in commands()] == ["rm -rf runs  # all", "audiotoken listen a.wav"]
