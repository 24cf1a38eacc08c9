"""What was prepared is what the models say; a kill, a bad file or a full disk is reported and mended."""

import csv
import inspect
import json
import resource
from types import SimpleNamespace

import pytest
import soundfile
import torch
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf
from safetensors.torch import load_file, save_file
from tiny_source import TinySource

from audiotoken.cli.composing import instantiate_source
from audiotoken.data import prepared
from audiotoken.data.augment import Augment
from audiotoken.data.batches import TEMPLATES, Batches
from audiotoken.data.examples import RawExamples
from audiotoken.data.prepared import Prepared, prepare
from audiotoken.debug import debug_pipeline
from audiotoken.debug_transformers import TRANSFORMERS, debug_joint_pipeline
from audiotoken.errors import DataError, OptionError
from audiotoken.prompt import tokenize_prompt
from audiotoken.tasks.prepare import prepare as from_files
from audiotoken.writing import format_size

PIPE = debug_pipeline()
OPTIONS = {"size": 32, "seconds": 0.75, "dtype": "float32", "shard_size": 3}
AUGMENT = Augment(crop=True, picture_crop=True, gain_db=3)


def prepare_tiny(folder, source, **options):
    return prepare(source, PIPE, folder, **(OPTIONS | options))


def raw(source, **options) -> RawExamples:
    return RawExamples(source, PIPE, size=32, seconds=0.75, **options)


def equal(a, b) -> bool:
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in ("moments", "features", "labels"))


def contents(folder) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def test_prepared_is_raw_to_the_bit_in_float32(tmp_path):
    source = TinySource(8, broken=[1, 7], silent=[4])
    report = prepare_tiny(tmp_path, source)
    assert (report.examples, report.prepared, report.missing) == (8, 5, 0)
    ours, theirs = Prepared(tmp_path), raw(source)
    assert len(ours) == len(theirs) and ours.names == theirs.names and ours.scaling_factor == theirs.scaling_factor
    assert equal(ours.load(range(8)), theirs.load(range(8)))  # another stands in for the broken ones
    assert equal(ours.load([6, 2, 6], 5), theirs.load([6, 2, 6], 5))
    assert ours.skipped == theirs.skipped == report.skipped and len(ours.skipped) == 3


@pytest.mark.parametrize(("dtype", "within"), [("float16", 1e-3), ("bfloat16", 1e-2)])
def test_half_precision_is_near(dtype, within, tmp_path):
    prepare_tiny(tmp_path, TinySource(3), dtype=dtype)
    ours, theirs = (examples.load([0, 1, 2]) for examples in (Prepared(tmp_path), raw(TinySource(3))))
    assert ours.features.dtype == getattr(torch, dtype) and ours.moments.dtype == torch.float32
    for name in ("moments", "features"):
        assert torch.allclose(getattr(ours, name).float(), getattr(theirs, name), rtol=within, atol=1e-6)


def test_copies_are_the_variants_of_the_augmentation(tmp_path):
    prepare_tiny(tmp_path, TinySource(4), copies=2, augment=AUGMENT, seed=3)
    ours, theirs = Prepared(tmp_path), raw(TinySource(4), augment=AUGMENT, seed=3)
    for variant in range(2):
        assert equal(ours.load([3, 1], variant), theirs.load([3, 1], variant))
    assert equal(ours.load([3, 1], 5), theirs.load([3, 1], 1))
    assert not torch.equal(ours.load([3], 0).features, ours.load([3], 1).features)


def test_batches_of_prepared_and_raw_examples_are_the_same(tmp_path):
    prepare_tiny(tmp_path, TinySource(7))
    ours, theirs = (Batches(each, 3, templates=TEMPLATES)(1) for each in (Prepared(tmp_path), raw(TinySource(7))))
    for _, a, b in zip(range(4), ours, theirs, strict=False):
        assert torch.equal(a.latents, b.latents) and torch.equal(a.features, b.features) and a.texts == b.texts


