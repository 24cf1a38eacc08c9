"""Configs are code: every file composes, and every key is a parameter of what it configures."""

import inspect
import os
import subprocess
import sys

import pytest
import soundfile
from hydra import compose, initialize_config_module
from hydra.errors import MissingConfigException
from omegaconf import OmegaConf
from paths import ROOT

from audiotoken.assembly.assemble import assemble
from audiotoken.evaluation.evaluate import evaluate
from audiotoken.tasks.folder import draw_folder
from audiotoken.tasks.generate import generate
from experiments import folder
from experiments.ablations import ablate
from experiments.benchmarks.parts import bench_parts
from experiments.benchmarks.real import bench_real
from experiments.benchmarks.real_copy import make_copy
from experiments.benchmarks.spatial import bench_spatial
from experiments.benchmarks.train import bench_train
from experiments.hydra_cli import explain_error, run_from_config


def composed(name: str, *overrides: str) -> dict:
    with initialize_config_module("configs", version_base=None):
        config = OmegaConf.to_container(compose(name, list(overrides)), resolve=False)
    assert isinstance(config, dict)
    return config


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("generate", generate),
        ("folder", draw_folder),
        ("assemble", assemble),
        ("bench_real", bench_real),
        ("bench_real_copy", make_copy),
    ],
)
def test_a_config_has_the_parameters_of_its_function(name, function):
    config = composed(name)
    parameters = inspect.signature(function).parameters
    assert set(config) == {each for each in parameters if not each.startswith("on_")}
    for name, value in config.items():
        default = parameters[name].default
        default = list(default) if isinstance(default, tuple) else default
        assert value == ("???" if default is inspect.Parameter.empty else default), name


@pytest.mark.parametrize("misspelt", ["stepz=3", "modle=mini"])
def test_a_misspelt_key_is_refused(misspelt):
    with pytest.raises(Exception, match="Could not override"):
        composed("generate", misspelt)


def test_generate_runs_from_its_config(tmp_path):
    import numpy as np

    from audiotoken.debug import debug_pipeline

    debug_pipeline().save_pretrained(tmp_path / "model")
    soundfile.write(tmp_path / "clip.wav", np.sin(np.arange(9000) / 5), 16_000)
    places = {"clip": tmp_path / "clip.wav", "output": tmp_path / "out.png", "model": tmp_path / "model"}
    config = composed("generate", "steps=1", *(f"{key}={value}" for key, value in places.items()))
    generate(**config)
    assert (tmp_path / "out.png").is_file()


def run_elsewhere(place, *overrides: str) -> subprocess.CompletedProcess:
    """`python -m experiments.generate` in a folder that is not the checkout; PYTHONPATH names the checkout."""
    command = [sys.executable, "-m", "experiments.generate", *overrides]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)


def test_a_folder_from_its_config(tmp_path, monkeypatch, capsys):
    (tmp_path / "clips").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["folder", "clips=clips"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    with pytest.raises(SystemExit, match="2"):
        folder.main()
    assert capsys.readouterr().err.startswith("There is no sound in clips")
    assert os.listdir(tmp_path) == ["clips"]


@pytest.mark.parametrize(("overrides", "words"), [(("clip=no.wav",), "there is no such file"), ((), "Got no clip")])
@pytest.mark.slow
def test_from_any_folder_a_bad_input_is_one_sentence(overrides, words, tmp_path):
    ran = run_elsewhere(tmp_path, *overrides)
    assert ran.returncode == 2 and words in ran.stderr, ran.stderr
    assert ran.stderr.count("\n") == 1 and ran.stdout == ""
    assert os.listdir(tmp_path) == []


def run_command_line(
    monkeypatch, capsys, name: str, function, *words: str, configs: str = "configs"
) -> tuple[object, str, str]:
    """(exit code, stdout, stderr) of a command line."""
    monkeypatch.setattr("sys.argv", [name, *words])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    with pytest.raises(SystemExit) as end:
        run_from_config(name, function, configs=configs, call=lambda values: pytest.fail("it ran"))
    return (end.value.code, *capsys.readouterr())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["out=\u00fc bench"], "Cannot read out=\u00fc bench; put a value with spaces"),
        (["clipss=3"], "Got clipss=..., which is not a key of this command (did you mean clips?); --help lists them."),
        (["recipe.deep=3"], "Got recipe.deep=..., which is not a key of this command; --help"),
        (["n=[1"], "Cannot read the command line"),
        (["seeds=1,2"], "Got seeds=1,2; add -m to sweep over it, or pass a list: 'seeds=[1,2]'."),
        (["batch=abc"], "Got batch=abc, expected a whole number; change batch."),
        (["steps=1.5"], "Got steps=1.5, expected a whole number or null; change steps."),
    ],
)
def test_what_hydra_cannot_read_is_one_sentence(words, message, monkeypatch, capsys):
    code, _, error = run_command_line(monkeypatch, capsys, "evaluate", evaluate, *words, configs="audiotoken.configs")
    assert code == 2 and message in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "function", "words", "message"),
    [
        ("generate", generate, ["clip=a.wav", "count=[1]"], "Got count=[1], expected a whole number"),
        (
            "generate",
            generate,
            ["clip=a.wav", "guidance_scale=much"],
            "Got guidance_scale=much, expected a number or null",
        ),
        ("folder", draw_folder, ["clips=.", "overwrite=7.5"], "Got overwrite=7.5, expected true or false"),
        ("assemble", assemble, ["base=mini", "layers=4"], "Got layers=4, expected a list of whole numbers or null"),
        ("bench", bench_train, ["batch_sizes=4"], "Got batch_sizes=4, expected a list of whole numbers"),
        ("bench_parts", bench_parts, ["repeats=often"], "Got repeats=often, expected a whole number"),
        ("bench_spatial", bench_spatial, ["scenes=1", "limit=all"], "Got limit=all, expected a whole number or null"),
    ],
)
def test_a_value_of_the_wrong_type_is_one_sentence(name, function, words, message, monkeypatch, capsys):
    code, output, error = run_command_line(monkeypatch, capsys, name, function, *words)
    assert code == 2 and message in error and error.count("\n") == 1 and output == ""


