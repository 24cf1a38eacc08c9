"""Real rooms: the format, the sign, the scores of hand-made rows, and the whole benchmark on a synthetic copy."""

import math

import numpy as np
import pytest
import soundfile

from audiotoken.errors import OptionError
from experiments.benchmarks import real, real_copy
from experiments.benchmarks.real_data import (
    CLASSES,
    SETUP,
    Row,
    count_clips,
    cut_clips,
    find_class,
    find_files,
    fold_azimuth,
    list_labels,
    read_clips,
    read_rows,
    to_stereo,
    write_rows,
)
from experiments.benchmarks.real_score import count_frames, find_events, ignore_classes, score_clip
from spatial.rooms import draw_room
from spatial.scene import Direction, Scene, Source
from spatial.setups import steering_vectors

RATE = 24_000
BELL, KNOCK = list(CLASSES).index("Bell"), list(CLASSES).index("Knock")


def rows_of(kind, source, azimuths, first=0, distance=2.0):
    return [Row(first + i, kind, source, azimuth, distance) for i, azimuth in enumerate(azimuths)]


def test_a_file_of_the_stereo_set_is_read_with_right_as_positive(tmp_path):
    path = tmp_path / "clip.csv"
    path.write_text("frame,class,source,azimuth,distance,onscreen\n0,11,1,-9,155,0\n7,12,2,75,128,1\n")
    assert read_rows(path) == [Row(0, 11, 1, 9.0, 1.55), Row(7, 12, 2, -75.0, 1.28)]
    write_rows(read_rows(path), tmp_path / "again" / "clip.csv")
    assert (tmp_path / "again" / "clip.csv").read_text() == path.read_text().replace(",1\n", ",0\n")


def test_a_file_of_starss23_is_read(tmp_path):
    path = tmp_path / "clip.csv"
    path.write_text("10, 1, 1, -50, 30, 180\n")
    assert read_rows(path, ambisonic=True) == [Row(10, 1, 1, 50.0, 1.8)]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_head_line_names_the_columns(end, tmp_path):
    """As spreadsheets write it: with a mark at the beginning, in another order, and lines without events."""
    path = tmp_path / "clip.csv"
    lines = ["\ufeffframe,source,class,distance,azimuth", "3,1,12,200,40", ",,,,", ""]
    path.write_bytes("".join(line + end for line in lines).encode())
    assert read_rows(path) == [Row(3, 12, 1, -40.0, 2.0)]


HEAD = "frame,class,source,azimuth,distance,onscreen\n"


