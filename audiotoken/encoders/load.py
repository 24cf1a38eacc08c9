"""Loads an audio encoder: from the form it is published in, or from the folder of a model that has one.

Each kind stands in a module of its own, which is imported only when its encoder is asked for: transformers' models take
seconds to import. A new encoder needs its module here, a line in `CLASSES`, and its name in `loading.ENCODER_KINDS`.
"""

import os
from collections.abc import Sequence
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

from audiotoken.encoders import AudioEncoder
from audiotoken.errors import CheckpointError, OptionError, out_of_memory
from audiotoken.hub_access import use_hub_if_reachable
from audiotoken.loading import ENCODERS, OWN_ENCODERS, is_hub_file, read_part

CLASSES = {"beats": "BEATs", "ast": "AST", "ced": "CED", "clap": "CLAP", "mini": "MiniEncoder"}
LOAD_ERRORS = (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError)


def load_encoder(
    spec: str, layers: Sequence[int] | None = None, labels: str | os.PathLike | None = None
) -> AudioEncoder:
    """Load the encoder that `spec` names: one of `ENCODERS`, or a model's folder that has one (see `has_encoder`).

    layers: of BEATs, AST and CED, those whose outputs are the features. labels: a text file with a name on each line:
    what CLAP distinguishes, or the classes of a BEATs file without names. A model's encoder keeps its own layers and
    labels. It is ready for inference. Raises CheckpointError or OptionError, one sentence each.
    """
    kind, _, source = spec.partition(":")
    if has_encoder(spec) and kind != "mini":
        return _load_from_model(Path(spec), layers, labels)
    if kind not in CLASSES or bool(source) == (kind == "mini"):
        raise OptionError(f"Got encoder={spec}, expected {ENCODERS}; change it.")
    if layers is not None and kind not in ("beats", "ast", "ced"):
        raise OptionError(f"Got layers={','.join(map(str, layers))}, but {kind} has no layers to choose; leave it out.")
    if labels is not None and kind not in ("beats", "clap"):
        raise OptionError(f"Got labels={labels}, but {kind} has names of its own; leave it out.")
    names = None if labels is None else read_names(labels)
    options = {} if layers is None else {"layers": tuple(layers)}
    encoder_class = getattr(import_module(f"audiotoken.encoders.{kind}"), CLASSES[kind])
    try:
        if kind == "beats":
            return _load_beats(encoder_class, source, names, options)
        if kind == "ast":
            return encoder_class.from_pretrained(source, **options)
        if kind == "ced":
            return encoder_class.from_published(source, **options)
        if kind == "clap":
            return encoder_class.from_pretrained(source, names=names)
        return encoder_class.from_pretrained(str(files("audiotoken.mini")), subfolder="audio_encoder")
    except CheckpointError:
        raise
    except ValueError as error:  # such as a layer that the encoder does not have
        raise OptionError(str(error)) from None


def load_encoder_to_hear(folder: str | os.PathLike) -> AudioEncoder:
    """The encoder of a model's folder, for hearing only: no part of a pipeline, but the mini one needs no diffusers."""
    library, _ = _read_class(Path(folder)) or ("", "")
    if library != "audiotoken.encoders.mini":
        return load_encoder(str(folder))
    return import_module("audiotoken.encoders.mini_network").load_network(Path(folder) / "audio_encoder")


def has_encoder(model: str | os.PathLike) -> bool:
    """Whether `model` is a folder whose `model_index.json` names one of our encoders."""
    return _read_class(Path(model)) is not None


def read_names(file: str | os.PathLike) -> tuple[str, ...]:
    """The lines of a text file without the empty ones; OptionError when it cannot be read or holds none."""
    try:
        names = tuple(line.strip() for line in Path(file).read_text(encoding="utf-8-sig").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"Cannot read {file}: {error}; give a text file with a name on each line.") from None
    if not names:
        raise OptionError(f"Cannot use {file}: it is empty; give a text file with a name on each line.")
    return names


def _read_class(folder: Path) -> tuple[str, str] | None:
    """(module, class) of a model's audio encoder; None if there is no model, no encoder, or one that is not ours."""
    found = read_part(folder, "audio_encoder")
    return found if found and found[0] in OWN_ENCODERS else None


def _load_from_model(folder: Path, layers: Any, labels: Any) -> AudioEncoder:
    if layers is not None or labels is not None:
        raise OptionError(
            f"The audio encoder of {folder} has its own layers and labels; leave them out, or choose another encoder, "
            f"one of {ENCODERS}."
        )
    library, name = _read_class(folder) or ("", "")
    try:
        return getattr(import_module(library), name).from_pretrained(str(folder / "audio_encoder"))
    except CheckpointError:
        raise
    except LOAD_ERRORS as error:
        if out_of_memory(error):
            raise
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise CheckpointError(
            f"Cannot load the audio encoder of {folder}: {reason}; choose another encoder, one of {ENCODERS}."
        ) from error


def fetch_beats(source: str) -> str:
    """The path of a BEATs checkpoint: `source` itself if there is such a file, else OWNER/NAME/FILE of the hub.

    CheckpointError, which names the file to fetch by hand, if the hub cannot be reached or has no such file.
    """
    if Path(source).expanduser().exists() or not is_hub_file(source):
        return source
    from huggingface_hub import hf_hub_download  # here: a file on the disk needs none of it
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    owner, name, file = source.split("/")
    use_hub_if_reachable(source)
    try:
        return str(hf_hub_download(f"{owner}/{name}", file))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise CheckpointError(
            f"Cannot fetch {file} of {owner}/{name} ({type(error).__name__}): fetch "
            f"https://huggingface.co/{owner}/{name}/resolve/main/{file} by hand, and give beats:{file}."
        ) from error


def _load_beats(encoder_class: Any, file: str, names: tuple[str, ...] | None, options: dict[str, Any]) -> AudioEncoder:
    """BEATs, whose class head gets these names."""
    beats = encoder_class.from_checkpoint(fetch_beats(file), **options)
    if names is not None:
        if len(names) != beats.config["classes"]:
            raise OptionError(f"Got {len(names)} labels, but {file} has {beats.config['classes']} classes; name each.")
        beats.register_to_config(labels=names)
    return beats
