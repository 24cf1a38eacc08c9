"""Run a function as a Hydra application; its keyword parameters become typed config keys."""

import difflib
import inspect
import os
import sys
from collections.abc import Callable, Collection, Sequence
from importlib.resources import files
from typing import Any

from audiotoken.cli.composing import FUNCTIONS, check_overrides, convert_config
from audiotoken.cli.schemas import convert_options
from audiotoken.cli.signatures import read_signature
from audiotoken.errors import OptionError
from audiotoken.tasks.checks import check_values
from audiotoken.tasks.sentences import errors_as_sentences


def is_first_process() -> bool:
    """True in the one process that writes and answers, where several share a run (`accelerate launch`, torchrun)."""
    return os.environ.get("RANK", "0") == "0"


def check(n: int, **choices: tuple[Sequence[str], Sequence[str]]) -> None:
    """Raise OptionError unless n is at least 1 and, for each name=(values, known), every value is known."""
    if n < 1:
        raise OptionError(
            f"Got n={n}, expected at least 1 picture; pass n=200 to measure a percentage to within about 3 points."
        )
    check_choices(**choices)


def check_choices(**choices: tuple[Sequence[str], Sequence[str]]) -> None:
    """Raise OptionError unless, for each name=(values, known), there are values and every one is known."""
    for name, (values, known) in choices.items():
        if not values or not set(values) <= set(known):
            raise OptionError(f"Got {name}={','.join(values)}, expected some of {', '.join(known)}; change {name}.")


def run_from_signature(function: Callable[..., str]) -> None:
    """Run the command line of `function`; its keyword parameters give the keys and defaults."""
    from hydra.core.config_store import ConfigStore

    parameters = inspect.signature(function).parameters
    keys: dict[str, Any] = {name: each.default for name, each in parameters.items() if not name.startswith("on_")}
    header = (inspect.getdoc(function) or "").split("\n")[0]
    silent = {"run": {"dir": "."}, "output_subdir": None, "help": {"header": header}}  # no folders except the results
    overrides = [{"override hydra/help": "keys"}, {"override hydra/job_logging": "stdout"}]
    ConfigStore.instance().store(function.__name__, keys | {"hydra": silent, "defaults": [*overrides, "_self_"]})
    run_from_config(function.__name__, function)


def run_from_config(
    config_name: str,
    function: Callable[..., Any] | str,
    *,
    configs: str = "configs",
    call: Callable[[dict[str, Any]], Any] | None = None,
) -> None:
    """Run the command line of `function`; its parameters are the keys of `config_name`.yaml in the package `configs`.

    A function that takes seconds to import is given by its name, "package.module.function", and is imported when keys,
    paths and models are known to be right. Prints the return value of the function, once where several processes share
    a run. If the function has a parameter `on_row`, progress goes to stderr. call: a function to call with the composed
    values instead.
    """
    import hydra
    from hydra.utils import get_method
    from omegaconf import OmegaConf

    @hydra.main(version_base=None, config_path=f"pkg://{configs}", config_name=config_name)
    def entry(config: Any) -> None:
        with errors_as_sentences():
            if missing := sorted(OmegaConf.missing_keys(config)):
                raise OptionError(f"Got no {missing[0]}; pass {missing[0]}=VALUE.")
            composed: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
            check_values(config_name, composed)
            known = config_name in FUNCTIONS
            values = convert_config(config_name, composed) if known else composed
            if isinstance(function, str) and not known:
                convert_options(read_signature(function), composed)  # answers before the import
            run = get_method(function) if isinstance(function, str) else function
            values = values if known else convert_options(run, composed)
            answer = call(values) if call else run(**values, **_print_rows(run))
            if is_first_process():
                print(answer)

    keys = _read_keys(configs, config_name) if isinstance(function, str) else [*inspect.signature(function).parameters]
    run_hydra(entry, keys)


def _print_rows(function: Callable[..., Any]) -> dict[str, Any]:
    """`on_row`, which prints on stderr, if the function has such a parameter."""
    if "on_row" not in inspect.signature(function).parameters:
        return {}
    return {"on_row": lambda text: print(text, file=sys.stderr, flush=True)}


def _read_keys(configs: str, name: str) -> list[str]:
    """The keys of `name`.yaml in the package `configs`, its groups, and the keys of the files that these choose."""
    config = _read_config(configs, name)
    keys, chosen = {*config}, [each for each in config.get("defaults", []) if isinstance(each, dict)]
    for group, option in (item for each in chosen for item in each.items() if not item[0].startswith("override ")):
        keys |= {group} | ({*_read_config(configs, f"{group}/{option}")} if option else set())
    return sorted(keys - {"defaults", "hydra"})


def _read_config(configs: str, name: str) -> dict[str, Any]:
    """`name`.yaml in the package `configs`, as it is written."""
    from omegaconf import OmegaConf

    text = (files(configs) / f"{name}.yaml").read_text(encoding="utf-8")
    config: dict[str, Any] = OmegaConf.to_container(OmegaConf.create(text))  # type: ignore[assignment]
    return config


def run_hydra(entry: Callable[[], Any], keys: Collection[str] = ()) -> None:
    """Run a function decorated with `hydra.main`; a Hydra error becomes one sentence and exit code 2.

    keys: the known keys, which are searched for one similar to a misspelt key.
    """
    from hydra.errors import HydraException
    from omegaconf.errors import InterpolationToMissingValueError

    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises errors instead of printing several lines
    with errors_as_sentences():
        check_overrides(sys.argv[1:])
    try:
        entry()
    except (HydraException, InterpolationToMissingValueError) as error:
        with errors_as_sentences():
            raise OptionError(explain_error(error, keys)) from None


def explain_error(error: Exception, keys: Collection[str] = ()) -> str:
    """Hydra's error as one sentence, with the available choices or a similar name."""
    from hydra.errors import MissingConfigException
    from omegaconf.errors import InterpolationToMissingValueError

    text = str(error)
    first, quoted = text.split("\n")[0].rstrip("."), text.split("'")
    if isinstance(error, InterpolationToMissingValueError):
        key = first.rpartition(" ")[2]
        return (
            f"Got no {key}, and no chosen file sets it; choose one such as experiment=pooling, and begin a file of "
            "your own with the line # @package _global_."
        )
    if isinstance(error, MissingConfigException) and error.options:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        known = ", ".join(error.options)
        return f"There is no {group}={name}{_suggest(name, error.options, f'{group}=')}; choose one of {known}."
    if first.startswith("Could not override") and len(quoted) > 2:
        key = quoted[1]
        return f"Got {key}=..., which is not a key of this command{_suggest(key, keys)}; --help lists them."
    if first.startswith("Ambiguous value") and len(quoted) > 2:
        key, _, value = quoted[1].partition("=")
        return f"Got {key}={value}; add -m to sweep over it, or pass a list: '{key}=[{value}]'."
    if "ViableAlt" in first or "mismatched" in text or "extraneous" in text or "token recognition" in text:
        what = first.split(": ", 1)[-1]
        return f"""Cannot read {what}; put a value with spaces or signs in two kinds of quotes: 'key="a value"'."""
    return f"Cannot read the command line: {first}; --help lists the keys."


def _suggest(name: str, known: Collection[str], prefix: str = "") -> str:
    """ " (did you mean ...?)" if a known name begins so or is similar, else ""."""
    close = [each for each in known if name and each.startswith(name)] or difflib.get_close_matches(name, known, 1)
    return f" (did you mean {prefix}{close[0]}?)" if close else ""
