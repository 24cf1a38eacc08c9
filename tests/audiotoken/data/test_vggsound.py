"""VGGSound: which file is which clip, which frame and which second of it, and what becomes of broken videos."""

import json
import shutil

import numpy as np
import pytest
from data_files import pitch, second_of, tone_of, write_video

from audiotoken.data.vggsound import NAMES, VGGSound, read_ids, read_rows
from audiotoken.data.video_file import read_duration, read_frame, read_sound
from audiotoken.errors import AudioError, DataError

IDS = ("---g-f_I2yQ", "AbC_dEf-123", "abcdefghijk", "00000000000")


@pytest.fixture(scope="session")
def videos(tmp_path_factory):
    """Made once: a clip of 10 s, and a whole video of 24 s, whose tone and colour tell the second."""
    folder = tmp_path_factory.mktemp("videos")
    return {
        "clip": write_video(folder / "clip.mp4", 10, (96, 64)),
        "long": write_video(folder / "long.mp4", 24),
        "webm": write_video(folder / "a.webm", 3),
        "mkv": write_video(folder / "a.mkv", 3),
        "silent": write_video(folder / "silent.mp4", 2, sound=False),
        "blind": write_video(folder / "blind.mp4", 2, picture=False),
    }


def write_table(folder, rows):
    (folder / "vggsound.csv").write_text("".join(f"{i},{s},{label},{split}\n" for i, s, label, split in rows))
    return folder / "vggsound.csv"


def test_clips_labels_and_missing_ones(tmp_path, videos):
    table = write_table(
        tmp_path,
        [
            (IDS[0], 30, '"bird chirping, tweeting"', "train"),
            (IDS[1], 7, "dog barking", "test"),
            (IDS[2], 170, "dog barking", "train"),
            (IDS[3], 0, "playing cello", "train"),
            (IDS[2], 170, "dog barking", "train"),  # a line that is there twice
        ],
    )
    (tmp_path / "v" / "part 2").mkdir(parents=True)
    shutil.copy(videos["clip"], tmp_path / "v" / f"{IDS[0]}_000030.mp4")
    shutil.copy(videos["clip"], tmp_path / "v" / "part 2" / f"{IDS[1]}_7_17.mp4")
    shutil.copy(videos["clip"], tmp_path / "v" / "part 2" / f"{IDS[2]}_170000_180000.mp4")
    train, both = VGGSound(table, tmp_path / "v"), VGGSound(table, tmp_path / "v", split=None)
    assert [train.label(i) for i in range(len(train))] == ["bird chirping, tweeting", "dog barking"]
    assert [train.key(i) for i in range(len(train))] == [f"{IDS[0]}_000030", f"{IDS[2]}_000170"]
    assert train.missing == both.missing == (f"{IDS[3]}_000000",)
    assert [both.key(i) for i in range(len(both))] == [f"{IDS[n]}_{s:06d}" for n, s in ((0, 30), (1, 7), (2, 170))]
    assert len(VGGSound(table, tmp_path / "v", split="test")) == 1
    with pytest.raises(DataError, match=r"none of the 0 clips .*split valid"):
        VGGSound(table, tmp_path / "v", split="valid")


def test_stereo_and_the_middle_frame(tmp_path, videos):
    table = write_table(tmp_path, [(IDS[0], 30, "dog", "train")])
    shutil.copy(videos["clip"], tmp_path / f"{IDS[0]}_000030.mp4")
    example = VGGSound(table, tmp_path)[0]
    assert (example.key, example.label, example.rate) == (f"{IDS[0]}_000030", "dog", 16_000)
    assert example.recording.dtype == np.float32
    assert example.recording.shape[0] == 2
    assert abs(example.recording.shape[1] - 160_000) < 2048  # the codec pads
    second = example.recording[:, 3 * 16_000 + 2000 : 4 * 16_000 - 2000]
    assert abs(pitch(second[0], 16_000) - tone_of(3)) < 3
    assert abs(pitch(second[1], 16_000) - 2 * tone_of(3)) < 3
    assert second[0].max() > 1.8 * second[1].max()
    assert (example.image.mode, example.image.size) == ("RGB", (96, 64))
    assert second_of(example.image) == 5


