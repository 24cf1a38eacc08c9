"""A part of a file as a file of its own; positions are bytes and count from the start of the file."""

import io
import os
from dataclasses import dataclass, field
from typing import Any, BinaryIO

PATIENCE = 1 << 28  # bytes that a library may read without finding any sound
STEP = 16_384  # a step to another place counts like so many bytes


@dataclass(frozen=True)
class Part:
    """One recording in a file; `end` is where it ends or, of a truncated one, where it should."""

    start: int
    end: int
    patches: dict[int, bytes] = field(default_factory=dict)  # what a crashed recorder would have written, by position
    empty: bool = False  # whether there is no chunk of samples


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
