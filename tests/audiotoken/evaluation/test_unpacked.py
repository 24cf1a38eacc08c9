"""Clips in shards, and videos of VGGSound, become folders of sounds and real pictures; those in stereo are counted."""

from io import BytesIO

import numpy as np
import pytest
import soundfile
from data_files import picture_bytes, write_tar, write_video
from PIL import Image

from audiotoken.errors import OptionError
from audiotoken.evaluation import evaluate as module
from audiotoken.evaluation.clips import collect_examples
from audiotoken.evaluation.evaluate import evaluate
from audiotoken.evaluation.unpacked import describe_channels, find_label, format_channels, open_source, unpack


def write_sound(*levels):
    """The bytes of a WAV with a channel for each level."""
    file, tone = BytesIO(), 0.1 * np.sin(np.arange(2000) / 5)
    soundfile.write(file, np.stack([level * tone for level in levels], axis=1), 8000, format="WAV")
    return file.getvalue()


@pytest.fixture
def shards(tmp_path):
    """Two dogs and a frog; of the dogs one is mono, the frog has one channel twice."""
    sounds = {"a": (write_sound(1), b"dog"), "b": (write_sound(1, 0.5), b"dog"), "c": (write_sound(1, 1), b"tree frog")}
    members = {}
    for key, (sound, label) in sounds.items():
        members |= {f"{key}.wav": sound, f"{key}.cls": label, f"{key}.png": picture_bytes("blue")}
    (tmp_path / "shards").mkdir()
    write_tar(tmp_path / "shards" / "0.tar", members)
    return tmp_path / "shards"


def test_shards_become_a_folder(shards, tmp_path):
    source = open_source(shards, None)
    assert source is not None
    channels = unpack(*source, tmp_path / "out")
    assert channels == {"stereo": 1, "same in both channels": 1, "mono": 1}
    assert format_channels(channels) == "1 of 3 clips are stereo (33 %), 1 same in both channels, 1 mono"
    found = collect_examples(tmp_path / "out", real=tmp_path / "out")
    assert [(one.name, one.label, one.word) for one in found] == [
        ("dog/a.wav", "dog", "dog"),
        ("dog/b.wav", "dog", "dog"),
        ("tree frog/c.wav", "tree frog", "tree frog"),
    ]
    assert soundfile.info(tmp_path / "out" / "dog" / "b.wav").channels == 2
    assert all(Image.open(one.real).size == (12, 8) for one in found if one.real)


@pytest.mark.parametrize("label", ["..", "../../up", "a/../..", ".", "\0", "/etc"])
def test_labels_of_an_archive_lead_nowhere(label, tmp_path):
    write_tar(tmp_path / "0.tar", {"a.wav": write_sound(1), "a.txt": label.encode(), "a.png": picture_bytes("blue")})
    source, _ = open_source(tmp_path / "0.tar", None)
    unpack(source, {}, tmp_path / "deep" / "out")
    assert [path.parents[1] for path in tmp_path.rglob("a.*")] == [tmp_path / "deep" / "out"] * 2


def test_clips_without_a_label_leave_no_folder(tmp_path):
    write_tar(tmp_path / "0.tar", {"a.wav": write_sound(1), "a.png": picture_bytes("blue")})
    with pytest.raises(OptionError, match="The clip a has no label"):
        unpack(*open_source(tmp_path / "0.tar", None), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_of_somebody_else_stays(shards, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(OptionError, match="may be yours"):
        unpack(*open_source(shards, None), tmp_path / "out")
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"
    for _ in range(2):  # its own is made anew
        unpack(*open_source(shards, None), tmp_path / "own")
    assert len(list((tmp_path / "own").rglob("*.wav"))) == 3


def test_some_clips_are_taken_evenly_from_all_labels(shards, tmp_path):
    source = open_source(shards, None)
    assert source is not None and sum(unpack(*source, tmp_path / "out", 2).values()) == 2
    assert sorted(path.parent.name for path in (tmp_path / "out").rglob("*.wav")) == ["dog", "tree frog"]


def test_labels_of_shards_of_videos_come_from_the_table(tmp_path):
    write_video(tmp_path / "clip.mp4", seconds=1)
    write_tar(tmp_path / "0.tar", {"abc_000030.mp4": (tmp_path / "clip.mp4").read_bytes()})
    (tmp_path / "clip.mp4").unlink()
    source = open_source(tmp_path / "0.tar", None)
    assert source is not None
    with pytest.raises(OptionError, match="abc_000030 has no label; pass table=FILE"):
        unpack(*source, tmp_path / "out")
    (tmp_path / "vggsound.csv").write_text("abc,30,cat purring,test\n")
    source = open_source(tmp_path / "0.tar", tmp_path / "vggsound.csv")
    assert source is not None and sum(unpack(*source, tmp_path / "out").values()) == 1
    assert (tmp_path / "out" / "cat purring" / "abc_000030.wav").is_file()


@pytest.mark.parametrize(
    "key", ["abc", "video--dQw4w9WgXcQ_000030", "v---dQw4w9WgXcQ_000030-0a1b2c3d", "dQw4w9WgXcQ_000030"]
)
def test_a_key_leads_to_its_label_whatever_stands_around_it(key):
    assert find_label(key, {"dQw4w9WgXcQ_000030": "cat purring", "abc": "cat purring"}) == "cat purring"
    assert find_label(key, {"abd": "dog"}) == ""


def test_a_folder_of_sounds_stays_what_it_is(tmp_path):
    (tmp_path / "dog").mkdir()
    assert open_source(tmp_path, None) is None


def test_what_is_stereo():
    tone = 0.1 * np.sin(np.arange(800) / 7).astype(np.float32)
    pairs = {"mono": [tone], "stereo": [tone, 0.3 * tone], "same in both channels": [tone, -tone]}
    assert all(describe_channels(np.stack(channels)) == kind for kind, channels in pairs.items())
    assert describe_channels(np.stack([tone, 0 * tone])) == "same in both channels"


def test_evaluate_judges_the_clips_of_shards_by_their_own_pictures(shards, tmp_path, monkeypatch):
    seen = []

    def collect(clips, n, **options):
        seen.append((clips, options["real"]))
        raise OptionError("enough")

    monkeypatch.setattr(module, "collect_examples", collect)
    (tmp_path / "out" / "unpacked" / "cat").mkdir(parents=True)  # of an earlier run
    (tmp_path / "out" / "unpacked" / ".unpacked").touch()
    lines = []
    with pytest.raises(OptionError, match="enough"):
        evaluate(shards, out=tmp_path / "out", on_row=lines.append)
    assert seen == [(tmp_path / "out" / "unpacked",) * 2] and not (tmp_path / "out" / "unpacked" / "cat").exists()
    assert lines[-1].startswith("1 of 3 clips are stereo")
