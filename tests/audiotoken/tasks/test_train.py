"""`experiments.train` from its config to its files, on tiny parts; and on the mini world, where it means something."""

import csv
import json
import multiprocessing
import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from omegaconf import OmegaConf
from PIL import Image
from safetensors.torch import load_file

import experiments.train
from audiotoken.cli.composing import choose_data, convert_config
from audiotoken.data.examples import decode_latents, encode_moments
from audiotoken.debug import debug_pipeline
from audiotoken.debug_transformers import TRANSFORMERS, debug_joint_pipeline
from audiotoken.embedder import AudioEmbedder
from audiotoken.errors import OptionError
from audiotoken.pipeline import AudioTokenPipeline
from audiotoken.tasks import run_log
from audiotoken.tasks import train as train_module
from audiotoken.tasks.train import train
from guidance.backbones.base import Backbone

SETTINGS = {"steps": 4, "learning_rate": 1e-3, "save_every": 2}


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A tiny model, and a folder of pairs of three classes."""
    folder = tmp_path_factory.mktemp("train")
    debug_pipeline().save_pretrained(folder / "model")
    rng = np.random.default_rng(0)
    for i, label in enumerate(("dog", "bell", "rain") * 2):
        (folder / "pairs" / label).mkdir(parents=True, exist_ok=True)
        tone = np.sin(np.arange(16_000) * (0.05 + 0.1 * (i % 3))) * 0.3 + 0.01 * rng.standard_normal(16_000)
        soundfile.write(folder / "pairs" / label / f"{i}.wav", tone, 16_000)
        pixels = rng.integers(0, 255, (40, 50, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "pairs" / label / f"{i}.png")
    return folder


@pytest.fixture(autouse=True)
def no_plot(request, monkeypatch):
    """Drawing the losses takes longer than the steps; one test looks at the picture."""
    if request.function is not test_from_the_config_to_the_files:
        monkeypatch.setattr(train_module, "plot_losses", lambda out: None)


def composed(*overrides: str):
    from hydra import compose, initialize_config_module

    with initialize_config_module("audiotoken.configs", version_base=None):
        return compose("train", list(overrides))


def options(config) -> dict:
    return choose_data(convert_config("train", OmegaConf.to_container(config, resolve=True)))


def run(places, out: Path, *overrides: str, data: str = "") -> Path:
    raw = () if "source=esc" in overrides else ("source=pairs", f"source.folder={places / 'pairs'}")
    config = composed(
        *([data] if data else raw), f"model={places / 'model'}", f"out={out}", "size=32",
        "seconds=1", "batch=2", "device=cpu", "log=null",
        *(f"settings.{key}={value}" for key, value in SETTINGS.items()), *overrides,
    )  # fmt: skip
    return train(**options(config))


def test_from_the_config_to_the_files(places, tmp_path):
    folder = run(
        places,
        tmp_path,
        "sample_every=2",
        "log=tensorboard",
        "settings.lora=2",
        "templates=varied",
        f"report={tmp_path / 'run.html'}",
    )
    page = (tmp_path / "run.html").read_text("utf-8")
    assert "after 4 steps" in page and page.count("<img") == 2 and "settings.lora" in page
    assert folder == tmp_path / "embedder"
    embedder = AudioEmbedder.from_pretrained(folder)
    assert not torch.equal(embedder.output.weight, debug_pipeline().audio_embedder.output.weight)
    rows = list(csv.DictReader((tmp_path / "losses.csv").open()))
    assert [row["step"] for row in rows] == ["1", "2", "3", "4"]
    for row in rows:
        parts = float(row["diffusion"]) + 0.01 * float(row["classification"]) + 0.01 * float(row["token_l1"])
        assert float(row["total"]) == pytest.approx(parts, rel=1e-4)
    assert json.loads((tmp_path / "settings.json").read_text())["settings"]["lora"] == 2
    for path in (tmp_path / "losses.png", *(tmp_path / "samples" / f"step-00000{i}.png" for i in (2, 4))):
        assert np.asarray(Image.open(path)).std() > 1
    assert list((tmp_path / "log").rglob("events.out.tfevents*"))
    pipe = AudioTokenPipeline.from_pretrained(places / "model", audio_embedder=embedder)
    pipe.load_lora_weights(tmp_path / "lora")
    assert pipe(next((places / "pairs").rglob("*.wav"))).images[0].size == (32, 32)


def test_recipes_differ_where_they_say():
    paper, published = (composed(f"recipe={name}", "out=x", "data=y") for name in ("paper", "published"))
    assert paper.settings.weights.classification == 0.01 and published.settings.weights.classification == 0
    assert (paper.batch, published.batch) == (8, 4)
    assert paper.settings.learning_rate == 8e-5 and published.settings.learning_rate == 4e-5
    assert paper.settings.weights.token_l1 == published.settings.weights.token_l1 == 0.01
    assert composed("recipe=mini", "out=x").settings.steps == 200


def test_every_setting_of_the_recipe_is_one(places):
    from dataclasses import fields

    from audiotoken.training import LossWeights, Settings

    settings = composed("out=x").settings
    defaults = Settings(steps=60_000)
    assert set(settings) == {field.name for field in fields(Settings)}
    assert set(settings.weights) == {field.name for field in fields(LossWeights)}
    assert all(settings[name] == getattr(defaults, name) for name in settings if name not in ("weights", "steps"))


@pytest.mark.parametrize(
    ("overrides", "match"),
    [
        (["precision=int4"], "expected one of no, bf16, fp16"),
        (["templates=funny"], "expected one of paper, varied"),
        (["batch=0"], "expected at least 1"),
        (["log=nothing"], "Got log=nothing, expected a tracker"),
        (["+settings.stepz=3"], "stepz"),
        (["settings.schedule=never"], "expected one of constant"),
        (["data=somewhere"], "both data and source"),
        (["source=esc"], "no source.audio"),
        (["embedder.pooling=sum"], "expected one of attentive"),
    ],
)
def test_a_bad_option_is_a_sentence(places, tmp_path, overrides, match):
    with pytest.raises(ValueError, match=match):
        run(places, tmp_path / "run", *overrides)


def test_the_models_own_embedder_goes_on_if_asked(places, tmp_path):
    run(places, tmp_path, "embedder=null", "settings.steps=1", "settings.learning_rate=0")
    kept = AudioEmbedder.from_pretrained(tmp_path / "embedder").state_dict()
    for name, weight in debug_pipeline().audio_embedder.state_dict().items():
        assert torch.equal(kept[name], weight)


def test_a_broken_pair_is_named_and_does_not_stop_the_run(places, tmp_path):
    import shutil

    shutil.copytree(places / "pairs", tmp_path / "pairs")
    (tmp_path / "pairs" / "dog" / "0.wav").write_bytes(b"no sound at all")
    run(places, tmp_path / "run", f"source.folder={tmp_path / 'pairs'}", "batch=6")
    rows = list(csv.DictReader((tmp_path / "run" / "skipped.csv").open()))
    assert [row["key"] for row in rows] == ["dog--0"] and "0.wav" in rows[0]["why"]


def test_prepared_is_raw(places, tmp_path, monkeypatch):
    """The same losses, step by step, from shards and from the files themselves.

    Only the files want the encoders on the device; the VAE comes back for the samples.
    """
    from audiotoken.data import PairFolder
    from audiotoken.data.prepared import prepare

    pipe = AudioTokenPipeline.from_pretrained(places / "model")
    prepare(PairFolder(places / "pairs"), pipe, tmp_path / "shards", size=32, seconds=1, dtype="float32")
    moved = []
    for module in (train_module, run_log):
        monkeypatch.setattr(module, "move_parts", lambda names, pipe, device: moved.append((tuple(names), str(device))))
    run(places, tmp_path / "raw")
    assert set(moved) == {(("vae",), "cpu")} and len(moved) == 2  # for the samples: there it is already
    moved.clear()
    run(places, tmp_path / "cached", data=f"data={tmp_path / 'shards'}")
    assert moved == [(("vae", "audio_encoder"), "cpu"), (("vae",), "cpu"), (("vae",), "cpu")]
    raw, cached = (list(csv.DictReader((tmp_path / name / "losses.csv").open())) for name in ("raw", "cached"))
    for one, other in zip(raw, cached, strict=True):
        assert {**one, "images_per_second": 0} == {**other, "images_per_second": 0}
    ours, theirs = (load_file(next((tmp_path / name / "embedder").glob("*.safetensors"))) for name in ("raw", "cached"))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def killed_at(step: int, argv: list[str]) -> None:
    """In a child: the command, until SIGKILL comes as soon as it has said that this step is done."""
    from audiotoken.training import Progress

    show = train_module.show_progress

    @contextmanager
    def until(steps: int | None = None, quiet: bool = False):
        def say(progress: Progress) -> None:
            if progress.step == step:
                os.kill(os.getpid(), signal.SIGKILL)

        with show(steps, quiet):
            yield say

    train_module.show_progress, sys.argv = until, argv
    experiments.train.main()


@pytest.mark.slow
def test_the_command_killed_and_given_again(places, tmp_path, monkeypatch, capsys):
    """SIGKILL between two checkpoints; then the same command ends where an uninterrupted run does."""
    settings = {**SETTINGS, "steps": 8, "save_every": 3}
    argv = [
        "train", "source=pairs", f"source.folder={places / 'pairs'}", "size=32", f"model={places / 'model'}",
        "seconds=1", "batch=2", "device=cpu", "log=null", f"out={tmp_path / 'run'}",
        *(f"settings.{key}={value}" for key, value in settings.items()),
    ]  # fmt: skip
    whole = run(places, tmp_path / "whole", "settings.steps=8", "settings.save_every=3")
    child = multiprocessing.get_context("fork").Process(target=killed_at, args=(5, argv))
    child.start()
    child.join(120)
    assert child.exitcode == -signal.SIGKILL
    assert (tmp_path / "run" / "checkpoint.pt").exists() and not (tmp_path / "run" / "embedder").exists()
    monkeypatch.setattr(sys, "argv", argv)
    experiments.train.main()
    assert "embedder" in capsys.readouterr().out
    ours, theirs = (load_file(next(folder.glob("*.safetensors"))) for folder in (whole, tmp_path / "run" / "embedder"))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_repeated_steps_are_logged_once(tmp_path):
    """Killed after step 5, begun again from the checkpoint of step 3; the last line was cut off in the middle."""
    from types import SimpleNamespace

    from audiotoken.tasks.run_log import log_run

    accelerator = SimpleNamespace(is_main_process=True, end_training=lambda: None)

    def run(*steps):
        with log_run(tmp_path, accelerator, {}, None) as record:
            for step in steps:
                losses = {"total": 1.0 * step}
                record(SimpleNamespace(step=step, losses=losses, learning_rate=1e-3, images_per_second=2.0))

    run(1, 2, 3, 4, 5)
    path = tmp_path / "losses.csv"
    path.write_text(path.read_text() + "6,6.0")
    run(4, 5, 6, 7)
    rows = list(csv.DictReader(path.open()))
    assert [int(row["step"]) for row in rows] == [1, 2, 3, 4, 5, 6, 7]
    assert [float(row["total"]) for row in rows] == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.slow
def test_the_mini_world_is_learnt(tmp_path):
    """The loss falls, and the token of a clip it never heard comes nearer to its own word than to any other."""
    from audiotoken.data import PairFolder
    from audiotoken.data.prepared import prepare
    from audiotoken.mini.sounds import synthesise
    from audiotoken.model import load_pipeline
    from experiments.world.pairs import write_pairs

    words = ("dog", "frog", "bell", "clock")
    pipe = load_pipeline("mini", "cpu")
    write_pairs(pipe, tmp_path / "pairs", words, each=2, steps=4)
    names = pipe.label_embeddings(words)
    unheard = [synthesise(word, 16_000, 4.0, 77) for word in words]

    def nearness(embedder) -> torch.Tensor:
        """(clips, words) cosines."""
        pipe.audio_embedder = embedder.eval()
        tokens = pipe.audio_tokens(unheard, 16_000)[:, 0]
        return torch.nn.functional.cosine_similarity(tokens[:, None], names[None], dim=-1)

    torch.manual_seed(0)
    before = nearness(AudioEmbedder(pipe.audio_encoder.width, pipe.token_width))
    prepare(PairFolder(tmp_path / "pairs"), pipe, tmp_path / "shards", size=64, seconds=4)
    config = composed(
        "recipe=mini", f"data={tmp_path / 'shards'}", f"out={tmp_path / 'run'}", "batch=4", "device=cpu", "log=null",
        "sample_every=0", "settings.steps=60", "settings.weights.classification=0.1",
    )  # fmt: skip
    folder = train(**options(config))
    after = nearness(AudioEmbedder.from_pretrained(folder))
    assert after.argmax(dim=1).tolist() == [0, 1, 2, 3]
    assert (after.diagonal() > before.diagonal() + 0.2).all(), (before, after)
    rows = list(csv.DictReader((tmp_path / "run" / "losses.csv").open()))
    first, last = (np.mean([float(row["total"]) for row in part]) for part in (rows[:20], rows[-20:]))
    assert len(rows) == 60 and last < 0.9 * first, (first, last)


def test_refuses_a_model_of_other_features(places, tmp_path):
    class Examples:
        def load(self, indices):
            from audiotoken.data.examples import Encoded

            return Encoded(torch.zeros(1, 16, 4, 4), torch.zeros(1, 3, 7), torch.zeros(1, dtype=torch.int64))

    from audiotoken.tasks.train import _make_embedder

    with pytest.raises(OptionError, match="24 wide, but the data has 7"):
        _make_embedder(debug_pipeline(), Examples(), None, 0)


@pytest.mark.parametrize("name", ["pairs", "esc", "vggsound", "web"])
def test_source_configs_have_the_parameters_of_their_class(name):
    import inspect

    from hydra.utils import get_class
    from omegaconf import OmegaConf

    source = OmegaConf.to_container(composed(f"source={name}", "out=x").source)
    made = inspect.signature(get_class(source.pop("_target_"))).parameters
    assert set(source) == set(made)
    for key, parameter in made.items():
        default = "???" if parameter.default is parameter.empty else parameter.default
        assert source[key] == (list(default) if isinstance(default, tuple) else default), key


def test_an_xl_model_learns_too(places, tmp_path):
    """One embedder, whose tokens both text encoders read."""
    debug_pipeline(kind="xl").save_pretrained(tmp_path / "xl")
    folder = run(
        places, tmp_path / "run", f"model={tmp_path / 'xl'}", "sample_every=4", "settings.weights.classification=0"
    )
    embedder = AudioEmbedder.from_pretrained(folder)
    assert embedder.config["output_size"] == 80
    assert (tmp_path / "run" / "samples" / "step-000004.png").exists()
    pipe = AudioTokenPipeline.from_pretrained(tmp_path / "xl", audio_embedder=embedder)
    assert pipe(next((places / "pairs").rglob("*.wav"))).images[0].size == (32, 32)


@pytest.mark.parametrize("kind", ["sd1", "sd2"])
def test_noise_or_velocity_as_the_model_predicts(places, tmp_path, kind):
    debug_pipeline(kind=kind).save_pretrained(tmp_path / kind)
    run(places, tmp_path / "run", f"model={tmp_path / kind}", "settings.steps=2")
    assert (tmp_path / "run" / "embedder" / "config.json").exists()


def test_ctrl_c_is_one_line(capsys):
    from audiotoken.start import STOPPED
    from audiotoken.tasks.sentences import errors_as_sentences

    with pytest.raises(SystemExit, match="130"), errors_as_sentences():
        raise KeyboardInterrupt
    assert capsys.readouterr().err == f"{STOPPED}\n"


@pytest.fixture
def train_transformer(places, tmp_path, monkeypatch):
    """Trains a family's tiny model: (the run's folder, the number of steps, settings) -> the embedder's folder."""
    monkeypatch.setattr(train_module, "write_samples", lambda *args: None)  # some pictures are 1024 pixels large

    def train_family(family: str, out: str, steps: int, *overrides: str) -> Path:
        model = tmp_path / family
        if not model.exists():
            debug_joint_pipeline(family).save_pretrained(model)
        return run(places, tmp_path / out, f"model={model}", f"settings.steps={steps}", "settings.lora=1", *overrides)

    return train_family