@pytest.mark.parametrize("text", ["", "\n", HEAD])
def test_a_clip_without_events_has_no_rows(text, tmp_path):
    (tmp_path / "clip.csv").write_text(text)
    assert read_rows(tmp_path / "clip.csv") == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0,11,1,-9,155,0\n", "its first line is 0,11,1,-9,155,0, no head line"),
        ("frame,class,distance\n0,1,2\n", "it has no column source, azimuth"),
        (HEAD + "0,11,1,9,100,0\n0,11,1\n", "line 3: 3 columns are too few"),
        (HEAD + "0,13,1,0,100,0\n", "line 2: 13 is not from 0 to 12"),
        (HEAD + "0,-1,1,0,100,0\n", "-1 is not from 0 to 12"),
        (HEAD + "-1,3,1,0,100,0\n", "-1 is not from 0 on"),
        (HEAD + "0,3,1,nan,100,0\n", "azimuth nan is not from -180 to 180"),
        (HEAD + "0,3,1,270,100,0\n", "azimuth 270 is not from -180 to 180"),
        (HEAD + "0,3,1,0,inf,0\n", "distance inf is not from 0 on"),
        (HEAD + "0,3,1,0,-1,0\n", "distance -1 is not from 0 on"),
        (HEAD + "0,3.5,1,0,100,0\n", "line 2: invalid literal"),
        ("\xff\xfe", "can't decode"),
    ],
)
def test_another_file_is_refused(text, words, tmp_path):
    (tmp_path / "clip.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(OptionError, match=rf"{words}.*expected rows of frame,class,source,azimuth,distance,onscreen"):
        read_rows(tmp_path / "clip.csv")


@pytest.mark.parametrize(("azimuth", "folded"), [(100, 80), (-100, -80), (190, -10), (-30, -30), (370, 10), (90, 90)])
def test_behind_is_folded_to_the_front(azimuth, folded):
    assert fold_azimuth(azimuth) == pytest.approx(folded)


def encode(azimuth):
    """Unit Ambisonics of a source, by the formulas of STARSS23, whose angles are positive left."""
    angle = np.deg2rad(-azimuth)
    return np.array([[1.0], [np.sin(angle)], [0.0], [np.cos(angle)]], np.float32)


@pytest.mark.parametrize("azimuth", [-70.0, 25.0, 90.0])
def test_the_stereo_of_a_source_is_that_of_its_setup(azimuth):
    left, right = to_stereo(encode(azimuth))[:, 0]
    expected = steering_vectors(SETUP, azimuth, 1000.0)[0, 0]
    assert [left, right] / np.hypot(left, right) == pytest.approx(expected.real, abs=1e-6)
    assert (right > left) == (azimuth > 0)


def test_turning_moves_recording_and_rows_alike():
    ambisonic = np.tile(0.4 * encode(20.0), (1, 5 * RATE))
    (clip,) = cut_clips("mix", ambisonic, RATE, rows_of(BELL, 0, [20.0]), seed=3)
    degrees = int(clip.name.split("deg")[1][:3])
    assert clip.name == f"mix_deg{degrees:03}_start0000" and clip.frames == 50 and degrees
    assert clip.recording[:, :1] == pytest.approx(0.4 * to_stereo(encode(clip.rows[0].azimuth)), abs=1e-6)
    assert clip.rows[0].azimuth == pytest.approx(fold_azimuth(20 - degrees))
    assert not list(cut_clips("mix", 9 * ambisonic, RATE, [], seed=3))  # it would clip


def test_perfect_rows_are_perfect():
    truth = rows_of(BELL, 0, [10.0] * 5) + rows_of(KNOCK, 1, [-60.0, -58.0])
    counts = count_frames(truth, truth, limit=1.0)
    assert (counts.f20, counts.direction_error, counts.recall) == (1.0, 0.0, 1.0)
    score = score_clip(truth, truth)
    assert all(score.side) and score.order == [True] and score.counted and score.onset == score.offset == [0.0, 0.0]


def test_scores_of_hand_made_rows():
    """Bell: a hit, a pair 30 degrees off, one missed, one extra: F 1 / (2 + 1). Knock: never found: F 0."""
    truth = rows_of(BELL, 0, [0.0, 0.0, 0.0]) + rows_of(KNOCK, 1, [50.0])
    guess = rows_of(BELL, 7, [12.0, 30.0]) + rows_of(BELL, 8, [5.0], first=9)
    counts = count_frames(truth, guess)
    assert counts.f20 == pytest.approx((1 / 3 + 0) / 2)
    assert counts.direction_error == pytest.approx(21.0)  # of Bell alone: Knock has no pair
    assert counts.recall == pytest.approx((2 / 3 + 0) / 2)
    assert math.isnan(count_frames([], []).f20)  # nothing to score


def test_two_of_a_class_are_paired_for_the_smallest_error():
    truth = rows_of(BELL, 0, [-40.0]) + rows_of(BELL, 1, [40.0])
    guess = rows_of(BELL, 5, [35.0]) + rows_of(BELL, 6, [-30.0])
    counts = count_frames(truth, guess)
    assert counts.f20 == 1.0 and counts.direction_error == pytest.approx(7.5)


def test_two_events_of_one_number_in_a_frame_are_two_sources():
    """All that is no person has the number 0: a mean of both places would be neither."""
    truth = rows_of(BELL, 0, [-40.0] * 4) + rows_of(BELL, 0, [40.0] * 4)
    score = score_clip(truth, rows_of(BELL, 0, [-38.0] * 4) + rows_of(BELL, 1, [38.0] * 4))
    assert score.side == [True, True] and score.order == [True] and score.counted


def test_a_distance_counts_only_where_it_is_asked_for():
    truth, guess = rows_of(BELL, 0, [0.0], distance=0.4), rows_of(BELL, 0, [0.0], distance=1.0)
    assert count_frames(truth, guess).f20 == 1.0 and count_frames(truth, guess, limit=1.0).f20 == 0.0
    assert count_frames(truth, rows_of(BELL, 0, [0.0], distance=0.8), limit=1.0).f20 == 1.0


def test_without_classes_only_the_place_counts():
    truth, guess = rows_of(BELL, 0, [10.0]), rows_of(KNOCK, 0, [10.0])
    assert count_frames(truth, guess).f20 == 0.0
    assert count_frames(ignore_classes(truth), ignore_classes(guess)).f20 == 1.0


def test_sides_orders_numbers_and_ends():
    truth = rows_of(BELL, 0, [-30.0] * 10) + rows_of(KNOCK, 1, [30.0] * 10, first=20)
    guess = rows_of(0, 0, [32.0] * 7, first=24) + rows_of(0, 1, [-28.0] * 9)
    score = score_clip(truth, guess)
    assert score.side == [True, True] and score.order == [True] and score.counted and score.events == 2
    assert score.onset == pytest.approx([0.0, 0.4]) and score.offset == pytest.approx([0.1, 0.1])
    wrong = score_clip(truth, rows_of(0, 0, [-35.0] * 3))
    assert wrong.side == [True, False] and wrong.order == [False] and not wrong.counted


def test_short_pauses_are_bridged():
    frames = [0, 1, 4, 8, 9]
    assert find_events([Row(frame, 0, 0, 0.0) for frame in frames]) == [
        (pytest.approx(0.0), pytest.approx(0.5)),
        (pytest.approx(0.8), pytest.approx(1.0)),
    ]


def test_a_scene_becomes_rows():
    signal = np.zeros(RATE, np.float32)
    moving = Source(signal, Direction(0.0), path=((0.0, -20.0), (1.0, 20.0)), active=((0.2, 0.5),))
    scene = Scene((moving, Source(signal, Direction(50.0), active=((0.0, 1.0),))), RATE, "xy")
    rows = real.to_rows(scene, 10, [BELL, None])
    assert [row.frame for row in rows] == [2, 3, 4] and {row.kind for row in rows} == {BELL}
    assert [row.azimuth for row in rows] == pytest.approx([-10.0, -6.0, -2.0])
    assert len(real.to_rows(scene, 10)) == 13


def test_labels_of_both_kinds_of_encoder_name_classes():
    assert find_class("bell") == find_class("Chime") == BELL and find_class("Echo") is None
    assert list_labels(["dog", "drum", "Knock"]) == ["drum", "Knock"]
    assert len({find_class(name) for names in CLASSES.values() for name in names}) == 13


def test_the_ambisonic_microphone_of_the_copy_obeys_the_formulas_of_starss23():
    room = draw_room(SETUP, None, np.random.default_rng(1))
    responses = real_copy.respond_ambisonic(room, azimuth=35.0, distance=1.2)
    peak = np.abs(responses[0]).argmax()
    w, y, z, x = responses[:, peak]
    assert y / w == pytest.approx(math.sin(math.radians(-35.0)), abs=0.01)
    assert x / w == pytest.approx(math.cos(math.radians(35.0)), abs=0.01) and z / w == pytest.approx(0.0, abs=0.01)


@pytest.fixture
def dry(monkeypatch):
    monkeypatch.setattr(real_copy, "RT60", (0.0, 0.0))  # no rooms: image sources take long


def test_the_whole_road_on_a_synthetic_copy(tmp_path, dry):
    real_copy.make_copy(out=str(tmp_path / "copy"), n=2, seed=5)
    data, out, rows = str(tmp_path / "copy"), str(tmp_path / "out"), list[str]()
    text = real.bench_real(data=data, systems=["listen-setup"], out=out, on_row=rows.append)
    assert [row.split()[0] for row in rows] == ["1/2", "2/2"]
    assert "| 2 clips" in text and "F20, %" in text and (tmp_path / "out" / "table.md").is_file()
    written = sorted((tmp_path / "out" / "listen-setup").glob("*.csv"))
    assert len(written) == 2 and all(read_rows(path) is not None for path in written)
    side = next(line for line in text.splitlines() if line.startswith("| side correct"))
    assert float(side.split("|")[2]) >= 50  # left is left: mirrored, the sides would be wrong


def test_an_ambisonic_copy_is_read_in_excerpts(tmp_path, dry):
    real_copy.make_copy(out=str(tmp_path), n=1, kind="foa")
    ambisonic, files = find_files(tmp_path, "dev-test")
    clips = list(read_clips(files, ambisonic))
    assert [count_clips(files, ambisonic, most) for most in (None, 2, 9)] == [4, 2, 4]
    assert ambisonic and len(clips) == 4 and {clip.recording.shape for clip in clips} == {(2, 5 * RATE)}
    assert [clip.name for clip in read_clips(files, ambisonic, most=2)] == [clip.name for clip in clips[:2]]
    assert all(0 <= row.frame < 50 and abs(row.azimuth) <= 90 for clip in clips for row in clip.rows)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data": "nothing"}, "no folder stereo_dev or foa_dev"),
        ({"split": "dev-eval"}, "change split"),
        ({"systems": ["ears"]}, "expected some of listen"),
        ({"limit": 0}, "1 or more"),
    ],
)
def test_a_bad_option_is_one_sentence(change, words, tmp_path):
    (tmp_path / "stereo_dev" / "dev-test-a").mkdir(parents=True)
    options = {"data": str(tmp_path), "out": str(tmp_path / "out")} | change
    with pytest.raises(OptionError, match=words):
        real.bench_real(**options)
    assert not (tmp_path / "out").exists()


