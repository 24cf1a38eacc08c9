"""Folders of clips, files and shards, that are listened to: by `listen`, and by `layout`."""

import csv
import json
import os
import tarfile

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from audiotoken.cli.app import app
from audiotoken.errors import AudioError, OptionError
from audiotoken.report.listening_text import to_json
from audiotoken.stereo.labelled_scene import Label, Listening
from audiotoken.stereo.options import PlanOptions
from audiotoken.tasks import listen as listening
from audiotoken.tasks.layout import Sketcher, sketch_layout, write_layout
from audiotoken.tasks.layout_folder import sketch_folder
from audiotoken.tasks.listen import Listener, listen_to
from audiotoken.tasks.listen_folder import listen_to_folder
from guidance.forms import FORMS
from spatial.errors import SpatialError
from spatial.scene import Direction, Scene, Source
from spatial.simulation import simulate

RATE = 22_050
AZIMUTHS = {"a.wav": -31.0, "deep/b.flac": 22.0}
PANNED = {"setup": "panned", "count": 1, "labels": False}


@pytest.fixture(scope="module")
def recordings():
    noise = np.random.default_rng(5).standard_normal(RATE) * (np.arange(RATE) % 5000 < 3000)
    return {name: simulate([(0.2 * noise, azimuth)], "panned", rate=RATE) for name, azimuth in AZIMUTHS.items()}


@pytest.fixture
def clips(tmp_path, recordings):
    for name, recording in recordings.items():
        (tmp_path / "clips" / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "clips" / name, recording.T, RATE)
    return tmp_path / "clips"


@pytest.fixture
def shards(tmp_path, clips):
    """The same clips in a shard, together with one whose name leads out of it."""
    (tmp_path / "shards").mkdir()
    with tarfile.open(tmp_path / "shards" / "000.tar", "w") as tar:
        for name in AZIMUTHS:
            tar.add(clips / name, name)
        tar.add(clips / "a.wav", "../../out.wav")
    return tmp_path / "shards"


def files(folder) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def read_rows(folder) -> list[dict]:
    with (folder / "heard.csv").open() as file:
        return list(csv.DictReader(file))


def test_each_clip_is_heard_as_it_is_alone(clips, shards, tmp_path):
    out, packed = tmp_path / "out", tmp_path / "packed"
    heard = listen_to_folder(clips, out, Listener(**PANNED), report=tmp_path / "page.html")
    assert heard.made == list(AZIMUTHS) and str(heard).splitlines()[0] == f"wrote  2 clips into {out}"
    assert files(out) == ["a.json", "deep/b.json", "heard.csv", "made.jsonl"]
    for name, azimuth in AZIMUTHS.items():
        text = (out / name).with_suffix(".json").read_text()
        assert text == to_json(listen_to(clips / name, **PANNED))
        assert json.loads(text)["sources"][0]["azimuth"] == pytest.approx(azimuth, abs=3)
    rows = read_rows(out)
    assert [(row["clip"], row["moves"]) for row in rows] == [(name, "False") for name in AZIMUTHS]
    assert [float(row["azimuth"]) for row in rows] == pytest.approx(list(AZIMUTHS.values()), abs=3)
    assert rows[0]["active"].startswith("0-") and "31° left" in (tmp_path / "page.html").read_text()
    assert "missing" not in (tmp_path / "page.html").read_text()

    from_shards = listen_to_folder(shards, packed, Listener(**PANNED))
    assert from_shards.made == [f"000.tar/{name}" for name in AZIMUTHS]
    assert any("leads out" in why for why in from_shards.broken.values())
    for name in ("a.json", "deep/b.json"):
        packed_one, one = (json.loads(path.read_text()) for path in (packed / "000" / name, out / name))
        assert packed_one["sources"] == one["sources"] and packed_one["file"].endswith(f"000.tar/{name[:-5]}.wav") == (
            name == "a.json"
        )


