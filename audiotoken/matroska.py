"""Where a Matroska or WebM recording ends, by the elements of EBML (RFC 8794, RFC 9559); positions count in bytes."""

from collections.abc import Callable
from typing import BinaryIO

EBML = b"\x1a\x45\xdf\xa3"  # the element that begins a document
SEGMENT = b"\x18\x53\x80\x67"
VOID, CHECKSUM = b"\xec", b"\xbf"
WIDEST = 8  # bytes of a size


def find_segment_end(file: BinaryIO, start: int, size: int, find: Callable[[bytes, int], int]) -> int:
    """The end of the document that begins at `start`, `size` at most.

    find: a function of (bytes, from where) -> position or -1, for documents whose length was not known when they were
    written.
    """
    at = start
    while at < size:
        file.seek(at)
        name, length = _read_head(file)
        if name not in (EBML, SEGMENT, VOID, CHECKSUM) or (name == EBML and at > start):
            break
        if length is None:
            following = find(EBML, file.tell())
            return size if following < 0 else following
        at = file.tell() + length
    return at if start < at < size else size


def _read_head(file: BinaryIO) -> tuple[bytes, int | None]:
    """The name of the next element and the length of its contents; None: not known when it was written."""
    first = file.read(1)
    name = first + file.read(_count_more(first))
    first = file.read(1)
    more = _count_more(first)
    if not first or more >= WIDEST:
        return b"", 0
    number = int.from_bytes(first + file.read(more), "big") - (1 << 7 * (more + 1))
    return name, None if number == (1 << 7 * (more + 1)) - 1 else number


def _count_more(first: bytes) -> int:
    """The bytes that follow the first of a number of variable length: as many as it begins with zero bits."""
    return 8 - first[0].bit_length() if first else 0
