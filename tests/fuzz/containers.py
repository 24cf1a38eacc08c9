"""Containers of every kind, joined, cut off, lying about their length, with channels in any order: what is heard.

The truth is known: each channel is a tone of its own, and each second of it is there. What FFmpeg cannot write here is
skipped.
"""

import io
import os
import struct
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiotoken.errors import AudioError
from tests.fuzz.cases import described, hold
from tests.fuzz.inputs import Rng, pick

RATE = 48_000
SNDFILE = {  # suffix -> format and encoding of libsndfile
    "wav": ("WAV", "PCM_16"),
    "wavex": ("WAVEX", "PCM_24"),
    "float.wav": ("WAV", "FLOAT"),
    "rf64": ("RF64", "PCM_16"),
    "w64": ("W64", "PCM_16"),
    "aiff": ("AIFF", "PCM_16"),
    "aifc": ("AIFF", "FLOAT"),
    "au": ("AU", "PCM_16"),
    "caf": ("CAF", "PCM_16"),
    "alac.caf": ("CAF", "ALAC_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "adpcm.wav": ("WAV", "IMA_ADPCM"),
    "ulaw.wav": ("WAV", "ULAW"),
}
FFMPEG = {  # suffix -> encoder and container of FFmpeg
    "m4a": ("aac", "ipod"),
    "mov": ("pcm_s16le", "mov"),
    "mp4": ("aac", "mp4"),
    "mka": ("flac", "matroska"),
    "mkv": ("aac", "matroska"),
    "webm": ("libopus", "webm"),
    "avi": ("pcm_s16le", "avi"),
    "flv": ("aac", "flv"),
    "wma": ("wmav2", "asf"),
    "aac": ("aac", "adts"),
    "ac3": ("ac3", "ac3"),
    "eac3": ("eac3", "eac3"),
    "mp2": ("mp2", "mp2"),
    "ts": ("aac", "mpegts"),
    "mpg": ("mp2", "mpeg"),
    "wv": ("wavpack", "wv"),
    "tta": ("tta", "tta"),
    "oga": ("flac", "oga"),
    "3gp": ("aac", "3gp"),
    "alac.m4a": ("alac", "ipod"),
    "nut": ("pcm_s16le", "nut"),
}
MANY = ("wav", "wavex", "rf64", "w64", "aiff", "au", "caf", "flac", "ogg", "opus", "m4a", "mka", "mov", "alac.m4a")
MANY += ("ac3", "wv", "mkv", "webm", "ts", "oga")
JOINABLE = tuple(each for each in (*SNDFILE, *FFMPEG) if each not in ("tta", "mpg", "wma", "nut"))  # mark no beginning
MEASURED = (
    "wav",
    "wavex",
    "rf64",
    "w64",
    "aiff",
    "au",
    "caf",
    "mka",
    "mkv",
    "mp4",
    "mov",
    "m4a",
)  # their end is stated
LAYOUTS = {3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
STATED = ("wav", "wavex", "float.wav", "rf64", "w64", "aiff", "aifc", "au", "caf", "mov", "wv", "tta", "avi", "flac")


def tones(channels: int, seconds: float) -> NDArray[np.float32]:
    """(channels, frames): 400 Hz in the first channel, 800 Hz in the second, ..."""
    time = np.arange(round(seconds * RATE)) / RATE
    return np.stack([0.2 * np.sin(2 * np.pi * 400 * (i + 1) * time + i) for i in range(channels)]).astype(np.float32)


@cache
def content(kind: str, channels: int = 2, tenths: int = 10) -> bytes:
    """A file with these tones; b"" where this computer's libraries cannot write it."""
    sound, file = tones(channels, tenths / 10), io.BytesIO()
    try:
        if kind in SNDFILE:
            container, subtype = SNDFILE[kind]
            soundfile.write(file, sound.T, RATE, format=container, subtype=subtype)
        else:
            _encode(file, sound, *FFMPEG[kind], "stereo" if channels == 2 else LAYOUTS[channels])
    except (soundfile.LibsndfileError, ValueError, OSError):
        return b""
    return file.getvalue()


def _encode(file: io.BytesIO, sound: NDArray, codec: str, container: str, layout: str) -> None:
    import av

    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=RATE, layout=layout)
        packed = np.ascontiguousarray(sound.T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
        frame.sample_rate, frame.pts = RATE, 0
        resampler = av.AudioResampler(stream.format, layout, RATE, stream.codec_context.frame_size or None)
        for piece in [*resampler.resample(frame), *resampler.resample(None), None]:
            out.mux(stream.encode(piece))


def find_tones(recording: NDArray, rate: int) -> list[int]:
    """The number of the tone in each channel."""
    spectra = np.abs(np.fft.rfft(recording * np.hanning(recording.shape[1]), axis=1))
    return [round(float(each.argmax()) * rate / recording.shape[1] / 400) for each in spectra]


def _write(rng: Rng, folder: Path, kind: str, data: bytes) -> Path:
    suffix = kind.split(".")[-1] if rng.random() < 0.8 else pick(rng, ("wav", "mp3", "bin", "mp4", "ogg"))
    path = folder / f"a.{suffix}"
    path.write_bytes(data)
    return path


def joined(rng: Rng, folder: Path) -> str:
    """Several recordings in one file, of one or of several kinds: all are heard, or a note says that they are not."""
    from audiotoken.audio import load_with_notes

    kinds = [pick(rng, JOINABLE)] * int(rng.integers(2, 4))
    if rng.random() < 0.2:
        kinds = [pick(rng, MEASURED)] * (len(kinds) - 1) + [pick(rng, JOINABLE)]
    tenths = [int(rng.integers(5, 15)) for _ in kinds]
    pieces = [content(kind, 2, ten) for kind, ten in zip(kinds, tenths, strict=True)]
    if not all(pieces):
        return "cannot be written here"
    path, what = _write(rng, folder, kinds[0], b"".join(pieces)), f"{kinds}, {tenths} tenths of a second"
    with described(what):
        recording, rate, notes = load_with_notes(path)
        heard, expected = recording.shape[1] / rate, sum(tenths) / 10
        whole = abs(heard - expected) < 0.15 * len(kinds)
        hold(whole or "the rest was not read" in str(notes), f"{heard:.2f} of {expected:.2f} s, {notes}")
        hold(np.square(recording[:, -rate // 3 :]).mean() > 0.005, "the end is silent")
        hold(find_tones(recording[:, : rate // 3], rate) == [1, 2], "left and right changed")
    return what


def cut(rng: Rng, folder: Path) -> str:
    """A file that breaks off: refused where its header says how long it is; never longer than it was."""
    from audiotoken.audio import load_audio

    kind, share = pick(rng, (*SNDFILE, *FFMPEG)), rng.uniform(0.05, 0.9)
    if not (data := content(kind)):
        return "cannot be written here"
    path, what = _write(rng, folder, kind, data[: int(share * len(data))]), f"{kind}, {share:.2f} of it"
    with described(what):
        recording, rate = load_audio(path)
        hold(kind not in STATED, f"{recording.shape[1] / rate:.2f} s of it were taken for the whole")
        hold(recording.shape[1] / rate < 1.1, "longer than it was")
    return what


def lying(rng: Rng, folder: Path) -> str:
    """A header that states another length: everything is heard with a note, or it is refused."""
    from audiotoken.audio import load_beginning

    kind = pick(rng, tuple(FIELDS))
    data = bytearray(content(kind))
    fields = [pick(rng, FIELDS[kind])] if rng.random() < 0.5 else FIELDS[kind]
    how = pick(rng, ("zero", "ones", "half", "double", "short"))
    for marker, offset, form in fields:
        at = data.find(marker) + offset
        (true,) = struct.unpack_from(form, data, at)
        most = 256 ** struct.calcsize(form) // (2 if form.islower() and form[-1] == "q" else 1) - 1
        stated = {"zero": 0, "ones": most, "half": true // 2, "double": 2 * true, "short": max(0, true - 4096)}[how]
        struct.pack_into(form, data, at, min(stated, most))
    path, what = _write(rng, folder, kind, bytes(data)), f"{kind}: {how} in {[each[0] for each in fields]}"
    with described(what):
        recording, rate, notes = load_beginning(path, 60)
        seconds = recording.shape[1] / rate
        hold(seconds > 0.9 or notes, f"{seconds:.2f} of 1 s, and no note")
        hold(seconds < 1.05, f"{seconds:.2f} s of 1")
    return what


FIELDS: dict[str, list[tuple[bytes, int, str]]] = {  # (marker, distance, form) of each length in a header
    "wav": [(b"data", 4, "<I"), (b"RIFF", 4, "<I")],
    "float.wav": [(b"data", 4, "<I"), (b"RIFF", 4, "<I"), (b"fact", 8, "<I")],
    "wavex": [(b"data", 4, "<I"), (b"RIFF", 4, "<I")],
    "rf64": [(b"ds64", 16, "<Q"), (b"ds64", 8, "<Q")],
    "w64": [(b"data\xf3", 16, "<Q"), (b"riff", 16, "<Q")],
    "aiff": [(b"SSND", 4, ">I"), (b"COMM", 10, ">I"), (b"FORM", 4, ">I")],
    "au": [(b".snd", 8, ">I")],
    "caf": [(b"data", 4, ">q")],
}


def order(rng: Rng, folder: Path) -> str:
    """Three to eight channels: left and right come first, whatever the container calls them."""
    from audiotoken.audio import load_audio

    kind, channels = pick(rng, MANY), int(rng.integers(3, 9))
    if not (data := content(kind, channels)):
        return "cannot be written here"
    path, what = _write(rng, folder, kind, data), f"{kind} of {channels} channels"
    with described(what):
        recording, rate = load_audio(path)
        found = find_tones(recording, rate)
        hold(len(recording) == channels, f"{len(recording)} channels")
        if kind in ("ogg", "opus"):  # libsndfile writes channels as they come, so the file's order names them
            from audiotoken.channels import VORBIS, WAVE

            named = sorted(range(channels), key=lambda at: WAVE.index(VORBIS[channels][at]))
            wanted = [at + 1 for at in named]
            low = [VORBIS[channels][at] == "LFE" for at in named]
        else:
            wanted, low = list(range(1, channels + 1)), [at + 1 == 4 and channels >= 6 for at in range(channels)]
        if kind == "webm" and channels in (5, 7):  # FFmpeg's encoder of Opus itself exchanges the others
            found, wanted = found[:2] + wanted[2:], wanted
        for one, other, lowest in zip(found, wanted, low, strict=True):
            hold(lowest or one == other, f"tones {found}, expected {wanted}")
    return what


def hole(rng: Rng, folder: Path) -> str:
    """A file of gigabytes that holds nothing after its beginning: used as far as it goes, or refused, at once."""
    from audiotoken.audio import load_audio

    kind = pick(rng, (*SNDFILE, *FFMPEG))
    data = content(kind)[: int(rng.integers(4, 5000))]
    path, what = folder / "a.wav", f"{len(data)} bytes of {kind}, and 20 GB of nothing"
    with path.open("wb") as file:
        file.write(data)
        file.truncate(20 << 30)
    try:
        with described(what):
            load_audio(path)
    except AudioError as error:
        error.add_note(f"input: {what}")
        raise
    finally:
        os.unlink(path)
    return what
