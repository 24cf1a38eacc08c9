"""What the commands share: a bar on stderr, and the configurations of configs/ without Hydra's own command line."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from experiments.generate import OptionError


class Bar:
    """What is done of how much and how long it will take, on stderr when that is a terminal; gone when it is done."""

    def __init__(self, doing: str = "drawing") -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        self.shown = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self.doing = doing
        self.task = self.shown.add_task("loading", total=None)

    def update(self, done: float, total: int) -> None:
        self.shown.update(self.task, description=self.doing, completed=done, total=total)

    def say(self, sentence: str) -> None:
        self.shown.console.print(sentence)


@contextmanager
def progress(doing: str = "drawing") -> Iterator[Bar]:
    bar = Bar(doing)
    with bar.shown:
        yield bar


def composed(
    name: str, choices: Sequence[str], values: Sequence[str] | None, options: Mapping[str, Any]
) -> dict[str, Any]:
    """configs/`name`.yaml with files chosen for its groups, then KEY=VALUE arguments, then the options that were given.

    OptionError for a key that is not there.
    """
    from hydra import compose, initialize_config_module
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        with initialize_config_module("configs", version_base=None):
            config = compose(name, [*choices, *(values or ())])
        for key, value in options.items():
            if value is not None:
                OmegaConf.update(config, key, value if isinstance(value, int | float) else str(value))
        return dict(OmegaConf.to_container(config, resolve=True))  # type: ignore[arg-type]
    except (HydraException, OmegaConfBaseException) as error:
        said = " ".join(str(error).split())
        raise OptionError(f"Cannot use these options: {said.rstrip('.')}; see configs/{name}.yaml.") from None


def require(config: Mapping[str, Any], *keys: str) -> None:
    """OptionError unless each was given."""
    for key in keys:
        if config.get(key) in (None, "???"):
            raise OptionError(f"Got no {key}, want one; say --{key} ....")


def made(config: Mapping[str, Any]) -> Any:
    """The object that a `_target_` of configs/ describes; OptionError when something is left open.

    What it says of its arguments passes as it is, without Hydra's words around it.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    if missing := [key for key, value in config.items() if value == "???"]:
        raise OptionError(f"Got no source.{missing[0]}, want one; say source.{missing[0]}=....")
    try:
        return instantiate(dict(config))
    except InstantiationException as error:
        raise (error.__cause__ if isinstance(error.__cause__, ValueError | RuntimeError) else error) from None
