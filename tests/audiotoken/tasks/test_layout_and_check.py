"""`audiotoken layout` and `audiotoken check`: names, notes, files, pairs; listening and seeing are replaced."""

import json
import shutil

import numpy as np
import pytest
import soundfile
from PIL import Image
from typer.testing import CliRunner

from audiotoken import evaluation
from audiotoken.cli.app import app
from audiotoken.errors import DataError, OptionError
from audiotoken.mini.sounds import synthesise
from audiotoken.stereo.films import write_film
from audiotoken.stereo.labelled_scene import Label, Listening
from audiotoken.stereo.options import PlanOptions
from audiotoken.tasks import check, checks, layout
from audiotoken.tasks.check_files import CheckFiles
from guidance.forms import FORMS
from guidance.metrics import Detection
from spatial.camera import Camera
from spatial.scene import Direction, Scene, Source
from spatial.simulation import simulate


def source(azimuth: float, spread: float = 2.0) -> Source:
    return Source(np.zeros(1, np.float32), Direction(azimuth, spread), -20.0)


SCENE = Scene((source(31.0), source(-25.0), source(0.0, 40.0)), 16_000, "ortf", notes=("It hums.",))


@pytest.fixture
def listening(monkeypatch):
    """What is heard; a test may change its labels. `options` are those that came."""
    heard = {"labels": [Label("bell", 0.9, True), Label("frog", 0.8, True), Label("rain", 0.7, True)], "options": {}}

    def listen(self, clip, stems=None, on_progress=None):
        heard["options"] = {"labels": self.labels, "count": self.count}
        labels = tuple(heard["labels"]) if self.labels else (None,) * 3
        return Listening(str(clip), 1.0, SCENE, labels, np.zeros((2, 1, 2), np.float32))

    monkeypatch.setattr(layout.Listener, "listen", listen)
    return heard


@pytest.fixture
def clip(tmp_path):
    soundfile.write(tmp_path / "clip.wav", 0.1 * np.sin(np.arange(2 * 800).reshape(800, 2)), 16_000)
    return tmp_path / "clip.wav"


def test_the_encoder_names_the_sounds(listening, clip):
    sketch = layout.sketch_layout(clip, PlanOptions(), canvas=(640, 480), setting="in a meadow")
    assert sketch.layout.words == ["bell", "frog"] and sketch.layout.canvas == (640, 480)
    assert sketch.layout.caption == "a frog on the left and a bell on the right, with rain, in a meadow"
    assert sketch.notes == ("It hums.", "The rain comes from everywhere, so it has no box.")


@pytest.mark.parametrize(
    ("unknown", "words", "caption"),
    [
        ("omit", ["bell"], "a bell on the right, with rain"),
        ("unplaced", ["bell"], "a bell on the right, with a frog and rain"),
        ("guess", ["bell", "frog"], "a frog on the left and a bell on the right, with rain"),
    ],
)
def test_sounds_that_the_encoder_does_not_know(listening, clip, unknown, words, caption):
    listening["labels"][1] = Label("frog", 0.2, False)
    sketch = layout.sketch_layout(clip, PlanOptions(unknown=unknown))
    assert sketch.layout.words == words and sketch.layout.caption == caption
    assert any("not one that the encoder knows" in note for note in sketch.notes) == (unknown != "guess")


def test_given_words_stand_from_left_to_right_and_need_no_labels(listening, clip):
    sketch = layout.sketch_layout(clip, PlanOptions(), words=["toad", "wind", "church bell"])
    assert sketch.layout.words == ["church bell", "toad"] and "wind" in sketch.layout.caption
    assert listening["options"]["labels"] is False and listening["options"]["count"] == 3
    with pytest.raises(OptionError, match="2 words for 3 sounds"):
        layout.sketch_layout(clip, PlanOptions(), words=["toad", "wind"])


