"""The index of a tar shard: read once from its headers, and stored in a file if wanted.

The archive is not trusted: names only group members, links and devices are skipped, and a member counts only if it is
complete. Members before a damaged one are used, and the damage is reported.
"""

import json
import os
import tarfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from audiotoken.data.remote import FileCache, is_url, redact_url
from audiotoken.errors import DataError
from audiotoken.json_file import parse_json, printable, read_json
from audiotoken.writing import format_write_error, replace_file

Members = dict[str, tuple[int, int]]  # suffix, such as ".wav" -> (offset, bytes) in the shard

VERSION = 1
LABELS = (".json", ".cls", ".txt")  # the first that exists names the class
MAX_LABEL = 1 << 16  # bytes
BLOCK = tarfile.BLOCKSIZE
MARK = bytes(BLOCK)  # a tar file ends with blocks of zeros


@dataclass(frozen=True)
class ShardIndex:
    """The members of one shard."""

    place: str  # as `audiotoken.data.remote.redact_url`
    size: int  # bytes of the shard
    samples: dict[str, Members]  # name up to the first dot -> its members
    labels: dict[str, str]  # name -> class
    broken: tuple[tuple[str, str], ...]  # (shard or member, why)


def load_index(place: str, cache: FileCache, folder: Path | None = None) -> ShardIndex:
    """The index of the shard at `place`, stored in `folder` and read from there while the shard is unchanged."""
    stored = None if folder is None else _index_path(place, folder)
    if stored is not None and (index := _load(stored, place)) is not None:
        return index
    try:
        with cache.open(place) as file:
            index = read_index(file, redact_url(place))
    except DataError as error:
        return ShardIndex(redact_url(place), 0, {}, {}, ((redact_url(place), str(error)),))
    if stored is not None:
        _save(stored, place, index)
    return index


def read_index(file: BinaryIO, place: str) -> ShardIndex:
    """Group the members of an open tar file by name and read the labels."""
    size = file.seek(0, os.SEEK_END)
    samples: dict[str, Members] = {}
    labels: dict[str, str] = {}
    broken: list[tuple[str, str]] = []
    for member in _iterate_members(file, size, place, broken):
        name, suffix = split_name(member.name)
        if not member.isreg() or member.issparse() or not suffix or PurePosixPath(name).name.startswith("."):
            continue
        members = samples.setdefault(name, {})
        if suffix in members:
            broken.append((f"{place}: {printable(member.name)}", "the name is there twice; the first is used."))
        else:
            members[suffix] = (member.offset_data, member.size)
    for name, members in samples.items():
        try:
            labels[name] = _read_label(file, members)
        except ValueError as error:
            broken.append((f"{place}: {printable(name)}", f"its label cannot be read ({error}); correct it."))
    return ShardIndex(place, size, samples, labels, tuple(broken))


def _iterate_members(file: BinaryIO, size: int, place: str, broken: list[tuple[str, str]]) -> Iterator[tarfile.TarInfo]:
    """Yield the complete members; the reason why reading stops early is added to `broken`."""
    file.seek(0)
    end, last = 0, "the beginning"
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            while (member := tar.next()) is not None:
                inside = 0 <= member.size <= size - member.offset_data
                if not inside or tar.offset <= end:
                    broken.append((f"{place}: {printable(member.name)}", "it is cut off; get the shard again."))
                    return
                end, last = tar.offset, printable(member.name)
                yield member
            end = tar.offset
    except (tarfile.TarError, OSError, ValueError, EOFError) as error:
        kind = "not a plain tar file, or compressed; unpack it, or" if end == 0 else f"damaged after {last};"
        broken.append((place, f"it is {kind} get it again ({error})."))
        return
    file.seek(end)  # tarfile treats a damaged header as the end
    block = file.read(BLOCK)
    if block != MARK:
        what = "damaged" if block else "has no end mark, so it may be cut off,"
        broken.append((place, f"it {'is ' if block else ''}{what} after {last}; get it again."))


def split_name(name: str) -> tuple[str, str]:
    """`dir.v1/Clip.left.WAV` -> (`dir.v1/Clip`, `.left.wav`): at the first dot of the last part, without `./`."""
    folder, slash, last = name.removeprefix("./").rpartition("/")
    stem, dot, suffix = last.partition(".") if not last.startswith(".") else (last, "", "")
    return folder + slash + stem, (dot + suffix).lower()


def is_header_of(block: bytes, name: str, size: int) -> bool:
    """Is this the header of that member? Long and non-ASCII names are stored elsewhere and not compared."""
    try:
        member = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.TarError:
        return False
    plain = name.isascii() and len(name) < 100
    return member.size == size and (not plain or split_name(member.name) == split_name(name))


def _read_label(file: BinaryIO, members: Members) -> str:
    """The class, "" where none is named; ValueError when it cannot be read."""
    suffix = next((suffix for suffix in LABELS if suffix in members), None)
    if suffix is None:
        return ""
    offset, size = members[suffix]
    if size > MAX_LABEL:
        raise ValueError(f"it has {size} bytes, expected at most {MAX_LABEL}")
    file.seek(offset)
    text = file.read(size).decode("utf-8-sig").strip()
    if suffix != ".json":
        return text
    content = parse_json(text)
    label = content.get("label", "") if isinstance(content, dict) else content
    if isinstance(label, bool) or not isinstance(label, str | int):
        raise ValueError('expected {"label": NAME}')
    return str(label).strip()


def _index_path(place: str, folder: Path) -> Path:
    """The file of a shard's index; shards of one name at different places get different files."""
    return folder / f"{PurePosixPath(redact_url(place)).stem[:100]}-{_hash_place(place)}.json"


def _hash_place(place: str) -> str:
    """Sixteen hexadecimal digits for a shard; its address may hold a key and is not stored."""
    whole = place if is_url(place) else os.path.abspath(place)
    return blake2b(whole.encode(errors="surrogateescape"), digest_size=8).hexdigest()


def _stamp(place: str) -> list[Any]:
    """Values that change with the shard; the size of a remote shard is compared when it is downloaded."""
    status = None if is_url(place) else os.stat(place)
    return [VERSION, _hash_place(place), *((status.st_size, status.st_mtime_ns) if status else ())]


def _load(path: Path, place: str) -> ShardIndex | None:
    """The stored index; None when it is missing, of another shard or unreadable, and must be made."""
    try:
        values = read_json(path)
        if values.pop("stamp") != _stamp(place):
            return None
        samples = {
            str(name): {str(suffix): (int(offset), int(size)) for suffix, (offset, size) in members.items()}
            for name, members in values["samples"].items()
        }
        labels = {str(name): str(label) for name, label in values["labels"].items()}
        broken = tuple((str(name), str(why)) for name, why in values["broken"])
        return ShardIndex(str(values["place"]), int(values["size"]), samples, labels, broken)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return None


def _save(path: Path, place: str, index: ShardIndex) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replace_file(path) as temporary:
            temporary.write_text(json.dumps({"stamp": _stamp(place), **asdict(index)}))
    except OSError as error:
        raise DataError(f"{format_write_error(path, error)}; choose another folder as index.") from None
