"""Where the recordings in a file begin and end, by the lengths that its headers state.

Libraries read what is there of a truncated file, only the first of several files that were joined with `cat`, and
nothing of a file whose recorder crashed before it wrote the length. `find_parts` tells these apart. All numbers are
bytes; positions count from the start of the file.
"""

import io
import mmap
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from audiotoken.matroska import EBML, find_segment_end

MOST_CHUNKS = 100_000  # of a container: a hole in a file reads as empty chunks without end
SEARCHED = 1 << 31  # of larger files the inside is not searched for joined ones
UNKNOWN = 0x7FFFF000  # a length of 32 bits from here on: written into a pipe
PATIENCE = 1 << 28  # bytes that a library may read without finding any sound
STEP = 16_384  # a step to another place counts like so many bytes
W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
W64_KINDS = (bytes.fromhex("f3acd3118cd100c04f8edb8a"), bytes.fromhex("2f91cf11a5d628db04c10000"))  # ends of names
W64_DATA = bytes.fromhex("64617461f3acd3118cd100c04f8edb8a")
ASF_HEAD = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
FLAC = (b"fLaC\x00\x00\x00\x22", b"fLaC\x80\x00\x00\x22")  # with the header of STREAMINFO
MP3_TAGS = (b"Xing", b"Info", b"VBRI")  # in the first frame of an encoder's output
MP3_DEPTHS = (36, 21, 13)  # bytes from the start of that frame to its tag


@dataclass(frozen=True)
class Part:
    """One recording in a file; `end` is where it ends or, of a truncated one, where it should."""

    start: int
    end: int
    patches: dict[int, bytes] = field(default_factory=dict)  # what a crashed recorder would have written, by position
    empty: bool = False  # whether there is no chunk of samples


def find_parts(file: BinaryIO) -> list[Part]:
    """The recordings that were joined to this file, mostly one; keeps the position in the file."""
    position, size = file.tell(), file.seek(0, os.SEEK_END)
    parts: list[Part] = []
    start = 0
    while start < size and len(parts) < 1000:
        file.seek(start)
        head = file.read(17)
        measure = _find_measure(head[:16])
        if measure is None and parts and head[:1] == b"\0":  # libsndfile pads CAF
            start, measure = start + 1, _find_measure(head[1:])
        if measure is None:
            break
        parts.append(measure(file, start, size))
        start = parts[-1].end
    file.seek(position)
    return parts or [Part(0, size)]


