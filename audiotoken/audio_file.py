"""Reads the samples of sound files and videos; files that cannot be read as a whole are refused.

libsndfile reads WAV, FLAC, OGG and MP3; FFmpeg (PyAV) reads everything else. Samples are (channels, frames). Error
messages here are the second half of a sentence; `load_audio` puts the name of the file before it.
"""

import math
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from audiotoken.errors import AudioError

MAX_SAMPLES = 1 << 28  # channels times frames, a gigabyte: ten minutes of stereo at 192 kHz
BLOCK = 1 << 20  # samples read at once
KINDS = "a WAV, FLAC, OGG or MP3 file, or a video (MP4, MKV, WebM) with sound"


def read_file(path: Path, max_seconds: float, first: float | None = None) -> tuple[NDArray, int]:
    """Read a file: (samples (channels, frames) at their own level, rate in Hz).

    A file longer than `max_seconds` is refused; with `first`, only that many seconds are read, whatever its length.
    """
    try:
        with open_plain(path) as file:
            return read_stream(file, max_seconds, first)
    except AudioError:
        raise
    except OSError as error:
        raise AudioError(f"{error.strerror or error}; check the file and the disk.") from None


def open_plain(path: Path, kinds: str = KINDS) -> BinaryIO:
    """Open a regular file that is not empty; raises AudioError."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise AudioError(f"it is a folder; give {kinds}.")
        if not stat.S_ISREG(mode):
            raise AudioError("it is not a plain file; save it to one first.")
        if path.stat().st_size == 0:
            raise AudioError("the file is empty (0 bytes); record or copy it again.")
        return path.open("rb")
    except FileNotFoundError:
        raise AudioError("there is no such file; check the spelling and the folder.") from None
    except PermissionError:
        raise AudioError("no permission to read it; change its permissions or copy it.") from None
    except ValueError as error:
        if isinstance(error, AudioError):
            raise
        raise AudioError(f"the path is not valid ({error}); check the spelling.") from None


def read_stream(file: BinaryIO, max_seconds: float, first: float | None = None) -> tuple[NDArray, int]:
    """Read with libsndfile, or with FFmpeg what libsndfile refuses: ((channels, frames), rate)."""
    import soundfile

    max_seconds = max_seconds if first is None else math.inf
    _check_whole(file)
    try:
        sound = soundfile.SoundFile(file)
    except (soundfile.LibsndfileError, TypeError, ValueError):  # TypeError: soundfile needs the format of a `.raw`
        file.seek(0)
        with open_media(file) as container:
            return decode_sound(container, max_seconds, first)
    with sound:
        declared = sound.frames / sound.samplerate if sound.frames < 2**62 else 0.0  # 2**63 - 1: length unknown
        declared = declared if first is None else min(declared, first)
        _check_length(declared, max_seconds)
        try:
            blocks = list(_read_blocks_of(sound, max_seconds, first))
        except soundfile.LibsndfileError as error:
            raise AudioError(f"it breaks off or is damaged ({error.error_string}); copy or record it again.") from None
        read = sum(map(len, blocks))
        _check_declared_length(read / sound.samplerate, declared)
        if not read:
            raise AudioError("it holds no sound, its length is zero; record or copy it again.")
        return np.concatenate(blocks).T, sound.samplerate


def read_length(path: Path) -> tuple[int, int] | None:
    """(frames, rate) from the header; None for files that libsndfile cannot read and for unknown lengths."""
    import soundfile

    try:
        with open_plain(path) as file, soundfile.SoundFile(file) as sound:
            return (sound.frames, sound.samplerate) if 0 < sound.frames < 2**62 else None
    except (soundfile.LibsndfileError, TypeError, ValueError, OSError):
        return None


def read_blocks(path: Path, frames: int) -> Iterator[NDArray]:
    """Yield (channels, up to `frames`) float32 until the end of a file whose length `read_length` knows.

    Memory does not grow with the length of the file. Raises AudioError as `read_file` does.
    """
    import soundfile

    with open_plain(path) as file:
        _check_whole(file)
        with soundfile.SoundFile(file) as sound:
            declared, read = sound.frames, 0
            try:
                while len(block := sound.read(frames, dtype="float32", always_2d=True)):
                    read += len(block)
                    if not np.isfinite(block).all():
                        raise AudioError(
                            f"it holds NaN or infinity at {read / sound.samplerate:.1f} s; export it again."
                        )
                    yield block.T
            except soundfile.LibsndfileError as error:
                raise AudioError(f"it breaks off or is damaged ({error.error_string}); record it again.") from None
            _check_declared_length(read / sound.samplerate, declared / sound.samplerate)


def _read_blocks_of(sound: Any, max_seconds: float, first: float | None) -> Iterator[NDArray]:
    """Yield (frames, channels) until the end, so that a header with a wrong length does not fill the memory."""
    read, size = 0, max(1, BLOCK // sound.channels)
    last = None if first is None else math.ceil(first * sound.samplerate)
    while last is None or read < last:
        block = sound.read(size if last is None else min(size, last - read), dtype="float32", always_2d=True)
        if not len(block):
            return
        read += len(block)
        _check_length(read / sound.samplerate, max_seconds)
        _check_size(read * sound.channels)
        yield block


@contextmanager
def open_media(
    file: BinaryIO, wanted: str = KINDS, refusal: type[ValueError] = AudioError, what: str = "a sound"
) -> Iterator[Any]:
    """Open a file with FFmpeg and turn its errors into a `refusal`; a `refusal` raised meanwhile passes unchanged."""
    import av

    try:
        # no protocols, so that a playlist cannot open other files or hosts
        with av.open(file, options={"protocol_whitelist": "none"}) as container:
            yield container
    except (av.FFmpegError, EOFError, OSError, ValueError, IndexError) as error:
        if isinstance(error, refusal):
            raise
        raise refusal(f"it is damaged, truncated or not {what}; give {wanted}.") from None


def find_audio_track(container: Any) -> Any:
    """The best audio stream of an open container; raises AudioError if there is none that FFmpeg can decode."""
    if not container.streams.audio:
        raise AudioError(f"there is no audio track in it; give {KINDS}.")
    track = container.streams.best("audio") or container.streams.audio[0]
    if track.codec_context is None:
        raise AudioError(f"FFmpeg does not know the codec of its sound; give {KINDS}.")
    return track


def decode_sound(container: Any, max_seconds: float, first: float | None = None) -> tuple[NDArray, int]:
    """Decode the audio track of an open container with its own rate and channels; `first` as in `read_file`."""
    import av

    track, resampler = find_audio_track(container), None
    blocks, read, end = [], 0, 0.0
    for packet in container.demux():
        if packet.pts is not None:
            end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        if packet.stream_index != track.index:
            continue
        for frame in packet.decode():
            if resampler is None:
                # packed, because PyAV reads the eighth and later channels of planar frames from invalid memory
                resampler = av.AudioResampler(format="flt", layout=frame.layout, rate=frame.sample_rate)
            for piece in resampler.resample(frame):
                blocks.append(piece.to_ndarray().reshape(piece.samples, -1).T)
                read += piece.samples
            if first is not None and read >= math.ceil(first * resampler.rate):
                return np.concatenate(blocks, axis=1)[:, : math.ceil(first * resampler.rate)], resampler.rate
            _check_length(read / resampler.rate, max_seconds)
            _check_size(read * frame.layout.nb_channels)
    if not read or resampler is None:
        raise AudioError("its audio track holds no sound; record or copy it again.")
    if container.duration and {"matroska", "mp4"} & set(container.format.name.split(",")):  # other headers are guesses
        first = max(container.start_time or 0, 0) / 1e6
        _check_declared_length(end - first, container.duration / 1e6)
    return np.concatenate(blocks, axis=1), resampler.rate


def _check_whole(file: BinaryIO) -> None:
    """Refuse a truncated WAV or OGG, which libsndfile would read without an error."""
    head = file.read(12)
    if head[:4] in (b"RIFF", b"RF64") and head[8:] == b"WAVE":
        missing = _count_missing_bytes(file)
        if missing > 0:
            raise AudioError(f"it is truncated, {missing} bytes are missing at its end; copy or record it again.")
    elif head[:4] == b"OggS" and not _is_ogg_complete(file):
        raise AudioError("it is truncated, the stream has no last page; copy or record it again.")
    file.seek(0)


def _size(file: BinaryIO) -> int:
    """The size in bytes; keeps the position in the file."""
    position = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(position)
    return size


def _count_missing_bytes(file: BinaryIO) -> int:
    """The number of bytes of the data chunk beyond the end of the file; 0 for a stream of unknown length."""
    size = _size(file)
    while len(chunk := file.read(8)) == 8:
        name, length = struct.unpack("<4sI", chunk)
        if name == b"data":
            streamed = length >= 0x7FFFF000  # recorders that write into a pipe, and RF64 with its length elsewhere
            return 0 if streamed else file.tell() + length - size
        file.seek(length + length % 2, os.SEEK_CUR)
    return 0


def _is_ogg_complete(file: BinaryIO) -> bool:
    """Whether the last page (RFC 3533, at most 65,307 bytes) is complete and ends the stream."""
    size = _size(file)
    file.seek(max(0, size - 2 * 65_307))
    tail = file.read()
    at = tail.rfind(b"OggS")
    if at < 0 or len(tail) < at + 27 or len(tail) < at + 27 + tail[at + 26]:
        return False
    lengths = tail[at + 27 : at + 27 + tail[at + 26]]
    return bool(tail[at + 5] & 4) and len(tail) >= at + 27 + len(lengths) + sum(lengths)


def _check_declared_length(seconds: float, declared: float) -> None:
    """AudioError if the file holds fewer seconds than its header declares."""
    if seconds < declared - 0.1:  # containers round, encoders pad
        raise AudioError(f"it is truncated, {seconds:.2f} of {declared:.2f} s are there; copy or record it again.")


def _check_length(seconds: float, max_seconds: float) -> None:
    if seconds > max_seconds:
        raise AudioError(f"it lasts longer than {max_seconds:g} s; cut out a part of it, or raise max_seconds.")


def _check_size(samples: int) -> None:
    if samples > MAX_SAMPLES:
        raise AudioError(f"it holds more than {MAX_SAMPLES:,} samples in all its channels; cut out a part of it.")
