"""Where the recordings in a file begin and end, by the lengths that its headers state.

Libraries read what is there of a truncated file, only the first of several files that were joined with `cat`, and
nothing of a file whose recorder crashed before it wrote the length. `find_parts` tells these apart. All numbers are
bytes; positions count from the start of the file.
"""

import mmap
import os
import struct
from collections.abc import Callable
from typing import BinaryIO

from audiotoken.chunked_files import (
    MOST_CHUNKS,
    measure_aiff,
    measure_asf,
    measure_au,
    measure_avi,
    measure_caf,
    measure_w64,
    measure_wave,
)
from audiotoken.matroska import EBML, find_segment_end
from audiotoken.part_file import Part

SEARCHED = 1 << 31  # of larger files the inside is not searched for joined ones
W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
ASF_HEAD = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
FLAC = (b"fLaC\x00\x00\x00\x22", b"fLaC\x80\x00\x00\x22")  # with the header of STREAMINFO
MP3_TAGS = (b"Xing", b"Info", b"VBRI")  # in the first frame of an encoder's output
MP3_DEPTHS = (36, 21, 13)  # bytes from the start of that frame to its tag


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
        (head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE", measure_wave),
        (head[:4] == b"RIFF" and head[8:12] == b"AVI ", measure_avi),
        (head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"), measure_aiff),
        (head[:4] in (b".snd", b"dns."), measure_au),
        (head[:4] == b"caff", measure_caf),
        (head == W64_RIFF, measure_w64),
        (head == ASF_HEAD, measure_asf),
        (head[:4] == b"OggS", _measure_ogg),
        (head[4:8] == b"ftyp", _measure_mp4),
        (head[:4] == b"FLV\x01", _measure_flv),
        (head[:4] == EBML, _measure_matroska),
        (head[:8] in FLAC, _measure_flac),
        (head[:3] == b"ID3" or (head[:1] == b"\xff" and len(head) > 1 and head[1] & 0xE6 == 0xE2), _measure_mp3),
    ]
    return next((measure for fits, measure in kinds if fits), None)


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