def test_killed_at_any_example_it_goes_on_and_ends_up_the_same(tmp_path):
    source = TinySource(8, broken=[2])
    prepare_tiny(tmp_path / "whole", source)
    for last in (1, 4, 8):
        folder = tmp_path / f"killed-{last}"

        def kill(done, count, last=last):
            assert count == 8
            if done == last:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            prepare_tiny(folder, source, on_item=kill)
        assert not [file for file in folder.iterdir() if file.name[0] == "."]
        source.asked.clear()
        prepare_tiny(folder, source)
        assert set(source.asked) - {0} == set(range(last // 3 * 3 if last < 8 else 8, 8)) - {0}
        assert contents(folder) == contents(tmp_path / "whole")


def test_a_finished_folder_is_left_alone_and_a_lost_shard_is_made_again(tmp_path):
    prepare_tiny(tmp_path, TinySource(8))
    before = contents(tmp_path)
    done = []
    source = TinySource(8)
    prepare_tiny(tmp_path, source, on_item=lambda *at: done.append(at))
    assert not source.asked and not done
    (tmp_path / "shard-00002.safetensors").unlink()
    with pytest.raises(DataError, match=r"shard-00002.safetensors is missing; .*prepare"):
        Prepared(tmp_path)
    prepare_tiny(tmp_path, TinySource(8), on_item=lambda *at: done.append(at))
    assert done == [(7, 8), (8, 8)] and contents(tmp_path) == before


def test_parts_together_are_the_whole(tmp_path):
    source = TinySource(8, broken=[5])
    prepare_tiny(tmp_path / "one", source)
    first = prepare_tiny(tmp_path / "two", source, part=0, parts=2)
    assert first.missing == 1 and "1 shards are left to the other processes" in str(first)
    second = prepare_tiny(tmp_path / "two", source, part=1, parts=2)
    assert second.missing == 0 and second.prepared == 7
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 40}, "size=32, now it is 40"),
        ({"dtype": "float16"}, "dtype=float32"),
        ({"seconds": 1}, "seconds=0.75"),
    ],
)
def test_other_settings_need_another_folder(options, words, tmp_path):
    prepare_tiny(tmp_path, TinySource(3))
    with pytest.raises(DataError, match=words):
        prepare_tiny(tmp_path, TinySource(3), **options)


def test_other_weights_and_other_examples_need_another_folder(tmp_path):
    prepare_tiny(tmp_path, TinySource(3))
    with pytest.raises(DataError, match="source=TinySource of 3"):
        prepare_tiny(tmp_path, TinySource(4))
    other = debug_pipeline(seed=1)
    for part, words in (
        (other.vae, "vae=AutoencoderKL in float32"),
        (other.audio_encoder, "audio_encoder=MiniEncoder"),
    ):
        pipe = SimpleNamespace(**(PIPE.components | {("vae" if part is other.vae else "audio_encoder"): part}))
        with pytest.raises(DataError, match=words):
            prepare(TinySource(3), pipe, tmp_path, **OPTIONS)


def test_broken_examples_and_missing_labels_are_in_one_file(tmp_path):
    report = prepare_tiny(tmp_path, TinySource(7, broken=[0], silent=[3, 4, 5], unlabelled=[6]))
    with (tmp_path / "skipped.csv").open() as stream:
        rows = dict(csv.reader(stream))
    assert rows.pop("key") == "why" and rows == report.skipped
    assert set(rows) == {f"clip-{i:03}" for i in (0, 3, 4, 5, 6)}
    assert "cut off" in rows["clip-000"] and "silent" in rows["clip-003"] and "no label" in rows["clip-006"]
    assert str(report) == "prepared 2 of 7 examples; skipped 5, see skipped.csv"
    assert equal(Prepared(tmp_path).load([3, 0]), raw(TinySource(7)).load([1, 1]))


def test_nothing_good_is_an_error(tmp_path):
    with pytest.raises(DataError, match="None of the 3 examples"):
        prepare_tiny(tmp_path, TinySource(3, broken=range(3)))


def test_what_does_not_fit_the_precision_is_skipped(tmp_path):
    pipe = SimpleNamespace(**PIPE.components)
    encoder = PIPE.audio_encoder
    pipe.audio_encoder = SimpleNamespace(
        rate=encoder.rate, device=encoder.device, features=lambda waveform: 1e5 * encoder.features(waveform)
    )
    with pytest.raises(DataError, match="none of its examples is good"):
        prepare(TinySource(3), pipe, tmp_path, **(OPTIONS | {"dtype": "float16"}))
        Prepared(tmp_path)
    assert "do not fit float16; prepare in bfloat16" in (tmp_path / "skipped.csv").read_text()


def test_damaged_shards_are_named_together(tmp_path):
    prepare_tiny(tmp_path, TinySource(14))
    shards = sorted(tmp_path.glob("shard-*"))
    shards[0].write_bytes(shards[0].read_bytes()[:-100])
    shards[2].write_bytes(b"nonsense")
    save_file(load_file(shards[3]), shards[3])  # without our notes
    with pytest.raises(DataError, match=r"shard-00000.* cut off.*shard-00002.*shard-00003.* is not a shard"):
        Prepared(tmp_path)
    prepare_tiny(tmp_path, TinySource(14))
    assert equal(Prepared(tmp_path).load(range(14)), raw(TinySource(14)).load(range(14)))
    assert Prepared(tmp_path).check() == {}


