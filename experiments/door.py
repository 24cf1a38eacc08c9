"""A function as a command line: its keyword parameters are the keys."""

import inspect
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from audiotoken.errors import OptionError
from audiotoken.tasks.sentences import errors_as_sentences


def check(n: int, **chosen: tuple[Sequence[str], Sequence[str]]) -> None:
    """OptionError for no pictures, and for a name=(values, known) of which some is not known."""
    if n < 1:
        raise OptionError(f"Got n={n}, want at least 1 picture; 200 are good to 3 points.")
    for name, (values, known) in chosen.items():
        if not set(values) <= set(known):
            raise OptionError(f"Got {name}={','.join(values)}, want some of {', '.join(known)}; change it.")


def entry(function: Callable[..., str]) -> None:
    """The command line of `function`: its keyword parameters are the keys, `on_row` goes to stderr."""

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


def hydra_entry(config_name: str, run: Callable[..., Any], configs: str = "configs") -> None:
    """The command line of `run`, whose parameters are the keys of `config_name`.yaml in the package `configs`."""
    import hydra
    from omegaconf import OmegaConf

    @hydra.main(version_base=None, config_path=f"pkg://{configs}", config_name=config_name)
    def entry(config: Any) -> None:
        with errors_as_sentences():
            if missing := sorted(OmegaConf.missing_keys(config)):
                raise OptionError(f"Got no {missing[0]}, want one; say {missing[0]}=....")
            print(run(**config))

    run_hydra(entry)


def run_hydra(entry: Callable[[], Any]) -> None:
    """What Hydra cannot read is one sentence and exit code 2, as all else that a user can mend."""
    from hydra.errors import HydraException

    os.environ["HYDRA_FULL_ERROR"] = "1"  # it raises what it would print in several lines
    try:
        entry()
    except HydraException as error:
        with errors_as_sentences():
            raise OptionError(_unread(str(error))) from None


def _unread(said: str) -> str:
    first, quoted = said.split("\n")[0].rstrip("."), said.split("'")
    if first.startswith("Could not override") and len(quoted) > 2:
        return f"Got {quoted[1]}=..., which is no key of this command; --help lists them."
    if "ViableAlt" in first or "mismatched" in said or "extraneous" in said or "token recognition" in said:
        what = first.split(": ", 1)[-1]
        return f"""Cannot read {what}; put a value with spaces or signs in two kinds of quotes: 'key="a value"'."""
    return f"Cannot read the command line: {first}; --help lists the keys."