def test_long_clips_of_a_shard_are_heard_in_windows(shards, tmp_path, monkeypatch):
    heard, whole = [], listening.listen_long
    monkeypatch.setattr(listening, "LONG", 0.5)
    monkeypatch.setattr(listening, "listen_long", lambda *args, **options: heard.append(1) or whole(*args, **options))
    assert len(listen_to_folder(shards, tmp_path / "out", Listener(**PANNED)).made) == len(heard) == 2


@pytest.fixture
def hear(clips, tmp_path, monkeypatch):
    """Work through the clips without listening; `events` are those that were heard."""
    events: list = []
    source = Source(np.zeros(1, np.float32), Direction(-31.0), -20.0, ((0.0, 5.0), (1.0, 9.0)), ((0.5, 1.0),))

    def listen(self, clip, stems=None, on_progress=None):
        if not clip.stat().st_size:
            raise AudioError("it is empty.")
        events.append(clip.name)
        if on_progress:
            on_progress(1, 2)
        scene = Scene((source,), RATE, "panned", notes=("It hums.",))
        labels = (Label("frog", 0.75, False) if self.labels else None,)
        return Listening(str(clip), 1.0, scene, labels, np.zeros((2, 1, 2), np.float32))

    monkeypatch.setattr(Listener, "listen", listen)

    def run(report=None, overwrite=False, on_progress=None, on_broken=None, **options):
        events.clear()
        more = {"report": report, "overwrite": overwrite, "on_progress": on_progress, "on_broken": on_broken}
        return listen_to_folder(clips, tmp_path / "out", Listener(**options), **more)

    run.events, run.source = events, source
    return run


def test_what_is_there_is_kept_and_changed_options_listen_again(hear, tmp_path):
    assert hear().made == list(AZIMUTHS) and hear.events == ["a.wav", "b.flac"]
    assert hear().kept == list(AZIMUTHS) and hear.events == []
    assert hear(overwrite=True).made == list(AZIMUTHS)
    for options in ({"max_sources": 2}, {"labels": False}, {"words": ["frog"]}, {"words": ["frog"], "count": 2}):
        assert hear(**options).made == list(AZIMUTHS), options
        assert hear(**options).kept == list(AZIMUTHS), options
    (tmp_path / "out" / "a.json").unlink()
    assert hear(words=["frog"], count=2).made == ["a.wav"]


def test_a_stopped_folder_continues_and_progress_counts_clips(hear, tmp_path, monkeypatch):
    listen, seen = Listener.listen, []

    def stop(self, clip, stems=None, on_progress=None):
        if hear.events:
            raise KeyboardInterrupt
        return listen(self, clip, stems, on_progress)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Listener, "listen", stop)
        hear(on_progress=lambda done, total: seen.append((done, total)))
    assert files(tmp_path / "out") == ["a.json", "made.jsonl"] and seen == [(0.5, 2)]
    assert (hear().made, hear.events) == (["deep/b.flac"], ["b.flac"])


@pytest.mark.parametrize("error", [AudioError("it is silent."), SpatialError("no sound.")])
def test_a_clip_that_cannot_be_heard_is_skipped(error, hear, tmp_path, monkeypatch):
    listen, told = Listener.listen, []

    def fail(self, clip, stems=None, on_progress=None):
        if clip.name == "a.wav":
            raise error
        return listen(self, clip, stems, on_progress)

    monkeypatch.setattr(Listener, "listen", fail)
    heard = hear(on_broken=told.append, report=tmp_path / "page.html")
    assert heard.made == ["deep/b.flac"] and told == [heard.broken["a.wav"]] == [f"Cannot listen to a.wav: {error}"]
    first, second = read_rows(tmp_path / "out")
    assert first["problem"] == told[0] and not first["name"] and second["name"] == "frog"
    assert second | {"sure": "False", "moves": "True", "active": "0.5-1", "azimuth": "-31.0"} == second
    page = (tmp_path / "page.html").read_text()
    assert told[0] in page and "frog? · 31° left · 0.75" in page


