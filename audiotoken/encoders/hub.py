"""Helpers for encoders from transformers: additions to their configurations, complete loading, splitting of long clips.

The configurations are here because their strict dataclasses do not work with the type checker that tests use.
"""

import logging
import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch import Tensor
from transformers import ASTConfig, ClapAudioConfig, PreTrainedConfig

from audiotoken.errors import CheckpointError
from audiotoken.hub_access import is_unreachable, use_hub_if_reachable

FILES = ("config.json", "model.safetensors")  # of a model on the hub
LOAD_ERRORS: tuple[type[Exception], ...] = (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError)
LOAD_ERRORS += (SafetensorError, StrictDataclassError, UnpicklingError)


class LayeredASTConfig(ASTConfig):
    """ASTConfig with the `layers` (from 1) whose outputs are the features."""

    layers: list[int] | tuple[int, ...] = (4, 8, 12)


class NamedClapConfig(ClapAudioConfig):
    """ClapAudioConfig with the `names` to score."""

    names: list[str] | tuple[str, ...] = ()


def load_complete(
    load: Callable,
    model: str | os.PathLike,
    kinds: Sequence[str],
    wanted: str,
    files: Sequence[str] = FILES,
    **kwargs: Any,
) -> Any:
    """`load(model, ...)`, a `from_pretrained` of transformers, with every weight that the class has.

    Transformers initialises missing weights at random and logs it; here that is a `CheckpointError`, as is a
    `model_type` that is not among `kinds`, and every other failure to load. `wanted` describes what to give instead,
    `files` are those to fetch by hand where the hub cannot be reached.
    """
    source = resolve_source(model, wanted)
    try:
        kind = PreTrainedConfig.get_config_dict(source, **kwargs)[0].get("model_type", "model of no known type")
        if kind not in kinds:
            raise CheckpointError(f"Cannot load {model}: it is a {kind}; give {wanted}.")
        with _silence_transformers():
            loaded, report = load(source, output_loading_info=True, ignore_mismatched_sizes=True, **kwargs)
    except CheckpointError:
        raise
    except LOAD_ERRORS as error:
        raise make_load_error(model, error, wanted, files) from error
    for keys, why in ((report["missing_keys"], "lacks"), (report["mismatched_keys"], "has other shapes for")):
        names = sorted(key if isinstance(key, str) else key[0] for key in keys)
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise CheckpointError(f"Cannot load {model}: it {why} {', '.join(names[:3])}{more}; give {wanted}.")
    return loaded


def resolve_source(model: str | os.PathLike, wanted: str) -> str:
    """The folder `model`, else the hub id; CheckpointError, without asking the hub, when it can be neither.

    What is loaded next uses the hub only if it can be reached.
    """
    folder = Path(os.path.expanduser(model))
    if folder.is_dir():
        return str(folder)
    if folder.exists() or str(model).count("/") != 1 or str(model)[0] in "./~":
        raise CheckpointError(f"Cannot load {model}: there is no such folder, and it is not a hub id; give {wanted}.")
    use_hub_if_reachable(model)
    return str(model)


def make_load_error(
    model: str | os.PathLike, error: BaseException, wanted: str, files: Sequence[str] = FILES
) -> CheckpointError:
    """The failure as one sentence: the first of transformers' message, which may be paragraphs long."""
    if not os.path.exists(os.path.expanduser(model)) and is_unreachable(error):
        return CheckpointError(
            f"Cannot load {model}: the hub cannot be reached; fetch {', '.join(files)} from "
            f"https://huggingface.co/{model}/tree/main by hand into a folder, and give this folder."
        )
    reason = re.split(r"\.?\n|\. ", str(error).strip())[0].rstrip(".:") or type(error).__name__
    return CheckpointError(f"Cannot load {model}: {reason}; give {wanted}.")


def split_evenly(waveform: Tensor, longest: int) -> tuple[Tensor, ...]:
    """(batch, frames) -> pieces of equal length, at most `longest`, so that no short rest is mostly padding."""
    return waveform.tensor_split(math.ceil(waveform.shape[1] / longest), dim=1)


@contextmanager
def _silence_transformers() -> Iterator[None]:
    """Suppress transformers' table of weights that do not fit, or that belong to another model in the file."""
    log = logging.getLogger("transformers")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
