"""Stable unCLIP told by sound as a row of the evaluation, on a tiny random checkpoint in the published layout."""

import json
import re
import shutil
import socket
from importlib.resources import files

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, StableUnCLIPImg2ImgPipeline, UNet2DConditionModel
from diffusers.pipelines.stable_diffusion import StableUnCLIPImageNormalizer
from PIL import Image
from safetensors.numpy import save_file
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

from audiotoken.clip import load_clip, load_features
from audiotoken.debug import debug_pipeline
from audiotoken.errors import CheckpointError, DataError, OptionError
from audiotoken.evaluation.clips import Example, collect_examples
from audiotoken.evaluation.evaluate import evaluate
from audiotoken.evaluation.judges import Judges
from audiotoken.evaluation.pictures import PictureCache
from audiotoken.evaluation.unclip import UnclipPictureCache, prepare_unclip, read_embedding_width, read_vectors
from audiotoken.wav2clip import Wav2CLIP, load_wav2clip

WIDTH = 64  # as the mini Wav2CLIP
NAMES = ("dog-0", "rooster-0")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Parts and switches as in stable-diffusion-2-1-unclip, small numbers."""
    plain, folder = debug_pipeline(kind="sd2"), tmp_path_factory.mktemp("models") / "tiny-unclip"
    with torch.random.fork_rng():
        torch.manual_seed(5)
        config = {k: v for k, v in plain.unet.config.items() if not k.startswith("_")}
        config |= {"class_embed_type": "projection", "projection_class_embeddings_input_dim": 2 * WIDTH}
        normalizer = StableUnCLIPImageNormalizer(WIDTH)
        normalizer.mean.data.normal_(0, 0.4)
        normalizer.std.data.uniform_(0.3, 0.8)
        unet = UNet2DConditionModel(**config)
        unet.class_embedding.linear_1.weight.data *= 8  # so that random weights hear what they are told
        vision = CLIPVisionConfig(
            hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=32,
            patch_size=8, projection_dim=WIDTH,
        )  # fmt: skip
        StableUnCLIPImg2ImgPipeline(
            feature_extractor=CLIPImageProcessor(size=32, crop_size=32),
            image_encoder=CLIPVisionModelWithProjection(vision),
            image_normalizer=normalizer,
            image_noising_scheduler=DDPMScheduler(beta_schedule="squaredcos_cap_v2"),
            tokenizer=plain.tokenizer,
            text_encoder=plain.text_encoder,
            unet=unet,
            scheduler=DDIMScheduler.from_config(plain.scheduler.config, prediction_type="v_prediction"),
            vae=plain.vae,
        ).save_pretrained(folder)
    return folder


@pytest.fixture
def vectors(tmp_path):
    """Of 20 in length, as ImageBind's audio tower gives them."""
    return written(tmp_path / "imagebind.safetensors", seed=1)


def written(file, seed, names=NAMES, width=WIDTH):
    drawn = np.random.default_rng(seed).standard_normal((len(names), width)).astype(np.float32)
    save_file(dict(zip(names, 20 * drawn / np.linalg.norm(drawn, axis=1, keepdims=True), strict=True)), file)
    return file


def drawn(model, file, out, seed=0, **options):
    """Each (2, 32, 32, 3), 0 to 255."""
    examples = collect_examples("synthetic", 2)
    cache = UnclipPictureCache(examples, out, read_vectors(file, examples), model=str(model), steps=2, **options)
    return np.stack([np.asarray(image).astype(int) for image in cache.load_or_draw("unclip", seed)])


def test_unclip_is_a_row_of_the_table_without_downloads(model, vectors, tmp_path, monkeypatch):
    def refused(*args):
        raise AssertionError("something was to be downloaded")

    monkeypatch.setattr(socket.socket, "connect", refused)
    options = {"n": 2, "systems": ["unclip", "random"], "steps": 2, "resamples": 5, "unclip": str(model)}
    options |= {"embeddings": vectors, "out": tmp_path / "out"}
    table = re.sub(" +", " ", evaluate("synthetic", **options, seeds=[0, 1]))
    assert (
        "| vectors of imagebind.safetensors + unCLIP tiny-unclip |" in re.sub(" +", " ", table)
        and "| random clip" in table
    )
    assert f"unCLIP {model} conditioned on vectors of imagebind.safetensors" in table
    scores = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert list(scores["systems"]) == ["unclip", "random"] and scores["settings"]["unclip"] == str(model)
    ours, others = (scores["systems"][system]["ais"]["value"] for system in ("unclip", "random"))
    assert ours != others  # the pictures of the two clips, and the same ones swapped
    folder = tmp_path / "out" / "pictures"
    assert sorted(path.name for path in folder.iterdir()) == ["unclip-0", "unclip-1", "unclip.json"]
    kept = [np.asarray(Image.open(folder / "unclip-1" / f"{i:05d}.png")).astype(int) for i in range(2)]
    again = drawn(model, vectors, tmp_path / "again", seed=1, batch=1)
    assert np.abs(np.stack(kept) - again).max() <= 1  # alone as in company
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*/*")}
    assert "| ImageBind + unCLIP " in evaluate("synthetic", **options, unclip_name="ImageBind + unCLIP")
    assert before == {path: path.stat().st_mtime_ns for path in folder.glob("*/*")}


