"""`audiotoken assemble`: any base, any audio encoder, one folder that draws the same; what does not fit is refused."""

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import test_ast
import test_clap
import torch
from ldm import write_single_file
from typer.testing import CliRunner

from audiotoken.assembly import assemble as assemble_module
from audiotoken.assembly.assemble import AssembledModel, assemble
from audiotoken.assembly.base import inspect_base
from audiotoken.assembly.parts import find_lora, load_embedder
from audiotoken.cli.app import app
from audiotoken.debug import WIDTHS, debug_embedder, debug_encoder, debug_folder, debug_pipeline
from audiotoken.debug_transformers import TRANSFORMERS, debug_joint_pipeline
from audiotoken.embedder import AudioEmbedder
from audiotoken.encoders.audioset import load_classes
from audiotoken.encoders.beats import BEATs
from audiotoken.encoders.load import load_encoder
from audiotoken.errors import CheckpointError, OptionError
from audiotoken.pipeline import AudioTokenPipeline

REFERENCE = Path(__file__).parents[2] / "reference"
BEATS, EMBEDDER = REFERENCE / "beats_tiny.pt", REFERENCE / "embedder_tiny.bin"
RATE = 16_000
SOUND = (0.3 * np.sin(np.arange(RATE) ** 1.3 / 40)).astype(np.float32)
KINDS = ("sd1", "sd2", "xl")


@pytest.fixture(scope="module")
def bases(tmp_path_factory) -> dict[str, Path]:
    return {kind: debug_folder(kind, tmp_path_factory.mktemp("bases") / kind) for kind in KINDS}


@pytest.fixture(scope="module")
def names(tmp_path_factory) -> Path:
    """The tiny BEATs has classes without names."""
    file = tmp_path_factory.mktemp("names") / "names.txt"
    file.write_text("\n".join(name for _, name, _ in load_classes()) + "\n\n")
    return file


@pytest.fixture(scope="module")
def embedders(tmp_path_factory) -> dict[str, Path]:
    """Folders, for the tiny BEATs and each base."""
    folder, beats = tmp_path_factory.mktemp("embedders"), BEATs.from_checkpoint(BEATS)
    for kind in KINDS:
        debug_embedder(beats, width=sum(WIDTHS[kind])).save_pretrained(folder / kind)
    return {kind: folder / kind for kind in KINDS}


def draw(pipe, **options) -> np.ndarray:
    pipe.set_progress_bar_config(disable=True)
    options = {"num_inference_steps": 3, "guidance_scale": 3.0} | options
    return pipe(SOUND, rate=RATE, output_type="np", height=32, width=32, **options).images


def loaded(folder):
    return AudioTokenPipeline.from_pretrained(folder)