def _find_measure(head: bytes) -> Callable[[BinaryIO, int, int], Part] | None:
    kinds: list[tuple[bool, Callable[[BinaryIO, int, int], Part]]] = [
        (head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE", _measure_wave),
        (head[:4] == b"RIFF" and head[8:12] == b"AVI ", _measure_avi),
        (head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"), _measure_aiff),
        (head[:4] in (b".snd", b"dns."), _measure_au),
        (head[:4] == b"caff", _measure_caf),
        (head == W64_RIFF, _measure_w64),
        (head == ASF_HEAD, _measure_asf),
        (head[:4] == b"OggS", _measure_ogg),
        (head[4:8] == b"ftyp", _measure_mp4),
        (head[:4] == b"FLV\x01", _measure_flv),
        (head[:4] == EBML, _measure_matroska),
        (head[:8] in FLAC, _measure_flac),
        (head[:3] == b"ID3" or (head[:1] == b"\xff" and len(head) > 1 and head[1] & 0xE6 == 0xE2), _measure_mp3),
    ]
    return next((measure for fits, measure in kinds if fits), None)


def _chunks(file: BinaryIO, at: int, size: int, form: str, even: bool = True) -> Iterator[tuple[bytes, int, int]]:
    """(name, position of the contents, length) of each chunk."""
    wide = struct.calcsize(form)
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        head = file.read(wide)
        if len(head) < wide or not any(head):
            return
        name, length = struct.unpack(form, head)
        yield name, at + wide, length
        at += wide + length + (length % 2 if even else 0)
        if length < 0 or at > size:
            return


def _holds_samples(file: BinaryIO, at: int, size: int, form: str) -> bool:
    """Whether what follows a chunk of samples without a length is more than whole chunks up to the end."""
    end = at
    for name, start, length in _chunks(file, at, size, form):
        end = start + length + length % 2
        if not name.strip().isalnum() or end > size:
            return True
    return end < size - 1


def _is_longer(file: BinaryIO, at: int, length: int, whole: int, size: int, form: str) -> bool:
    """Whether a chunk of samples goes on beyond the length that it states: none was written, or an early one.

    whole: where the file ends by its header. Within that, no more than whole chunks may follow.
    """
    if length == 0:
        return _holds_samples(file, at, size, form)
    end = at + length + length % 2
    return min(whole, size) - end > length // 10 and _holds_samples(file, end, min(whole, size), form)


def _find_end(samples_end: int, whole: int, size: int) -> int:
    """The end of the samples if they are cut off, or else that of the whole, which has further chunks, if it is there.

    Chunks of an odd length are padded to an even one.
    """
    if samples_end > size:
        return samples_end
    return max(samples_end, whole) if whole <= size else min(size, samples_end + samples_end % 2)


def _measure_wave(file: BinaryIO, start: int, size: int) -> Part:
    file.seek(start + 4)
    whole = start + 8 + struct.unpack("<I", file.read(4))[0]  # where the file should end
    long, long_at = (0, 0), 0  # of a file of more than 4 GB: lengths of the whole and of the samples
    for name, at, length in _chunks(file, start + 12, size, "<4sI"):
        if name == b"ds64" and length >= 16:
            file.seek(at)
            long_at, long = at, struct.unpack("<QQ", file.read(16))
        if name != b"data":
            continue
        if long_at and length == 0xFFFFFFFF:
            length, whole = long[1], start + 8 + long[0]
        elif length >= UNKNOWN:
            return Part(start, size)
        if _is_longer(file, at, length, whole, size, "<4sI"):  # the recorder did not come to write the length
            there, everything = min(size - at, UNKNOWN - 1), min(size - start - 8, 0xFFFFFFFF)
            short = {at - 4: struct.pack("<I", there), start + 4: struct.pack("<I", everything)}
            return Part(start, size, {long_at: struct.pack("<QQ", everything, size - at)} if long_at else short)
        return Part(start, _find_end(at + length, whole, size))
    return Part(start, size, empty=True)


def _measure_avi(file: BinaryIO, start: int, size: int) -> Part:
    """FFmpeg reads joined ones itself, so only the end is told."""
    file.seek(start + 4)
    (length,) = struct.unpack("<I", file.read(4))
    empty = next(_chunks(file, start + 12, size, "<4sI"), None) is None
    return Part(start, max(size, start + 8 + length) if 0 < length < UNKNOWN else size, empty=empty)


def _measure_aiff(file: BinaryIO, start: int, size: int) -> Part:
    file.seek(start + 4)
    whole = start + 8 + struct.unpack(">I", file.read(4))[0]
    common: tuple[int, int, int] | None = None  # position of the number of frames, bytes of a frame, the number
    for name, at, length in _chunks(file, start + 12, size, ">4sI"):
        if name == b"COMM" and length >= 18:
            file.seek(at)
            channels, frames, bits = struct.unpack(">hIh", file.read(8))
            common = at + 2, channels * -(-bits // 8), frames
        if name != b"SSND":
            continue
        longer = common and common[1] > 0 and _is_longer(file, at + 8, max(0, length - 8), whole, size, ">4sI")
        if longer and common:
            frames = min(size - at - 8, UNKNOWN) // common[1]
            patches = {
                common[0]: struct.pack(">I", frames),
                at - 4: struct.pack(">I", 8 + frames * common[1]),
                start + 4: struct.pack(">I", min(size - start - 8, 0xFFFFFFFF)),
            }
            return Part(start, size, patches)
        return Part(start, _find_end(at + length, whole, size))
    return Part(start, size, empty=True)


def _measure_au(file: BinaryIO, start: int, size: int) -> Part:
    file.seek(start)
    order = ">" if file.read(4) == b".snd" else "<"
    head = file.read(8)
    if len(head) < 8:
        return Part(start, size, empty=True)
    offset, length = struct.unpack(f"{order}II", head)
    if length == 0 and start + offset < size:
        return Part(start, size, {start + 8: struct.pack(f"{order}I", 0xFFFFFFFF)})
    return Part(start, size if length >= UNKNOWN else start + offset + length)


def _measure_caf(file: BinaryIO, start: int, size: int) -> Part:
    end, found = start + 8, False
    for name, at, length in _chunks(file, start + 8, size, ">4sq", even=False):
        if not name.isalnum() or name == b"caff":  # whatever follows the last chunk
            break
        if name == b"data":
            if length < 0:
                return Part(start, size)
            if length <= 4 and at + 4 < size:
                file.seek(at + max(length, 0))
                if not file.read(4).strip().isalnum():  # no further chunk: the samples begin here
                    return Part(start, size, {at - 8: struct.pack(">q", size - at)})
            found = True
        end = at + length
    return Part(start, max(end, start + 8) if found else size, empty=not found)


def _measure_w64(file: BinaryIO, start: int, size: int) -> Part:
    file.seek(start + 16)
    whole, at = start + struct.unpack("<Q", file.read(8))[0], start + 40
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        head = file.read(24)
        if len(head) < 24 or not any(head):
            break
        length = struct.unpack("<Q", head[16:])[0]
        if head[:16] == W64_DATA:
            end = at + max(24, -(-length // 8) * 8)
            file.seek(min(end + 4, size))
            follow = min(whole, size) - end > length // 10 and file.read(12) not in W64_KINDS
            if follow or (length <= 24 and at + 24 < size != whole and whole < size):
                patches = {at + 16: struct.pack("<Q", size - at), start + 16: struct.pack("<Q", size - start)}
                return Part(start, size, patches)
            return Part(start, _find_end(at + length, whole, size))
        at += max(24, -(-length // 8) * 8)
    return Part(start, size, empty=True)


def _measure_asf(file: BinaryIO, start: int, size: int) -> Part:
    """The file properties are among the first objects; 0 and a broadcast state no length."""
    file.seek(start)
    head = file.read(5000)
    at = head.find(ASF_FILE)
    stated = struct.unpack("<Q", head[at + 40 : at + 48])[0] if 0 <= at <= len(head) - 48 else 0
    return Part(start, max(size, start + stated) if stated < 2**48 else size)


def _measure_ogg(file: BinaryIO, start: int, size: int) -> Part:
    """A stream that begins after the pages of another one is the next recording."""
    at, begun = start, False
    while at < size and size - start < SEARCHED:
        file.seek(at)
        head = file.read(27)
        if len(head) < 27 or head[:4] != b"OggS":
            break
        if head[5] & 2 and begun:
            return Part(start, at)
        begun = begun or not head[5] & 2
        at += 27 + head[26] + sum(file.read(head[26]))
    return Part(start, size)


def _measure_mp4(file: BinaryIO, start: int, size: int) -> Part:
    at = start
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        head = file.read(16)
        if len(head) < 8 or not any(head) or (at > start and _find_measure(head) is not None):
            break
        if not all(each == 0xA9 or 0x20 <= each < 0x7F for each in head[4:8]):  # no name: whatever follows the file
            return Part(start, at if at > start else size)
        (length,) = struct.unpack(">I", head[:4])
        if length == 1 and len(head) == 16:
            (length,) = struct.unpack(">Q", head[8:])
        if length < 8:  # 0: up to the end
            return Part(start, size)
        at += length
        if at >= size:
            return Part(start, size)  # what is missing is seen by its duration
    return Part(start, at if _find_measure(head) is not None else size)


def _measure_flv(file: BinaryIO, start: int, size: int) -> Part:
    at = start + 13
    while at < size and size - start < SEARCHED:
        file.seek(at)
        head = file.read(11)
        if len(head) < 11 or head[0] & 0x1F not in (8, 9, 18):
            break
        at += 15 + int.from_bytes(head[1:4], "big")
    file.seek(min(at, size))
    return Part(start, at if file.read(4) == b"FLV\x01" else size, empty=at == start + 13)


def _measure_matroska(file: BinaryIO, start: int, size: int) -> Part:
    with _search(file, start, size) as find:
        end = find_segment_end(file, start, size, find)
    file.seek(end)
    return Part(start, end if _find_measure(file.read(16)) is not None else size)


def _measure_flac(file: BinaryIO, start: int, size: int) -> Part:
    with _search(file, start, size) as find:
        found = [at for marker in FLAC if (at := find(marker, start + 4)) > 0]
    return Part(start, min(found, default=size))


def _measure_mp3(file: BinaryIO, start: int, size: int) -> Part:
    """An encoder writes a tag into its first frame; further such frames begin further recordings."""
    with _search(file, start, size) as find:
        first = min((at for tag in MP3_TAGS if (at := find(tag, start)) > 0), default=0)
        at = first
        while at > 0:
            at = min((near for tag in MP3_TAGS if (near := find(tag, at + 4)) > 0), default=0)
            for depth in MP3_DEPTHS if at else ():
                file.seek(at - depth)
                head = file.read(2)
                if len(head) == 2 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2:
                    return Part(start, at - depth)
    return Part(start, size)


class _search:
    """Context manager: a function of (bytes, from where) -> position or -1 in a file that is searched as it lies."""

    def __init__(self, file: BinaryIO, start: int, size: int):
        self.file, self.map = file, None
        if size - start < SEARCHED:
            try:
                self.map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except (OSError, ValueError, AttributeError):
                file.seek(0)
                self.map = file.read()  # type: ignore[assignment]

    def __enter__(self) -> Callable[[bytes, int], int]:
        return lambda wanted, at: -1 if self.map is None else self.map.find(wanted, at)

    def __exit__(self, *error: object) -> None:
        if isinstance(self.map, mmap.mmap):
            self.map.close()


class PartFile(io.RawIOBase):
    """A part of an open file as a file of its own, with its patches.

    A library that reads more than `PATIENCE` bytes without finding sound comes to the end; call `found_sound` when it
    does.
    """

    def __init__(self, file: BinaryIO, part: Part):
        self.file, self.part = file, part
        self.length = max(0, min(part.end, find_size(file)) - part.start)
        self.at, self.unrewarded = 0, 0

    def found_sound(self) -> None:
        self.unrewarded = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self.unrewarded += STEP
        self.at = max(0, offset + {os.SEEK_SET: 0, os.SEEK_CUR: self.at, os.SEEK_END: self.length}[whence])
        return self.at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        wanted = 0 if self.unrewarded > PATIENCE else max(0, min(len(view), self.length - self.at))
        self.file.seek(self.part.start + self.at)
        content = bytearray(self.file.read(wanted))
        for place, patch in self.part.patches.items():
            first = place - self.part.start - self.at  # in what was read
            for i, byte in enumerate(patch):
                if 0 <= first + i < len(content):
                    content[first + i] = byte
        view[: len(content)] = content
        self.at += len(content)
        self.unrewarded += len(content)
        return len(content)


def find_size(file: BinaryIO) -> int:
    """The size in bytes; keeps the position in the file."""
    position = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(position)
    return size