def test_others_may_read_the_shards(tmp_path):
    prepare_tiny(tmp_path, TinySource(2))
    (tmp_path / "combined").touch()
    assert len({file.stat().st_mode for file in tmp_path.iterdir()}) == 1


def test_a_part_without_a_shard_has_nothing_to_do(tmp_path):
    report = prepare_tiny(tmp_path, TinySource(4), part=5, parts=6)
    assert (report.prepared, report.missing) == (0, 2)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"Cannot write .*file"):
        prepare_tiny(tmp_path / "file", TinySource(2))


def test_a_flipped_bit_is_found_by_check(tmp_path):
    prepare_tiny(tmp_path, TinySource(5))
    shard = tmp_path / "shard-00001.safetensors"
    data = bytearray(shard.read_bytes())
    data[-3] ^= 8
    shard.write_bytes(data)
    wrong = Prepared(tmp_path).check()
    assert list(wrong) == [shard.name] and "has changed" in wrong[shard.name]


def test_a_shard_of_another_preparation_is_named(tmp_path):
    prepare_tiny(tmp_path / "a", TinySource(5))
    prepare_tiny(tmp_path / "b", TinySource(5), seconds=0.5)
    (tmp_path / "b" / "shard-00001.safetensors").replace(tmp_path / "a" / "shard-00001.safetensors")
    with pytest.raises(DataError, match=r"shard-00001\.safetensors was made with other settings"):
        Prepared(tmp_path / "a")


def test_it_says_beforehand_how_big_it_will_be(tmp_path):
    plans = []
    prepare_tiny(tmp_path, TinySource(8), on_estimate=plans.append, dtype="float16")
    sample = raw(TinySource(1)).load([0])
    assert plans[0].each == 2 * (sample.moments.numel() + sample.features.numel())
    assert plans[0].left == 8 * plans[0].each
    size = sum(file.stat().st_size for file in tmp_path.glob("shard-*"))
    assert plans[0].left < size < plans[0].left + 3 * 2000  # headers
    (tmp_path / "shard-00000.safetensors").unlink()
    prepare_tiny(tmp_path, TinySource(8), on_estimate=plans.append, dtype="float16")
    assert plans[1].left == 3 * plans[0].each and "8 examples of" in str(plans[1])


def test_a_disk_that_is_too_small_is_refused_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(prepared.shutil, "disk_usage", lambda folder: SimpleNamespace(free=10_000))
    with pytest.raises(DataError, match=r"8 examples of .* 10 kB free; make room"):
        prepare_tiny(tmp_path, TinySource(8))
    assert not list(tmp_path.glob("*shard*"))


