"""The configurations of a command, without Hydra's own command line.

Hydra is imported inside the functions: `--help` must stay light.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiotoken import tasks
from audiotoken.cli.schemas import convert_options
from audiotoken.cli.signatures import read_signature
from audiotoken.errors import OptionError
from audiotoken.writing import check_inputs_kept

if TYPE_CHECKING:
    from audiotoken.data.manifest import Report

FUNCTIONS = {  # a file of audiotoken/configs -> the function whose parameters are its keys
    "evaluate": "audiotoken.evaluation.evaluate.evaluate",
    "prepare": "audiotoken.tasks.prepare.prepare",
    "train": "audiotoken.tasks.train.train",
}
NESTED = {  # keys with keys of their own -> what these are parameters of
    "prepare": {"augment": "audiotoken.data.augment.Augment"},
    "train": {
        "settings": "audiotoken.training.Settings",
        "weights": "audiotoken.training.LossWeights",
        "embedder": "audiotoken.embedder.AudioEmbedder",
        "augment": "audiotoken.data.augment.Augment",
    },
}


@dataclass
class TrainingData:
    """Forces `data` to a str so that data=1 is read as a path."""

    data: str | None


def compose_config(
    name: str, choices: Sequence[str], values: Sequence[str] | None, options: Mapping[str, Any]
) -> dict[str, Any]:
    """`name`.yaml of audiotoken/configs, with files chosen for its groups, then KEY=VALUE, then the given options.

    OptionError for an unknown key or a value of the wrong type.
    """
    check_overrides(values or ())
    tasks.checks.check_values(name, options)  # before Hydra is imported
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
        composed: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
        tasks.checks.check_values(name, composed)  # before the function is imported for the types of its parameters
        return convert_config(name, composed)
    except (HydraException, OmegaConfBaseException) as error:
        message = " ".join(str(error).split())
        raise OptionError(
            f"Cannot use these options: {message.rstrip('.')}; see audiotoken/configs/{name}.yaml."
        ) from None


def check_overrides(values: Sequence[str]) -> None:
    """OptionError for one without a key, on which Hydra fails with an error of Python's."""
    if nameless := [value for value in values if value.startswith("=")]:
        raise OptionError(f"Got {nameless[0]}, expected KEY=VALUE; write the key before it.")


def convert_config(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of `name`.yaml with the types of the parameters that they are for."""
    from hydra.utils import get_object

    paths = NESTED.get(name, {})
    if name == "train":
        values = convert_options(TrainingData, values)
    sketched = {key: read_signature(path) for key, path in paths.items()}
    convert_options(read_signature(FUNCTIONS[name]), values, nested=sketched)  # answers before the import
    nested = {key: get_object(path) for key, path in paths.items()}
    return convert_options(get_object(FUNCTIONS[name]), values, nested=nested)


def require(config: Mapping[str, Any], **options: str) -> None:
    """OptionError unless each key has a value; `options` are keys and the options that set them."""
    for key, option in options.items():
        if config.get(key) in (None, "???"):
            raise OptionError(f"Got no {key}; pass {option} VALUE.")


def instantiate_source(config: Mapping[str, Any]) -> Any:
    """The data set that a file of audiotoken/configs/source describes.

    OptionError for a missing value or one of the wrong type. Errors of the data set itself pass unchanged, without
    Hydra's words around them.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import get_object, instantiate

    if missing := [key for key, value in config.items() if value == "???"]:
        raise OptionError(f"Got no source.{missing[0]}; pass source.{missing[0]}=VALUE.")
    values = convert_options(get_object(config["_target_"]), config, "source.")
    try:
        return instantiate(values)
    except InstantiationException as error:
        raise (error.__cause__ if isinstance(error.__cause__, ValueError | RuntimeError) else error) from None


def choose_data(config: Mapping[str, Any]) -> dict[str, Any]:
    """The values of train.yaml as parameters of `train`: the data is a prepared folder, or the source if there is one.

    OptionError unless exactly one of them was given.
    """
    values = dict(config)
    source = values.pop("source", None)
    if (values["data"] is None) == (source is None):
        given = "neither data nor source" if source is None else "both data and source"
        raise OptionError(
            f"Got {given}, expected one; pass data=FOLDER made by `audiotoken prepare`, or source=pairs, esc, vggsound "
            "or web."
        )
    return values if source is None else {**values, "data": instantiate_source(source)}


def train_from_config(config: Mapping[str, Any], quiet: bool = False) -> Path:
    """Train with the values of train.yaml -> the folder of the embedder; progress goes to stderr unless `quiet`."""
    _check_source_kept(config["out"], config.get("source"))
    with tasks.train.show_progress(config["settings"]["steps"], quiet) as on_progress:
        return tasks.train.train(**choose_data(config), on_progress=on_progress)


def prepare_from_config(config: Mapping[str, Any], quiet: bool = False) -> "Report":
    """Prepare a data set with the values of prepare.yaml -> the report; progress goes to stderr unless `quiet`."""
    values = dict(config)
    if (source := values.pop("source", None)) is None:
        raise OptionError("Got no source; pass source=pairs source.folder=FOLDER, or source=esc, vggsound or web.")
    _check_source_kept(values["output"], source)
    progress = {} if quiet else tasks.prepare.print_progress()
    return tasks.prepare.prepare(instantiate_source(source), **values, **progress)


def _check_source_kept(output: str, source: Mapping[str, Any] | None) -> None:
    """OptionError if a folder of results, or a table in it, is what the data are read from."""
    given = [value for value in (source or {}).values() if isinstance(value, str)]
    tables = [Path(output) / name for name in ("skipped.csv", "manifest.json", "losses.csv", "settings.json")]
    check_inputs_kept([output, *tables], given)
