"""Any sound file or array -> a recording.

Conventions: a *recording* is `(channels, frames)` float32 in [-1, 1]; a *signal* is `(frames,)`, mono; a *rate* is Hz.
Everything that cannot be heard is refused here, once, with an `AudioError` that is one sentence.
"""

import os
import stat
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

SILENCE = 1e-4  # -80 dB below full scale: quieter than the dither of a 16-bit file, so nobody made this sound
RATES = (100, 1_000_000)  # Hz; outside, the number is a broken header, not a recorder
MAX_SECONDS = 600.0
KINDS = "a WAV, FLAC, OGG or MP3 file, or a video (MP4, MKV, WebM) with sound"

Recording = NDArray[np.float32]


class AudioError(ValueError):
    """A recording that cannot be used; the message is one sentence: what came, what is wanted, what to do."""


def load_audio(path: str | os.PathLike, rate: int | None = None, *, max_seconds: float = MAX_SECONDS):
    """Read a sound file, or the sound of a video -> (recording `(channels, frames)` float32 in [-1, 1], rate in Hz).

    Without `rate` the file's own is kept, with it the recording is resampled. Float files louder than full scale are
    scaled down to it, all channels alike. A truncated file (one that holds less than its header promises) is refused
    rather than played as far as it goes: the part that is missing may be the part that matters. Longer than
    `max_seconds` is refused too, before it fills the memory.

    Raises `AudioError` for what is not a sound: missing, unreadable, empty, truncated, silent, partly NaN, no audio.
    """
    path = Path(path)
    try:
        with _open(path) as file:
            recording, own_rate = _read(file, path, max_seconds)
    except AudioError as error:
        raise AudioError(f"Cannot hear {path}: {error}") from None
    except OSError as error:
        raise AudioError(f"Cannot hear {path}: {error.strerror or error}; check the file and the disk.") from None
    return as_recording(recording, own_rate, resample_to=rate, name=str(path))


def as_recording(audio: Any, rate: int | None = None, *, resample_to: int | None = None, name: str = "the recording"):
    """A path, or an array `(frames,)` or `(channels, frames)` with its `rate` -> (recording, rate), checked.

    The door of everything that takes sound: numpy and torch, float (any level) and integer (full scale of its type).
    """
    if isinstance(audio, str | os.PathLike):
        if rate is not None:
            raise AudioError(f"Got the file {audio} and rate={rate}, but a file knows its own rate; leave `rate` out.")
        return load_audio(audio, resample_to)
    if rate is None:
        raise AudioError(f"Got {name} as an array without its rate; pass rate= in Hz, such as rate=16000.")
    _check_rate(rate, name)
    recording = _normalised(_shaped(_to_float(audio, name), name), name)
    if resample_to is not None and resample_to != rate:
        _check_rate(resample_to, "the wanted rate")
        recording, rate = resample(recording, rate, resample_to), resample_to
    return recording, int(rate)


def to_mono(recording: Recording) -> Recording:
    """(channels, frames) -> (frames,): the mean, or the loudest channel where the channels cancel each other out."""
    mean = recording.mean(axis=0)
    loudest = recording[np.argmax(np.square(recording).mean(axis=1))]
    cancelled = np.square(mean).mean() < 0.01 * np.square(recording).mean()  # 20 dB lost: wired in opposite phase
    return np.ascontiguousarray(loudest if cancelled else mean, dtype=np.float32)


def resample(recording: Recording, rate: int, wanted: int) -> Recording:
    """(..., frames) at `rate` -> (..., frames) at `wanted`: polyphase, flat to 90 % of the band, -80 dB beyond it."""
    from scipy.signal import firwin, resample_poly

    ratio = Fraction(int(wanted), int(rate)).limit_denominator(10_000)  # 44,101 Hz must not need a filter of 100 MB
    up, down = ratio.numerator, ratio.denominator
    if up == down:
        return recording
    widest = max(up, down)
    taps = firwin(2 * 64 * widest + 1, 0.955 / widest, window=("kaiser", 9.0))
    out = resample_poly(recording, up, down, axis=-1, window=taps.astype(np.float32))
    return np.clip(out, -1.0, 1.0).astype(np.float32)  # ringing may pass full scale by a little


