"""No command writes over what it was given: not by name, through a link, or from inside a folder."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image
from typer.testing import CliRunner

from audiotoken.assembly.assemble import assemble
from audiotoken.cli.app import app
from audiotoken.debug import debug_folder, debug_pipeline
from audiotoken.errors import OptionError
from audiotoken.evaluation.evaluate import evaluate
from audiotoken.pipeline import AudioTokenPipeline
from audiotoken.stereo.options import DrawOptions, PlanOptions
from audiotoken.tasks.folder import draw_folder
from audiotoken.tasks.generate import generate
from audiotoken.tasks.place import animate_file, place_file
from audiotoken.writing import check_inputs_kept, list_model_paths

TONE = 0.2 * np.sin(np.arange(8000) * [[0.3], [0.3]])


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """The current folder, with recordings of misleading names, a picture and links."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.mp4", "a.png", "a.gif", "a.html", "a.json", "source1.wav", "a-2.png", "a-boxes.png", "clips/b.wav"):
        Path(name).parent.mkdir(exist_ok=True)
        with Path(name).open("wb") as file:
            soundfile.write(file, TONE.T, 16_000, format="WAV")
    Image.new("RGB", (32, 32), "red").save("real.png")
    os.symlink("source1.wav", "link.png")
    os.link("a.png", "hard.png")
    os.symlink("clips", "other")
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "line",
    [
        "animate a.mp4 -o a.mp4",
        "animate a.gif -o ./clips/../a.gif",
        "animate a.html -o film.gif --report a.html",
        "place a.png -o a.png",
        "place hard.png -o a.png",
        "place source1.wav -o link.png",
        "place a-2.png -o a.png --count 2",
        "place a-boxes.png -o a.png --boxes",
        "place a.html -o b.png --report a.html",
        "generate a.png -o a.png",
        "generate a.png -o b.png --report hard.png",
        "generate a-2.png -o a.png --count 3",
        "generate source1.wav -o b.png --report b.png",
        "generate clips -o other",
        "generate clips -o clips",
        "listen source1.wav --stems .",
        "listen source1.wav --stems other/..",
        "listen a.json --json a.json",
        "listen a.png --plot hard.png",
        "listen a.html --report a.html",
        "layout a.html --report a.html",
        "check real.png a.html --report a.html",
        "layout a.json -o a.json",
        "check real.png source1.wav --figure real.png",
        "check real.png a.json -o a.json",
        "prepare --source clips -o clips",
        "prepare --source other -o clips",
    ],
)
def test_an_output_that_is_an_input_is_refused(line, here):
    before = contents(here)
    said = CliRunner().invoke(app, line.split())
    assert said.exit_code == 2 and "Cannot write" in said.output and "; " in said.output, said.output
    assert contents(here) == before


def test_the_tasks_refuse_it_themselves(here):
    calls = [
        lambda: generate("a.png", "a.png"),
        lambda: place_file("a.png", "hard.png", PlanOptions(), DrawOptions()),
        lambda: animate_file("a.gif", "a.gif", PlanOptions(), DrawOptions()),
        lambda: draw_folder("clips", "clips"),
        lambda: evaluate("clips", pictures="clips", out="clips"),
    ]
    for call in calls:
        with pytest.raises(OptionError, match="it is the input"):
            call()


def test_pictures_that_are_judged_are_not_cleared_away(here):
    Path("out/pictures/audio-0").mkdir(parents=True)
    with pytest.raises(OptionError, match="it holds the input out/pictures/audio-0"):
        evaluate("clips", pictures="out/pictures/audio-0", out="out")


def test_a_file_of_the_model_is_an_input(here):
    debug_pipeline().save_pretrained("model")
    (here / "model" / "cover.png").write_bytes(b"mine")
    with pytest.raises(OptionError, match="it is the input"):
        generate("source1.wav", "model/cover.png", model="model")
    said = CliRunner().invoke(app, ["train", "--data", "model", "-o", "model"])
    assert said.exit_code == 2
    assert list_model_paths("mini") == list_model_paths("some/hub-id") == []


@pytest.mark.parametrize("name", ["base", "link", "base/../base"])
def test_a_base_is_not_replaced_by_what_is_made_of_it(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    debug_pipeline().save_pretrained("base")
    os.symlink("base", "link")
    before = contents(tmp_path)
    with pytest.raises(OptionError, match="it is the input base"):
        assemble("base", None, None, name)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("part", ["embedder", "lora", "labels", "encoder"])
def test_nor_a_folder_that_holds_a_part(part, tmp_path):
    debug_pipeline().save_pretrained(tmp_path / "old")
    base = debug_folder("sd1", tmp_path / "base")
    (tmp_path / "old" / "names.txt").write_text("dog\n")
    parts = {
        "embedder": {"embedder": tmp_path / "old" / "audio_embedder"},
        "lora": {"lora": tmp_path / "old" / "unet"},
        "labels": {"labels": tmp_path / "old" / "names.txt"},
        "encoder": {"encoder": f"beats:{tmp_path / 'old' / 'names.txt'}"},
    }[part]
    before = contents(tmp_path)
    with pytest.raises(OptionError, match="it holds the input"):
        assemble(base, **({"encoder": "mini"} | parts), output=tmp_path / "old")
    assert contents(tmp_path) == before


def test_what_is_not_an_input_may_be_replaced(here):
    check_inputs_kept(["a.png", None, "new.png"], ["a.gif", None, "some/hub-id", "no\0name"])
    check_inputs_kept(["clips/new.wav"], ["clips/b.wav"], replaced="nowhere")


# the base keeps what it knows


def test_an_assembled_model_keeps_its_embedder(tmp_path):
    pipe = debug_pipeline()
    pipe.save_pretrained(tmp_path / "base")
    made = assemble(tmp_path / "base", dtype="float16", output=tmp_path / "half")
    again = AudioTokenPipeline.from_pretrained(tmp_path / "half")
    assert made.has_embedder and "no embedder" not in str(made) and "audio_embedder" in made.parts
    for name, weight in pipe.audio_embedder.state_dict().items():
        assert (again.audio_embedder.state_dict()[name] == weight).all()
    assert "| audio_embedder | base" in " ".join((tmp_path / "half" / "README.md").read_text().split())


def test_another_encoder_says_that_the_embedder_stays_behind(tmp_path):
    debug_pipeline().save_pretrained(tmp_path / "base")
    made = assemble(tmp_path / "base", "mini", output=tmp_path / "other")
    assert not made.has_embedder and "the base's embedder is for the base's own encoder" in str(made)
    base = debug_folder("sd1", tmp_path / "bare")
    assert "the base's embedder" not in str(assemble(base, "mini", output=tmp_path / "third"))


def test_what_an_encoder_knows_of_its_limits_stays_with_it(tmp_path):
    assemble("mini", output=tmp_path / "copy")
    shipped = Path(AudioTokenPipeline.from_pretrained("mini").audio_encoder.config._name_or_path) / "unknown.json"
    assert (tmp_path / "copy" / "audio_encoder" / "unknown.json").read_bytes() == shipped.read_bytes()
