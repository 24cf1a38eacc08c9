"""Every experiment, task and sweep composes, and its keys are parameters of what it configures."""

import inspect
from importlib import import_module
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_module
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from experiments.ablations.default_set import NAMES
from experiments.ablations.run import resolve_task

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
EXPERIMENTS, TASKS, SWEEPS = (
    sorted(path.stem for path in (CONFIGS / kind).glob("*.yaml")) for kind in ("experiment", "task", "sweep")
)
PLUGINS = {
    "joblib": "hydra_plugins.hydra_joblib_launcher",
    "local": "hydra_plugins.hydra_submitit_launcher",
    "slurm": "hydra_plugins.hydra_submitit_launcher",
}


def composed(*overrides: str):
    with initialize_config_module("configs", version_base=None):
        return compose("ablate", list(overrides), return_hydra_config=True)


def swept(config) -> list[list[str]]:
    """What the sweeper would ask: a list of overrides for each run."""
    told = [f"{key}={value}" for key, value in (config.hydra.sweeper.params or {}).items()]
    each = [list(one.sweep_string_iterator()) if one.is_sweep_override() else [one.get_value_string()]
            for one in OverridesParser.create().parse_overrides(told)]  # fmt: skip
    keys = [line.split("=")[0] for line in told]
    return [[f"{key}={value}" for key, value in zip(keys, run, strict=True)] for run in product(*each)]


@pytest.mark.parametrize("name", TASKS)
def test_a_task_has_the_parameters_of_its_function_and_their_defaults(name):
    node = OmegaConf.to_container(OmegaConf.load(CONFIGS / "task" / f"{name}.yaml"))
    module, _, function = node.pop("_target_").rpartition(".")
    parameters = inspect.signature(getattr(import_module(module), function)).parameters
    assert node == {key: each.default for key, each in parameters.items() if key not in ("seed", "out")}
    assert parameters["seed"].default is inspect.Parameter.empty


@pytest.mark.parametrize("name", EXPERIMENTS)
@pytest.mark.slow
def test_every_run_of_an_experiment_calls_its_task(name):
    """Each value of each key is composed, which refuses names that there are not, and bound to the function."""
    config = composed(f"experiment={name}")
    runs = swept(config)
    assert len(runs) == len({tuple(run) for run in runs}) >= 1
    seen: set[str] = set()
    for told in runs:
        if seen.issuperset(told):  # of a product of five keys' values most runs hold nothing new
            continue
        seen.update(told)
        for line in told:
            key, value = line.split("=", 1)
            OmegaConf.update(config, key, yaml.safe_load(value), force_add=False)
        function, options = resolve_task(OmegaConf.to_container(config.task, resolve=True))
        inspect.signature(function).bind(**options, seed=config.seed, out=".")
        assert config.name == name and config.title.endswith("?") and config.shown


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_begins_with_its_command(name):
    text = (CONFIGS / "experiment" / f"{name}.yaml").read_text()
    package, command = text.splitlines()[:2]
    assert package == "# @package _global_" and command.startswith(f"# python -m experiments.ablate experiment={name}")


def test_the_default_set_is_every_experiment_that_needs_no_data():
    assert sorted(NAMES) == [name for name in EXPERIMENTS if name not in ("shards", "guidance_all")]


@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep_composes_with_an_experiment(name):
    if find_spec(PLUGINS[name].split(".")[0]) is None or find_spec(PLUGINS[name]) is None:
        pytest.skip(f"{PLUGINS[name].split('.')[1]} is not installed")
    launcher = composed("experiment=pooling", f"sweep={name}").hydra.launcher
    module, _, function = launcher._target_.rpartition(".")
    parameters = inspect.signature(getattr(import_module(module), function)).parameters
    if not any(each.kind == inspect.Parameter.VAR_KEYWORD for each in parameters.values()):
        assert {key for key in launcher if key != "_target_"} <= set(parameters)


def test_a_misspelt_key_is_refused():
    with pytest.raises(Exception, match="Could not override"):
        composed("experiment=pooling", "task.poolin=mean")
