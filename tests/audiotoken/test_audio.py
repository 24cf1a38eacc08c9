"""Every kind of file is heard as it was made; every bad one is refused in one sentence."""

import os
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import torch

from audiotoken.audio import as_recording, load_audio, resample, to_mono
from audiotoken.errors import AudioError

NO_SOUND = "audio track|not a sound"  # by its name or its bytes, FFmpeg may take it for a video
LEVELS = np.array([0.3, 0.1])  # left, right: not symmetric, so that swapped channels fail


def tone(seconds: float = 1.0, rate: int = 44_100, frequency: float = 440.0) -> np.ndarray:
    """(2, frames), the second channel fainter."""
    time = np.arange(round(seconds * rate)) / rate
    return (LEVELS[:, None] * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


def level(signal: np.ndarray) -> np.ndarray:
    """Amplitude of a sine along the last axis, its ends left out."""
    inner = signal[..., signal.shape[-1] // 8 : -(signal.shape[-1] // 8)]
    return np.sqrt(2 * np.square(inner).mean(axis=-1))


def write_video(
    file: Path, sound: np.ndarray | None, codec: str = "aac", pictures: int = 25, rate: int = 48_000
) -> Path:
    """A grey video of 25 pictures a second, with the sound (2, frames) as its audio track."""
    with av.open(str(file), "w") as container:
        picture = container.add_stream("libvpx" if file.suffix == ".webm" else "mpeg4", rate=25)
        picture.width = picture.height = 32
        picture.pix_fmt = "yuv420p"
        track = container.add_stream(codec, rate=rate, layout="stereo") if sound is not None else None
        step = rate // 25
        for i in range(pictures):
            container.mux(picture.encode(av.VideoFrame.from_ndarray(np.full((32, 32, 3), i, np.uint8), "rgb24")))
            if track is not None and (i + 1) * step <= sound.shape[1]:
                piece = np.ascontiguousarray(sound[:, i * step : (i + 1) * step])
                frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="stereo")
                frame.sample_rate, frame.pts = rate, i * step
                container.mux(track.encode(frame))
        for stream in filter(None, (picture, track)):
            container.mux(stream.encode())
    return file


@pytest.mark.parametrize(
    ("name", "subtype", "tolerance"),
    [
        ("a.wav", "PCM_16", 1e-4),
        ("a.wav", "PCM_24", 1e-6),
        ("a.wav", "PCM_32", 1e-6),
        ("a.wav", "PCM_U8", 1e-2),
        ("a.wav", "FLOAT", 1e-6),
        ("a.wav", "DOUBLE", 1e-6),
        ("a.flac", "PCM_16", 1e-4),
        ("a.aiff", "PCM_16", 1e-4),
        ("a.ogg", "VORBIS", 3e-2),
        ("a.mp3", "MPEG_LAYER_III", 3e-2),
    ],
)
def test_sound_files(tmp_path, name, subtype, tolerance):
    soundfile.write(tmp_path / name, tone().T, 44_100, subtype=subtype)
    recording, rate = load_audio(tmp_path / name)
    assert rate == 44_100
    assert recording.dtype == np.float32
    assert recording.shape == (2, 44_100)
    np.testing.assert_allclose(recording[:, 4000:-4000], tone()[:, 4000:-4000], atol=tolerance)


VIDEOS = [("a.mp4", "aac"), ("a.mp4", "alac"), ("a.mkv", "aac"), ("a.mkv", "flac"), ("a.webm", "libopus")]


@pytest.mark.parametrize(("name", "codec"), VIDEOS)
def test_sound_of_videos(tmp_path, name, codec):
    recording, rate = load_audio(write_video(tmp_path / name, tone(rate=48_000), codec))
    assert rate == 48_000
    assert abs(recording.shape[1] - 48_000) < 2048  # codecs pad to whole blocks
    np.testing.assert_allclose(level(recording), LEVELS, rtol=0.05)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 48_000, 96_000, 192_000])