@pytest.mark.parametrize("family", TRANSFORMERS)
def test_a_transformer_is_trained_by_rectified_flow(train_transformer, tmp_path, family):
    """With LoRA layers."""
    embedder = AudioEmbedder.from_pretrained(train_transformer(family, "run", 2))
    assert not torch.equal(embedder.output.weight, debug_joint_pipeline(family).audio_embedder.output.weight)
    assert any((tmp_path / "run" / "lora").iterdir())


def test_a_transformer_that_was_stopped_goes_on(train_transformer):
    """The trainer is the same for all families."""
    family = TRANSFORMERS[0]
    train_transformer(family, "run", 1)
    half, whole = train_transformer(family, "run", 2), train_transformer(family, "whole", 2)
    one, other = (load_file(folder / "diffusion_pytorch_model.safetensors") for folder in (half, whole))
    assert all(torch.equal(one[name], other[name]) for name in other)
    with pytest.raises(OptionError, match="rectified flow, which has no such weighting"):
        train_transformer(family, "snr", 2, "settings.min_snr=5")


def test_the_latents_of_every_family_are_undone_by_decoding():
    for family in TRANSFORMERS:
        pipe = debug_joint_pipeline(family)
        backbone = Backbone.from_pipe(pipe)
        pictures = torch.rand(2, 3, 32, 32) * 2 - 1
        with torch.no_grad():
            latents = encode_moments(pipe.vae, pictures).chunk(2, dim=1)[0]
            plain = decode_latents(pipe.vae, latents)
            undone = backbone.decode_latents(backbone.standardize(latents))
        assert backbone.standardize(latents).shape == backbone.latent_shape(2, (32, 32)), family
        torch.testing.assert_close(undone, plain, atol=1e-4, rtol=1e-4)
