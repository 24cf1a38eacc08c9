"""A function as a command line: its keyword parameters are the keys."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from experiments.generate import OptionError, errors_as_sentences, run_hydra


def check(n: int, **chosen: tuple[Sequence[str], Sequence[str]]) -> None:
    """OptionError for no pictures, and for a name=(values, known) of which some is not known."""
    if n < 1:
        raise OptionError(f"Got n={n}, want at least 1 picture; 200 are good to 3 points.")
    for name, (values, known) in chosen.items():
        if not set(values) <= set(known):
            raise OptionError(f"Got {name}={','.join(values)}, want some of {', '.join(known)}; change it.")


def entry(function: Callable[..., str]) -> None:
    """The command line of `function`: its keyword parameters are the keys, `on_row` goes to stderr."""
    import sys

    import hydra
    from hydra.core.config_store import ConfigStore

    given = inspect.signature(function).parameters
    keys: dict[str, Any] = {name: each.default for name, each in given.items() if not name.startswith("on_")}
    silent = {"run": {"dir": "."}, "output_subdir": None}  # no folders: nothing but the results
    node = keys | {"hydra": silent, "defaults": [{"override hydra/job_logging": "stdout"}, "_self_"]}
    ConfigStore.instance().store(function.__name__, node)

    @hydra.main(version_base=None, config_name=function.__name__)
    def run_it(config: Any) -> None:
        with errors_as_sentences():
            print(function(**config, on_row=lambda text: print(text, file=sys.stderr, flush=True)))

    run_hydra(run_it)
