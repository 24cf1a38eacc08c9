"""Where a recording ends in files whose headers state lengths: WAVE, AVI, AIFF, AU, CAF, Wave64 and ASF.

Each `measure_...` is a function of (file, start, size) that returns the recording which begins at `start` in a file of
`size` bytes. All numbers are bytes; positions count from the start of the file.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

from audiotoken.part_file import Part

MOST_CHUNKS = 100_000  # of a container: a hole in a file reads as empty chunks without end
UNKNOWN = 0x7FFFF000  # a length of 32 bits from here on: written into a pipe
W64_KINDS = (bytes.fromhex("f3acd3118cd100c04f8edb8a"), bytes.fromhex("2f91cf11a5d628db04c10000"))  # ends of names
W64_DATA = bytes.fromhex("64617461f3acd3118cd100c04f8edb8a")
ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


def measure_wave(file: BinaryIO, start: int, size: int) -> Part:
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


def measure_avi(file: BinaryIO, start: int, size: int) -> Part:
    """FFmpeg reads joined ones itself, so only the end is told."""
    file.seek(start + 4)
    (length,) = struct.unpack("<I", file.read(4))
    empty = next(_chunks(file, start + 12, size, "<4sI"), None) is None
    return Part(start, max(size, start + 8 + length) if 0 < length < UNKNOWN else size, empty=empty)


def measure_aiff(file: BinaryIO, start: int, size: int) -> Part:
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


def measure_au(file: BinaryIO, start: int, size: int) -> Part:
    file.seek(start)
    order = ">" if file.read(4) == b".snd" else "<"
    head = file.read(8)
    if len(head) < 8:
        return Part(start, size, empty=True)
    offset, length = struct.unpack(f"{order}II", head)
    if length == 0 and start + offset < size:
        return Part(start, size, {start + 8: struct.pack(f"{order}I", 0xFFFFFFFF)})
    return Part(start, size if length >= UNKNOWN else start + offset + length)


def measure_caf(file: BinaryIO, start: int, size: int) -> Part:
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


def measure_w64(file: BinaryIO, start: int, size: int) -> Part:
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


def measure_asf(file: BinaryIO, start: int, size: int) -> Part:
    """The file properties are among the first objects; 0 and a broadcast state no length."""
    file.seek(start)
    head = file.read(5000)
    at = head.find(ASF_FILE)
    stated = struct.unpack("<Q", head[at + 40 : at + 48])[0] if 0 <= at <= len(head) - 48 else 0
    return Part(start, max(size, start + stated) if stated < 2**48 else size)


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