def test_any_rate_becomes_the_wanted_one(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", tone(rate=rate).T, rate)
    recording, got = load_audio(tmp_path / "a.wav", 16_000)
    assert got == 16_000
    assert abs(recording.shape[1] - 16_000) <= 1
    inner = slice(2000, 14_000)
    np.testing.assert_allclose(recording[:, inner], tone(rate=16_000)[:, inner], atol=1e-3)


@pytest.mark.parametrize("channels", [1, 3, 6, 64])
def test_any_number_of_channels(tmp_path, channels):
    levels = np.linspace(0.1, 0.5, channels)[:, None]
    soundfile.write(tmp_path / "a.wav", (levels * np.sin(np.arange(8000) / 9)).T, 8000)
    np.testing.assert_allclose(level(load_audio(tmp_path / "a.wav")[0]), levels[:, 0], rtol=0.02)


@pytest.mark.parametrize(("channels", "frames"), [(1, 160), (1, 3), (2, 160), (64, 40)])
def test_ten_milliseconds_and_less(tmp_path, channels, frames):
    """More channels than frames: a file says which is which."""
    sound = 0.1 * np.random.default_rng(0).standard_normal((frames, channels))
    soundfile.write(tmp_path / "a.wav", sound, 16_000, subtype="FLOAT")
    recording, _ = load_audio(tmp_path / "a.wav")
    np.testing.assert_allclose(recording, sound.T, atol=1e-6)
    assert load_audio(tmp_path / "a.wav", 8_000)[0].shape == (channels, -(-frames // 2))


def test_file_names_need_not_be_text(tmp_path):
    name = os.fsdecode(b"caf\xe9 \xe9\x9f\xb3.wav")
    soundfile.write(tmp_path / "a.wav", tone().T, 44_100)
    (tmp_path / "a.wav").rename(tmp_path / name)
    assert load_audio(tmp_path / name)[0].shape == (2, 44_100)


def test_resampling_keeps_the_band_and_nothing_beyond():
    inside, beyond = (resample(tone(1.0, 44_100, f), 44_100, 16_000) for f in (7_100.0, 8_200.0))
    np.testing.assert_allclose(level(inside), LEVELS, rtol=0.01)
    assert level(beyond).max() < 1e-4 * LEVELS[0]


def test_odd_rates_do_not_need_a_huge_filter():
    np.testing.assert_allclose(level(resample(tone(1.0, 44_101), 44_101, 16_000)), LEVELS, rtol=0.01)


def test_loud_float_files_are_scaled_down_all_channels_alike(tmp_path):
    soundfile.write(tmp_path / "a.wav", 20 * tone().T, 44_100, subtype="FLOAT")
    recording, _ = load_audio(tmp_path / "a.wav")
    assert np.abs(recording).max() == pytest.approx(1.0)
    assert level(recording)[0] / level(recording)[1] == pytest.approx(3.0, rel=1e-3)


def refused(path: Path | str, match: str) -> None:
    with pytest.raises(AudioError, match=match) as caught:
        load_audio(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert message.endswith(".")


def test_paths_that_lead_nowhere(tmp_path):
    refused(tmp_path / "no.wav", "no such file")
    refused(tmp_path, "a folder")
    refused("a\0.wav", "not valid")
    refused(tmp_path / ("x" * 300), "name too long; check")
    (tmp_path / "loop").symlink_to("loop")
    refused(tmp_path / "loop", "symbolic links; check")
    (tmp_path / "file").touch()
    refused(tmp_path / "file" / "a.wav", "no such file")
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "not a plain file")


def test_no_permission(tmp_path, monkeypatch):
    (tmp_path / "a.wav").write_bytes(b"RIFF")

    def refuse(self, *args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # chmod does not stop root, who runs the tests in containers
    refused(tmp_path / "a.wav", "no permission")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "empty"),
        (b"hello world\n" * 99, NO_SOUND),
        (bytes(5000), NO_SOUND),
        (np.random.default_rng(0).bytes(50_000), NO_SOUND),
        (b"RIFF\x24\x00\x00\x00WAVE", NO_SOUND),
        (b"fLaC", NO_SOUND),
        (b"#EXTM3U\n#EXTINF:1,\nother.wav\n#EXT-X-ENDLIST\n", NO_SOUND),  # a playlist opens nothing else
    ],
    ids=["empty", "text", "zeros", "noise", "wav-head", "flac-head", "playlist"],
)
@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.raw", "a"])
def test_files_that_are_no_sound(tmp_path, content, match, name):
    soundfile.write(tmp_path / "other.wav", tone().T, 44_100)
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, match)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3", "a.mp4", "a.mkv", "a.webm"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.8])
def test_truncated(tmp_path, name, share):
    if name in ("a.mp4", "a.mkv", "a.webm"):
        write_video(tmp_path / name, tone(rate=48_000), "libopus" if name == "a.webm" else "aac")
    else:  # noise, which does not fit one page of OGG
        soundfile.write(tmp_path / name, 0.1 * np.random.default_rng(0).standard_normal((88_200, 2)), 44_100)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(share * len(whole))])
    refused(tmp_path / name, "truncated|breaks off|no sound")


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_video_whose_pictures_outlast_its_sound_is_whole(tmp_path, name):
    recording, _ = load_audio(write_video(tmp_path / name, tone(rate=48_000), pictures=75))
    assert abs(recording.shape[1] - 48_000) < 2048