@pytest.mark.parametrize(("frame", "second"), [(0, 0), (0.27, 2), (0.73, 7), (1.0, 9), (1, 9)])
def test_a_frame_by_its_place(tmp_path, videos, frame, second):
    table = write_table(tmp_path, [(IDS[0], 30, "dog", "train")])
    shutil.copy(videos["clip"], tmp_path / f"{IDS[0]}_30.mp4")
    assert second_of(VGGSound(table, tmp_path, frame=frame)[0].image) == second


@pytest.mark.parametrize("name", ["long", "clip", "webm", "mkv"])
def test_every_frame_is_the_one_asked_for(videos, name):
    with videos[name].open("rb") as file:
        for tenth in (0, 9, 10, 19, 21, 29):
            assert second_of(read_frame(file, lambda *_, t=tenth: t / 10 + 0.05)) == tenth // 10


def test_random_frames_depend_on_seed_and_clip_alone(tmp_path, videos):
    (tmp_path / "one").mkdir()
    for i in IDS:
        shutil.copy(videos["clip"], tmp_path / f"{i}_000030.mp4")
    shutil.copy(videos["clip"], tmp_path / "one" / f"{IDS[2]}_000030.mp4")
    table = write_table(tmp_path, [(i, 30, "dog", "train") for i in IDS])

    def seconds(source):
        return {source.key(i): second_of(source[i].image) for i in range(len(source))}

    drawn = [seconds(VGGSound(table, tmp_path, frame="random", seed=seed)) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(set(drawn[0].values())) > 1
    alone = seconds(VGGSound(table, tmp_path / "one", frame="random", seed=1))
    assert alone == {f"{IDS[2]}_000030": drawn[0][f"{IDS[2]}_000030"]}


def test_the_clip_is_cut_out_of_the_whole_video(tmp_path, videos):
    table = write_table(tmp_path, [(IDS[0], 11, "dog", "train")])
    shutil.copy(videos["long"], tmp_path / f"{IDS[0]}.mp4")
    example = VGGSound(table, tmp_path, frame=0.15)[0]
    assert example.recording.shape == (2, 160_000)
    for at in (0, 4, 9):  # the tone changes at the second, not beside it
        inside = example.recording[0, at * 16_000 + 800 : (at + 1) * 16_000 - 800]
        for part in np.array_split(inside, 4):
            assert abs(pitch(part, 16_000) - tone_of(11 + at)) < 8
    assert second_of(example.image) == (11 + 1) % 12
    assert second_of(VGGSound(table, tmp_path)[0].image) == 16 % 12


def test_a_cut_at_the_end_and_beyond_it(tmp_path, videos):
    table = write_table(tmp_path, [(IDS[0], 18, "dog", "train"), (IDS[1], 40, "dog", "train")])
    for i in IDS[:2]:
        shutil.copy(videos["long"], tmp_path / f"{i}.mp4")
    source = VGGSound(table, tmp_path)
    assert abs(source[0].recording.shape[1] / 16_000 - 6) < 0.1
    assert second_of(source[0].image) == 21 % 12  # the middle of what is there
    with pytest.raises(AudioError, match=rf"{IDS[1]}\.mp4: its sound ends before second 40"):
        source[1]


def test_a_file_without_a_second_in_its_name_may_be_cut_already(tmp_path, videos):
    table = write_table(tmp_path, [(IDS[0], 50, "dog", "train")])
    shutil.copy(videos["clip"], tmp_path / f"{IDS[0]}.mp4")
    example = VGGSound(table, tmp_path)[0]
    assert abs(example.recording.shape[1] / 16_000 - 10) < 0.2
    assert second_of(example.image) == 5


@pytest.mark.parametrize("pattern", NAMES)
def test_names_of_files(tmp_path, pattern):
    name = pattern.format(id=IDS[1], s=30, e=40, ms=30_000, me=40_000)
    (tmp_path / f"{name}.mp4").write_bytes(b"not opened")
    (tmp_path / f"{IDS[1]}_000031.mp4").write_bytes(b"of another clip")
    table = write_table(tmp_path, [(IDS[1], 30, "dog", "train")])
    source = VGGSound(table, tmp_path)
    assert len(source) == 1
    with pytest.raises(ValueError, match=f"{name}.mp4: it is damaged"):
        source[0]


def test_keep_and_drop(tmp_path, videos):
    table = write_table(tmp_path, [(i, s, "dog", "train") for i in IDS[:3] for s in (0, 30)])
    for i in IDS[:3]:
        for s in (0, 30):
            (tmp_path / f"{i}_{s}.mp4").write_bytes(b"not opened")
    (tmp_path / "keep.txt").write_text(f"{IDS[0]}\n\n{IDS[1]}\n")
    (tmp_path / "drop.csv").write_text(f"id,start,why\n{IDS[0]},30,blurred\n{IDS[2]},0,\n")

    def keys(**lists):
        source = VGGSound(table, tmp_path, **lists)
        assert source.missing == ()
        return [source.key(i) for i in range(len(source))]

    assert keys(keep=tmp_path / "keep.txt") == [f"{i}_{s:06d}" for i in IDS[:2] for s in (0, 30)]
    assert keys(drop=tmp_path / "drop.csv") == [f"{IDS[n]}_{s:06d}" for n, s in ((0, 0), (1, 0), (1, 30), (2, 30))]
    assert keys(keep=tmp_path / "keep.txt", drop=tmp_path / "drop.csv") == [
        f"{IDS[n]}_{s:06d}" for n, s in ((0, 0), (1, 0), (1, 30))
    ]
    (tmp_path / "bad.txt").write_bytes(b"\x80\x04\x95 a pickle")
    with pytest.raises(DataError, match=r"bad\.txt"):
        read_ids(tmp_path / "bad.txt")
    (tmp_path / "bad.txt").write_text("https://youtu.be/x\n")
    with pytest.raises(DataError, match=r"line 1 of .*bad\.txt"):
        read_ids(tmp_path / "bad.txt")


def test_best_frames(tmp_path, videos):
    for i in IDS[:3]:
        shutil.copy(videos["clip"], tmp_path / f"{i}_000030.mp4")
    table = write_table(tmp_path, [(i, 30, "dog", "train") for i in IDS[:3]])
    best = {f"{IDS[0]}_000030": [[72, 75], [0]], IDS[1]: [15]}
    (tmp_path / "best.json").write_text(json.dumps(best))
    source = VGGSound(table, tmp_path, best_frames=tmp_path / "best.json", frame=0.95)
    assert [second_of(source[i].image) for i in range(3)] == [7, 1, 9]
    for content in ("[]", '{"a": ["x"]}', "{"):
        (tmp_path / "best.json").write_text(content)
        with pytest.raises(DataError, match=r"best\.json"):
            VGGSound(table, tmp_path, best_frames=tmp_path / "best.json")


@pytest.mark.parametrize(
    ("table", "line"),
    [("a b,30,dog,train\n", 1), ("abc,30,dog,train\nabd,x,dog,train\n", 2), ("abc,30,dog,train\nabc\n", 2)],
)
def test_a_table_that_is_damaged(tmp_path, table, line):
    (tmp_path / "vggsound.csv").write_text(table)
    with pytest.raises(DataError, match=rf"line {line} of .*vggsound\.csv"):
        read_rows(tmp_path / "vggsound.csv")


def test_a_table_with_a_header(tmp_path):
    (tmp_path / "a.csv").write_text('\ufeffytid,start,class,set\nabc,30.0,"a, b",train\n', encoding="utf-8")
    (row,) = read_rows(tmp_path / "a.csv")
    assert (row.id, row.start, row.label, row.split) == ("abc", 30, "a, b", "train")
    with pytest.raises(DataError, match="no such file"):
        read_rows(tmp_path / "b.csv")


def test_broken_videos_are_named(tmp_path, videos):
    clip = videos["clip"].read_bytes()
    cases = {
        "aaaaaaaaaaa": (videos["silent"].read_bytes(), "there is no audio track"),
        "bbbbbbbbbbb": (videos["blind"].read_bytes(), "there is no video track"),
        "ccccccccccc": (clip[: len(clip) // 2], "damaged|truncated"),
        "ddddddddddd": (b"", "empty"),
        "eeeeeeeeeee": (b"<html>Video unavailable</html>", "damaged, truncated or not"),
        "fffffffffff": (videos["mkv"].read_bytes()[:-9000], "truncated|damaged|no picture"),
        "hhhhhhhhhhh": (clip.replace(b"avc1", b"zzzz"), "pictures are coded in a way"),
        "iiiiiiiiiii": (videos["mkv"].read_bytes().replace(b"A_AAC", b"A_ZZZ"), "does not know the codec of its sound"),
        "ggggggggggg": (b"#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1:9/a.ts\n", "damaged, truncated or not"),
    }
    for name, (content, _) in cases.items():
        (tmp_path / f"{name}_30.mp4").write_bytes(content)
    source = VGGSound(write_table(tmp_path, [(name, 30, "dog", "train") for name in cases]), tmp_path)
    assert len(source) == len(cases)
    for i, (name, (_, why)) in enumerate(cases.items()):
        with pytest.raises((DataError, AudioError), match=rf"^Cannot read .*{name}_30\.mp4: .*({why})"):
            source[i]


def test_too_large_a_video(videos, monkeypatch):
    monkeypatch.setattr("audiotoken.data.image_file.MAX_PIXELS", 96 * 64 - 1)
    with videos["clip"].open("rb") as file, pytest.raises(DataError, match="96 x 64 pixels"):
        read_frame(file, lambda *_: 1.0)


def test_a_size_beyond_the_decoders_limit(videos, monkeypatch):
    """The header says small, the stream grows: FFmpeg itself is told the limit."""
    monkeypatch.setattr("audiotoken.data.video_file.MAX_PIXELS", 96 * 64 - 1)
    with videos["clip"].open("rb") as file, pytest.raises(DataError, match="damaged"):
        read_frame(file, lambda *_: 1.0)


@pytest.mark.parametrize(("turn", "corner"), [(90, "left bottom"), (-90, "right top"), (180, "right bottom")])
def test_a_turned_video_is_upright(tmp_path, turn, corner):
    """FFmpeg turns counter-clockwise by the angle: what was top left is bottom left after 90 degrees."""
    path = write_video(tmp_path / "a.mp4", 1, (96, 64), turn=turn)
    with path.open("rb") as file:
        image = read_frame(file, lambda *_: 0.5)
    assert image.size == ((96, 64) if turn == 180 else (64, 96))
    x, y = ((3 if side in corner else size - 4) for side, size in zip(("left", "top"), image.size, strict=True))
    assert min(image.getpixel((x, y))) > 200
    assert image.getpixel((image.width // 2, image.height // 2))[0] < 60


def test_lengths_and_sounds_of_other_containers(videos):
    for name, rate in (("webm", 48_000), ("mkv", 16_000)):
        with videos[name].open("rb") as file:
            assert abs(read_duration(file) - 3) < 0.15
            samples, got = read_sound(file, 1, 1)
            assert (got, samples.shape) == (rate, (2, rate))
            for part in np.array_split(samples[0, rate // 20 : -rate // 20], 3):
                assert abs(pitch(part, rate) - tone_of(1)) < 8


@pytest.mark.parametrize("frame", ["best", 1.2, -0.1, True, float("nan")])
def test_frames_that_are_none(tmp_path, frame):
    with pytest.raises(DataError, match="expected middle, random, or a number from 0 to 1"):
        VGGSound(tmp_path / "a.csv", tmp_path, frame=frame)
