"""`audiotoken listen`: simulate -> WAV -> sources and directions; and one sentence for what cannot be listened to."""

import json
import os

import numpy as np
import pytest
import soundfile
from PIL import Image
from typer.testing import CliRunner

from audiotoken.cli.app import app
from audiotoken.errors import OptionError
from audiotoken.report.listening_figure import draw_listening
from audiotoken.report.listening_text import format_listening, to_json
from audiotoken.stereo.labelled_scene import Label, Listening, compute_outline
from audiotoken.tasks import listen as listening
from audiotoken.tasks.long_stems import LongStems
from spatial.errors import SpatialError
from spatial.scene import Direction, Scene, Source
from spatial.simulation import simulate

RATE = 22_050


def run(*arguments):
    return CliRunner().invoke(app, ["listen", *(str(each) for each in arguments)])


def sentence(result) -> str:
    """The one line on stderr of a run that was refused."""
    assert result.exit_code == 2, result.output
    assert result.stdout == "" and result.stderr.count("\n") == 1 and "Traceback" not in result.stderr
    return result.stderr


def bursts(seconds, seed, every=0.5, long=0.25):
    time = np.arange(round(seconds * RATE)) / RATE
    noise = 0.2 * np.random.default_rng(seed).standard_normal(len(time))
    return noise * (time % every < long)


def write(path, recording, rate=RATE):
    soundfile.write(path, np.asarray(recording).T, rate)
    return path


@pytest.fixture
def clip(tmp_path):
    return write(tmp_path / "clip.wav", simulate([(bursts(3, 1), 31.0)], "panned", rate=RATE))


@pytest.mark.parametrize(
    ("setup", "azimuth"), [("panned", 31.0), ("ortf", -42.0), ("spaced", 23.0), ("binaural", 50.0)]
)
def test_the_direction_comes_back(setup, azimuth, tmp_path):
    clip = write(tmp_path / "clip.wav", simulate([(bursts(3, 2), azimuth)], setup, rate=RATE))
    result = run(clip, "--setup", setup, "--count", 1, "--no-labels", "--json", "-")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["setup"]["name"] == setup and told["rate"] == RATE and told["seconds"] == 3.0
    assert [one["azimuth"] for one in told["sources"]] == [pytest.approx(azimuth, abs=3)]
    assert told["sources"][0]["label"] is None


def test_the_kind_of_stereo_is_found_out_and_everything_is_written(clip, tmp_path):
    places = ("--json", tmp_path / "a.json", "--plot", tmp_path / "new" / "a.png", "--stems", tmp_path / "stems")
    result = run(clip, "--count", 1, *places)
    assert result.exit_code == 0, result.output
    assert "panned at a mixing desk" in result.stdout and "31° right" in result.stdout
    assert Image.open(tmp_path / "new" / "a.png").size == (1320, 780)
    told = json.loads((tmp_path / "a.json").read_text())
    assert told["sources"][0]["label"]["name"] and 0 <= told["sources"][0]["label"]["score"] <= 1
    stem, rate = soundfile.read(tmp_path / "stems" / "source1.wav")
    assert len(stem) == 3 * RATE and rate == RATE and np.abs(stem).max() > 0.05
    assert sorted(os.listdir(tmp_path)) == ["a.json", "clip.wav", "new", "stems"]


def test_swapped_channels_mirror_the_direction(tmp_path):
    recording = simulate([(bursts(3, 3), -25.0)], "panned", rate=RATE)
    found = []
    for name, each in (("a.wav", recording), ("b.wav", recording[::-1])):
        result = run(write(tmp_path / name, each), "--setup", "panned", "--count", 1, "--no-labels", "--json", "-")
        found.append(json.loads(result.stdout)["sources"][0]["azimuth"])
    assert found[0] == pytest.approx(-found[1], abs=0.6) and found[0] == pytest.approx(-25, abs=3)


def test_a_long_file_is_heard_in_windows(tmp_path, monkeypatch):
    recording = simulate([(bursts(14, 4), 20.0)], "panned", rate=RATE)
    clip = write(tmp_path / "long.wav", recording)
    monkeypatch.setattr(listening, "LONG", 6.0)
    told = []
    options = {"setup": "panned", "count": 1, "labels": False, "stems": tmp_path}
    heard = listening.listen_to(clip, **options, on_progress=lambda done, total: told.append((done, total)))
    assert heard.seconds == 14 and told[-1] == (14, 14)
    assert heard.scene.azimuths == [pytest.approx(20, abs=3)]
    assert heard.outline.shape[0] == 2 and heard.outline.shape[2] == 2
    assert np.abs(heard.outline).max() == pytest.approx(np.abs(recording).max(), abs=1e-3)