def test_streamed_wav_of_unknown_length_is_whole(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone().T, 44_100)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    at = content.index(b"data")
    content[at + 4 : at + 8] = b"\xff" * 4  # what a recorder writes into a pipe
    (tmp_path / "a.wav").write_bytes(content)
    assert load_audio(tmp_path / "a.wav")[0].shape == (2, 44_100)


def test_truncated_behind_a_chunk_of_odd_length(tmp_path):
    """RIFF: a chunk of an odd number of bytes is followed by one that does not count, and then by the next chunk."""
    soundfile.write(tmp_path / "a.wav", tone().T, 44_100, subtype="PCM_16")
    content = (tmp_path / "a.wav").read_bytes()
    at = content.index(b"data")
    content = content[:at] + b"note" + (5).to_bytes(4, "little") + b"hello\0" + content[at:]
    content = content[:4] + (len(content) - 8).to_bytes(4, "little") + content[8:]
    (tmp_path / "a.wav").write_bytes(content)
    assert load_audio(tmp_path / "a.wav")[0].shape == (2, 44_100)
    (tmp_path / "a.wav").write_bytes(content[:-1000])
    refused(tmp_path / "a.wav", "truncated, 1000 bytes are missing")


def test_video_without_sound(tmp_path):
    refused(write_video(tmp_path / "a.mp4", None), "no audio track")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", [slice(None), slice(5, 6)], ids=["all", "one"])
def test_not_finite(tmp_path, value, where):
    sound = tone()
    sound[0, where] = value
    soundfile.write(tmp_path / "a.wav", sound.T, 44_100, subtype="FLOAT")
    refused(tmp_path / "a.wav", "NaN or infinite")


@pytest.mark.parametrize(("value", "words"), [(0.0, "is silent"), (-0.5, "is constant .*about 0.5"), (3e-5, "silent")])
def test_silent(tmp_path, value, words):
    """Zeros, a constant offset, and the last bit of a 16-bit file."""
    constant = np.full((8000, 2), value, np.float32)
    constant[::2] -= 3e-5 if value == 3e-5 else 0
    soundfile.write(tmp_path / "a.wav", constant, 8000, subtype="FLOAT")
    refused(tmp_path / "a.wav", words)


def test_a_single_sample_is_no_sound(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.full((1, 2), 0.5), 8000)
    refused(tmp_path / "a.wav", "is a single sample long; give a longer recording")


def test_one_silent_channel_is_no_fault(tmp_path):
    soundfile.write(tmp_path / "a.wav", (tone() * [[1], [0]]).T, 44_100)
    assert load_audio(tmp_path / "a.wav")[0].shape == (2, 44_100)


