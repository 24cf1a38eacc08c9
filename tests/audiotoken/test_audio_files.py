"""Files as they are found: channels in another order, joined, cut off, of crashed recorders, with holes, two tracks."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from audiotoken.audio import AudioError, load_audio, load_beginning
from audiotoken.audio_file import read_blocks, read_length
from audiotoken.channels import find_stereo, rank_channels, sounds_ambisonic
from audiotoken.containers import find_parts
from audiotoken.tasks.listen import listen_to

RATE = 48_000
SOUNDFILE = {  # name -> format, subtype
    "a.wav": ("WAV", "PCM_16"),
    "a.rf64": ("RF64", "PCM_16"),
    "a.w64": ("W64", "PCM_16"),
    "a.aiff": ("AIFF", "PCM_16"),
    "a.au": ("AU", "PCM_16"),
    "a.caf": ("CAF", "PCM_16"),
    "a.flac": ("FLAC", "PCM_16"),
    "a.ogg": ("OGG", "VORBIS"),
    "a.opus": ("OGG", "OPUS"),
    "a.mp3": ("MP3", "MPEG_LAYER_III"),
}
FFMPEG = {
    "b.m4a": ("aac", "ipod"),
    "b.mka": ("flac", "matroska"),
    "b.avi": ("pcm_s16le", "avi"),
    "b.mov": ("aac", "mov"),
}
FFMPEG |= {"b.flv": ("aac", "flv"), "b.webm": ("libopus", "webm")}
STATED = ("a.wav", "a.rf64", "a.w64", "a.aiff", "a.au", "a.caf")  # of PCM: the header says how long it is


def tones(channels: int, seconds: float = 1.0) -> np.ndarray:
    """(channels, frames): 400 Hz in the first, 800 in the second, ..."""
    time = np.arange(round(seconds * RATE)) / RATE
    return np.stack([0.2 * np.sin(2 * np.pi * 400 * (i + 1) * time + 1) for i in range(channels)]).astype(np.float32)


def find_tones(recording: np.ndarray, rate: int) -> list[int]:
    """The number of the tone in each channel."""
    spectra = np.abs(np.fft.rfft(recording * np.hanning(recording.shape[1]), axis=1))
    return [round(float(each.argmax()) * rate / recording.shape[1] / 400) for each in spectra]


def write(path: Path, sound: np.ndarray) -> Path:
    if path.name in SOUNDFILE:
        kind, subtype = SOUNDFILE[path.name]
        soundfile.write(path, sound.T, RATE, format=kind, subtype=subtype)
        return path
    codec, container = FFMPEG[path.name]
    encode(path, [(sound, "stereo")], codec, container)
    return path


def encode(path: Path, tracks: list[tuple[np.ndarray, str]], codec: str, container: str) -> None:
    """Each track with its own layout, in one file."""
    with av.open(str(path), "w", format=container) as out:
        for _, layout in tracks:
            out.add_stream(codec, rate=RATE, layout=layout)
        for (sound, layout), stream in zip(tracks, out.streams.audio, strict=True):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound), format="fltp", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
            resampler = av.AudioResampler(stream.format, layout, RATE, stream.codec_context.frame_size or None)
            for piece in [*resampler.resample(frame), *resampler.resample(None), None]:
                out.mux(stream.encode(piece))


# the order of channels


@pytest.mark.parametrize("name", ["a.ogg", "a.opus"])
@pytest.mark.parametrize(
    ("count", "order"),  # of the tones in the file: the Vorbis specification names the channels, 4.3.9
    [(3, [1, 3, 2]), (4, [1, 2, 3, 4]), (5, [1, 3, 2, 4, 5]), (6, [1, 3, 2, 6, 4, 5]), (7, [1, 3, 2, 7, 6, 4, 5])],
)
def test_ogg_has_the_centre_between_left_and_right(name, count, order, tmp_path):
    path = write(tmp_path / name, tones(count))
    recording, rate = load_audio(path)
    low = {6: {5}, 7: {6}}.get(count, set())  # Opus keeps 120 Hz of this channel
    found = find_tones(recording, rate)
    assert [f for f, o in zip(found, order, strict=True) if o - 1 not in low] == [o for o in order if o - 1 not in low]
    assert find_tones(np.concatenate(list(read_blocks(path, 7000)), axis=1), rate)[:2] == order[:2]


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.caf", "a.aiff", "a.w64"])
def test_others_begin_with_left_and_right(name, tmp_path):
    recording, rate = load_audio(write(tmp_path / name, tones(6)))
    assert find_tones(recording, rate) == [1, 2, 3, 4, 5, 6]


def test_channels_are_ranked_by_their_names():
    assert rank_channels(["FC", "FL", "FR", "BL", "BR", "LFE"]) == [2, 0, 1, 4, 5, 3]
    assert rank_channels(["FR", "FL"]) == [1, 0]
    assert rank_channels(["NONE"] * 4) == [0, 1, 2, 3] == rank_channels(["FL", "FR", "NONE", "NONE"])


# several recordings, one after the other


@pytest.mark.parametrize("name", [*SOUNDFILE, *FFMPEG])
def test_joined_files_are_heard_to_the_end(name, tmp_path):
    path = write(tmp_path / name, tones(2))
    once, rate = load_audio(path)
    twice = tmp_path / f"two{path.suffix}"
    twice.write_bytes(path.read_bytes() * 2)
    recording, own, notes = load_beginning(twice, 60)
    assert own == rate and abs(recording.shape[1] - 2 * once.shape[1]) < 0.01 * once.shape[1]
    assert np.square(recording[:, -rate // 2 :]).mean() > 0.005
    assert name in ("b.mka", "b.avi", "b.webm") or "2 recordings were joined" in notes[0]  # FFmpeg itself joins those
    assert read_length(twice) is None and load_audio(twice, first=1.5)[0].shape == (2, 1.5 * rate)


def test_joined_files_that_do_not_fit(tmp_path):
    one, two = write(tmp_path / "a.wav", tones(2)), tmp_path / "b.wav"
    soundfile.write(two, tones(1).T, 16_000)
    (tmp_path / "c.wav").write_bytes(one.read_bytes() + two.read_bytes())
    with pytest.raises(AudioError, match="2 and 1 channels at 48000 and 16000 Hz; give them one by one"):
        load_audio(tmp_path / "c.wav")
    with pytest.raises(AudioError, match="longer than"):
        (tmp_path / "d.wav").write_bytes(one.read_bytes() * 3)
        load_audio(tmp_path / "d.wav", max_seconds=2.5)


@pytest.mark.parametrize("name", ["b.mka", "b.webm", "b.m4a", "a.caf"])
def test_three_joined_files_are_heard_to_the_end(name, tmp_path):
    """FFmpeg itself reads two documents of Matroska, and no third."""
    path = write(tmp_path / name, tones(2))
    once, _ = load_audio(path)
    path.write_bytes(path.read_bytes() * 3)
    recording, _, notes = load_beginning(path, 60)
    assert recording.shape[1] > 2.95 * once.shape[1] and "3 recordings were joined" in notes[0]


def test_a_byte_between_joined_files(tmp_path):
    """libsndfile pads compressed CAF of an odd length."""
    path = write(tmp_path / "a.caf", tones(2))
    path.write_bytes((path.read_bytes() + b"\0") * 2)
    assert load_audio(path)[0].shape == (2, 2 * RATE)


@pytest.mark.parametrize("name", ["b.m4a", "b.mka", "a.wav"])
def test_recordings_of_two_kinds(name, tmp_path):
    one, two = write(tmp_path / name, tones(2)), write(tmp_path / "a.aiff", tones(2))
    once = load_audio(one)[0].shape[1]
    (tmp_path / "both").write_bytes(one.read_bytes() + two.read_bytes())
    assert load_audio(tmp_path / "both")[0].shape[1] == once + RATE


def test_a_rest_that_is_not_read_is_told(tmp_path):
    path = write(tmp_path / "a.wav", tones(1))
    path.write_bytes(path.read_bytes() + np.random.default_rng(0).bytes(9000))
    assert "ends 9000 bytes before the file does" in load_beginning(path, 60)[2][0]


def test_what_follows_is_not_always_a_recording(tmp_path):
    path = write(tmp_path / "a.wav", tones(1))
    path.write_bytes(path.read_bytes() + b"\0" * 99 + b"RIFF")
    with path.open("rb") as file:
        assert len(find_parts(file)) == 1
    assert load_beginning(path, 60)[2] == []


# cut off


@pytest.mark.parametrize("name", [*SOUNDFILE, *FFMPEG])
@pytest.mark.parametrize("share", [0.5, 0.8])
def test_half_a_file_is_refused(name, share, tmp_path):
    path = write(tmp_path / name, tones(2))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(AudioError, match=r"truncated|breaks off"):
        load_audio(path)


# lengths that nobody wrote


@pytest.mark.parametrize("name", STATED)
@pytest.mark.parametrize("whole", [True, False])
def test_a_crashed_recorder_leaves_what_it_recorded(name, whole, tmp_path):
    path = write(tmp_path / name, tones(2))
    content = bytearray(path.read_bytes())
    for marker, offset, length in zeros(name, whole):
        at = content.find(marker)
        content[at + offset : at + offset + length] = bytes(length)
    path.write_bytes(content)
    recording, rate, notes = load_beginning(path, 60)
    assert recording.shape == (2, RATE) and find_tones(recording, rate) == [1, 2]
    assert "did not write how long" in notes[0] and read_length(path) is None


def zeros(name: str, whole: bool) -> list[tuple[bytes, int, int]]:
    """(marker, distance, bytes) of the lengths: of the samples and, if `whole`, of everything."""
    return {
        "a.wav": [(b"data", 4, 4), (b"RIFF", 4, 4 * whole)],
        "a.rf64": [(b"ds64", 16, 8), (b"ds64", 8, 8 * whole)],
        "a.w64": [(b"data\xf3", 16, 8), (b"riff", 16, 8)],
        "a.aiff": [(b"SSND", 4, 4), (b"COMM", 10, 4 * whole), (b"FORM", 4, 4 * whole)],
        "a.au": [(b".snd", 8, 4)],
        "a.caf": [(b"data", 4, 8)],
    }[name]


@pytest.mark.parametrize("name", ["a.wav", "a.rf64", "a.w64", "a.aiff"])
def test_a_recorder_that_wrote_an_early_length(name, tmp_path):
    """The length of the samples is that of half of them; what is written of everything is right."""
    path = write(tmp_path / name, tones(2))
    content = bytearray(path.read_bytes())
    for marker, offset, wide in zeros(name, False):
        at, order = content.find(marker) + offset, "big" if name == "a.aiff" else "little"
        true = int.from_bytes(content[at : at + wide], order)
        content[at : at + wide] = (true // 2 if marker != b"riff" else true).to_bytes(wide, order)
    path.write_bytes(content)
    recording, rate, notes = load_beginning(path, 60)
    assert recording.shape == (2, RATE) and find_tones(recording, rate) == [1, 2]
    assert "did not write how long" in notes[0]


def test_an_empty_file_is_not_a_crashed_recorder(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros((0, 2)), RATE)
    more = path.read_bytes() + b"LIST" + struct.pack("<I", 4) + b"INFO"
    path.write_bytes(more[:4] + struct.pack("<I", len(more) - 8) + more[8:])
    with pytest.raises(AudioError, match="length is zero"):
        load_audio(path)


@pytest.mark.parametrize(
    "head",
    [
        b"RIFF\xff\xff\xff\xffWAVE",
        b"RF64\0\0\0\0WAVE",
        b"RIFF\0\0\0\0AVI ",
        b"FORM\0\0\0\0AIFF",
        b".snd",
        b"caff\0\1\0\0",
        b"OggS",
        b"fLaC\0\0\0\x22",
        b"ID3\4\0\0\0\0\0\0",
        b"\xff\xfb\x90\x64",
        b"\0\0\0\x18ftypisom",
        b"\x1a\x45\xdf\xa3",
        b"FLV\1\5\0\0\0\x09",
        bytes.fromhex("726966662e91cf11a5d628db04c10000"),
        b"",
    ],
)
def test_a_hole_of_twenty_gigabytes_is_not_searched_for_long(head, tmp_path, monkeypatch):
    """It was read eight bytes at a time. How much is read is counted, not how long it takes."""
    path = tmp_path / "a.wav"
    with path.open("wb") as file:
        file.write(head)
        file.truncate(20 << 30)
    with path.open("rb") as file:
        counted = Counted(file)
        assert len(find_parts(counted)) == 1
        assert counted.calls < 200
    with pytest.raises(AudioError):
        load_audio(path)


class Counted:
    """An open file that counts how often it is read."""

    def __init__(self, file):
        self.file, self.calls = file, 0

    def __getattr__(self, name):
        return getattr(self.file, name)

    def read(self, *size):
        self.calls += 1
        return self.file.read(*size)


# two tracks


def test_two_tracks_of_one_channel_are_left_and_right(tmp_path):
    left, right = tones(2)
    encode(tmp_path / "a.mov", [(left[None], "mono"), (right[None], "mono")], "pcm_s16le", "mov")
    recording, rate, notes = load_beginning(tmp_path / "a.mov", 60)
    assert recording.shape == (2, RATE) and find_tones(recording, rate) == [1, 2]
    assert "2 tracks of one channel" in notes[0]
    assert load_audio(tmp_path / "a.mov", first=0.25)[0].shape == (2, RATE // 4)


def test_a_track_that_is_not_heard_is_told(tmp_path):
    encode(tmp_path / "a.mov", [(tones(2), "stereo"), (tones(3)[2:], "mono")], "pcm_s16le", "mov")
    recording, rate, notes = load_beginning(tmp_path / "a.mov", 60)
    assert find_tones(recording, rate) == [1, 2] and "2 audio tracks; only number 1" in notes[0]


# more than two channels


def make_ambisonic(sources: list[tuple[np.ndarray, float]]) -> np.ndarray:
    """AmbiX of plane waves from these azimuths, in degrees, positive right (Nachbar et al. 2011): W, Y, Z, X."""
    waves = []
    for signal, azimuth in sources:
        left = np.radians(-azimuth)
        waves.append(np.stack([signal, np.sin(left) * signal, 0 * signal, np.cos(left) * signal]))
    return 0.5 * np.sum(waves, axis=0)


def bursts(seed: int) -> np.ndarray:
    """Noise that comes and goes."""
    rng = np.random.default_rng(seed)
    steps = np.repeat(rng.uniform(size=16) > 0.5, 3000)
    return 0.3 * steps * rng.normal(size=len(steps))


@pytest.mark.parametrize("setup", ["auto", "xy"])
def test_ambisonics_are_heard_where_they_are(setup, tmp_path):
    sound = make_ambisonic([(bursts(1), -37.0), (bursts(2), 22.0)])
    soundfile.write(tmp_path / "a.wav", sound.T, 24_000)
    heard = listen_to(tmp_path / "a.wav", setup=setup, count=2, labels=False)
    assert "Ambisonics" in heard.scene.notes[0] and heard.scene.setup == "xy"
    np.testing.assert_allclose(sorted(heard.scene.azimuths), [-37, 22], atol=6)


def test_four_microphones_are_no_ambisonics():
    rng = np.random.default_rng(0)
    pair = rng.normal(size=(2, 48_000))
    for recording in (rng.normal(size=(4, 48_000)), np.concatenate([pair, 0.3 * pair]), tones(4), np.zeros((4, 9000))):
        assert not sounds_ambisonic(recording)
    assert sounds_ambisonic(make_ambisonic([(bursts(1), -30.0), (bursts(2), 70.0)]))
    assert "the first two" in str(find_stereo(tones(6)).note) and find_stereo(tones(2)).note is None


@pytest.mark.parametrize("seconds", [2, 25])
def test_listen_takes_what_place_takes(seconds, tmp_path):
    """Six channels were refused, or taken apart, depending on the command."""
    time = np.arange(seconds * 8000) / 8000
    tones = [(440, 1.0), (440, 0.2), (700, 1.0), (60, 1.0), (800, 1.0), (900, 1.0)]  # Hz, level
    sound = np.stack([level * np.sin(2 * np.pi * hertz * time) for hertz, level in tones])
    soundfile.write(tmp_path / "a.wav", 0.3 * sound.T, 8000)
    heard = listen_to(tmp_path / "a.wav", labels=False, setup="panned", count=1)
    assert "has 6 channels: the first two" in heard.scene.notes[0]
    assert heard.scene.sources[0].direction.azimuth < -20 and heard.outline.shape[0] == 2
