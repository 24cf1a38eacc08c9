"""From a name to a model: where it lies, what kind it is, and what is said when it cannot be loaded."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError

from audiotoken.errors import CheckpointError, out_of_memory

MODELS = '"mini", a folder in the diffusers layout or a hub id'
OWN_ENCODERS = tuple(
    f"audiotoken.encoders.{name}" for name in ("mini", "beats", "ast", "clap")
)  # a model may name these


def find_model(model: str | os.PathLike) -> str:
    """The folder of `model`, or the hub id it is."""
    folder = Path(str(files("audiotoken.mini"))) if str(model) == "mini" else Path(model).expanduser()
    if (folder / "model_index.json").is_file():
        return str(folder)
    if str(model) == "mini":
        raise CheckpointError("The mini checkpoint is not in this installation; get it whole, or train it: make mini.")
    if folder.exists() or str(model).count("/") != 1 or str(model)[0] in "./~":
        what = "it holds no model_index.json" if folder.exists() else "there is no such folder"
        raise CheckpointError(f"Cannot load the model {model}: {what}; give {MODELS}.")
    return str(model)


def prepare_index(index: Mapping[str, Any]) -> bool:
    """Make ready what a `model_index.json` names -> whether it is an SDXL model; ValueError when it is of another kind.

    diffusers loads classes of modules that are imported, and imports none itself.
    """
    if lacking := [part for part in ("unet", "text_encoder") if not any(index.get(part) or ())]:
        name = index.get("_class_name", "model")
        raise ValueError(f"it is a {name} without a {lacking[0]}, but Stable Diffusion 1, 2 or XL is wanted")
    library, _ = index.get("audio_encoder") or (None, None)
    if library in OWN_ENCODERS:
        import_module(library)
    return any(index.get("text_encoder_2") or ())


@contextmanager
def explain_load_errors(model: str | os.PathLike) -> Iterator[None]:
    """Whatever goes wrong while `model` is loaded is a CheckpointError of one sentence that names it."""
    try:
        yield
    except CheckpointError as error:  # of our own parts: a sentence already
        raise CheckpointError(f"Cannot load the model {model}: {str(error)[0].lower()}{str(error)[1:]}") from error
    except UnpicklingError as error:
        what = "a file in it is damaged, or holds more than weights and plain values"
        raise CheckpointError(f"Cannot load the model {model}: {what}; give {MODELS}.") from error
    except (KeyError, TypeError, AttributeError, IndexError, ZeroDivisionError, OverflowError) as error:
        what = f"one of its configurations is damaged ({type(error).__name__}: {_first_line(error)})"
        raise CheckpointError(f"Cannot load the model {model}: {what}; give {MODELS}.") from error
    except (OSError, ValueError, RuntimeError, SafetensorError, StrictDataclassError) as error:
        if out_of_memory(error):
            raise
        raise CheckpointError(f"Cannot load the model {model}: {_first_line(error)}; give {MODELS}.") from error


def _first_line(error: Exception) -> str:
    """The first sentence of an error."""
    return re.split(r"\.?\n|\. ", str(error).strip())[0].rstrip(".:")
