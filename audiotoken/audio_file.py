"""Reads the samples of sound files and videos; files that cannot be read as a whole are refused.

libsndfile reads WAV, FLAC, OGG and MP3; FFmpeg (PyAV) reads everything else. Samples are (channels, frames). Error
messages here are the second half of a sentence; `load_audio` puts the name of the file before it.
"""

import math
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from audiotoken.channels import find_order, rank_channels
from audiotoken.containers import find_parts
from audiotoken.errors import AudioError
from audiotoken.part_file import Part, PartFile, find_size
from audiotoken.spelling import find_spelling

MAX_SAMPLES = 1 << 28  # channels times frames, a gigabyte: ten minutes of stereo at 192 kHz
BLOCK = 1 << 20  # samples read at once
MOST_BESIDE = 1 << 12  # bytes after a recording that may be tags
ADDRESS = re.compile(r"([A-Za-z][\w+.-]+):/")  # a path loses one of the slashes
KINDS = "a WAV, FLAC, OGG or MP3 file, or a video (MP4, MKV, WebM) with sound"


def read_file(
    path: Path, max_seconds: float, first: float | None = None, notes: list[str] | None = None
) -> tuple[NDArray, int]:
    """Read a file: (samples (channels, frames) at their own level, rate in Hz); `notes` as in `read_stream`.

    A file longer than `max_seconds` is refused; with `first`, only that many seconds are read, whatever its length.
    """
    try:
        with open_plain(path) as file:
            return read_stream(file, max_seconds, first, notes)
    except AudioError:
        raise
    except OSError as error:
        raise AudioError(f"{error.strerror or error}; check the file and the disk.") from None


def open_plain(path: Path, kinds: str = KINDS) -> BinaryIO:
    """Open a regular file that is not empty, in whichever Unicode form its name is; raises AudioError."""
    try:
        path = find_spelling(path)
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise AudioError(f"it is a folder; give {kinds}.")
        if not stat.S_ISREG(mode):
            raise AudioError("it is not a plain file; save it to one first.")
        if path.stat().st_size == 0:
            raise AudioError("the file is empty (0 bytes); record or copy it again.")
        return path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        if address := ADDRESS.match(str(path)):
            raise AudioError(
                f"it is an address ({address[1]}://...), expected a path; give the path of a file on this computer."
            ) from None
        raise AudioError("there is no such file; check the spelling and the folder.") from None
    except PermissionError:
        raise AudioError("no permission to read it; change its permissions or copy it.") from None
    except OSError as error:  # a link that leads to itself, a name too long, a disk that fails
        raise AudioError(f"{error.strerror or error}; check the path and the disk.") from None
    except ValueError as error:
        if isinstance(error, AudioError):
            raise
        raise AudioError(f"the path is not valid ({error}); check the spelling.") from None


def read_stream(
    file: BinaryIO, max_seconds: float, first: float | None = None, notes: list[str] | None = None
) -> tuple[NDArray, int]:
    """Read with libsndfile, or with FFmpeg what libsndfile refuses: ((channels, frames), rate).

    The channels are in the order of WAVE: left, right, centre, ... Joined files (`cat a.mp3 b.mp3`) are read one after
    the other. `notes` gets sentences about what a listener should know.
    """
    notes = [] if notes is None else notes
    blocks: list[NDArray] = []
    rate, read, parts = 0, 0.0, _find_whole_parts(file, notes)
    for part in parts:
        left = None if first is None else first - read
        if left is not None and left <= 0:
            break
        samples, own = _read_part(PartFile(file, part), max_seconds - read, left, notes)
        if blocks and (own, len(samples)) != (rate, len(blocks[0])):
            raise AudioError(
                f"several recordings were joined in it, of {len(blocks[0])} and {len(samples)} channels at {rate} and "
                f"{own} Hz; give them one by one."
            )
        blocks.append(samples)
        rate, read = own, read + samples.shape[1] / own
        _check_size(sum(each.size for each in blocks))
    if len(blocks) > 1:
        notes.append(f"{len(blocks)} recordings were joined in this file; they are heard one after the other.")
    samples = np.concatenate(blocks, axis=1) if len(blocks) > 1 else blocks[0]
    return samples if first is None else samples[:, : math.ceil(first * rate)], rate


