"""Clips in the tar shards of a folder (WebDataset): their names, and their sounds, read in place.

A clip is named as if its shard were a folder: `train/shard-000.tar/dog.wav`. Nothing is unpacked, and names from an
archive are never used as paths for reading; one that would lead out of its shard is left out as broken.
"""

import os
from collections.abc import Collection
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath

from audiotoken.audio import MAX_SECONDS, Recording, cut_to_beginning, load_beginning, prepare_recording
from audiotoken.audio_file import read_stream
from audiotoken.data.folders import list_files
from audiotoken.data.remote import FileCache
from audiotoken.data.tar_index import BLOCK, is_header_of, load_index
from audiotoken.errors import AudioError, DataError, printable
from audiotoken.manifest import SOUNDS, VIDEOS

SHARD = ".tar"
COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
MAX_BYTES = 1 << 30  # of a member; it is held in memory


@dataclass(frozen=True, slots=True)
class Member:
    """A sound in a shard."""

    shard: str
    name: str  # in the shard
    offset: int  # bytes
    size: int
    changed: int  # when the shard was; seconds since 1970

    def read(self, seconds: float | None = None) -> tuple[Recording, int, list[str]]:
        """(recording, rate in Hz, notes); at most `seconds` of it, as `audio.load_beginning`.

        AudioError for what cannot be read, and without `seconds` for what is longer than `MAX_SECONDS`.
        """
        shown, notes = f"{self.shard}: {printable(self.name)}", list[str]()
        if self.size > MAX_BYTES:
            raise AudioError(f"Cannot read {shown}: it has {self.size} bytes, expected at most {MAX_BYTES}; cut it.")
        try:
            with open(self.shard, "rb") as file:
                file.seek(self.offset - BLOCK)
                header, content = file.read(BLOCK), BytesIO(file.read(self.size))
            if len(content.getbuffer()) != self.size or not is_header_of(header, self.name, self.size):
                raise AudioError("the shard has changed since it was read; start again.")
            samples, rate = read_stream(content, MAX_SECONDS, None if seconds is None else seconds + 1, notes)
        except (AudioError, DataError, OSError) as error:
            raise AudioError(f"Cannot read {shown}: {error}") from None
        recording, rate = prepare_recording(samples, rate, None, shown)
        return (recording, rate, notes) if seconds is None else cut_to_beginning(recording, rate, notes, seconds)

    def __str__(self) -> str:
        return f"{self.shard}/{self.name}"


def read_beginning(clip: str | os.PathLike | Member, seconds: float) -> tuple[Recording, int, list[str]]:
    """`audio.load_beginning` of a file or of a member of a shard. Raises AudioError."""
    return clip.read(seconds) if isinstance(clip, Member) else load_beginning(clip, seconds)


def list_members(folder: Path) -> tuple[dict[str, Member], dict[str, str]]:
    """(the clips of all shards below a folder by name, what is wrong with shards and members by their names)."""
    cache, members, broken = FileCache(), dict[str, Member](), dict[str, str]()
    for shard in sorted(folder.rglob(f"*{SHARD}")):
        relative = shard.relative_to(folder)
        if not shard.is_file() or any(part.startswith(".") for part in relative.parts):
            continue
        index, changed = load_index(os.fspath(shard), cache), int(shard.stat().st_mtime)
        broken |= dict(index.broken)
        for name, parts in index.samples.items():
            suffixes = _find_sounds(parts)
            if suffixes and ".." in PurePosixPath(name).parts:
                broken[f"{shard}: {printable(name)}"] = "its name leads out of the shard; give it another."
                continue
            for suffix in suffixes:
                key = f"{relative.as_posix()}/{name}{suffix}"
                members[key] = Member(os.fspath(shard), name + suffix, *parts[suffix], changed)
    return members, broken


def note_compressed(folder: Path) -> dict[str, list[str]]:
    """A note, by the name of the first, about shards below a folder that are not read because they are compressed."""
    if not folder.is_dir() or not (shards := list_files(folder, COMPRESSED)):
        return {}
    which = "A compressed tar file" if len(shards) == 1 else f"The first of {len(shards)} compressed tar files"
    return {shards[0].relative_to(folder).as_posix(): [f"{which}, which no clips are read from; unpack it."]}


def _find_sounds(parts: Collection[str]) -> list[str]:
    """The suffixes of the clips of a sample: of `.wav`, `.mp3`, `.mp4` the first, and each `.left.wav`."""
    kinds = (*SOUNDS, *VIDEOS)
    first = [each for each in kinds if each in parts][:1]
    return first + [each for each in parts if each not in kinds and each.endswith(kinds)]
