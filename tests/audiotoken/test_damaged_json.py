"""Whatever is in a JSON file of ours, the answer is one sentence: each field once with values of other kinds."""

import json
from pathlib import Path

import pytest
import torch

from audiotoken.assembly.base import check_libraries
from audiotoken.assembly.base import read_json as read_base
from audiotoken.data.manifest import FIELDS, SETTINGS, Manifest, read_manifest, read_shard_notes, shard_file
from audiotoken.data.shards import write_shard
from audiotoken.debug import debug_pipeline
from audiotoken.errors import CheckpointError, DataError
from audiotoken.json_file import FormError, check_form, parse_json, parse_object
from audiotoken.manifest import read_manifest as read_lines
from audiotoken.pipeline import AudioTokenPipeline
from audiotoken.unknown import load_familiarity

SETTINGS_GIVEN = {"size": 8, "seconds": 1.0, "dtype": "float16", "copies": 1, "shard_size": 2, "augment": None}
SETTINGS_GIVEN |= {"vae": "A in float32 (0)", "audio_encoder": "B in float32 (1)", "source": "C of 3 examples (2)"}
GOOD = {
    "format": 1,
    "settings": SETTINGS_GIVEN,
    "names": ["bell", "dog"],
    "keys": ["a", "b", "c"],
    "labels": [0, 1, -1],
    "scaling_factor": 0.18,
    "text_ids": {"tokenizer": {"a photo of <audio>": [0, 5, 2]}},
}
ODD = [None, "x", 5, -1, 1.5, True, [], {}, [None], ["x", 3], [[1]], {"a": None}, float("nan"), 10**40, "\ud800"]
DEEP = "[" * 100_000 + "]" * 100_000


def write(folder: Path, values: object) -> Path:
    (folder / "manifest.json").write_text(values if isinstance(values, str) else json.dumps(values))
    return folder


def test_a_good_manifest_is_read(tmp_path):
    assert read_manifest(write(tmp_path, GOOD)).labels == [0, 1, -1]


@pytest.mark.parametrize("field", [*FIELDS, *(f"settings.{name}" for name in SETTINGS)])
def test_each_field_of_a_manifest_with_other_values(field, tmp_path):
    refused = 0
    for odd in ODD:
        values = json.loads(json.dumps(GOOD))
        group, _, name = field.rpartition(".")
        (values[group] if group else values)[name] = odd
        try:
            read_manifest(write(tmp_path, values))
        except DataError as error:
            refused += 1
            assert str(error).endswith(".") and "\n" not in str(error)
    assert refused >= len(ODD) - 6  # some fit: any text for the source, any positive number for the scale


@pytest.mark.parametrize(
    "values",
    [
        GOOD | {"more": 1},
        {key: value for key, value in GOOD.items() if key != "keys"},
        GOOD | {"labels": [0, 1]},
        GOOD | {"labels": [0, 1, 2]},
        GOOD | {"labels": [0, 1, -2]},
        GOOD | {"names": ["bell", ""]},
        GOOD | {"names": ["bell", "bell"]},
        GOOD | {"keys": []},
        GOOD | {"keys": ["a", "a", "b"]},
        GOOD | {"settings": SETTINGS_GIVEN | {"shard_size": 0}},
        GOOD | {"format": 2},
        [],
        "null",
        "",
        DEEP,
        '{"format": ' + DEEP + "}",
        "1" * 5000,
    ],
)
def test_other_manifests(values, tmp_path):
    with pytest.raises(DataError, match=r"Cannot read .*manifest.json"):
        read_manifest(write(tmp_path, values))


@pytest.mark.parametrize(
    "change",
    [
        {"indices": None},
        {"indices": "x"},
        {"indices": [[0]]},
        {"indices": [0, 0]},
        {"indices": [0, 5]},
        {"indices": [0, "x"]},
        {"indices": [0]},
        {"skipped": ["a"]},
        {"skipped": {"a": 5}},
        {"sums": None},
        {"more": 1},
        [],
        "text",
    ],
)
def test_damaged_notes_of_a_shard(change, tmp_path):
    manifest = Manifest(**{key: value for key, value in GOOD.items() if key != "format"})
    notes = {"fingerprint": manifest.fingerprint, "indices": [0, 1], "skipped": {}}
    tensors = {"moments": torch.zeros(2, 1, 8, 1, 1), "features": torch.zeros(2, 1, 3, 4)}
    write_shard(shard_file(tmp_path, 0), tensors, notes)
    assert read_shard_notes(tmp_path, 0, manifest)["indices"] == [0, 1]
    if isinstance(change, dict):
        write_notes(shard_file(tmp_path, 0), tensors, notes | {"sums": {}} | change)
    else:
        write_notes(shard_file(tmp_path, 0), tensors, change)
    with pytest.raises(DataError, match=r"shard-00000\.safetensors"):
        read_shard_notes(tmp_path, 0, manifest)


