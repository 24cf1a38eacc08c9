"""One experiment, many runs: every variant with every seed, each in a folder of its own, then tables of them all.

An experiment is a file of configs/experiment: its task (a function, configs/task), what varies, which figures are
shown. A finished run is not repeated unless resume=false; a failed one is listed, and the others continue. The default
set, and docs/results.md from it: `python -m experiments.ablations.default_set`.
"""

import sys
from contextlib import nullcontext
from dataclasses import fields
from typing import Any

from audiotoken.cli.schemas import convert_options
from audiotoken.errors import OptionError
from audiotoken.tasks.sentences import errors_as_sentences
from experiments.ablations.gather import Gather
from experiments.ablations.run import RunConfig, run
from experiments.hydra_cli import run_hydra


def main() -> None:
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    @hydra.main(version_base=None, config_path="pkg://configs", config_name="ablate")
    def entry(config: Any) -> None:
        alone = HydraConfig.get().mode != RunMode.MULTIRUN
        with errors_as_sentences() if alone else nullcontext():  # a launcher brings the errors of a sweep home itself
            run_job(config, alone)

    Gather.failed.clear()
    with errors_as_sentences():
        run_hydra(entry, [each.name for each in fields(RunConfig)])
    if Gather.failed:
        raise SystemExit(1)


def run_job(config: Any, alone: bool) -> None:
    """Make one run of a composed config; an error ends a run that is alone, and is kept for the report in a sweep."""
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    if missing := sorted(OmegaConf.missing_keys(config)):
        raise OptionError(f"Got no {missing[0]}; pass experiment=pooling, or another experiment.")
    join_tasks()
    values: Any = OmegaConf.to_container(config, resolve=True)
    values = convert_options(RunConfig, values)
    message = run(values, list(HydraConfig.get().overrides.task), alone=alone)
    print(message)


def join_tasks() -> None:
    """Let several tasks of one submitit job train together, as under `accelerate launch`."""
    if "submitit" not in sys.modules:
        return
    from submitit import JobEnvironment
    from submitit.helpers import TorchDistributedEnvironment

    try:
        tasks = JobEnvironment().num_tasks
    except RuntimeError:  # no job
        return
    if tasks > 1:
        TorchDistributedEnvironment().export(overwrite=True)