def write_pair(folder, frames, channels, rows=(), kind="stereo_dev"):
    (folder / kind / "dev-test-a").mkdir(parents=True)
    soundfile.write(folder / kind / "dev-test-a" / "x.wav", np.zeros((frames, channels)), RATE)
    (folder / kind / "dev-test-a" / "._x.wav").write_bytes(b"of an archive made on macOS")
    write_rows(rows, folder / "metadata_dev" / "dev-test-a" / "x.csv")


@pytest.mark.parametrize(
    ("kind", "channels", "words"),
    [
        ("stereo_dev", 1, "channels: 1, expected 2 in stereo_dev; check the folder"),
        ("stereo_dev", 4, "channels: 4, expected 2 in stereo_dev; it belongs into foa_dev"),
        ("foa_dev", 2, "channels: 2, expected 4 in foa_dev; it belongs into stereo_dev"),
    ],
)
def test_other_channels_are_named_before_anything_is_heard(kind, channels, words, tmp_path):
    write_pair(tmp_path, 100, channels, kind=kind)
    with pytest.raises(OptionError, match=words):
        real.bench_real(data=str(tmp_path), out=str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_rows_beyond_the_end_are_of_another_recording(tmp_path):
    write_pair(tmp_path, 2 * RATE, 2, rows_of(BELL, 0, [10.0] * 21))  # the last frame begins where the recording ends
    assert len(list(read_clips(find_files(tmp_path, "dev-test")[1], ambisonic=False))) == 1
    write_rows(rows_of(BELL, 0, [10.0] * 22), tmp_path / "metadata_dev" / "dev-test-a" / "x.csv")
    with pytest.raises(OptionError, match=r"event at 2.1 s, but x.wav lasts 2.0 s"):
        list(read_clips(find_files(tmp_path, "dev-test")[1], ambisonic=False))


def test_what_is_behind_in_stereo_rows_is_folded(tmp_path):
    write_pair(tmp_path, RATE, 2, rows_of(BELL, 0, [100.0, -170.0]))
    (clip,) = read_clips(find_files(tmp_path, "dev-test")[1], ambisonic=False)
    assert [row.azimuth for row in clip.rows] == [80.0, -10.0]


def test_missing_rows_are_named(tmp_path):
    write_pair(tmp_path, 100, 2)
    (tmp_path / "metadata_dev" / "dev-test-a" / "x.csv").unlink()
    with pytest.raises(OptionError, match=r"metadata_dev.dev-test-a.x\.csv"):
        find_files(tmp_path, "dev-test")