def write_notes(file: Path, tensors: dict, notes: object) -> None:
    from safetensors.torch import save_file

    save_file(tensors, file, {"notes": json.dumps(notes)})


def test_features_of_another_rank(tmp_path):
    manifest = Manifest(**{key: value for key, value in GOOD.items() if key != "format"})
    for features in (torch.zeros(2, 1, 3), torch.zeros(3, 1, 3, 4), torch.zeros(2, 1, 0, 4)):
        tensors = {"moments": torch.zeros(2, 1, 8, 1, 1), "features": features}
        write_shard(
            shard_file(tmp_path, 0), tensors, {"fingerprint": manifest.fingerprint, "indices": [0, 1], "skipped": {}}
        )
        with pytest.raises(DataError, match="its features have the shape"):
            read_shard_notes(tmp_path, 0, manifest)


@pytest.mark.parametrize(
    "text",
    [
        '{"slope": 1, "offset": 0, "threshold": 2, "more": 1}',
        '{"slope": 1, "offset": 0}',
        '{"slope": null, "offset": 0, "threshold": 2}',
        '{"slope": "x", "offset": 0, "threshold": 2}',
        '{"slope": NaN, "offset": 0, "threshold": 2}',
        "null",
        "[1]",
        DEEP,
        "",
    ],
)
def test_a_damaged_familiarity(text, tmp_path):
    (tmp_path / "unknown.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"Cannot read .*unknown.json"):
        load_familiarity(tmp_path)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    debug_pipeline(kind="sd1").save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("file", "key", "values"),
    [
        ("model_index.json", "default_guidance", ["x", None, -1, float("nan"), [], True]),
        ("model_index.json", "default_steps", ["x", 0, 1.5, None]),
        ("scheduler/scheduler_config.json", "prediction_type", ["x", None, 5]),
        ("unet/config.json", "sample_size", [0, -8, "x", [0, 8]]),
        ("vae/config.json", "scaling_factor", [0, "x", None, float("nan"), [1]]),
        ("tokenizer/tokenizer.json", "truncation", [5]),
        ("audio_encoder/config.json", "labels", [[1, 2, 3], ["", "a", "b"], [None, "a", "b"]]),
    ],
)
def test_damaged_values_of_a_model(file, key, values, model):
    path = model / file
    good = path.read_text()
    try:
        for value in values:
            path.write_text(json.dumps(json.loads(good) | {key: value}))
            with pytest.raises(CheckpointError) as caught:
                AudioTokenPipeline.from_pretrained(model)
            assert str(caught.value).endswith(".") and "\n" not in str(caught.value)
    finally:
        path.write_text(good)


def test_a_part_without_the_name_of_a_library():
    for entry in ([[[]], [[]]], [5, "x"], [{"a": 1}]):
        with pytest.raises(CheckpointError, match="belongs to the foreign library"):
            check_libraries({"tokenizer": entry}, "model")
    check_libraries({"tokenizer": [None, None], "vae": ["diffusers", "AutoencoderKL"], "more": 5}, "model")


def test_other_files(tmp_path):
    (tmp_path / "made.jsonl").write_text('{"clip": 5}\n[1]\n{"clip": "b", "heard": [5]}\n' + DEEP + '\n{"clip": "a"}\n')
    assert list(read_lines(tmp_path / "made.jsonl")) == ["a"]
    (tmp_path / "model_index.json").write_text(DEEP)
    with pytest.raises(CheckpointError, match="is not JSON"):
        read_base(tmp_path, "model_index.json")


def test_forms():
    check_form([1, 2.5], list[float], "x")
    check_form(None, int | None, "x")
    with pytest.raises(FormError, match=r"x\[1\] is true, expected a number"):
        check_form([1, True], list[float], "x")
    with pytest.raises(FormError, match="x is an object, expected a list"):
        check_form({}, list[int], "x")
    with pytest.raises(FormError, match="is not JSON"):
        parse_json("{")
    with pytest.raises(FormError, match="it holds a list, expected an object"):
        parse_object("[]")