def test_pictures_depend_on_the_direction_of_vectors_only(model, vectors, tmp_path):
    first = drawn(model, vectors, tmp_path / "a")
    own = dict(zip(NAMES, read_vectors(vectors, collect_examples("synthetic", 2)), strict=True))
    save_file({name: 3 * own[name] for name in NAMES}, tmp_path / "longer.safetensors")
    assert np.abs(first - drawn(model, tmp_path / "longer.safetensors", tmp_path / "b")).max() <= 1
    save_file(dict(zip(NAMES, [own[name] for name in reversed(NAMES)], strict=True)), tmp_path / "swapped.safetensors")
    swapped = drawn(model, tmp_path / "swapped.safetensors", tmp_path / "c")
    assert all(np.abs(a - b).mean() > 2 for a, b in zip(first, swapped, strict=True))
    assert np.abs(first - drawn(model, vectors, tmp_path / "a", seed=1)).mean() > 2


def test_changed_vectors_are_drawn_again_and_other_systems_keep_their_pictures(model, vectors, tmp_path):
    own = tmp_path / "pictures" / "text-0" / "00000.png"
    own.parent.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(own)
    first = drawn(model, vectors, tmp_path)
    assert np.abs(first - drawn(model, written(vectors, seed=2), tmp_path)).mean() > 2
    assert own.is_file()
    PictureCache(collect_examples("synthetic", 2), tmp_path, model="mini")  # that has not drawn here before
    assert not own.is_file() and len(list((tmp_path / "pictures").glob("unclip-0/*.png"))) == 2


def test_a_cached_picture_that_is_damaged_is_a_sentence(tmp_path):
    cache = PictureCache(collect_examples("synthetic", 2), tmp_path, model="mini")
    (tmp_path / "pictures" / "text-0").mkdir()
    for name in ("00000.png", "00001.png"):
        (tmp_path / "pictures" / "text-0" / name).write_bytes(b"half")
    with pytest.raises(DataError, match=r"Cannot read .*00000.png: it is damaged"):
        cache.load_or_draw("text", 0)
    (tmp_path / "pictures" / "drawn.json").write_bytes(b"\xff")
    PictureCache(collect_examples("synthetic", 2), tmp_path, model="mini")
    assert not list((tmp_path / "pictures" / "text-0").iterdir())  # they will be drawn again


def test_wav2clip_embeddings_are_the_default_condition(model, tmp_path):
    examples, judges = collect_examples("synthetic", 2), Judges("mini", "mini", "mini", "cpu")
    told = prepare_unclip(str(model), None, examples, judges)
    assert told.name == "Wav2CLIP mini + unCLIP tiny-unclip" and told.vectors is None
    heard = judges.embed_sounds(examples)
    pictures = told.make_cache(examples, tmp_path, heard, steps=2).load_or_draw("unclip", 0)
    save_file(dict(zip(NAMES, heard, strict=True)), tmp_path / "heard.safetensors")
    same = drawn(model, tmp_path / "heard.safetensors", tmp_path / "file")
    assert np.array_equal(same, np.stack([np.asarray(image) for image in pictures]))


