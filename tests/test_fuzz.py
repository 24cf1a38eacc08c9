"""The fuzz finds what is broken, and what it found stays mended."""

import numpy as np
import pytest
import soundfile

from audiotoken.audio_file import decode_sound, open_media
from experiments import fuzz, fuzz_cases
from experiments.generate import printable


@pytest.mark.parametrize("channels", [1, 2, 7, 8, 9, 64])
def test_what_ffmpeg_reads_has_every_channel(tmp_path, channels):
    """PyAV's planar frames end the process from the eighth channel on."""
    sound = 0.9 * (np.arange(1, channels + 1)[:, None] / channels * np.ones(4321)).astype(np.float32)
    sound[:, ::2] *= -1
    soundfile.write(tmp_path / "a.wav", sound.T, 16_000, subtype="FLOAT")
    with (tmp_path / "a.wav").open("rb") as file, open_media(file) as container:
        read, rate = decode_sound(container, 10)
    assert rate == 16_000 and np.array_equal(read, sound)


def test_names_do_not_command_the_terminal():
    assert printable("a\nb\x1b[2Jü 音.wav") == "a\\nb\\x1b[2Jü 音.wav"


def test_the_same_seed_is_the_same_input(tmp_path):
    rows = [fuzz.attempt(7, i, made(tmp_path, f"{time}-{i}")) for time in range(2) for i in quick(7, 12)]
    first, second = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    assert [row["what"] for row in first] == [row["what"] for row in second]
    assert [row["verdict"] for row in first] == [row["verdict"] for row in second]
    assert len({row["what"] for row in first}) > 6
    assert all(row["verdict"] != "bug" for row in rows)


def quick(seed, count):
    """The first inputs that take milliseconds."""
    wanted = ("read", "array", "camera", "match", "regions", "picture")
    return [i for i in range(100) if fuzz.family(seed, i) in wanted][:count]


def made(folder, name):
    (folder / name).mkdir()
    return folder / name


def refuse():
    from spatial.scene import SpatialError

    raise SpatialError("Got nothing, want something; change it.")


def mumble():
    from spatial.scene import SpatialError

    raise SpatialError("bad")


def fail():
    raise ZeroDivisionError("x")


def lie():
    fuzz_cases.hold(np.isfinite(np.nan), "NaN came out")
    return ""


@pytest.mark.parametrize(
    ("act", "verdict", "said"),
    [
        (lambda: "a tone", "fine", ""),
        (refuse, "refused", "Got nothing"),
        (mumble, "bug", "not one sentence"),
        (fail, "bug", "ZeroDivisionError"),
        (lie, "bug", "NaN came out"),
    ],
)
def test_what_counts_as_a_bug(act, verdict, said):
    found = fuzz.judged(act)
    assert found[0] == verdict and said in found[1]


def test_a_warning_and_a_file_left_behind_are_bugs(tmp_path, monkeypatch):
    def warns(rng, folder):
        np.float32(3e38) * np.float32(10)
        return "x"

    monkeypatch.setitem(fuzz_cases.CASES, fuzz.family(0, 0), (warns, fuzz_cases.CASES[fuzz.family(0, 0)][1]))
    assert "overflow" in fuzz.attempt(0, 0, tmp_path)["said"]
    (tmp_path / ".out.123.png").touch()
    with pytest.raises(fuzz_cases.Wrong, match="left behind"):
        fuzz_cases._check_files(tmp_path, set())


def test_the_table_adds_up():
    rows = [{"case": "read", "verdict": verdict, "seconds": 1.0} for verdict in ("fine", "fine", "bug")]
    rows += [{"case": "match", "verdict": "refused", "seconds": 2.5}]
    assert "| read | 3 | 2 | 0 | 1 | 1.0 |" in fuzz.table(rows) and "| all | 4 | 2 | 1 | 1 | 2.5 |" in fuzz.table(rows)
