"""A folder of stereo clips, files and shards, becomes a folder of pictures with each source where it is heard."""

import csv
import json
import tarfile
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from PIL import Image
from typer.testing import CliRunner

from audiotoken.cli.app import app
from audiotoken.debug import debug_pipeline
from audiotoken.errors import OptionError, PromptError
from audiotoken.stereo import planning
from audiotoken.stereo.options import DrawOptions, PlanOptions
from audiotoken.tasks import place_folder as placing
from audiotoken.tasks.place import place_file
from audiotoken.tasks.place_folder import place_folder
from guidance.regions import Region
from spatial.errors import SpatialError
from spatial.scene import Direction, Scene, Source

RATE = 16_000
AZIMUTHS = {"a.wav": -31.0, "deep/b.wav": 22.0}
BESIDE = ["gallery.png", "heard.csv", "made.jsonl"]
DRAWING = DrawOptions(num_inference_steps=2, seed=3)


def tone(azimuth: float) -> np.ndarray:
    """(2, frames); `hear` reads the azimuth from its level."""
    signal = np.sin(np.arange(RATE // 2) * 0.3)
    return np.stack([signal, 0.5 * signal]) * (90 + azimuth) / 200


def hear(recording, rate, *, progress=None, **options) -> Scene:
    azimuth = round(float(np.abs(recording).max()) * 200 - 90)
    signal = recording[0].astype(np.float32)
    return Scene((Source(signal, Direction(azimuth, 2.0), image=np.stack([signal, signal])),), rate, "panned")


@pytest.fixture
def clips(tmp_path):
    for name, azimuth in AZIMUTHS.items():
        (tmp_path / "clips" / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "clips" / name, tone(azimuth).T, RATE)
    return tmp_path / "clips"


@pytest.fixture
def shards(tmp_path, clips):
    """One clip in a shard, together with one whose name leads out of it."""
    (tmp_path / "shards").mkdir()
    with tarfile.open(tmp_path / "shards" / "000.tar", "w") as tar:
        tar.add(clips / "a.wav", "x/a.wav")
        tar.add(clips / "a.wav", "../../out.wav")
    return tmp_path / "shards"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    debug_pipeline().save_pretrained(folder)
    return str(folder)


def files(folder) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def read_lines(folder) -> dict:
    return {line["clip"]: line for line in map(json.loads, (folder / "made.jsonl").read_text().splitlines())}


def test_each_clip_is_drawn_as_it_is_alone(clips, shards, model, tmp_path, monkeypatch):
    monkeypatch.setattr(planning, "listen_at_length", hear)
    out, planned = tmp_path / "out", PlanOptions(unknown="guess")
    made = place_folder(clips, out, planned, DRAWING, model=model, boxes=True, report=tmp_path / "page.html")
    assert made.made == list(AZIMUTHS) and not made.broken and str(made).startswith("drew   2 clips into")
    assert files(out) == sorted([*BESIDE, "a.png", "a-boxes.png", "deep/b.png", "deep/b-boxes.png"])
    alone = place_file(clips / "a.wav", tmp_path / "a.png", planned, DRAWING, model=model)
    assert np.array_equal(Image.open(tmp_path / "a.png"), Image.open(out / "a.png"))
    line = read_lines(out)["a.wav"]
    (source,) = line["sources"]
    assert source["azimuth"] == -31 and source["box"] == pytest.approx(alone.regions[0].box, abs=1e-4)
    assert line["text"] == alone.prompt.text and line["seed"] == 3 and line["heard"][0][0] == source["name"]
    with (out / "heard.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["clip"], float(row["azimuth"])) for row in rows] == list(AZIMUTHS.items())
    assert float(rows[0]["x0"]) == source["box"][0] and "31° left" in (tmp_path / "page.html").read_text()

    packed = place_folder(shards, tmp_path / "packed", planned, DRAWING, model=model)
    assert packed.made == ["000.tar/x/a.wav"] and any("leads out" in why for why in packed.broken.values())
    assert files(tmp_path / "packed") == sorted([*BESIDE, "000/x/a.png"]) and not list(tmp_path.rglob("out.png"))
    assert np.array_equal(Image.open(tmp_path / "packed/000/x/a.png"), Image.open(out / "a.png"))


@pytest.fixture
def place(clips, tmp_path, monkeypatch):
    """Place the clips without a model: nothing is heard or drawn; `events` are the levels of what was."""
    events: list = []

    def draw(recording, rate, models, planning, drawing, motion, on_step):
        events.append(round(float(np.abs(recording).max()) * 200 - 90))
        scene = hear(recording, rate)
        pictures = [Image.new("RGB", (8, 8), (i, 0, 0)) for i in range(drawing.count)]
        region = Region((0.1, 0.4, 0.5, 0.9), (1,), "dog")
        result = SimpleNamespace(scene=scene, subjects=["dog"], heard=[[("dog", 0.7)]], regions={0: region})
        return SimpleNamespace(**vars(result), prompt=SimpleNamespace(text="a dog"), notes=[]), pictures

    monkeypatch.setattr(placing, "place_recording", draw)
    monkeypatch.setattr(placing, "load_models", lambda options: events.append("loaded") or "pipe")

    def run(drawing=DRAWING, planned=PlanOptions(), **options):  # noqa: B008
        events.clear()
        return place_folder(clips, tmp_path / "out", planned, drawing, **options)

    run.events = events
    return run


def test_what_is_there_is_kept_and_changed_options_draw_again(place, tmp_path):
    assert place().made == list(AZIMUTHS) and place.events == ["loaded", -31, 22]
    assert place().kept == list(AZIMUTHS) and place.events == []
    assert place(planned=PlanOptions(fov=60.0)).made == list(AZIMUTHS)
    assert place(planned=PlanOptions(fov=60.0), motion="trail").made == list(AZIMUTHS)
    assert place(DrawOptions(seed=4, count=2), boxes=True).made == list(AZIMUTHS)
    assert {"a-1.png", "a-2.png", "a-boxes.png"} <= {*files(tmp_path / "out")}
    (tmp_path / "out" / "a-boxes.png").unlink()
    assert place(DrawOptions(seed=4, count=2), boxes=True).made == ["a.wav"]
    assert place(DrawOptions(seed=4, count=2), boxes=True, overwrite=True).made == list(AZIMUTHS)


def test_a_stopped_folder_continues(place, tmp_path, monkeypatch):
    draw = placing.place_recording

    def stop(recording, *options):
        if place.events[1:]:
            raise KeyboardInterrupt
        return draw(recording, *options)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(placing, "place_recording", stop)
        place()
    assert files(tmp_path / "out") == ["a.png", "made.jsonl"]
    assert (place().made, place.events) == (["deep/b.wav"], ["loaded", 22])


@pytest.mark.parametrize("error", [SpatialError("no sound."), PromptError("no picture.")])
def test_a_clip_that_cannot_be_placed_is_skipped(error, place, tmp_path, monkeypatch):
    draw, told = placing.place_recording, []

    def fail(recording, *options):
        if not place.events[1:]:
            place.events.append(None)
            raise error
        return draw(recording, *options)

    monkeypatch.setattr(placing, "place_recording", fail)
    made = place(on_broken=told.append)
    assert made.made == ["deep/b.wav"] and told == [made.broken["a.wav"]] == [f"Cannot draw a.wav: {error}"]
    assert f"a.wav,,,,,,,,,,Cannot draw a.wav: {error}" in (tmp_path / "out" / "heard.csv").read_text()


def test_pictures_of_boxes_are_nobody_else_s(place, clips, tmp_path):
    soundfile.write(clips / "a-boxes.wav", tone(5.0).T, RATE)
    assert len(place(boxes=True).made) == 3
    names = [name for name in files(tmp_path / "out") if name.endswith(".png")]
    kept = ["a-boxes.wav-boxes.png", "a-boxes.wav.png", "a.wav-boxes.png", "a.wav.png"]
    assert names == sorted([*kept, "deep/b-boxes.png", "deep/b.png", "gallery.png"])


def test_the_command(place, clips, tmp_path):
    options = ["-o", str(tmp_path / "placed"), "--report", str(tmp_path / "page.html")]
    result = CliRunner().invoke(app, ["place", str(clips), *options])
    assert result.exit_code == 0 and f"drew   2 clips into {tmp_path / 'placed'}" in result.stdout, result.output
    assert (tmp_path / "placed" / "deep" / "b.png").is_file() and (tmp_path / "page.html").is_file()
    (clips / "broken.wav").write_bytes(b"no sound")
    result = CliRunner().invoke(app, ["place", str(clips), *options])
    assert result.exit_code == 1 and "broken.wav" in result.stderr and "kept   2 clips" in result.stdout
    result = CliRunner().invoke(app, ["place", str(clips / "a.wav"), "--overwrite"])
    assert result.exit_code == 2 and "needs a folder of clips" in result.stderr


def test_options_that_do_not_fit_are_refused(place, clips):
    with pytest.raises(OptionError, match="expected 1; leave out"):
        place(DrawOptions(count=2), motion="trail")
    with pytest.raises(OptionError, match="it is the input"):
        place_folder(clips, clips, PlanOptions(), DRAWING)
    with pytest.raises(OptionError, match=r"expected one of \.html"):
        place(report="a.png")
