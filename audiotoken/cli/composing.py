"""The configurations of a command, without Hydra's own command line."""

from collections.abc import Mapping, Sequence
from typing import Any

from audiotoken.errors import OptionError


def instantiate_source(node: Mapping[str, Any]) -> Any:
    """What a file of audiotoken/configs/source describes; what goes wrong says so in its own words, not in Hydra's."""
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    if missing := [key for key, value in node.items() if value == "???"]:
        raise OptionError(f"Got no {missing[0]} for the source, want one; say source.{missing[0]}=....")
    try:
        return instantiate(node)
    except InstantiationException as error:
        raise (error.__cause__ if isinstance(error.__cause__, ValueError) else error) from None


def composed(
    name: str, choices: Sequence[str], values: Sequence[str] | None, options: Mapping[str, Any]
) -> dict[str, Any]:
    """`name`.yaml of audiotoken/configs, with files chosen for its groups, then KEY=VALUE, then the options given.

    OptionError for a key that is not there.
    """
    from hydra import compose, initialize_config_module
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        with initialize_config_module("audiotoken.configs", version_base=None):
            config = compose(name, [*choices, *(values or ())])
        for key, value in options.items():
            if value is not None:
                OmegaConf.update(config, key, value if isinstance(value, int | float) else str(value))
        return dict(OmegaConf.to_container(config, resolve=True))  # type: ignore[arg-type]
    except (HydraException, OmegaConfBaseException) as error:
        said = " ".join(str(error).split())
        raise OptionError(
            f"Cannot use these options: {said.rstrip('.')}; see audiotoken/configs/{name}.yaml."
        ) from None


def require(config: Mapping[str, Any], *keys: str) -> None:
    """OptionError unless each was given."""
    for key in keys:
        if config.get(key) in (None, "???"):
            raise OptionError(f"Got no {key}, want one; say --{key} ....")


def made(config: Mapping[str, Any]) -> Any:
    """The object that a `_target_` of audiotoken/configs/ describes; OptionError when something is left open.

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
