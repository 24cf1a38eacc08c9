"""Pages of many clips, of what was heard, and of layouts: complete, self-contained, small; and never over a file."""

import io
import re
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
import soundfile
from html_reader import Reader
from PIL import Image
from typer.testing import CliRunner

from audiotoken.cli.app import app
from audiotoken.debug import debug_pipeline
from audiotoken.report import gallery_page, media
from audiotoken.report.gallery_page import Entry, HeardSound
from spatial.simulation import simulate

RATE = 16_000
BAD = '<script>alert("1")</script> & \'"'


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current folder: a recording with one sound on the right, a folder of three clips, and pages of the user's."""
    monkeypatch.chdir(tmp_path)
    noise = 0.2 * np.random.default_rng(1).standard_normal(RATE)
    soundfile.write("clip.wav", simulate([(noise, 31.0)], "panned", rate=RATE).T, RATE)
    Path("clips").mkdir()
    for i, name in enumerate(("b", "a", "c")):
        soundfile.write(f"clips/{name}.wav", np.sin(np.arange(RATE) * (0.05 + 0.1 * i)) / 3, RATE)
    Path("notes.html").write_text("<!DOCTYPE html><p>mine</p>")
    Image.new("RGB", (64, 48), "red").save("red.png")
    return tmp_path


def entries():
    frog = HeardSound("frog", -25.0, "seen 20° left", at=0.25, seen=0.3)
    return [
        Entry("b.wav", (Path("red.png"),), Path("clips/b.wav"), (frog, HeardSound(BAD, 31.0)), score=0.5),
        Entry("c.wav", (Path("no.png"),), Path("clips/c.wav"), (HeardSound("bell", details="0.92"),), score=0.2),
        Entry("a.wav", (), Path("clips/a.wav"), problem=f"Cannot read it {BAD}"),
    ]


def test_a_card_for_each_clip_says_everything_and_loads_nothing(here):
    page = Reader(gallery_page.gallery_page(entries(), title=BAD, lines=["score 0.35"], notes=["It hums."]))
    for said in ("frog · 25° left · seen 20° left", "31° right", "bell · 0.92", "The picture is missing", "It hums."):
        assert said in page.text, said
    assert page.text.count(BAD) == 4 and not page.all("script")  # title, heading, sound, problem
    assert [each["aria-label"] for each in page.all("audio")] == ["the sound of b.wav", "the sound of c.wav"]
    assert all(each["src"].startswith("data:") for tag in ("img", "audio") for each in page.all(tag))
    marks = [each["style"] for each in page.all("i") if each.get("class") in ("heard", "seen")]
    assert [re.search(r"left:([\d.]+)%", each)[1] for each in marks] == ["25.0", "30.0"]
    assert [each["id"] for each in page.all("input")] == ["by-name", "by-sound", "by-score"]


def test_cards_are_sorted_by_name_by_sound_and_by_score_and_problems_come_last(here):
    cards = [each["style"] for each in Reader(gallery_page.gallery_page(entries(), title="t")).all("article")]
    places = [dict(re.findall(r"--(\w+):(\d)", each)) for each in cards]
    assert places == [
        {"name": "0", "sound": "1", "score": "1"},
        {"name": "1", "sound": "0", "score": "0"},
        {"name": "2", "sound": "2", "score": "2"},
    ]


def test_players_play_the_clip_and_end_with_the_budget(here, monkeypatch):
    page = Reader(gallery_page.gallery_page(entries(), title="t"))
    samples, rate = soundfile.read(io.BytesIO(b64decode(page.all("audio")[0]["src"].partition(",")[2])))
    spectrum = np.abs(np.fft.rfft(samples if samples.ndim == 1 else samples.mean(axis=1)))
    assert rate == RATE and np.argmax(spectrum) * rate / len(samples) == pytest.approx(0.05 * RATE / 2 / np.pi, abs=5)
    monkeypatch.setattr(gallery_page, "SOUNDS", 7000)
    small = Reader(gallery_page.gallery_page(entries() * 30, title="t"))
    assert len(small.all("audio")) < 3 and "of the clips have no player" in small.text