def test_zero_length(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros((0, 2)), 8000)
    refused(tmp_path / "a.wav", "zero")


def test_too_long(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone().T, 44_100)
    with pytest.raises(AudioError, match=r"longer than 0\.5 s"):
        load_audio(tmp_path / "a.wav", max_seconds=0.5)
    with pytest.raises(AudioError, match=r"longer than 0\.5 s"):
        load_audio(write_video(tmp_path / "a.mkv", tone(rate=48_000)), max_seconds=0.5)


@pytest.mark.parametrize(
    "array",
    [
        tone(),
        tone().astype(np.float64),
        (tone() * 2**15).astype(np.int16),
        (tone().astype(np.float64) * 2**31).astype(np.int32),
        torch.from_numpy(tone()),
        torch.from_numpy(tone()).requires_grad_(),
        torch.from_numpy((tone() * 2**15).astype(np.int16)),
        tone().T.copy().T,
    ],
)
def test_arrays_at_the_door(array):
    recording, rate = as_recording(array, 44_100)
    assert (recording.dtype, recording.shape, rate) == (np.float32, (2, 44_100), 44_100)
    np.testing.assert_allclose(recording, tone(), atol=1e-4)


def test_arrays_of_other_kinds():
    assert as_recording(tone()[0], 44_100)[0].shape == (1, 44_100)
    assert as_recording(torch.from_numpy(tone()).bfloat16(), 44_100)[0].dtype == np.float32
    unsigned = (tone() * 127 + 128).astype(np.uint8)
    np.testing.assert_allclose(as_recording(unsigned, 44_100)[0], tone(), atol=0.02)
    recording, rate = as_recording(tone(), 44_100, resample_to=16_000)
    assert (recording.shape, rate) == ((2, 16_000), 16_000)


@pytest.mark.parametrize("loudness", [1, 5])
def test_the_caller_keeps_the_array_as_it_was(loudness):
    array = loudness * tone()
    recording, _ = as_recording(array, 44_100)
    recording[:] = 0
    np.testing.assert_array_equal(array, loudness * tone())


def test_a_path_at_the_door(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone().T, 44_100)
    assert as_recording(tmp_path / "a.wav", resample_to=16_000)[0].shape == (2, 16_000)
    with pytest.raises(AudioError, match="has its own rate"):
        as_recording(str(tmp_path / "a.wav"), 16_000)


@pytest.mark.parametrize(
    ("array", "rate", "match"),
    [
        (tone(), None, "pass rate="),
        (tone(), 0, "whole number of Hz from 100 to 1000000"),
        (tone(), 2_822_400, "resample it"),
        (tone(), -16_000, "whole number of Hz"),
        (tone(), 16_000.5, "whole number of Hz"),
        (tone(), "fast", "whole number of Hz"),
        (tone().T, 44_100, "transpose"),
        (tone()[None], 44_100, r"expected non-empty \(channels, frames\)"),
        (np.zeros((2, 0)), 44_100, "non-empty"),
        (np.ones(()), 44_100, r"expected non-empty \(channels, frames\)"),
        (tone() * np.nan, 44_100, "NaN"),
        (tone() * 0, 44_100, "silent"),
        (tone().astype(complex), 44_100, "real numbers"),
        (tone() > 0, 44_100, "real numbers"),
        (np.array(["a", "b"]), 44_100, "real numbers"),
        ([0.1, 0.2], 44_100, "real numbers"),
        (None, 44_100, "real numbers"),
    ],
)
def test_arrays_that_are_refused(array, rate, match):
    with pytest.raises(AudioError, match=match):
        as_recording(array, rate)


def test_mono_is_the_mean():
    np.testing.assert_allclose(level(to_mono(tone())), LEVELS.mean(), rtol=1e-3)
    assert to_mono(tone()).shape == (44_100,)


def test_mono_of_channels_in_opposite_phase_is_not_silence():
    left = tone()[:1]
    np.testing.assert_allclose(to_mono(np.concatenate([left, -0.99 * left])), left[0])
