"""The manifest of a prepared folder: what it was made from and what it holds."""

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import CLIPTokenizer

from audiotoken.data.shards import cannot_continue, open_shard, read_notes, write_text
from audiotoken.errors import DataError
from audiotoken.json_file import FormError, check_fields, read_json
from audiotoken.prompt import tokenize_prompt

FORMAT = 1
NAME = "manifest.json"
DTYPES = ("float16", "bfloat16", "float32")
FIELDS = {
    "format": int,
    "settings": dict[str, Any],
    "names": list[str],
    "keys": list[str],
    "labels": list[int],
    "scaling_factor": float,
    "text_ids": dict[str, dict[str, list[int]]],
}
SETTINGS = {
    "size": int,
    "seconds": float,
    "dtype": str,
    "copies": int,
    "shard_size": int,
    "augment": dict[str, Any] | None,
    "vae": str,
    "audio_encoder": str,
    "source": str,
}
TENSORS = {"moments": 5, "features": 4}  # name -> dimensions: example, copy, and those of one
NOTES = {"fingerprint": str, "indices": list[int], "skipped": dict[str, str], "sums": dict[str, int]}


@dataclass(frozen=True, eq=False)
class Manifest:
    """`settings` determine the contents of the shards; all shards of a folder share them."""

    settings: dict[str, Any]
    names: Sequence[str]  # of the classes
    keys: Sequence[str]  # of all examples, the broken ones too
    labels: Sequence[int]  # of all examples, into `names`; -1: none has a label
    scaling_factor: float  # of the VAE
    text_ids: dict[str, dict[str, list[int]]]  # CLIP's tokenizer -> template -> ids of the padded prompt, one per clip

    @property
    def fingerprint(self) -> str:
        return _hash(json.dumps(self.settings, sort_keys=True))

    @property
    def shards(self) -> int:
        return -(-len(self.keys) // self.settings["shard_size"])

    def rows(self, shard: int) -> range:
        """The indices of the shard's examples."""
        size = self.settings["shard_size"]
        return range(shard * size, min((shard + 1) * size, len(self.keys)))


def read_manifest(folder: Path) -> Manifest:
    """DataError when there is no manifest, or one of another version or program."""
    file = folder / NAME
    if not file.is_file():
        raise DataError(f"Cannot read {folder}: it has no {NAME}; give a folder that `audiotoken prepare` made.")
    try:
        values = read_json(file)
        if values.get("format", FORMAT) != FORMAT:
            raise DataError(f"Cannot read {file}: it is of another version of audiotoken; prepare the data again.")
        check_fields(values, FIELDS)
        check_fields(values["settings"], SETTINGS)
        del values["format"]
        _check_values(manifest := Manifest(**values))
        return manifest
    except FormError as error:
        raise DataError(
            f"Cannot read {file}: it is damaged or of another program: {error}; prepare into a new folder."
        ) from None


def _check_values(manifest: Manifest) -> None:
    """FormError for values of the right types that contradict each other."""
    settings, names, keys, labels = manifest.settings, manifest.names, manifest.keys, manifest.labels
    if settings["dtype"] not in DTYPES or settings["size"] < 1 or not 0 < settings["seconds"] <= 600:
        raise FormError("its size, seconds or dtype is none that data are prepared with")
    if settings["shard_size"] < 1 or settings["copies"] < 1:
        raise FormError("shard_size and copies are not at least 1")
    if not keys or len(set(keys)) < len(keys) or "" in keys:
        raise FormError("its keys are not all different, or there are none")
    if len(set(names)) < len(names) or not all(name.strip() for name in names):
        raise FormError("its names are not all different, or one is empty")
    if len(labels) != len(keys) or not all(-1 <= label < len(names) for label in labels):
        raise FormError("its labels are not one for each key, numbers of its names")
    if manifest.scaling_factor <= 0 or not all(id >= 0 for each in _list_ids(manifest) for id in each):
        raise FormError("its scaling_factor or an id of its texts is below zero")


def _list_ids(manifest: Manifest) -> list[list[int]]:
    return [ids for templates in manifest.text_ids.values() for ids in templates.values()]


def claim_folder(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, or check that the existing one has the same settings; DataError names a difference."""
    if not (folder / NAME).exists():
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_continue(folder, error) from None
        write_text(folder / NAME, json.dumps({"format": FORMAT, **asdict(manifest)}))
    theirs, ours = read_manifest(folder).settings, manifest.settings
    if changed := [key for key in ours | theirs if theirs.get(key) != ours.get(key)]:
        raise DataError(
            f"Cannot go on in {folder}: it was prepared with {changed[0]}={theirs.get(changed[0])}, now it is "
            f"{ours.get(changed[0])}; keep the settings, or give another folder."
        )


@dataclass(frozen=True)
class Report:
    """The state of the folder, after the work of all processes so far."""

    examples: int
    prepared: int
    skipped: dict[str, str]  # key -> why
    missing: int  # shards that other processes have not written yet

    def __str__(self) -> str:
        parts = [f"prepared {self.prepared} of {self.examples} examples"]
        parts += [f"skipped {len(self.skipped)}, see skipped.csv"] if self.skipped else []
        parts += [f"{self.missing} shards are left to the other processes"] if self.missing else []
        return "; ".join(parts)


def shard_file(folder: Path, shard: int) -> Path:
    """The file of a shard, counted from 0."""
    return folder / f"shard-{shard:05}.safetensors"


def read_shard_notes(folder: Path, shard: int, manifest: Manifest) -> dict[str, Any]:
    """The notes of a shard with this folder's settings; DataError otherwise."""
    file, rows = shard_file(folder, shard), manifest.rows(shard)
    notes = read_notes(file)
    if notes.get("fingerprint") != manifest.fingerprint:
        raise DataError(f"{file.name} was made with other settings; prepare it again.")
    try:
        check_fields(notes, NOTES)
        indices = notes["indices"]
        if len(set(indices)) < len(indices) or not all(index in rows for index in indices):
            raise FormError("its indices are not those of its examples")
        _check_shapes(open_shard(file), len(indices), manifest.settings["copies"])
    except FormError as error:
        raise DataError(f"{file.name} is damaged: {error}; delete it and prepare again.") from None
    return notes


def _check_shapes(shard: Any, rows: int, copies: int) -> None:
    """FormError unless the tensors have a row for each example: moments of four dimensions more, features of two."""
    for name, rank in TENSORS.items():
        try:
            shape = tuple(shard.get_slice(name).get_shape())
        except SafetensorError:
            raise FormError(f"it has no {name}") from None
        fits = len(shape) == rank and shape[:2] == (rows, copies) and 0 not in shape if rows else shape[:1] == (0,)
        if not fits:
            raise FormError(f"its {name} have the shape {shape}, expected {rows} rows of {copies} copies")


def try_read_notes(folder: Path, shard: int, manifest: Manifest) -> dict[str, Any] | None:
    """The same, or None when there is no such shard yet."""
    try:
        return read_shard_notes(folder, shard, manifest)
    except DataError:
        return None


def summarise(folder: Path, manifest: Manifest) -> Report:
    """Collect the notes of all shards, of all processes, and write `skipped.csv`."""
    collected: dict[int, dict] | None = None
    while True:
        notes_by_shard = {shard: try_read_notes(folder, shard, manifest) for shard in range(manifest.shards)}
        complete = {shard: notes for shard, notes in notes_by_shard.items() if notes is not None}
        if (
            collected is not None and complete.keys() == collected.keys()
        ):  # no other process has added to them since the list was written
            break
        collected = complete
        text = StringIO()
        skipped = {key: why for notes in collected.values() for key, why in notes["skipped"].items()}
        csv.writer(text, lineterminator="\n").writerows([("key", "why"), *skipped.items()])
        write_text(folder / "skipped.csv", text.getvalue())
    prepared = sum(len(notes["indices"]) for notes in collected.values())
    return Report(len(manifest.keys), prepared, skipped, manifest.shards - len(collected))


def tokenize_templates(pipe: Any, templates: Sequence[str]) -> dict[str, dict[str, list[int]]]:
    """The token ids of each template, for each CLIP text encoder, with one token per sound.

    Others write the prompt into a template, or read it at its own length.
    """
    tokenizers = {name: getattr(pipe, name, None) for name in ("tokenizer", "tokenizer_2")}
    return {
        name: {template: tokenize_prompt(template, tokenizer)[0] for template in templates}
        for name, tokenizer in tokenizers.items()
        if isinstance(tokenizer, CLIPTokenizer)
    }


def describe_model(model: Any) -> str:
    """Class, dtype, and a hash of configuration and weights: a different hash means different outputs."""
    config = getattr(model, "config", {})
    config = config.to_dict() if hasattr(config, "to_dict") else dict(config)
    facts = {key: value for key, value in config.items() if key[0] != "_" and key != "transformers_version"}
    digest = sha256(json.dumps(facts, sort_keys=True, default=str).encode())
    weights = model.state_dict() if isinstance(model, nn.Module) else {}
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    kind = next((str(weight.dtype).removeprefix("torch.") for weight in weights.values()), "unknown")
    return f"{type(model).__name__} in {kind} ({digest.hexdigest()[:12]})"


def describe_source(source: Any) -> str:
    """Class, number of examples, and a hash of keys and labels, but not of the files' contents or paths."""
    facts = [(source.key(i), source.label(i)) for i in range(len(source))]
    return f"{type(source).__name__} of {len(facts)} examples ({_hash(json.dumps(facts))})"


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:12]