def test_a_large_gallery_stays_small(here, monkeypatch):
    noise = np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8)
    monkeypatch.setattr(gallery_page, "MAX_CARDS", 20)
    monkeypatch.setattr(gallery_page, "PICTURES", 20 * 5000)
    many = [Entry(f"{i}.wav", (Path("red.png"),), None) for i in range(30)]
    page = gallery_page.gallery_page(many, title="t", read_picture=lambda path: Image.fromarray(noise))
    assert 30_000 < len(page) < 130_000 and "The first 20 of 30 clips are shown." in page
    assert len(Reader(page).all("img")) == 20
    assert gallery_page.PICTURES + gallery_page.SOUNDS < media.PAGE


def test_several_pictures_a_clip_share_the_budget(here, monkeypatch):
    """20 clips with 5 pictures of noise each: two of each are shown, smaller than they are."""
    noise = np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8)
    monkeypatch.setattr(gallery_page, "MAX_PICTURES", 40)
    monkeypatch.setattr(gallery_page, "PICTURES", 40 * 1500)
    many = [Entry(f"{i}.wav", (Path("red.png"),) * 5, None) for i in range(20)]
    page = gallery_page.gallery_page(many, title="t", read_picture=lambda path: Image.fromarray(noise))
    images = [each["src"] for each in Reader(page).all("img")]
    assert len(images) == 40 and max(map(len, images)) <= 1500
    assert "Of each clip the first 2 pictures are shown." in page
    few = gallery_page.gallery_page(many[:8], title="t", read_picture=lambda path: Image.fromarray(noise))
    assert len(Reader(few).all("img")) == 40 and "the first" not in few


@pytest.mark.parametrize("command", ["listen clip.wav --no-labels", "layout clip.wav --words frog -o out.json"])
def test_listen_and_layout_write_a_page(command, here):
    ran = CliRunner().invoke(app, [*command.split(), "--report", "out.html"])
    assert ran.exit_code == 0 and "out.html" in ran.output, ran.output
    text = Path("out.html").read_text("utf-8")
    page = Reader(text)
    layout = command.startswith("layout")
    wanted = [*["layout"] * layout, "recorded", "directions", "sources", "settings"]
    assert [each["id"] for each in page.all("h2")] == wanted and len(page.all("audio")) == 2
    assert "31° right" in page.text and "clip.wav: one source" in page.text and ("frog" in page.text) == layout
    again = CliRunner().invoke(app, [*command.split(), "--report", "out.html"])
    assert again.exit_code == 0, again.output  # a report of ours is replaced


def test_a_folder_gets_a_gallery(here):
    debug_pipeline().save_pretrained("model")
    Path("clips/broken.wav").write_text("no sound")
    line = "generate clips -o out --model model --steps 1 --device cpu --report out.html"
    ran = CliRunner().invoke(app, line.split())
    assert ran.exit_code == 1 and "report out.html" in ran.output, ran.output
    page = Reader(Path("out.html").read_text("utf-8"))
    assert "clips: 4 clips" in page.text and "damaged" in page.text
    assert len(page.all("img")) == len(page.all("audio")) == 3 and len(page.all("article")) == 4


COMMANDS = ("listen clip.wav", "layout clip.wav", "check red.png clip.wav", "generate clip.wav", "generate clips")
COMMANDS += ("place clip.wav", "animate clip.wav", "evaluate --clips clips", "train source=pairs")
WRONG = {
    "clips": "",  # a folder without the suffix, or with it
    "folder.html": "it is a folder",
    "notes.html": "no report of ours",
    "red.png/a.html": "Cannot write",
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("report", WRONG)
def test_a_report_that_cannot_be_written_is_refused_before_the_work(command, report, here, monkeypatch):
    Path("folder.html").mkdir()
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    monkeypatch.setattr("audiotoken.audio_file.read_file", None)  # the work would need it
    ran = CliRunner().invoke(app, [*command.split(), "--report", report])
    assert ran.exit_code == 2 and WRONG[report] in ran.output and "Cannot write" in ran.output, ran.output
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before