def _open(path: Path) -> BinaryIO:
    """The file, opened, or a sentence that says why not."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise AudioError(f"it is a folder; give {KINDS}.")
        if not stat.S_ISREG(mode):
            raise AudioError("it is not a plain file; save the sound to a file first.")
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


def _read(file: BinaryIO, path: Path, max_seconds: float) -> tuple[NDArray, int]:
    """libsndfile first, FFmpeg for what it refuses -> ((channels, frames), rate)."""
    import soundfile

    _check_whole(file)
    try:
        sound = soundfile.SoundFile(file)
    except (soundfile.LibsndfileError, TypeError, ValueError):  # TypeError: soundfile wants a `.raw` described
        file.seek(0)
        return _read_av(file, max_seconds)
    with sound:
        promised = sound.frames / sound.samplerate if sound.frames < 2**62 else 0.0  # 2**63 - 1: length unknown
        _check_length(promised, max_seconds)
        try:
            blocks = list(_blocks(sound, max_seconds))
        except soundfile.LibsndfileError as error:
            raise AudioError(f"it breaks off or is damaged ({error.error_string}); copy or record it again.") from None
        read = sum(map(len, blocks))
        _check_promise(read / sound.samplerate, promised)
        if not read:
            raise AudioError("it holds no sound, its length is zero; record or copy it again.")
        return np.concatenate(blocks).T, sound.samplerate


def _blocks(sound: Any, max_seconds: float) -> Iterator[NDArray]:
    """(frames, channels) until the end, so that a header that promises the moon does not fill the memory."""
    read = 0
    while len(block := sound.read(1 << 18, dtype="float32", always_2d=True)):
        read += len(block)
        _check_length(read / sound.samplerate, max_seconds)
        yield block


def _read_av(file: BinaryIO, max_seconds: float) -> tuple[NDArray, int]:
    """The first audio track of whatever FFmpeg opens -> ((channels, frames), rate)."""
    import av

    try:
        # no protocol: a playlist must not open other files or hosts
        with av.open(file, options={"protocol_whitelist": "none"}) as container:
            if not container.streams.audio:
                raise AudioError(f"there is no audio track in it; give {KINDS}.")
            return _decode(container, max_seconds)
    except (av.FFmpegError, EOFError, OSError, ValueError, IndexError) as error:
        if isinstance(error, AudioError):
            raise
        raise AudioError(f"it is damaged, truncated or not a sound; give {KINDS}.") from None


def _decode(container: Any, max_seconds: float) -> tuple[NDArray, int]:
    """The audio track of an open container, with its own rate and channels."""
    import av

    track, resampler = container.streams.best("audio") or container.streams.audio[0], None
    blocks, read, end = [], 0, 0.0
    for packet in container.demux():
        if packet.pts is not None:
            end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        if packet.stream_index != track.index:
            continue
        for frame in packet.decode():
            if resampler is None:
                resampler = av.AudioResampler(format="fltp", layout=frame.layout, rate=frame.sample_rate)
            for piece in resampler.resample(frame):
                blocks.append(piece.to_ndarray())
                read += piece.samples
            _check_length(read / resampler.rate, max_seconds)
    if not read or resampler is None:
        raise AudioError("its audio track holds no sound; record or copy it again.")
    if container.duration and {"matroska", "mp4"} & set(container.format.name.split(",")):  # other headers only guess
        first = max(container.start_time or 0, 0) / 1e6
        _check_promise(end - first, container.duration / 1e6)
    return np.concatenate(blocks, axis=1), resampler.rate


def _check_whole(file: BinaryIO) -> None:
    """Refuse a WAV or OGG that was cut: libsndfile plays what is left of those without a word."""
    head = file.read(12)
    if head[:4] in (b"RIFF", b"RF64") and head[8:] == b"WAVE":
        missing = _wav_bytes_missing(file)
        if missing > 0:
            raise AudioError(f"it is truncated, {missing} bytes are missing at its end; copy or record it again.")
    elif head[:4] == b"OggS" and not _ogg_ends(file):
        raise AudioError("it is truncated, the stream has no last page; copy or record it again.")
    file.seek(0)


def _wav_bytes_missing(file: BinaryIO) -> int:
    """How many bytes the data chunk promises beyond the end of the file; 0 for a stream of unknown length."""
    size = os.fstat(file.fileno()).st_size
    while len(chunk := file.read(8)) == 8:
        name, length = struct.unpack("<4sI", chunk)
        if name == b"data":
            streamed = length >= 0x7FFFF000  # what recorders write into a pipe, and RF64, whose length is elsewhere
            return 0 if streamed else file.tell() + length - size
        file.seek(length + length % 2, os.SEEK_CUR)
    return 0


def _ogg_ends(file: BinaryIO) -> bool:
    """Does the last page (RFC 3533, at most 65,307 bytes) end the stream, and is it there as a whole?"""
    size = os.fstat(file.fileno()).st_size
    file.seek(max(0, size - 2 * 65_307))
    tail = file.read()
    at = tail.rfind(b"OggS")
    if at < 0 or len(tail) < at + 27 or len(tail) < at + 27 + tail[at + 26]:
        return False
    lengths = tail[at + 27 : at + 27 + tail[at + 26]]
    return bool(tail[at + 5] & 4) and len(tail) >= at + 27 + len(lengths) + sum(lengths)


def _check_promise(seconds: float, promised: float) -> None:
    if seconds < promised - 0.1:  # containers round, encoders pad
        raise AudioError(f"it is truncated, {seconds:.2f} of {promised:.2f} s are there; copy or record it again.")


def _check_length(seconds: float, max_seconds: float) -> None:
    if seconds > max_seconds:
        raise AudioError(f"it lasts longer than {max_seconds:g} s; cut the part you mean, or raise max_seconds.")


def _check_rate(rate: Any, name: str) -> None:
    whole = isinstance(rate, int | np.integer) and not isinstance(rate, bool)
    if not whole or not RATES[0] <= rate <= RATES[1]:
        raise AudioError(f"Cannot hear {name}: got a rate of {rate!r}, want a whole number of Hz, such as 16000.")


def _to_float(audio: Any, name: str) -> Recording:
    """Any array -> float32; whole numbers are divided by the full scale of their type."""
    if hasattr(audio, "detach"):  # a torch tensor, on any device; bfloat16 is unknown to numpy
        audio = audio.detach().cpu()
        audio = (audio.float() if audio.is_floating_point() else audio).numpy()
    if not isinstance(audio, np.ndarray) or audio.dtype.kind not in "fiu":
        kind = audio.dtype if isinstance(audio, np.ndarray) else type(audio).__name__
        raise AudioError(f"Cannot hear {name}: got {kind}, want a path or an array of real numbers.")
    if audio.dtype.kind == "f":
        with np.errstate(over="ignore"):  # what overflows is refused as not finite
            return audio.astype(np.float32)
    full = 2.0 ** (8 * audio.dtype.itemsize - 1)
    return ((audio.astype(np.float64) - (full if audio.dtype.kind == "u" else 0)) / full).astype(np.float32)


def _shaped(audio: Recording, name: str) -> Recording:
    """(frames,) or (channels, frames) -> (channels, frames)."""
    recording = audio[None] if audio.ndim == 1 else audio
    if recording.ndim != 2 or recording.size == 0:
        raise AudioError(f"Cannot hear {name}: got {audio.shape}, want (channels, frames) or (frames,), not empty.")
    if recording.shape[0] > recording.shape[1]:
        raise AudioError(f"Cannot hear {name}: got {audio.shape}, want (channels, frames); transpose the array.")
    return recording


def _normalised(recording: Recording, name: str) -> Recording:
    """Refuse NaN, infinity and silence; scale down what is louder than full scale."""
    bad = recording.size - int(np.isfinite(recording).sum())
    if bad:
        raise AudioError(f"Cannot hear {name}: {bad} of {recording.size} samples are NaN or infinite; export it again.")
    peak = float(np.abs(recording).max())
    if peak > 1.0:
        recording = recording / np.float32(peak)
    swing = np.abs(recording - recording.mean(axis=1, keepdims=True, dtype=np.float64)).max()
    if swing < SILENCE:
        raise AudioError(f"Cannot hear {name}: it is silent (never above {SILENCE:g}); record it louder.")
    return np.ascontiguousarray(recording, dtype=np.float32)