def test_noise_and_norm_of_vectors(model, vectors, tmp_path):
    """The noise is that of the other systems; vectors are as long as the image embeddings are."""
    examples, given = collect_examples("synthetic", 2), {}
    cache = UnclipPictureCache(examples, tmp_path, read_vectors(vectors, examples), model=str(model), steps=1)
    pipe = cache._load_pipe()

    class Watched:
        def __getattr__(self, name):
            return getattr(pipe, name)

        def __call__(self, **options):
            given.update(options)
            return pipe(**options)

    cache._pipe = Watched()
    cache.load_or_draw("unclip", 3)
    noise = [torch.randn((1, 4, 4, 4), generator=torch.Generator().manual_seed(300_000 + i)) for i in range(2)]
    assert torch.equal(given["latents"], torch.cat(noise)) and given["prompt"] == ["", ""]
    images = pipe.image_normalizer.unscale(torch.randn((20_000, WIDTH), generator=torch.Generator().manual_seed(0)))
    mean_square = images.detach().square().sum(1).mean().item()
    assert given["image_embeds"].square().sum(1).tolist() == pytest.approx([mean_square] * 2, rel=0.02)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"names": NAMES[:1]}, "There is no vector of rooster-0 in .*imagebind.safetensors; pass a safetensors file"),
        ({"width": 32}, f"Got vectors 32 wide .*imagebind.safetensors.*expected {WIDTH} as .*same CLIP"),
        (
            {"vectors": {"dog-0": np.ones(WIDTH), "rooster-0": np.ones(WIDTH - 1)}},
            "vector of rooster-0 .* is 63 wide, expected 64",
        ),
        ({"vectors": {"dog-0": np.ones(WIDTH), "rooster-0": np.zeros(WIDTH)}}, "rooster-0 .* is zero or not finite"),
        ({"vectors": {"dog-0": np.full(WIDTH, np.nan), "rooster-0": np.ones(WIDTH)}}, "dog-0 .* is zero or not finite"),
        ({"text": "no tensors"}, "Cannot read .*imagebind.safetensors"),
        ({"remove": True}, "Cannot read .*imagebind.safetensors"),
    ],
)
def test_vectors_that_do_not_fit_are_errors(change, words, model, vectors, tmp_path):
    if "vectors" in change:
        save_file(change["vectors"], vectors)
    elif "text" in change:
        vectors.write_text(change["text"])
    elif "remove" in change:
        vectors.unlink()
    else:
        written(vectors, 1, **change)
    refused(tmp_path, words, unclip=str(model), embeddings=vectors)


def test_names_are_those_of_clips_with_or_without_suffix(tmp_path):
    examples = [Example(f"dog/{name}.wav", (np.zeros(9), 8000), "dog", "dog") for name in ("a", "b.c")]
    file = written(tmp_path / "vectors.safetensors", 0, ("dog/a", "dog/b.c.wav"))
    assert read_vectors(file, examples).shape == (2, WIDTH)


def test_judges_and_models_that_do_not_fit_are_errors(model, vectors, tmp_path):
    Wav2CLIP(4, (32, 24, 12)).save_pretrained(tmp_path / "ears")
    judges = Judges("mini", str(tmp_path / "ears"), "mini", "cpu")
    judges.__dict__["wav2clip"] = load_wav2clip(tmp_path / "ears")  # whose CLIP would be 12 wide, too
    with pytest.raises(OptionError, match=f"Got vectors 12 wide .Wav2CLIP ears., expected {WIDTH}"):
        prepare_unclip(str(model), None, collect_examples("synthetic", 2), judges)
    (tmp_path / "empty").mkdir()
    refused(tmp_path, "pass unclip=", embeddings=vectors)
    refused(tmp_path, "pass unclip=", systems=["unclip"])
    refused(tmp_path, r"Got unclip_name='a\|b'", unclip=str(model), unclip_name="a|b")
    for odd, words in {
        "nowhere": "there is no such folder",
        str(tmp_path / "empty"): "model_index.json",
        str(files("audiotoken.mini")): "its class is AudioTokenPipeline",
    }.items():
        refused(tmp_path, f"Cannot load .*{words}.*give a StableUnCLIP", unclip=odd, embeddings=vectors)


@pytest.mark.parametrize(
    ("file", "key", "value", "words"),
    [
        ("model_index.json", "image_encoder", [None, None], "it has no image_encoder"),
        (
            "unet/config.json",
            "class_embed_type",
            None,
            "its UNet takes 128 numbers by None, expected 128 by projection",
        ),
        ("image_normalizer/config.json", "embedding_dim", 32, "takes 128 numbers by projection, expected 64"),
    ],
)
def test_damaged_unclip_is_an_error(file, key, value, words, model, vectors, tmp_path):
    broken = shutil.copytree(model, tmp_path / "broken") / file
    broken.write_text(json.dumps(json.loads(broken.read_text()) | {key: value}))
    refused(tmp_path, words, unclip=str(tmp_path / "broken"), embeddings=vectors)


def refused(tmp_path, words, **options):
    with pytest.raises((OptionError, CheckpointError), match=words):
        evaluate("synthetic", n=2, out=tmp_path / "out", **options)
    assert not list(tmp_path.glob("out/*"))


def test_without_a_network_it_says_what_to_fetch(monkeypatch):
    monkeypatch.setattr("audiotoken.hub_access.is_hub_reachable", lambda: False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    fetch = "fetch {} from https://huggingface.co/someone/no-such-model/tree/main by hand into a folder"
    named = {
        read_embedding_width: "model_index.json, the folders beside it",
        load_clip: "config.json, model.safetensors, preprocessor_config.json, vocab.json, merges.txt, "
        "tokenizer_config.json",
        load_features: "config.json, model.safetensors, preprocessor_config.json",
    }
    for load, wanted in named.items():
        with pytest.raises(CheckpointError, match=re.escape(fetch.format(wanted))):
            load("someone/no-such-model")