def _find_whole_parts(file: BinaryIO, notes: list[str]) -> list[Part]:
    """The recordings in the file; AudioError if one is truncated, a note if the length of one was never written."""
    file.seek(0)
    head, size = file.read(4), file.seek(0, os.SEEK_END)
    if head == b"OggS" and not _is_ogg_complete(file):
        raise AudioError("it is truncated, the stream has no last page; copy or record it again.")
    parts = find_parts(file)
    missing = parts[-1].end - size
    if missing > 0:
        raise AudioError(f"it is truncated, {missing} bytes are missing at its end; copy or record it again.")
    if parts[0].empty:
        raise AudioError("it is damaged, truncated or not a sound: no samples follow its header; copy or record it.")
    if any(part.patches for part in parts):
        notes.append("The recorder did not write how long the file is; all that is there was read.")
    if -missing > MOST_BESIDE:
        notes.append(f"By its header the recording ends {-missing} bytes before the file does; the rest was not read.")
    return parts


def _read_part(file: PartFile, max_seconds: float, first: float | None, notes: list[str]) -> tuple[NDArray, int]:
    import soundfile

    max_seconds = max_seconds if first is None else math.inf
    try:
        sound = soundfile.SoundFile(file)
    except (soundfile.LibsndfileError, TypeError, ValueError):  # TypeError: soundfile needs the format of a `.raw`
        file.seek(0)
        file.found_sound()
        with open_media(file) as container:
            return decode_sound(container, max_seconds, first, notes, file.found_sound)
    with sound:
        declared = sound.frames / sound.samplerate if sound.frames < 2**62 else 0.0  # 2**63 - 1: length unknown
        declared = declared if first is None else min(declared, first)
        _check_length(declared, max_seconds)
        try:
            blocks = list(_read_blocks_of(sound, max_seconds, first, file))
        except soundfile.LibsndfileError as error:
            raise AudioError(f"it breaks off or is damaged ({error.error_string}); copy or record it again.") from None
        read = sum(map(len, blocks))
        _check_declared_length(read / sound.samplerate, declared)
        if not read:
            raise AudioError("it holds no sound, its length is zero; record or copy it again.")
        return _reorder(np.concatenate(blocks).T, find_order(sound, file)), sound.samplerate


def read_length(path: Path) -> tuple[int, int] | None:
    """(frames, rate) from the header; None for files that libsndfile cannot read, unknown lengths, and joined files."""
    import soundfile

    try:
        with open_plain(path) as file:
            parts = find_parts(file)
            if len(parts) > 1 or parts[0].patches or parts[0].empty:
                return None
            with soundfile.SoundFile(PartFile(file, parts[0])) as sound:
                return (sound.frames, sound.samplerate) if 0 < sound.frames < 2**62 else None
    except (soundfile.LibsndfileError, TypeError, ValueError, OSError):
        return None


def read_blocks(path: Path, frames: int) -> Iterator[NDArray]:
    """Yield (channels, up to `frames`) float32 until the end of a file whose length `read_length` knows.

    Memory does not grow with the length of the file. Raises AudioError as `read_file` does.
    """
    import soundfile

    with open_plain(path) as plain:
        file = PartFile(plain, _find_whole_parts(plain, [])[0])
        with soundfile.SoundFile(file) as sound:
            declared, read, order = sound.frames, 0, find_order(sound, file)
            try:
                while len(block := sound.read(frames, dtype="float32", always_2d=True)):
                    read += len(block)
                    file.found_sound()
                    if not np.isfinite(block).all():
                        raise AudioError(
                            f"it holds NaN or infinity at {read / sound.samplerate:.1f} s; export it again."
                        )
                    yield _reorder(block.T, order)
            except soundfile.LibsndfileError as error:
                raise AudioError(f"it breaks off or is damaged ({error.error_string}); record it again.") from None
            _check_declared_length(read / sound.samplerate, declared / sound.samplerate)


