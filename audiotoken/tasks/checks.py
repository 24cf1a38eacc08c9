"""Quick checks of what a command was given, before torch, diffusers or Hydra are imported.

The tasks check everything again and more closely; these only answer early. Each raises an error of one sentence.
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from audiotoken.audio_file import open_plain
from audiotoken.data.remote import names_shards
from audiotoken.errors import AudioError, CheckpointError, DataError, OptionError
from audiotoken.json_file import FormError, read_json
from audiotoken.loading import ENCODER_KINDS, ENCODERS, find_model, is_hub_file
from audiotoken.mini.things import SYNTHETIC_NAMES
from audiotoken.report.html import check_report
from audiotoken.writing import check_inputs_kept, check_output, check_output_folder, list_model_paths
from guidance.forms import FORMS
from guidance.layout import check_canvas
from spatial.scene import check_source_count
from spatial.setups import NAMES

STDOUT = Path("-")
WEIGHTS = (".safetensors", ".ckpt", ".pt", ".bin", ".pth")
MISSING = "???"  # OmegaConf's mark of a value that must be given

__all__ = ["check_base", "check_clip", "check_encoder", "check_exists", "check_folder", "check_labels", "check_model"]
__all__ += ["check_inputs_kept", "check_output_folder", "check_prepared", "check_source", "list_model_paths"]
__all__ += ["check_layout_file", "check_setup", "check_source_count", "check_values", "check_words", "parse_canvas"]


def check_clip(clip: str | os.PathLike) -> None:
    """AudioError unless `clip` is a file that can be opened."""
    try:
        open_plain(Path(clip)).close()
    except AudioError as error:
        raise AudioError(f"Cannot read {clip}: {error}") from None


def check_model(model: str) -> None:
    """CheckpointError unless `model` is "mini", a model folder or looks like a hub id."""
    find_model(model)


def check_exists(path: str | os.PathLike, wanted: str) -> None:
    """OptionError for a path that does not exist."""
    if not os.path.exists(os.path.expanduser(path)):
        raise OptionError(f"Cannot read {path}: there is no such file or folder; give {wanted}.")


def check_folder(folder: str | os.PathLike, wanted: str) -> None:
    """OptionError for a folder that does not exist."""
    if not os.path.isdir(os.path.expanduser(folder)):
        raise OptionError(f"Cannot read {folder}: there is no such folder; give {wanted}.")


def check_source(source: str) -> None:
    """OptionError unless `source` is a folder or a file of audiotoken/configs/source."""
    names = sorted(Path(each.name).stem for each in (files("audiotoken.configs") / "source").iterdir())
    if not os.path.isdir(source) and source not in names:
        raise OptionError(f"Got source={source}, expected a folder or one of {', '.join(names)}; change it.")


def check_prepared(folder: str | os.PathLike) -> None:
    """DataError unless `audiotoken prepare` made this folder."""
    if not Path(folder, "manifest.json").is_file():
        raise DataError(f"Cannot read {folder}: it has no manifest.json; give a folder that `audiotoken prepare` made.")


def check_labels(names: Sequence[str], weight: float) -> None:
    """OptionError for data without names of classes, if the classification loss has a weight."""
    if weight and not names:
        raise OptionError(
            "The data has no labels, but the classification loss needs them; add labels, or turn the loss off: "
            "settings.weights.classification=0."
        )


def _check_prepared_labels(folder: str, settings: Mapping[str, Any] | None) -> None:
    """`check_labels` of a prepared folder; a damaged manifest is explained where all of it is read."""
    try:
        names = read_json(Path(folder, "manifest.json")).get("names")
    except (FormError, OSError):
        return
    weights = (settings or {}).get("weights")
    if isinstance(names, list) and isinstance(weights, Mapping):
        check_labels(names, weights.get("classification", 0))


def check_base(base: str) -> None:
    """CheckpointError for the path of a base model that does not exist; a hub id passes."""
    path = Path(os.path.expanduser(base))
    local = base.count("/") != 1 or base[0] in "./~" or path.suffix.lower() in WEIGHTS
    if base != "mini" and local and not path.exists():
        kind = "file" if path.suffix.lower() in WEIGHTS else "folder"
        raise CheckpointError(
            f"Cannot use the base {base}: there is no such {kind}; give a model folder in the diffusers "
            "layout, a hub id, or one .safetensors or .ckpt file."
        )


def check_encoder(encoder: str) -> None:
    """OptionError unless `encoder` is beats:FILE, ast:ID, ced:ID, clap:ID or mini, with a file that exists."""
    kind, _, where = encoder.partition(":")
    if kind not in ENCODER_KINDS or bool(where) == (kind == "mini"):
        raise OptionError(f"Got encoder={encoder}, expected {ENCODERS}; change it.")
    if kind == "beats" and not is_hub_file(where):
        check_exists(where, "the BEATs checkpoint file")


def check_setup(setup: str, spacing: float | None) -> None:
    """OptionError for an unknown setup, and for a spacing alone."""
    if setup not in ("auto", *NAMES):
        raise OptionError(f"Got setup={setup}, expected auto or one of {', '.join(NAMES)}; change it.")
    if spacing is not None and setup == "auto":
        raise OptionError(f"Got spacing={spacing:g} alone, but --spacing needs --setup spaced; pass both.")


def check_words(words: Sequence[str], prompt: str | None, max_sources: int) -> None:
    """OptionError for words together with a prompt, and for more words than sources."""
    if words and prompt:
        raise OptionError("Got both --prompt and --words, expected one of them; leave one out.")
    if len(words) > max_sources:
        raise OptionError(
            f"Got {len(words)} words with --max-sources {max_sources}, expected at most {max_sources}; leave one out."
        )


def parse_canvas(text: str) -> tuple[int, int]:
    """ "1024x768" -> (1024, 768), width and height in pixels; OptionError for anything else."""
    found = re.fullmatch(r"\s*(\d{1,6})\s*[x×*]\s*(\d{1,6})\s*", text, re.I)
    if found is None:
        raise OptionError(f"Got --canvas {text}, expected WIDTHxHEIGHT in pixels, such as 1024x768; change it.")
    return check_canvas((int(found[1]), int(found[2])))


def check_layout_file(output: Path | None, form: str, inputs: Iterable[str | os.PathLike | None] = ()) -> None:
    """OptionError unless the layout can be written there, over none of the inputs; None and `STDOUT` print it."""
    if form not in FORMS:
        raise OptionError(f"Got --for {form}, expected one of {', '.join(FORMS)}; choose one of these.")
    if output not in (None, STDOUT):
        check_output(Path(str(output)), (FORMS[form].suffix,))
        check_inputs_kept([output], inputs)


def _check_clips(clips: str) -> None:
    if clips not in SYNTHETIC_NAMES and not names_shards(clips):
        check_folder(clips, "a folder of sounds")


def _exists(wanted: str) -> Callable[[str], None]:
    return lambda path: check_exists(path, wanted)


def _is_folder(wanted: str) -> Callable[[str], None]:
    return lambda folder: check_folder(folder, wanted)


def _check_page(report: str) -> None:
    check_report(Path(report))


VALUES: dict[str, dict[str, Callable[[str], None]]] = {  # command -> key -> what answers early for its value
    "assemble": {
        "base": check_base,
        "encoder": check_encoder,
        "embedder": _exists("an embedder file or folder"),
        "labels": _exists("a text file with a label on each line"),
        "lora": _exists("a folder of LoRA layers"),
        "output": check_output_folder,
    },
    "evaluate": {
        "clips": _check_clips,
        "pictures": _is_folder("a folder of pictures"),
        "real": _is_folder("a folder of pictures"),
        "out": check_output_folder,
        "report": _check_page,
        "model": check_model,
    },
    "folder": {
        "clips": _exists("a folder of sounds"),
        "model": check_model,
        "output": check_output_folder,
        "report": _check_page,
    },
    "prepare": {"model": check_model, "output": check_output_folder},
    "train": {"data": check_prepared, "model": check_model, "out": check_output_folder, "report": _check_page},
}


def check_values(command: str, values: Mapping[str, Any]) -> None:
    """The checks of the texts and paths that `command` was given, by the keys of its configuration; none may be empty.

    Values of another type are left to those who know the types.
    """
    given = {key: str(each) for key, each in values.items() if isinstance(each, str | os.PathLike) and each != MISSING}
    for key, check in VALUES.get(command, {}).items():
        if given.get(key) == "":  # would be the current folder
            raise OptionError(f"Got an empty text as {key}, expected a path or a name; give one, or leave it out.")
        if key in given:
            check(given[key])
    if command == "train" and "data" in given:
        _check_prepared_labels(given["data"], values.get("settings"))