def test_a_wrong_choice_lists_what_there_is():
    with pytest.raises(MissingConfigException) as raised:
        composed("ablate", "experiment=poolin")
    sentence = explain_error(raised.value)
    assert sentence.startswith("There is no experiment=poolin (did you mean experiment=pooling?); choose one of attent")
    assert "\n" not in sentence and "separation, setups" in sentence


def test_a_sweep_of_no_experiment_is_one_sentence(monkeypatch, capsys):
    """So is one of a file whose first line is not the one with @package, as its name then stands elsewhere."""
    monkeypatch.setattr("sys.argv", ["ablate", "-m"])
    with pytest.raises(SystemExit, match="2"):
        ablate.main()
    told = capsys.readouterr().err
    assert told.startswith("Got no name, and no chosen file sets it") and told.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "configs", "keys", "absent"),
    [
        ("generate", "configs", ["Draw pictures from a clip.", "clip: ???", "steps: null"], ["experiment", "Powered"]),
        ("bench", "configs", ["repeats: 3", "batch_sizes:"], ["experiment"]),
        ("ablate", "configs", ["experiment: attention, classification", "sweep: joblib", "resume: true"], ["clip:"]),
        ("train", "audiotoken.configs", ["recipe: mini, paper", "source: esc, pairs", "learning_rate: 8"], ["task:"]),
        ("prepare", "audiotoken.configs", ["source=esc, pairs", "shard_size: 128"], ["recipe"]),
        ("evaluate", "audiotoken.configs", ["resamples: 1000"], ["recipe"]),
    ],
)
def test_help_shows_the_commands_own_groups_and_keys(name, configs, keys, absent, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", [name, "--help"])
    with pytest.raises(SystemExit, match="0"):
        run_from_config(name, generate, configs=configs, call=lambda values: pytest.fail("it ran"))
    text = capsys.readouterr().out
    assert all(key in text for key in keys) and not any(word in text for word in absent), text


def test_where_several_processes_share_a_run_the_first_answers(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["generate", "clip=clip.wav", "output=a.png"])
    for rank, printed in (("0", "a.png\n"), ("1", "")):
        monkeypatch.setenv("RANK", rank)
        run_from_config("generate", generate, configs="configs", call=lambda values: values["output"])
        assert capsys.readouterr().out == printed


def test_help_of_a_command_without_a_file(monkeypatch, capsys):
    from experiments.benchmarks import placement

    monkeypatch.setattr("sys.argv", ["placement", "--help"])
    with pytest.raises(SystemExit, match="0"):
        placement.main()
    assert "detector:" in (text := capsys.readouterr().out) and "experiment" not in text
    monkeypatch.setattr("sys.argv", ["placement", "n=many"])
    with pytest.raises(SystemExit, match="2"):
        placement.main()
    assert capsys.readouterr().err == "Got n=many, expected a whole number; change n.\n"


NOT_COMMANDS = (
    "__init__",
    "hydra_cli",
    "notebook",
    "listening_demo",
)  # shared, or work that has not moved down


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "experiments").glob("*.py")))
def test_commands_are_short_and_show_how_to_run_them(name):
    text = (ROOT / "experiments" / f"{name}.py").read_text()
    short = len(text.splitlines()) <= 20 and f"python -m experiments.{name} " in text.split('"""')[1]
    assert short or name in NOT_COMMANDS
