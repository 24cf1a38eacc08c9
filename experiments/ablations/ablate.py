"""One question, many runs: every variant with every seed, each in a folder of its own, then gathered into tables.

An experiment is a file of configs/experiment: which function asks (configs/task), what varies, what is shown. A
run that is finished is not made again unless resume=false; one that failed is listed, and the rest go on. The default
set, and docs/results.md from it: `python -m experiments.ablations.set`.
"""

import sys
from typing import Any

from audiotoken.errors import OptionError
from audiotoken.tasks.sentences import errors_as_sentences
from experiments.ablations.gather import Gather
from experiments.ablations.run import run
from experiments.door import run_hydra


def main() -> None:
    import hydra

    @hydra.main(version_base=None, config_path="pkg://configs", config_name="ablate")
    def entry(config: Any) -> None:
        ask(config)

    Gather.failed.clear()
    with errors_as_sentences():
        run_hydra(entry)
    if Gather.failed:
        raise SystemExit(1)


def ask(config: Any) -> None:
    """One run of a composed config; alone its error is told, in a sweep it is kept for the report."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode
    from omegaconf import OmegaConf

    if missing := sorted(OmegaConf.missing_keys(config)):
        raise OptionError(f"Got no {missing[0]}, want an experiment; say experiment=pooling, or another.")
    hydra = HydraConfig.get()
    join_tasks()
    values: Any = OmegaConf.to_container(config, resolve=True)
    done = run(values, list(hydra.overrides.task), alone=hydra.mode != RunMode.MULTIRUN)
    print(done)


def join_tasks() -> None:
    """Several tasks of one submitit job train together, as `accelerate launch` would have them."""
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