@pytest.fixture(scope="module")
def drawn(bases, embedders, names) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What the parts of each kind draw, put together by hand: by the learned token, and by the label."""
    pictures = {}
    for kind in KINDS:
        ears = {
            "audio_encoder": load_encoder(f"beats:{BEATS}", labels=names),
            "audio_embedder": AudioEmbedder.from_pretrained(embedders[kind]),
        }
        parts = AudioTokenPipeline.from_pretrained(bases[kind], **ears)
        pictures[kind] = draw(parts), draw(parts, token="label")
    return pictures


@pytest.mark.parametrize("kind", KINDS)
def test_assembled_it_draws_what_its_parts_draw(kind, bases, embedders, names, drawn, tmp_path):
    made = assemble(bases[kind], f"beats:{BEATS}", embedders[kind], tmp_path / "model", labels=names)
    model = loaded(tmp_path / "model")
    learned, labelled = drawn[kind]
    assert np.array_equal(draw(model), learned)
    assert np.array_equal(draw(model, token="label"), labelled)
    assert made.prediction == {"sd1": "epsilon", "sd2": "v_prediction", "xl": "epsilon"}[kind]
    assert made.parts["audio_encoder"][0] == "BEATs" and made.parts["unet"][1] > 1000
    assert os.listdir(tmp_path) == ["model"]


@pytest.mark.parametrize(
    ("kind", "suffix"), [("sd1", "safetensors"), ("sd1", "ckpt"), ("sd2", "safetensors"), ("xl", "safetensors")]
)
@pytest.mark.slow
def test_a_single_file_is_the_folder_it_was_made_of(kind, suffix, bases, embedders, drawn, tmp_path):
    file = write_single_file(debug_pipeline(kind=kind), kind, tmp_path / f"model.{suffix}")
    assemble(file, f"beats:{BEATS}", embedders[kind], tmp_path / "model", base_config=str(bases[kind]))
    assert np.array_equal(draw(loaded(tmp_path / "model")), drawn[kind][0])


def test_from_the_shell_to_a_picture(bases, names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    soundfile.write("clip.wav", SOUND, RATE)
    command = [
        "assemble",
        "--base",
        str(bases["sd1"]),
        "--encoder",
        f"beats:{BEATS}",
        "-o",
        "my model",
        "--labels",
        str(names),
    ]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0 and result.stderr == "", result.output
    said = result.stdout.splitlines()
    assert said[0].startswith("made   my model: Stable Diffusion, epsilon, ") and "no embedder" in result.stdout
    assert said[-1] == "next   audiotoken generate clip.wav --model 'my model'"
    drawn = CliRunner().invoke(app, ["generate", "clip.wav", "--model", "my model", "--steps", "1", "--token", "label"])
    assert drawn.exit_code == 0, drawn.output
    refused = CliRunner().invoke(app, ["generate", "clip.wav", "--model", "my model", "--token", "learned"])
    assert refused.exit_code == 2 and "no audio_embedder" in refused.stderr


@pytest.mark.parametrize(("folder", "model"), [("mini", "./mini"), ("a/mini", "a/mini"), ("../mini", "../mini")])
def test_the_next_command_draws_with_the_new_model_and_not_with_the_built_in_one(folder, model):
    made = AssembledModel(Path(folder), "Stable Diffusion", {"unet": ("UNet2DConditionModel", 1)}, "epsilon", True)
    assert str(made).endswith(f"--model {model}")


def test_card_names_the_parts_without_paths(bases, embedders, tmp_path):
    assemble(bases["sd1"], f"beats:{BEATS}", embedders["sd1"], tmp_path / "model")
    card = (tmp_path / "model/README.md").read_text()
    card = re.sub(" +", " ", card)
    assert "| audio_encoder | beats:beats_tiny.pt |" in card and "| base | sd1 |" in card and "licence" in card
    for file in (tmp_path / "model").rglob("*.json"):
        assert str(tmp_path) not in card + file.read_text(), file


def test_half_precision_applies_to_the_base_only(bases, embedders, tmp_path):
    whole = assemble(bases["sd1"], f"beats:{BEATS}", embedders["sd1"], tmp_path / "whole").parts
    half = assemble(bases["sd1"], f"beats:{BEATS}", embedders["sd1"], tmp_path / "half", dtype="float16").parts
    for name, factor in {"unet": 0.5, "vae": 0.5, "text_encoder": 0.5, "audio_encoder": 1, "audio_embedder": 1}.items():
        assert half[name][1] / whole[name][1] == pytest.approx(factor, abs=0.12), name
    assert np.isfinite(draw(loaded(tmp_path / "half"))).all()


def test_half_precision_files_are_read_by_their_names(embedders, tmp_path):
    pipe = debug_pipeline(kind="sd1").to(dtype=torch.float16)
    AudioTokenPipeline(
        **{name: part for name, part in pipe.components.items() if not name.startswith("audio")}
    ).save_pretrained(tmp_path / "base", variant="fp16")
    made = assemble(tmp_path / "base", f"beats:{BEATS}", embedders["sd1"], tmp_path / "model")
    assert "unet" in made.parts and loaded(tmp_path / "model").unet.dtype == torch.float32


def test_another_encoder_replaces_the_base_s_own(tmp_path):
    debug_pipeline(kind="sd1").save_pretrained(tmp_path / "hearing")
    assemble(tmp_path / "hearing", "mini", None, tmp_path / "model")
    model = loaded(tmp_path / "model")
    assert model.audio_encoder.labels == load_encoder("mini").labels and model.audio_embedder is None
    assert model.config.default_steps == 4  # what it was tuned for stays


def test_the_published_embedder_and_layers(tmp_path):
    embedder = load_embedder(EMBEDDER)
    inputs, outputs = embedder.config["input_size"], embedder.config["output_size"]
    assert torch.equal(embedder.output.weight, AudioEmbedder.from_checkpoint(EMBEDDER).output.weight)
    assert load_encoder(f"beats:{BEATS}", (12, 4)).width == 2 * 48
    assert (inputs, outputs) == tuple(reversed(embedder.output.weight.shape))


def test_mini_encoder_and_labels_for_beats(names):
    assert "dog" in load_encoder("mini").labels
    assert load_encoder(f"beats:{BEATS}", labels=names).labels[0] == "Speech"


def test_encoder_of_the_shipped_model(tmp_path):
    embedder = AudioTokenPipeline.from_pretrained("mini").audio_embedder
    embedder.save_pretrained(tmp_path / "embedder")
    assemble("mini", None, tmp_path / "embedder", tmp_path / "model")
    assert loaded(tmp_path / "model").classify(SOUND, RATE) == loaded("mini").classify(SOUND, RATE)


@pytest.mark.parametrize("kind", ["ast", "clap"])
def test_encoders_of_transformers(kind, bases, tmp_path):
    (tmp_path / "names.txt").write_text("dog\nchurch bell\n")
    if kind == "ast":
        test_ast.tiny().save_pretrained(tmp_path / "ears")
        options = {"layers": (2, 4)}
    else:
        test_clap.save(test_clap.tiny(fused=False), tmp_path / "ears")
        options = {"labels": tmp_path / "names.txt"}
    assemble(bases["sd1"], f"{kind}:{tmp_path / 'ears'}", None, tmp_path / "model", **options)
    model, ears = loaded(tmp_path / "model"), load_encoder(f"{kind}:{tmp_path / 'ears'}", **options)
    waveform = torch.from_numpy(SOUND)[None]
    with torch.no_grad():
        for hear in ("features", "probabilities"):  # products round differently where the weights lie in memory
            torch.testing.assert_close(getattr(model.audio_encoder, hear)(waveform), getattr(ears, hear)(waveform))
    assert model.audio_encoder.labels == ears.labels
    assert kind == "ast" or ears.labels == ("dog", "church bell")


def run_folder(folder: Path, kind: str = "sd1") -> Path:
    """What a training run leaves."""
    debug_embedder(BEATs.from_checkpoint(BEATS), seed=3, width=sum(WIDTHS[kind])).save_pretrained(folder / "embedder")
    (folder / "settings.json").write_text("{}")
    return folder


def test_a_training_run_with_its_lora_layers(bases, tmp_path):
    from diffusers import StableDiffusionPipeline
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    run, unet = run_folder(tmp_path / "run"), debug_pipeline(kind="sd1").unet
    unet.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights=False))
    StableDiffusionPipeline.save_lora_weights(run / "lora", unet_lora_layers=get_peft_model_state_dict(unet))
    plain = assemble(
        bases["sd1"], f"beats:{BEATS}", shutil.copytree(run / "embedder", tmp_path / "e"), tmp_path / "plain"
    )
    assemble(bases["sd1"], f"beats:{BEATS}", run, tmp_path / "model")
    beside, melted = loaded(plain.folder), loaded(tmp_path / "model")
    without = draw(beside)
    beside.load_lora_weights(run / "lora")
    np.testing.assert_allclose(draw(melted), draw(beside), atol=1e-4)
    assert np.abs(draw(melted) - without).mean() > 1e-3
    assert not any("lora" in name for name in melted.unet.state_dict())
    assert find_lora(run / "embedder") == run / "lora" and find_lora(tmp_path / "e") is None


@pytest.mark.parametrize("tokens", [1, 2])
def test_checkpoint_of_an_unfinished_run(tokens, tmp_path):
    embedder = debug_embedder(debug_encoder(), tokens_per_clip=tokens)
    means = [torch.full_like(weight, 0.25) for weight in embedder.parameters()]
    state = {"step": 5, "embedder": embedder.state_dict(), "lora": {}, "optimizer": {}, "ema": None}
    torch.save(state, tmp_path / "checkpoint.pt")
    features = torch.randn(1, 5, embedder.config["input_size"])
    assert torch.equal(load_embedder(tmp_path / "checkpoint.pt")(features), embedder.eval()(features))
    torch.save(state | {"ema": {"shadow_params": means}}, tmp_path / "checkpoint.pt")
    assert load_embedder(tmp_path / "checkpoint.pt").output.weight.unique().tolist() == [0.25]


# what does not fit, and what is no part at all


def refused(*arguments) -> str:
    result = CliRunner().invoke(app, ["assemble", *map(str, arguments)])
    assert result.exit_code == 2 and result.stdout == "", (result.output, result.exception)
    assert result.stderr.count("\n") == 1 and result.stderr.strip().endswith("."), result.stderr
    return result.stderr


@pytest.fixture
def no_loading(monkeypatch):
    """Refused before anything big is loaded."""
    monkeypatch.setattr(assemble_module, "load_base", None)


def test_widths_that_do_not_fit_are_named(bases, embedders, tmp_path, no_loading):
    command = ("--base", bases["sd2"], "--encoder", f"beats:{BEATS}", "-o", tmp_path / "model")
    said = refused(*command, "--embedder", embedders["sd1"])
    assert "outputs tokens 32 wide" in said and "expects 40" in said
    said = refused(*command, "--embedder", embedders["sd2"], "--layers", "4,8")
    assert "expects features 144 wide" in said and "outputs 96" in said
    assert "layers 1 to 12" in refused(*command, "--layers", "0,13")
    assert "has no label that can be drawn" in refused(*command)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"--base": "no/such/folder"}, "no such folder"),
        ({"--base": "no.safetensors"}, "no such file"),
        ({"--base": "some/model"}, "hub cannot be reached"),
        ({"--base": str(EMBEDDER)}, "got the suffix '.bin'"),
        ({"--encoder": "wav2vec:x"}, "expected beats:FILE"),
        ({"--encoder": "beats:"}, "expected beats:FILE"),
        ({"--encoder": "beats:no.pt"}, "no such file"),
        ({"--encoder": f"beats:{EMBEDDER}"}, "no `cfg`"),
        ({"--encoder": "ast:/no/such/folder"}, "Cannot load /no/such/folder"),
        ({"--encoder": "clap:/no/such/folder"}, "Cannot load /no/such/folder"),
        ({"--encoder": "mini", "--layers": "4"}, "mini has no layers"),
        ({"--encoder": "mini", "--labels": str(BEATS)}, "mini has names of its own"),
        ({"--labels": "no.txt"}, "Cannot read no.txt: there is no such file"),
        ({"--layers": "four"}, "expected numbers such as 4,8,12"),
        ({"--embedder": "no.bin"}, "no such file"),
        ({"--embedder": str(BEATS)}, "not hold a state dict"),
        ({"--embedder": str(REFERENCE)}, "holds no embedder"),
        ({"--output": str(REFERENCE)}, "it holds the input"),
        ({"--output": str(Path(__file__).parent)}, "files that are not an assembled model"),
        ({"--output": str(BEATS)}, "is a file"),
    ],
)
def test_invalid_parts_are_errors(options, words, bases, tmp_path, monkeypatch, no_loading):
    monkeypatch.chdir(tmp_path)
    options = {"--base": str(bases["sd1"]), "--encoder": f"beats:{BEATS}"} | options
    assert words in refused(*(each for pair in options.items() for each in pair))
    assert os.listdir(tmp_path) == []


def _index(folder: Path, **values) -> None:
    file = folder / "model_index.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def _unet(folder: Path, **values) -> None:
    file = folder / "unet/config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: _index(folder, _class_name="SanaPipeline"), "its class is SanaPipeline"),
        (lambda folder: _index(folder, vae=["antigravity", "fly"]), "foreign library antigravity"),
        (lambda folder: _unet(folder, in_channels=9), "has 9 input and 4 output channels"),
        (lambda folder: shutil.rmtree(folder / "text_encoder"), "holds no text_encoder/config.json"),
        (lambda folder: (folder / "model_index.json").write_text("{"), "cannot be read"),
    ],
)
def test_a_base_of_another_kind_is_refused_by_name(damage, words, bases, tmp_path):
    folder = shutil.copytree(bases["sd1"], tmp_path / "base")
    damage(folder)
    with pytest.raises(CheckpointError, match=words):
        inspect_base(folder)


def test_incomplete_single_files_are_refused(bases, tmp_path):
    from safetensors.torch import load_file, save_file

    file = write_single_file(debug_pipeline(kind="sd1"), "sd1", tmp_path / "model.safetensors")
    weights = load_file(file)
    save_file({k: v for k, v in weights.items() if "cond_stage" not in k}, tmp_path / "deaf.safetensors")
    with pytest.raises(CheckpointError, match="lacks a UNet or text encoder"):
        inspect_base(tmp_path / "deaf.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(file.read_bytes()[:5000])
    with pytest.raises(CheckpointError, match="damaged or truncated"):
        inspect_base(tmp_path / "cut.safetensors")
    gone = [name for name in weights if "output_blocks.0.0.in_layers.2" in name]
    save_file({k: v for k, v in weights.items() if k not in gone}, tmp_path / "hole.safetensors")
    with pytest.raises(CheckpointError, match="some of its weights are missing"):
        assemble(tmp_path / "hole.safetensors", "mini", None, tmp_path / "model", base_config=str(bases["sd1"]))
    with pytest.raises(CheckpointError, match="does not describe"):
        assemble(file, "mini", None, tmp_path / "model", base_config=str(bases["sd2"]))
    with pytest.raises(CheckpointError, match="pass --base-config FOLDER"):
        assemble(file, "mini", None, tmp_path / "model")
    assert not (tmp_path / "model").exists()


class Evil:
    def __reduce__(self):
        return (os.system, ("touch evil",))


def test_a_ckpt_runs_no_code(bases, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {}, "callbacks": Evil()}, "model.ckpt")
    with pytest.raises(CheckpointError, match="more than weights and plain values"):
        assemble("model.ckpt", "mini", None, "out", base_config=str(bases["sd1"]))
    assert os.listdir() == ["model.ckpt"]


# whole or not at all


def test_a_model_is_replaced_whole(bases, embedders, tmp_path):
    target = tmp_path / "model"
    assemble(bases["xl"], "mini", None, target)
    (tmp_path / ".model.unfinished").mkdir()  # of a killed call
    assemble(bases["sd1"], "mini", None, target)
    assert not (target / "text_encoder_2").exists() and os.listdir(tmp_path) == ["model"]


def test_of_two_at_once_into_one_folder_the_second_is_refused(bases, tmp_path, monkeypatch):
    target, load = tmp_path / "new" / "model", assemble_module.load_base

    def load_while_another_begins(*args, **kwargs):
        with pytest.raises(OptionError, match="another process is writing there now; wait for it"):
            assemble(bases["xl"], "mini", None, target)
        return load(*args, **kwargs)

    monkeypatch.setattr(assemble_module, "load_base", load_while_another_begins)
    assemble(bases["sd1"], "mini", None, target)
    assert os.listdir(tmp_path / "new") == ["model"] and not (target / "text_encoder_2").exists()


def test_what_is_refused_leaves_no_folder(bases, tmp_path):
    for target in (tmp_path / "a" / "b" / "model", tmp_path / "c"):
        with pytest.raises(OptionError, match="There is no audio encoder"):
            assemble(bases["sd1"], None, None, target)
    assert os.listdir(tmp_path) == []


def test_what_somebody_put_into_a_model_stays(bases, tmp_path):
    target = tmp_path / "model"
    assemble(bases["sd1"], "mini", None, target)
    (target / "my notes.txt").write_text("steps 30")
    with pytest.raises(OptionError, match=r"my notes.txt in it is not part of a model; move it"):
        assemble(bases["sd1"], "mini", None, target)
    assert (target / "my notes.txt").read_text() == "steps 30"


def test_a_model_does_not_tell_where_its_parts_lay(bases, tmp_path):
    assemble(bases["sd1"], "mini", None, tmp_path / "model")
    texts = [path.read_text() for path in (tmp_path / "model").rglob("*.json")]
    assert len(texts) > 5 and not any(str(bases["sd1"].parent) in text or "_name_or_path" in text for text in texts)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_full_disk_leaves_the_old_one(error, bases, tmp_path, monkeypatch):
    target = tmp_path / "model"
    assemble(bases["sd1"], "mini", None, target)
    before = (target / "README.md").stat().st_mtime_ns

    def stop(pipe, folder, **options):
        Path(folder, "unet").mkdir(parents=True)
        raise error

    monkeypatch.setattr(AudioTokenPipeline, "save_pretrained", stop)
    with pytest.raises((OptionError, KeyboardInterrupt)) as stopped:
        assemble(bases["sd1"], "mini", None, target)
    assert isinstance(error, KeyboardInterrupt) or "No space left" in str(stopped.value)
    assert os.listdir(tmp_path) == ["model"] and (target / "README.md").stat().st_mtime_ns == before


def test_missing_disk_space_is_an_early_error(bases, tmp_path, monkeypatch):
    monkeypatch.setattr(assemble_module.shutil, "disk_usage", lambda place: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(OptionError, match=r"needs .* MB, but 1 bytes are free"):
        assemble(bases["sd1"], "mini", None, tmp_path / "model")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("family", TRANSFORMERS)
def test_a_transformer_is_assembled_with_an_embedder_of_its_width(family, tmp_path):
    pipe = debug_joint_pipeline(family)
    stock = type(pipe).__bases__[1]
    options = {"is_distilled": False} if "is_distilled" in pipe.config else {}
    stock(**{k: v for k, v in pipe.components.items() if not k.startswith("audio_")}, **options).save_pretrained(
        tmp_path / "base"
    )
    encoder = f"beats:{BEATS}"
    width = inspect_base(tmp_path / "base").token_width
    assert width == pipe.token_width
    debug_embedder(BEATs.from_checkpoint(BEATS), width=width).save_pretrained(tmp_path / "embedder")
    made = assemble(
        tmp_path / "base", encoder, tmp_path / "embedder", tmp_path / "made", steps=2, guidance_scale=0.5,
    )  # fmt: skip
    assert made.prediction == "flow" and "text_encoder" in made.parts and "transformer" in made.parts
    loaded = AudioTokenPipeline.from_pretrained(tmp_path / "made")
    assert type(loaded) is type(pipe)
    assert (loaded.config.default_steps, loaded.config.default_guidance) == (2, 0.5)
    image = loaded(SOUND, rate=RATE, height=32, width=32).images[0]
    assert image.size == (32, 32)
    debug_embedder(BEATs.from_checkpoint(BEATS), width=width + 1).save_pretrained(tmp_path / "wider")
    with pytest.raises(OptionError, match=f"tokens {width + 1} wide"):
        assemble(tmp_path / "base", encoder, tmp_path / "wider", tmp_path / "other")
    assert not (tmp_path / "other").exists()
