"""The fuzz finds what is broken, and what it found stays mended."""

import re

import numpy as np
import pytest
import soundfile

from audiotoken import audio_file
from audiotoken.audio import load_audio, load_beginning
from audiotoken.audio_file import decode_sound, open_media
from audiotoken.debug import debug_pipeline, debug_unet
from audiotoken.errors import AudioError, CheckpointError, PromptError, printable
from audiotoken.loading import explain_load_errors
from tests.fuzz import cases as fuzz_cases
from tests.fuzz import run as fuzz


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


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mka"])
def test_the_first_seconds_of_a_long_file(tmp_path, name):
    """An hour is cut, not refused, and the rest of it never read."""
    rate, time = 16_000, np.arange(48_000) / 16_000
    sound = 0.5 * np.stack([np.sin(2000 * time), np.sin(3000 * time)]).astype(np.float32)
    written = tmp_path / name.replace("mka", "wav")
    soundfile.write(written, sound.T, rate)
    if name == "a.mka":
        remuxed(written, tmp_path / name)
    recording, _ = load_audio(tmp_path / name, first=1.5)
    assert recording.shape == (2, 24_000) and np.abs(recording - sound[:, :24_000])[:, 200:-200].max() < 0.05
    assert load_audio(tmp_path / name, first=99)[0].shape == (2, 48_000)
    heard, _, notes = load_beginning(tmp_path / name, 1.0)
    assert heard.shape == (2, 16_000) and "first 1 seconds" in notes[0]
    assert load_beginning(tmp_path / name, 3.0)[2] == []
    with pytest.raises(AudioError, match="longer than 1 s"):
        load_audio(tmp_path / name, max_seconds=1)


def remuxed(old, new):
    """The same samples where only FFmpeg reads them."""
    import av

    with av.open(str(old)) as source, av.open(str(new), "w", format="matroska") as target:
        track = target.add_stream("flac", rate=16_000, layout="stereo")
        for frame in source.decode(audio=0):
            target.mux(track.encode(frame))
        target.mux(track.encode())


@pytest.mark.parametrize("name", ["a.wav", "a.mka"])
def test_a_file_of_few_bytes_cannot_fill_the_memory(tmp_path, name, monkeypatch):
    soundfile.write(tmp_path / "a.wav", np.tile([[0.1, 0.2], [-0.1, 0.2]], (4000, 1)), 16_000)
    if name == "a.mka":
        remuxed(tmp_path / "a.wav", tmp_path / name)
    monkeypatch.setattr(audio_file, "MAX_SAMPLES", 10_000)
    with pytest.raises(AudioError, match=r"more than 10,000 samples.*cut"):
        load_audio(tmp_path / name)


def test_half_characters_of_a_command_line_are_no_prompt():
    pipe = debug_pipeline()
    with pytest.raises(PromptError, match="half a character at 2"):
        pipe.encode_prompts("a \udcff")
    with pytest.raises(PromptError, match="half a character"):
        pipe(prompt="a", negative_prompt="\udcff")


@pytest.mark.parametrize(
    ("part", "change", "words"),
    [
        (
            "unet",
            lambda pipe: debug_unet(kind="sd2"),
            "UNet does not fit the text encoder: UNet cross_attention_dim=40, text encoder hidden_size=32;",
        ),
        (
            "vae",
            lambda pipe: debug_pipeline(kind="mini").vae,
            "UNet does not fit the VAE: UNet in_channels=4, VAE latent_channels=8;",
        ),
        ("tokenizer", lambda pipe: larger(pipe.tokenizer), "tokenizer does not fit the text encoder: it knows"),
        ("tokenizer", lambda pipe: longer(pipe.tokenizer), "tokenizer does not fit the text encoder: its prompts"),
    ],
)
def test_parts_of_different_models_are_refused_by_name(part, change, words):
    parts = dict(debug_pipeline(kind="sd1").components)
    with pytest.raises(CheckpointError, match=words):
        type(debug_pipeline(kind="sd1"))(
            **parts | {part: change(debug_pipeline(kind="sd1"))}, requires_safety_checker=False
        )


def larger(tokenizer):
    tokenizer.add_tokens([f"word{i}" for i in range(9)])
    return tokenizer


def longer(tokenizer):
    tokenizer.model_max_length = 10**30
    return tokenizer


@pytest.mark.parametrize("error", [AttributeError("'x' has no 'y'"), ZeroDivisionError("/ 0"), OverflowError("2**70")])
def test_a_damaged_configuration_is_one_sentence(error):
    with (
        pytest.raises(CheckpointError, match=r"the model m: one of its configurations is damaged .*; give"),
        explain_load_errors("m"),
    ):
        raise error


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
    from spatial.errors import SpatialError

    raise SpatialError("Got nothing, expected something; change it.")


def mumble():
    from spatial.errors import SpatialError

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
    table = re.sub(" +", " ", fuzz.table(rows))
    assert "| read | 3 | 2 | 0 | 1 | 1.0 |" in table and "| all | 4 | 2 | 1 | 1 | 2.5 |" in table


@pytest.mark.parametrize("i", [8175, 8300])
def test_what_the_listener_got_wrong(i, tmp_path):
    """Logits below -709 overflowed; the finest grid of azimuths went a hundredth of a degree beyond its end."""
    assert fuzz.family(0, i) == "listen" and fuzz.attempt(0, i, tmp_path)["verdict"] == "fine"