def test_the_command(hear, clips, tmp_path):
    command = ["listen", str(clips), "-o", str(tmp_path / "heard"), "--report", str(tmp_path / "page.html")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0 and f"wrote  2 clips into {tmp_path / 'heard'}" in result.stdout, result.output
    assert (tmp_path / "heard" / "deep" / "b.json").is_file() and f"report {tmp_path / 'page.html'}" in result.stdout
    (clips / "broken.wav").touch()
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 1 and "broken.wav: it is empty" in result.stderr and "kept   2 clips" in result.stdout


def test_folders_of_any_name_are_named(hear, clips, tmp_path):
    """Bytes that are no text, as of another encoding, and a line break."""
    folder = os.fsdecode(os.path.join(os.fsencode(tmp_path), b"\xff\n"))
    for command in (["listen"], ["layout", "--words", "toad"]):
        result = CliRunner().invoke(app, [*command, str(clips), "-o", folder, "--overwrite", "--quiet"])
        assert result.exit_code == 0 and result.stdout.count("\n") == 2, result.output
        assert r"into " in result.stdout and r"\udcff\n" in result.stdout


def test_options_that_do_not_fit_are_refused(hear, clips, tmp_path):
    with pytest.raises(OptionError, match="it is the input"):
        listen_to_folder(clips, clips, Listener())
    with pytest.raises(SpatialError, match="leave it out"):
        hear(setup="ortf", spacing=0.3)
    with pytest.raises(SpatialError, match="count=9, expected 1 to 4"):
        hear(count=9)
    with pytest.raises(OptionError, match=r"expected one of \.html"):
        hear(report="a.png")
    assert not hear.events and not (tmp_path / "out").exists()


def test_a_layout_of_each_clip_is_the_one_that_it_has_alone(hear, clips, tmp_path):
    out, options = tmp_path / "layouts", PlanOptions(unknown="guess")
    sketcher = Sketcher(options, canvas=(640, 480), setting="in a pond")
    made = sketch_folder(clips, out, sketcher, "coco", report=tmp_path / "page.html")
    assert made.made == list(AZIMUTHS) and files(out) == ["a.json", "deep/b.json", "heard.csv", "made.jsonl"]
    alone = sketch_layout(clips / "a.wav", options, canvas=(640, 480), setting="in a pond")
    write_layout(alone, "coco", tmp_path / "a.json")
    assert (out / "a.json").read_text() == (tmp_path / "a.json").read_text()
    row, (entry,) = read_rows(out)[0], alone.layout.entries
    assert (row["name"], float(row["azimuth"]), float(row["x0"])) == ("frog", -31.0, round(entry.box[0], 4))
    line = json.loads((out / "made.jsonl").read_text().splitlines()[0])
    assert line["text"] == alone.layout.caption and "It hums." in line["notes"] and line["canvas"] == [640, 480]
    assert "frog · 31° left · 0.75" in (tmp_path / "page.html").read_text()
    assert sketch_folder(clips, out, sketcher, "coco").kept == list(AZIMUTHS)
    assert sketch_folder(clips, out, sketcher, "invoke").made == list(AZIMUTHS)
    assert sketch_folder(clips, out, Sketcher(options), "invoke").made == list(AZIMUTHS)


def test_words_that_are_too_many_for_a_clip_skip_it(hear, clips, tmp_path):
    made = sketch_folder(clips, tmp_path / "out", Sketcher(PlanOptions(), words=["toad", "wind"]), "svg")
    assert not made.made and "Got 2 words for 1 sound" in made.broken["a.wav"]
    made = sketch_folder(clips, tmp_path / "out", Sketcher(PlanOptions(), words=["toad"]), "svg")
    assert made.made == list(AZIMUTHS) and "toad" in (tmp_path / "out" / "a.svg").read_text()


def test_the_command_for_layouts(hear, clips, tmp_path):
    (clips / "c.txt").touch()
    command = ["layout", str(clips), "--for", "flux3-text", "--words", "toad", "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0 and "wrote  2 clips" in result.stdout, result.output
    assert (tmp_path / "out" / "a").with_suffix(FORMS["flux3-text"].suffix).is_file()
    result = CliRunner().invoke(app, [*command[:-1], str(clips / "a.wav")])
    assert result.exit_code == 2 and "is a file" in result.stderr
