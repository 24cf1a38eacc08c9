"""Configs are code: every file composes, and every key is a parameter of what it configures."""

import inspect

import pytest
import soundfile
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from experiments.generate import generate


def composed(name: str, *overrides: str) -> dict:
    with initialize_config_module("configs", version_base=None):
        config = OmegaConf.to_container(compose(name, list(overrides)), resolve=False)
    assert isinstance(config, dict)
    return config


def test_generate_has_the_parameters_of_generate():
    config = composed("generate")
    parameters = inspect.signature(generate).parameters
    assert set(config) == set(parameters) - {"on_step"}
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