def _read_blocks_of(sound: Any, max_seconds: float, first: float | None, file: PartFile) -> Iterator[NDArray]:
    """Yield (frames, channels) until the end, so that a header with a wrong length does not fill the memory."""
    read, size = 0, max(1, BLOCK // sound.channels)
    last = None if first is None else math.ceil(first * sound.samplerate)
    while last is None or read < last:
        block = sound.read(size if last is None else min(size, last - read), dtype="float32", always_2d=True)
        if not len(block):
            return
        read += len(block)
        file.found_sound()
        _check_length(read / sound.samplerate, max_seconds)
        _check_size(read * sound.channels)
        yield block


@contextmanager
def open_media(
    file: BinaryIO | PartFile, wanted: str = KINDS, refusal: type[ValueError] = AudioError, what: str = "a sound"
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


def _choose_tracks(container: Any, notes: list[str]) -> list[Any]:
    """The tracks that are heard: the best, or all if each is one microphone of the same recording."""
    best, tracks = find_audio_track(container), list(container.streams.audio)
    if len(tracks) == 1:
        return [best]
    if all(each.codec_context is not None and each.codec_context.channels == 1 for each in tracks) and all(
        (each.codec_context.sample_rate, each.start_time) == (best.codec_context.sample_rate, best.start_time)
        for each in tracks
    ):
        tracks.sort(key=lambda each: rank_channels([each.codec_context.layout.channels[0].name])[0])
        notes.append(f"The file has {len(tracks)} tracks of one channel; the first two were taken for left and right.")
        return tracks
    place = tracks.index(best) + 1
    notes.append(f"The file has {len(tracks)} audio tracks; only number {place} was heard.")
    return [best]


def decode_sound(
    container: Any,
    max_seconds: float,
    first: float | None = None,
    notes: list[str] | None = None,
    on_sound: Callable[[], None] = lambda: None,
) -> tuple[NDArray, int]:
    """Decode the audio of an open container with its own rate and channels; `first` and `notes` as in `read_stream`.

    `on_sound()` is called after each piece.
    """
    import av

    tracks = [_Track(each) for each in _choose_tracks(container, [] if notes is None else notes)]
    numbers, end = {each.stream.index: each for each in tracks}, 0.0
    for packet in container.demux():
        if packet.pts is not None:
            end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        if (track := numbers.get(packet.stream_index)) is None:
            continue
        for frame in packet.decode():
            track.add(frame, av)
            on_sound()
            if first is not None and all(each.has(first) for each in tracks):
                return _join(tracks, first)
            _check_length(track.seconds, max_seconds)
            _check_size(sum(each.read * each.channels for each in tracks))
    if not all(each.read for each in tracks):
        raise AudioError("its audio track holds no sound; record or copy it again.")
    if container.duration and {"matroska", "mp4"} & set(container.format.name.split(",")):  # other headers are guesses
        start = max(container.start_time or 0, 0) / 1e6
        _check_declared_length(end - start, container.duration / 1e6)
    return _join(tracks, first)


class _Track:
    """What was decoded of a track so far."""

    def __init__(self, stream: Any):
        self.stream, self.read, self.channels = stream, 0, 1
        self.resampler: Any = None
        self.blocks: list[NDArray] = []
        self.order: list[int] = []

    def add(self, frame: Any, av: Any) -> None:
        if self.resampler is None:
            # packed, because PyAV reads the eighth and later channels of planar frames from invalid memory
            self.resampler = av.AudioResampler(format="flt", layout=frame.layout, rate=frame.sample_rate)
            self.channels, self.rate = frame.layout.nb_channels, frame.sample_rate
            self.order = rank_channels([each.name for each in frame.layout.channels])
        for piece in self.resampler.resample(frame):
            self.blocks.append(piece.to_ndarray().reshape(piece.samples, -1).T)
            self.read += piece.samples

    @property
    def seconds(self) -> float:
        return self.read / self.rate

    def has(self, seconds: float) -> bool:
        return self.resampler is not None and self.read >= math.ceil(seconds * self.rate)


def _reorder(samples: NDArray, order: Sequence[int]) -> NDArray:
    """(channels, frames) with the channels in another order, without a copy if it is the same."""
    return samples if list(order) == list(range(len(samples))) else samples[list(order)]


def _join(tracks: Sequence[_Track], first: float | None) -> tuple[NDArray, int]:
    rate = tracks[0].rate
    sounds = [_reorder(np.concatenate(each.blocks, axis=1), np.argsort(each.order).tolist()) for each in tracks]
    shortest = min(each.shape[1] for each in sounds)
    frames = shortest if first is None else min(shortest, math.ceil(first * rate))
    return np.concatenate([each[:, :frames] for each in sounds]) if len(sounds) > 1 else sounds[0][:, :frames], rate


def _is_ogg_complete(file: BinaryIO) -> bool:
    """Whether the last page (RFC 3533, at most 65,307 bytes) is complete and ends the stream."""
    size = find_size(file)
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
