"""Configs are code: every file composes, and every key is a parameter of what it configures."""

import inspect
import os
import subprocess
import sys

import pytest
import soundfile
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from audiotoken.assembly.assemble import assemble
from audiotoken.tasks.folder import draw_folder
from audiotoken.tasks.generate import generate


def composed(name: str, *overrides: str) -> dict:
    with initialize_config_module("configs", version_base=None):
        config = OmegaConf.to_container(compose(name, list(overrides)), resolve=False)
    assert isinstance(config, dict)
    return config


@pytest.mark.parametrize(
    ("name", "function"), [("generate", generate), ("folder", draw_folder), ("assemble", assemble)]
)
def test_a_config_has_the_parameters_of_its_function(name, function):
    config = composed(name)
    parameters = inspect.signature(function).parameters
    assert set(config) == {each for each in parameters if not each.startswith("on_")}
    for name, value in config.items():
        default = parameters[name].default
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


def run_elsewhere(folder, *overrides: str, module: str = "generate") -> subprocess.CompletedProcess:
    """`python -m experiments.MODULE` in a folder that is not the checkout."""
    command = [sys.executable, "-m", f"experiments.{module}", *overrides]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_a_folder_from_its_config(tmp_path):
    (tmp_path / "clips").mkdir()
    ran = run_elsewhere(tmp_path, "clips=clips", module="folder")
    assert ran.returncode == 2 and ran.stderr.startswith("There is no sound in clips"), ran.stderr
    assert os.listdir(tmp_path) == ["clips"]


@pytest.mark.parametrize(("overrides", "words"), [(("clip=no.wav",), "there is no such file"), ((), "Got no clip")])
def test_from_any_folder_a_bad_input_is_one_sentence(overrides, words, tmp_path):
    ran = run_elsewhere(tmp_path, *overrides)
    assert ran.returncode == 2 and words in ran.stderr, ran.stderr
    assert ran.stderr.count("\n") == 1 and ran.stdout == ""
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["out=\u00fc bench"], "Cannot read out=\u00fc bench; put a value with spaces"),
        (["clipss=3"], "Got clipss=..., which is no key of this command"),
        (["n=[1"], "Cannot read the command line"),
    ],
)
def test_what_hydra_cannot_read_is_one_sentence(typed, said, monkeypatch, capsys):
    from experiments.door import hydra_entry

    monkeypatch.setattr("sys.argv", ["evaluate", *typed])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    with pytest.raises(SystemExit) as end:
        hydra_entry("evaluate", lambda **config: pytest.fail("it ran"), "audiotoken.configs")
    told = capsys.readouterr().err
    assert end.value.code == 2 and said in told and told.count("\n") == 1
