"""Models of transformers as ears: loaded whole or refused in one sentence, and given long clips in pieces."""

import math
import os
import re
from collections.abc import Callable
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch import Tensor

from audiotoken.checkpoint import CheckpointError

BROKEN = (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, SafetensorError, StrictDataclassError)


def load_whole(load: Callable, model: str | os.PathLike, wanted: str, **kwargs: Any) -> Any:
    """`load(model, ...)`, a `from_pretrained` of transformers, with every weight that the class has.

    Transformers fills what a file lacks with random numbers and logs it; here that is a `CheckpointError`, as is
    everything else that keeps a model from loading. `wanted` says in words what to give instead.
    """
    try:
        loaded, report = load(model, output_loading_info=True, **kwargs)
    except BROKEN as error:
        raise refusal(model, error, wanted) from error
    for keys, why in ((report["missing_keys"], "lacks"), (report["mismatched_keys"], "has other shapes for")):
        names = sorted(key if isinstance(key, str) else key[0] for key in keys)
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise CheckpointError(f"Cannot load {model}: it {why} {', '.join(names[:3])}{more}; give {wanted}.")
    return loaded


def refusal(model: str | os.PathLike, error: BaseException, wanted: str) -> CheckpointError:
    """What went wrong as one sentence: transformers' messages go on for paragraphs, the first sentence says it."""
    reason = re.split(r"\.?\n|\. ", str(error).strip())[0].rstrip(".:") or type(error).__name__
    return CheckpointError(f"Cannot load {model}: {reason}; give {wanted}.")


def in_pieces(waveform: Tensor, longest: int) -> tuple[Tensor, ...]:
    """(batch, frames) -> pieces of equal length, at most `longest`: no sliver is left to be heard as mostly padding."""
    return waveform.tensor_split(math.ceil(waveform.shape[1] / longest), dim=1)