def test_a_disk_that_fills_up_leaves_no_half_file_and_it_goes_on_later(tmp_path):
    source, limits = TinySource(20), resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, limits[1]))  # no file longer than this
        with pytest.raises(DataError, match=r"Cannot write .*shard-00000.safetensors: .*; make room"):
            prepare_tiny(tmp_path, source, shard_size=20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [file.name for file in tmp_path.iterdir()] == ["manifest.json"]
    assert prepare_tiny(tmp_path, source, shard_size=20).prepared == 20


def test_what_a_killed_process_left_is_taken_away(tmp_path):
    tmp_path.joinpath(".shard-00001.safetensors.99").write_text("half")
    prepare_tiny(tmp_path, TinySource(5))
    assert {file.name for file in tmp_path.iterdir()} == {
        *("manifest.json", "skipped.csv", "shard-00000.safetensors", "shard-00001.safetensors")
    }


def test_another_model_is_noticed(tmp_path):
    prepare_tiny(tmp_path, TinySource(2))
    ours = Prepared(tmp_path)
    ours.check_fits(PIPE)
    parts = {"vae": PIPE.vae, "audio_encoder": PIPE.audio_encoder}
    other = SimpleNamespace(config=SimpleNamespace(scaling_factor=0.13))
    wider = type("AutoencoderKL", (), {"config": SimpleNamespace(**dict(PIPE.vae.config) | {"latent_channels": 5})})()
    for name, part, words in (
        ("vae", other, "a SimpleNamespace"),
        ("audio_encoder", other, "expects a Simple"),
        ("vae", wider, "expects 5; prepare"),
    ):
        with pytest.raises(DataError, match=words):
            ours.check_fits(SimpleNamespace(**(parts | {name: part})))


def test_a_vae_that_scales_otherwise_is_noticed(tmp_path):
    prepare_tiny(tmp_path, TinySource(2))
    louder = type("AutoencoderKL", (), {"config": SimpleNamespace(scaling_factor=0.13)})()
    with pytest.raises(DataError, match=r"for latents times [\d.]+, but this model expects them times 0\.13; prepare"):
        Prepared(tmp_path).check_fits(
            SimpleNamespace(vae=louder, audio_encoder=PIPE.audio_encoder, unet=PIPE.unet),
        )


def test_text_ids_are_those_of_the_tokenizer(tmp_path):
    prepare_tiny(tmp_path, TinySource(2), templates=TEMPLATES[:2])
    ids = Prepared(tmp_path).text_ids
    assert ids == {"tokenizer": {text: tokenize_prompt(text, PIPE.tokenizer)[0] for text in TEMPLATES[:2]}}


@pytest.mark.parametrize("family", TRANSFORMERS)
def test_what_a_transformer_prepared_is_read_again(tmp_path, family):
    """Their tokenizers know no start token, as those of Qwen and T5, or read each prompt at its own length."""
    pipe = debug_joint_pipeline(family)
    prepare(TinySource(3), pipe, tmp_path, **OPTIONS)
    ours = Prepared(tmp_path)
    ours.check_fits(pipe)
    assert set(ours.text_ids) == {"sd3": {"tokenizer", "tokenizer_2"}, "flux": {"tokenizer"}}.get(family, set())
    theirs = RawExamples(TinySource(3), pipe, size=32, seconds=0.75)
    assert equal(ours.load([0, 2]), theirs.load([0, 2]))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dtype": "int8"}, "expected one of float16"),
        ({"copies": 2}, "without augmentation"),
        ({"part": 2, "parts": 2}, "a part from 0 to 1"),
        ({"shard_size": 0}, "expected 1 to"),
    ],
)
def test_options_that_cannot_be_followed(options, words, tmp_path):
    with pytest.raises(DataError, match=words):
        prepare_tiny(tmp_path, TinySource(2), **options)


def test_a_folder_without_a_readable_manifest_is_refused(tmp_path):
    with pytest.raises(DataError, match="has no manifest"):
        Prepared(tmp_path)
    for text, words in (("{", "damaged"), ("[]", "damaged"), (json.dumps({"format": 99}), "another version")):
        (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(DataError, match=words):
            Prepared(tmp_path)


def test_sizes_in_words():
    assert format_size(999_700_000) == "1 GB"
    assert [format_size(size) for size in (0, 999, 2_351_104, 4.7e11)] == ["0 bytes", "999 bytes", "2.35 MB", "470 GB"]


def test_from_files_by_the_config(tmp_path):
    PIPE.save_pretrained(tmp_path / "model")
    source = TinySource(4)
    for i in range(4):
        folder = tmp_path / "clips" / source.label(i)
        folder.mkdir(parents=True, exist_ok=True)
        source[i].image.save(folder / f"{i}.png")
        soundfile.write(folder / f"{i}.wav", source[i].recording.T, source[i].rate)
    (tmp_path / "clips" / "dog" / "broken.wav").write_text("no sound")
    source[0].image.save(tmp_path / "clips" / "dog" / "broken.png")
    with initialize_config_module("audiotoken.configs", version_base=None):
        config = OmegaConf.to_container(compose("prepare", ["seconds=0.5", "workers=1"]))
    assert set(config) == set(inspect.signature(from_files).parameters) - {"source", "on_estimate", "on_item"}
    config |= {"source": tmp_path / "clips", "output": tmp_path / "out", "model": tmp_path / "model", "device": "cpu"}
    report = from_files(**config)
    assert str(report) == "prepared 4 of 5 examples; skipped 1, see skipped.csv" and "dog--broken" in report.skipped
    ours = Prepared(tmp_path / "out")
    assert ours.names == ("bell", "dog", "rain") and ours.load([0]).moments.shape == (1, 16, 4, 4)
    for wrong in ({"augment": {"loud": 1}}, {"size": 31}, {"seconds": 0}, {"workers": 0}, {"precision": "int8"}):
        with pytest.raises(OptionError):
            from_files(**(config | wrong))


def test_a_source_by_its_config_speaks_in_its_own_words(tmp_path):
    node = {"_target_": "audiotoken.data.PairFolder", "folder": str(tmp_path / "nowhere")}
    with pytest.raises(DataError, match=r"There is no folder .*nowhere"):
        instantiate_source(node)
    with pytest.raises(OptionError, match=r"pass source\.folder="):
        instantiate_source({**node, "folder": "???"})