def test_long_signals_are_written_whole(tmp_path):
    """Windows of 4 seconds with 1 second overlap; the second source is not found in the one in the middle."""
    sounds = np.stack([bursts(10, 11), bursts(10, 12)]).astype(np.float32)
    stems = LongStems(tmp_path, RATE, 1.0)
    for start, order, more in ((0, [0, 1], True), (3, [0], True), (6, [1, 0], False)):
        piece = slice(start * RATE, (start + 4) * RATE)
        sources = tuple(Source(sounds[number, piece], Direction(0.0)) for number in order)
        stems.add(float(start), Scene(sources, RATE, "xy"), order, more)
    files = stems.finish([1, 0], 10 * RATE)
    stems.clear()
    assert sorted(os.listdir(tmp_path)) == [path.name for path in files] == ["source1.wav", "source2.wav"]
    second, first = (soundfile.read(path)[0] for path in files)
    np.testing.assert_allclose(first, sounds[0], atol=1e-4)
    np.testing.assert_allclose(second[: 3 * RATE], sounds[1][: 3 * RATE], atol=1e-4)
    assert not second[4 * RATE : 6 * RATE].any() and len(second) == 10 * RATE
    np.testing.assert_allclose(second[7 * RATE :], sounds[1][7 * RATE :], atol=1e-4)


def test_mono_is_one_source_ahead(tmp_path):
    soundfile.write(tmp_path / "mono.wav", bursts(2, 5), RATE)
    result = run(tmp_path / "mono.wav", "--no-labels", "--json", "-")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["setup"]["name"] == "mono" and [one["azimuth"] for one in told["sources"]] == [0]


def test_a_silent_channel_gets_a_note(tmp_path):
    recording = np.stack([bursts(2, 6), 0 * bursts(2, 6)])
    result = run(write(tmp_path / "dead.wav", recording), "--no-labels")
    assert result.exit_code == 0, result.output
    assert "right channel is silent" in result.stdout


def test_of_three_channels_two_are_heard(tmp_path):
    result = run(write(tmp_path / "three.wav", np.stack([bursts(1, s) for s in range(3)])), "--no-labels")
    assert result.exit_code == 0 and "has 3 channels: the first two" in result.stdout


def _silent(path):
    write(path, np.zeros((2, RATE)))


def _broken(path):
    write(path, np.ones((2, RATE)) * 0.1)
    path.write_bytes(path.read_bytes()[:10_000])


def _text(path):
    path.write_text("Roses are red.\n" * 100)


def _missing(path):
    pass


@pytest.mark.parametrize(
    ("make", "words"),
    [(_silent, "silent"), (_broken, "truncated"), (_text, "not a sound"), (_missing, "no such file")],
)
@pytest.mark.parametrize("long", [30.0, 0.1])
def test_unreadable_clips_are_one_sentence(make, words, long, tmp_path, monkeypatch):
    monkeypatch.setattr(listening, "LONG", long)
    make(tmp_path / "clip.wav")
    before = os.listdir(tmp_path)
    assert words in sentence(run(tmp_path / "clip.wav", "--plot", tmp_path / "out.png"))
    assert os.listdir(tmp_path) == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--setup", "ortf", "--spacing", "0.3"), "leave it out"),
        (("--spacing", "0.3"), "--spacing needs --setup spaced"),
        (("--plot", "out.tiff"), "expected one of .png"),
        (("--plot", "/proc/out.png"), "choose a folder"),
        (("--json", "out.txt"), "expected .json or - alone"),
        (("--json", "/proc/out.json"), "choose a folder"),
        (("--stems", "clip.wav"), "choose another folder"),
        (("--model", "/no/such/model"), "no such folder"),
    ],
)
def test_bad_options_are_one_sentence(options, words, clip, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert words in sentence(run(clip, *options))
    assert os.listdir(tmp_path) == ["clip.wav"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--setup", "quadro"), "'quadro' is not one of 'auto', 'panned'"),
        (("--max-sources", "0"), "Invalid value for '--max-sources'"),
        (("--count", "99"), "Invalid value for '--count'"),
    ],
)
def test_wrong_choices_and_numbers_are_refused_by_the_parser(options, words, clip):
    result = run(clip, *options)
    assert result.exit_code == 2 and result.stdout == "" and words in result.stderr, result.output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"setup": "quadro"}, "setup=quadro, expected auto or one of panned"),
        ({"max_sources": 0}, "max_sources=0 and count=None, expected 1 to 4"),
        ({"count": 99}, "count=99, expected 1 to 4"),
        ({"count": 2, "max_sources": 1}, "count=2 with max_sources=1, expected at most 1"),
    ],
)
def test_the_task_checks_its_options_too(options, words, clip):
    with pytest.raises((OptionError, SpatialError), match=words):
        listening.listen_to(clip, **options)


