"""Finds a model by its name, checks its kind, and explains why it cannot be loaded."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from audiotoken.errors import CheckpointError, first_sentence, out_of_memory
from audiotoken.hub_access import is_unreachable, use_hub_if_reachable
from audiotoken.json_file import FormError, read_json
from audiotoken.spelling import find_spelling

SUPPORTED = "Stable Diffusion 1, 2, XL or 3, FLUX.1, FLUX.2, Chroma, Qwen-Image or Z-Image"
OR_LAYOUT = "or draw with its own software and the boxes that `audiotoken layout clip.wav --for FORM` writes"
MODELS = '"mini", a folder in the diffusers layout or a hub id'
JOINT_CLASSES = {  # transformers: the class here, by the class that model_index.json names
    "StableDiffusion3Pipeline": "AudioTokenSD3Pipeline",
    "FluxPipeline": "AudioTokenFluxPipeline",
    "Flux2Pipeline": "AudioTokenFlux2DevPipeline",
    "Flux2KleinPipeline": "AudioTokenFlux2Pipeline",
    "ChromaPipeline": "AudioTokenChromaPipeline",
    "QwenImagePipeline": "AudioTokenQwenImagePipeline",
    "ZImagePipeline": "AudioTokenZImagePipeline",
}
JOINT_CLASSES |= {own: own for own in JOINT_CLASSES.values()}
UNET = "UNet2DConditionModel"  # of Stable Diffusion 1, 2 and XL, with one of these:
CLIP_CLASSES = ("CLIPTextModel", "CLIPTextModelWithProjection")
UNET_PIPELINES = ("StableDiffusionPipeline", "StableDiffusionXLPipeline", "AudioTokenPipeline", "AudioTokenXLPipeline")
ENCODER_KINDS = ("mini", "beats", "ast", "ced", "clap")
ENCODERS = "beats:FILE, beats:OWNER/NAME/FILE, ast:ID, ced:ID, clap:ID or mini"  # as a user names them
OWN_ENCODERS = tuple(f"audiotoken.encoders.{kind}" for kind in ENCODER_KINDS)


def find_model(model: str | os.PathLike) -> str:
    """The folder of `model`, or its hub id. Raises CheckpointError if it is neither."""
    if not str(model):  # would be the current folder
        raise CheckpointError(f"Got an empty text as the model; give {MODELS}.")
    mini = str(files("audiotoken.mini"))
    folder = Path(mini) if str(model) == "mini" else find_spelling(os.path.expanduser(model))
    if (folder / "model_index.json").is_file():
        return str(folder)
    if str(model) == "mini":
        raise CheckpointError(
            "The mini checkpoint is missing from this installation; install it again, or train it with `make mini`."
        )
    if folder.exists() or str(model).count("/") != 1 or str(model)[0] in "./~":
        reason = "it holds no model_index.json" if folder.exists() else "there is no such folder"
        raise CheckpointError(f"Cannot load the model {model}: {reason}; give {MODELS}.")
    return str(model)


def read_part(folder: str | os.PathLike, part: str) -> tuple[str, str] | None:
    """(module, class) that a model folder's index names for a part; None if there is no index or no such part."""
    index = Path(os.path.expanduser(folder)) / "model_index.json"
    try:
        entry = read_json(index).get(part) if index.is_file() else None
    except FormError as error:
        raise CheckpointError(f"Cannot read {index}: {error}; get the model again.") from None
    if not isinstance(entry, list) or len(entry) != 2 or not all(isinstance(each, str) for each in entry):
        return None
    return entry[0], entry[1]


def is_hub_file(source: str) -> bool:
    """Whether `source` looks like OWNER/NAME/FILE of the hub."""
    return source.count("/") == 2 and source[0] not in "./~" and Path(source).suffix in (".pt", ".pth", ".bin")


def prepare_index(index: Mapping[str, Any]) -> str:
    """Import the audio encoder's module that a `model_index.json` names; return the name of its class here.

    diffusers finds classes only in modules that are imported already. Raises CheckpointError for another kind of model.
    """
    _check_family(index)
    library, _ = index.get("audio_encoder") or (None, None)
    if library in OWN_ENCODERS:
        import_module(library)
    own = JOINT_CLASSES.get(str(index.get("_class_name")))
    return own or ("AudioTokenXLPipeline" if any(index.get("text_encoder_2") or ()) else "AudioTokenPipeline")


def _check_family(index: Mapping[str, Any]) -> None:
    """CheckpointError for a family that is not supported, by the class that it names and by those of its parts."""
    name = str(index.get("_class_name"))
    denoiser = "transformer" if name in JOINT_CLASSES else "unet"
    missing = [part for part in (denoiser, "text_encoder") if not any(index.get(part) or ())]
    if missing and (name in JOINT_CLASSES or name in UNET_PIPELINES):
        raise CheckpointError(f"it is a {name} without a {missing[0]}, so it draws nothing; give a whole model.")
    kinds = [(index.get(part) or ("", ""))[-1] for part in ("unet", "text_encoder")]
    if missing or (name not in JOINT_CLASSES and not (kinds[0] == UNET and kinds[1] in CLIP_CLASSES)):
        raise CheckpointError(f"its class is {name}, which is not supported; give {SUPPORTED}, {OR_LAYOUT}.")


@contextmanager
def explain_load_errors(model: str | os.PathLike) -> Iterator[None]:
    """Turn any error of loading `model` into a CheckpointError, one sentence that names the model.

    A hub that cannot be reached is asked no further, see `use_hub_if_reachable`.
    """
    # here, so that a misspelt option is answered without them
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError

    if str(model) != "mini":
        use_hub_if_reachable(model)
    try:
        yield
    except CheckpointError as error:  # from our own parts: already one sentence
        raise CheckpointError(f"Cannot load the model {model}: {str(error)[0].lower()}{str(error)[1:]}") from error
    except UnpicklingError as error:
        reason = "a file in it is damaged, or holds more than weights and plain values"
        raise CheckpointError(f"Cannot load the model {model}: {reason}; give {MODELS}.") from error
    except (KeyError, TypeError, AttributeError, IndexError, ZeroDivisionError, OverflowError) as error:
        reason = f"one of its configurations is damaged ({type(error).__name__}: {first_sentence(error)})"
        raise CheckpointError(f"Cannot load the model {model}: {reason}; give {MODELS}.") from error
    except (OSError, ValueError, RuntimeError, SafetensorError, StrictDataclassError, ImportError) as error:
        if out_of_memory(error):
            raise
        if is_unreachable(error) and not os.path.exists(os.path.expanduser(model)):
            reason = "it is no folder here, and the hub cannot be reached; copy the model's folder to this machine"
            raise CheckpointError(f"Cannot load the model {model}: {reason}, and give that.") from error
        raise CheckpointError(f"Cannot load the model {model}: {first_sentence(error)}; give {MODELS}.") from error
    except Exception as error:
        if type(error) is not Exception:  # tokenizers raise no other
            raise
        reason = f"its tokenizer is damaged ({first_sentence(error)})"
        raise CheckpointError(f"Cannot load the model {model}: {reason}; give {MODELS}.") from error