@pytest.mark.parametrize("form", FORMS)
def test_the_command_prints_or_writes_each_form(listening, clip, form):
    printed = CliRunner().invoke(app, ["layout", str(clip), "--for", form])
    assert printed.exit_code == 0 and "It hums." in printed.stderr and "It hums." not in printed.stdout
    assert FORMS[form].read(printed.stdout, (1024, 1024)).words == ["bell", "frog"]
    path = clip.with_name(f"out{FORMS[form].suffix}")
    written = CliRunner().invoke(app, ["layout", str(clip), "--for", form, "-o", str(path), "--canvas", "640x480"])
    assert written.exit_code == 0 and "note  It hums." in written.stdout and f"wrote  {path}" in written.stdout
    assert FORMS[form].read(path.read_text(), (640, 480)).words == ["bell", "frog"]


def test_a_form_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(OptionError, match="expected one of flux3"):
        checks.check_layout_file(tmp_path / "a.json", "crayon")


def see(pictures, words):
    """The bell right and the frog left in bright pictures, the other way round in dark ones."""
    found = []
    for picture, asked in zip(pictures, words, strict=True):
        turn = 1 if np.asarray(picture).mean() > 127 else -1
        places = {"bell": turn * 31.0, "frog": turn * -25.0}
        boxes = {word: Camera().box(source(azimuth)) for word, azimuth in places.items()}
        found.append(
            [Detection(w, ((boxes[w][0] + boxes[w][2]) / 2, 0.5), boxes[w], 0.1, 0.9) for w in places if w in asked]
        )
    return found


@pytest.fixture
def seeing(monkeypatch):
    monkeypatch.setattr(evaluation.seeing, "load_see", lambda detector, device="cpu": see)


@pytest.fixture
def folder(tmp_path, clip):
    """a: right, b: wrong, c: no picture, d: a film with its own sound, which is right."""
    folder = tmp_path / "pairs"
    folder.mkdir()
    sound = 0.1 * np.random.default_rng(0).standard_normal((16_000, 2)).astype(np.float32)
    for name, bright in (("a", 255), ("b", 0), ("c", None)):
        soundfile.write(folder / f"{name}.wav", sound, 16_000)
        if bright is not None:
            Image.new("RGB", (64, 64), (bright,) * 3).save(folder / f"{name}.png")
    write_film([Image.new("RGB", (64, 64), "white")] * 4, sound.T, 16_000, folder / "d.mp4")
    return folder


def test_pairs_have_the_same_names(folder):
    pairs, notes = check.find_pairs(folder, None)
    assert notes == ["Passed over 1 clip without a picture, the first c.wav."]
    assert [(pair.picture.name, pair.clip.name) for pair in pairs] == [
        ("a.png", "a.wav"),
        ("b.png", "b.wav"),
        ("d.mp4", "d.mp4"),
    ]
    (film,), _ = check.find_pairs(folder / "d.mp4", None)
    assert film.clip == film.picture
    with pytest.raises(OptionError, match="its recording too"):
        check.find_pairs(folder / "a.png", None)
    with pytest.raises(OptionError, match="two files or two folders"):
        check.find_pairs(folder / "a.png", folder)


def test_a_film_with_a_clip_of_its_name_beside_it_is_no_pair_of_its_own(folder):
    shutil.copy(folder / "d.mp4", folder / "c.mp4")
    pairs, _ = check.find_pairs(folder, None)
    assert [pair.clip.name for pair in pairs if pair.picture.name == "c.mp4"] == ["c.wav"]
    Image.new("RGB", (64, 64)).save(folder / "c.png")  # the clip now belongs to the picture, and the film is alone
    pairs, _ = check.find_pairs(folder, None)
    assert sorted(pair.clip.name for pair in pairs if pair.picture.stem == "c") == ["c.mp4", "c.wav"]


def test_files_without_a_partner_are_counted_by_kind(folder):
    for name in ("a.jpg", "e.png", "f.png"):
        shutil.copy(folder / "a.png", folder / name)
    shutil.copy(folder / "d.mp4", folder / "g.avi")  # has a sound, but its pictures are not looked at
    notes = ["Passed over 3 pictures without a clip, the first a.jpg."]
    assert check.find_pairs(folder, None)[1] == [*notes, "Passed over 2 clips without a picture, the first c.wav."]


def test_a_film_is_read_at_even_times(folder):
    frames = check.read_frames(folder / "d.mp4", 4)
    assert [seconds for seconds, _ in frames] == pytest.approx([0.125, 0.375, 0.625, 0.875], abs=0.03)
    assert min(np.asarray(picture).mean() for _, picture in frames) > 240


