"""Models of transformers as ears: what we add to their configurations, loading them whole, long clips in pieces.

The configurations stand here because their strict dataclasses take no other type checker, as tests put on the models.
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

LOAD_ERRORS: tuple[type[Exception], ...] = (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError)
LOAD_ERRORS += (SafetensorError, StrictDataclassError, UnpicklingError)


class LayeredASTConfig(ASTConfig):
    """ASTConfig that also says which `layers` (from 1) the features are."""

    layers: list[int] | tuple[int, ...] = (4, 8, 12)


class NamedClapConfig(ClapAudioConfig):
    """ClapAudioConfig that also has the `names` of what it can tell."""

    names: list[str] | tuple[str, ...] = ()


def load_complete(load: Callable, model: str | os.PathLike, kinds: Sequence[str], wanted: str, **kwargs: Any) -> Any:
    """`load(model, ...)`, a `from_pretrained` of transformers, with every weight that the class has.

    Transformers fills what a file lacks with random numbers and logs it; here that is a `CheckpointError`, as is a
    `model_type` that is none of `kinds`, and everything else that keeps a model from loading. `wanted` says in words
    what to give instead.
    """
    source = resolve_source(model, wanted)
    try:
        kind = PreTrainedConfig.get_config_dict(source, **kwargs)[0].get("model_type", "model of no known type")
        if kind not in kinds:
            raise CheckpointError(f"Cannot load {model}: it is a {kind}; give {wanted}.")
        with _quiet():
            loaded, report = load(source, output_loading_info=True, ignore_mismatched_sizes=True, **kwargs)
    except CheckpointError:
        raise
    except LOAD_ERRORS as error:
        raise make_load_error(model, error, wanted) from error
    for keys, why in ((report["missing_keys"], "lacks"), (report["mismatched_keys"], "has other shapes for")):
        names = sorted(key if isinstance(key, str) else key[0] for key in keys)
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise CheckpointError(f"Cannot load {model}: it {why} {', '.join(names[:3])}{more}; give {wanted}.")
    return loaded


def resolve_source(model: str | os.PathLike, wanted: str) -> str:
    """The folder that `model` is, else the hub id; CheckpointError where it can be neither, and nothing is asked."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        return str(folder)
    if folder.exists() or str(model).count("/") != 1 or str(model)[0] in "./~":
        raise CheckpointError(f"Cannot load {model}: there is no such folder, and it is no hub id; give {wanted}.")
    return str(model)


def make_load_error(model: str | os.PathLike, error: BaseException, wanted: str) -> CheckpointError:
    """What went wrong as one sentence: transformers' messages go on for paragraphs, the first sentence says it."""
    reason = re.split(r"\.?\n|\. ", str(error).strip())[0].rstrip(".:") or type(error).__name__
    return CheckpointError(f"Cannot load {model}: {reason}; give {wanted}.")


def split_evenly(waveform: Tensor, longest: int) -> tuple[Tensor, ...]:
    """(batch, frames) -> pieces of equal length, at most `longest`: no sliver is left to be heard as mostly padding."""
    return waveform.tensor_split(math.ceil(waveform.shape[1] / longest), dim=1)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' table of what does not fit, and of the other half of a file that holds two models."""
    log = logging.getLogger("transformers")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