def test_quiet_hides_the_notes_of_the_table_only(tmp_path):
    recording = np.stack([bursts(2, 6), 0 * bursts(2, 6)])
    clip = write(tmp_path / "dead.wav", recording)
    result = run(clip, "--no-labels", "-q", "--json", tmp_path / "a.json")
    assert result.exit_code == 0, result.output
    assert "setup" in result.stdout and "right channel is silent" not in result.output
    assert "right channel is silent" in (tmp_path / "a.json").read_text()


def test_an_interrupt_leaves_no_partial_files(clip, tmp_path, monkeypatch):
    (tmp_path / "out.png").write_bytes(b"the old one")

    def stop(temporary, path):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", stop)
    result = run(clip, "--setup", "panned", "--no-labels", "--plot", tmp_path / "out.png")
    assert result.exit_code == 130 and result.stderr.count("\n") == 1 and "Traceback" not in result.output
    assert sorted(os.listdir(tmp_path)) == ["clip.wav", "out.png"]
    assert (tmp_path / "out.png").read_bytes() == b"the old one"


def listened(*sources, setup="xy", labels=None, notes=()):
    scene = Scene(sources, RATE, setup, 0.0, 0.9, notes)
    shape = compute_outline(np.stack([bursts(2, 7), bursts(2, 8)]))
    return Listening("a/clip.wav", 2.0, scene, labels or (None,) * len(sources), shape)


MOVING = Source(np.zeros(9), Direction(2.0, 3.0, 0.8), -21.0, ((0.0, -60.0), (2.0, 64.0)), ((0.1, 0.4), (0.8, 1.9)))
STILL = Source(np.zeros(9), Direction(-31.4, 0.0, 0.25))


def test_the_table_shows_every_value():
    heard = listened(
        MOVING, STILL, labels=(Label("dog", 0.93, True), Label("helicopter", 0.2, False)), notes=("Well.",)
    )
    said = format_listening(heard).splitlines()
    assert said[0].startswith("a/clip.wav  2.0 s") and said[1] == "setup  XY (confidence 0.90)"
    assert said[2].split() == ["azimuth", "spread", "confidence", "level", "active", "path", "label"]
    for words in ("2° right", "±3°", "0.80", "-21 dB", "0.1-0.4, 0.8-1.9 s", "60° left -> 64° right", "dog 0.93"):
        assert words in said[3]
    assert "31° left" in said[4] and "not sure (nearest: helicopter)" in said[4] and said[5] == "note   Well."


def test_the_table_without_anything():
    assert "No source was found." in format_listening(listened())
    assert json.loads(to_json(listened()))["sources"] == []


def test_json_keeps_numbers():
    moving, still = json.loads(to_json(listened(MOVING, STILL)))["sources"]
    assert moving["path"] == [[0.0, -60.0], [2.0, 64.0]] and moving["active"] == [[0.1, 0.4], [0.8, 1.9]]
    assert still["azimuth"] == -31.4 and still["path"] == []


def test_the_picture_has_every_source_in_its_colour():
    def pixels(*sources, **options):
        return np.asarray(draw_listening(listened(*sources, **options)), int)

    def red(picture):
        return (np.abs(picture - (194, 65, 12)).sum(axis=2) < 30)[:, 700:]  # the half circle

    right = red(pixels(Source(np.zeros(9), Direction(40.0))))
    left = red(pixels(Source(np.zeros(9), Direction(-40.0))))
    assert right[:400].any() and np.nonzero(right[:400])[1].mean() > np.nonzero(left[:400])[1].mean() + 150
    for heard in (listened(), listened(MOVING, STILL, setup="panned"), listened(*[STILL] * 9)):
        assert draw_listening(heard).size == (1320, 780)


def test_the_outline_keeps_the_peaks():
    recording = np.zeros((2, 10_000))
    recording[1, 7_777] = -0.7
    shape = compute_outline(recording, 100)
    assert shape.shape == (2, 100, 2) and shape[1, 77, 0] == -0.7 and shape.max() == 0 and shape[0].min() == 0


def test_words_are_listened_for(clip):
    result = run(clip, "--setup", "panned", "--count", 1, "--no-labels", "--words", "bell, dog", "--json", "-")
    assert result.exit_code == 0, result.output
    assert [(each["word"], each["heard"]) for each in json.loads(result.stdout)["words"]] == [
        ("bell", False),
        ("dog", False),
    ]
    assert "mini encoder knows only dog" in sentence(run(clip, "--words", "bell, tractor"))
    assert "expected mini, clap:ID or pe:ID" in sentence(run(clip, "--words", "bell", "--word-encoder", "cat"))
    assert "names with commas between" in sentence(run(clip, "--words", "bell,,dog"))