def test_a_folder_is_checked_and_written(listening, seeing, folder, tmp_path):
    checked = check.check_pairs(check.find_pairs(folder, None)[0], PlanOptions())
    assert [one.score for one in checked.checks] == [1.0, 0.0, 1.0]
    assert checked.summary.score.mean == pytest.approx(2 / 3) and checked.summary.pictures == 3
    assert checked.shuffled is not None
    text = CheckFiles(tmp_path / "out.json", tmp_path / "out.png").write(checked)
    assert "score  0.67 [" in text and "a.wav" in text and "It hums." in text
    values = json.loads((tmp_path / "out.json").read_text())
    assert values["pairs"][1]["score"] == 0 and values["summary"]["score"]["mean"] == pytest.approx(0.6667)
    assert Image.open(tmp_path / "out.png").size == (1320, 660)


def test_pairs_that_cannot_be_read_are_named_and_skipped(listening, seeing, folder):
    (folder / "b.png").write_bytes(b"no picture")
    checked = check.check_pairs(check.find_pairs(folder, None)[0], PlanOptions())
    assert len(checked.checks) == 2 and len(checked.broken) == 1 and "b.png" in checked.broken[0]
    with pytest.raises(DataError, match=r"b\.png"):
        check.check_pairs(check.find_pairs(folder / "b.png", folder / "b.wav")[0], PlanOptions())


def test_a_pair_whose_words_the_detector_does_not_know_is_skipped(listening, seeing, folder, monkeypatch):
    hear, names = layout.Listener.listen, iter(["bell", "orc", "bell"])

    def listen(self, clip, **options):
        listening["labels"][0] = Label(next(names), 0.9, True)
        return hear(self, clip, **options)

    monkeypatch.setattr(layout.Listener, "listen", listen)
    checked = check.check_pairs(check.find_pairs(folder, None)[0], PlanOptions())
    assert [pair.name for pair in checked.pairs] == ["a.wav", "d.mp4"] and "but not orc" in checked.broken[0]


def test_the_command_says_which_side_is_wrong(listening, seeing, folder):
    result = CliRunner().invoke(
        app, ["check", str(folder / "b.png"), str(folder / "b.wav"), "--words", "frog,wind,bell"]
    )
    assert result.exit_code == 0 and result.stdout.count("wrong side") == 2
    assert "score  0.00 (chance 0.50, right 1.00)" in result.stdout
    assert "31° right" in result.stdout and "28° left" in result.stdout  # heard; seen at the edge


def test_a_recording_without_directions_has_nothing_to_compare(listening, seeing, folder):
    listening["labels"] = [Label("bell", 0.2, False)] * 3
    result = CliRunner().invoke(app, ["check", str(folder / "a.png"), str(folder / "a.wav")])
    assert result.exit_code == 0 and "nothing to compare" in result.stdout


def test_the_mini_detector_does_not_know_every_word(listening, folder):
    result = CliRunner().invoke(
        app, ["check", str(folder / "a.png"), str(folder / "a.wav"), "--words", "orc,wind,bell"]
    )
    assert result.exit_code == 2 and "but not orc" in result.stderr


@pytest.mark.slow
def test_the_words_of_a_prompt_are_placed_and_it_is_the_caption(tmp_path):
    rate = 22_050
    frog, bell = (synthesise(word, rate, 3.0, 904_000) for word in ("frog", "bell"))
    soundfile.write(tmp_path / "pond.wav", simulate([(frog, -28.0), (bell, 30.0)], "ortf", rate=rate).T, rate)
    prompt = "a bell and a frog in a meadow"
    sketch = layout.sketch_layout(tmp_path / "pond.wav", PlanOptions(prompt=prompt))
    assert sketch.layout.caption == prompt
    places = {entry.word: (entry.box[0] + entry.box[2]) / 2 for entry in sketch.layout.entries}
    assert places["frog"] < 0.4 and places["bell"] > 0.6
    with pytest.raises(OptionError, match="words"):
        layout.sketch_layout(tmp_path / "pond.wav", PlanOptions(prompt=prompt), words=["frog", "bell"])
