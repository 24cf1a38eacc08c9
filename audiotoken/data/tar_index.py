"""What lies where in a tar shard: read once from its headers, and kept in a file if wanted.

The archive is not trusted: names only group members, links and devices are passed over, and a member counts only if all
of it is there. What stands before a damage is good, and the damage is told.
"""

import json
import os
import tarfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from audiotoken.data.remote import Fetched, is_url, shown
from audiotoken.errors import DataError

Members = dict[str, tuple[int, int]]  # suffix, such as ".wav" -> (offset, bytes) in the shard

VERSION = 1
LABELS = (".json", ".cls", ".txt")  # the first that is there names the class
MAX_LABEL = 1 << 16  # bytes
BLOCK = tarfile.BLOCKSIZE
MARK = bytes(BLOCK)  # a tar file ends with blocks of zeros


@dataclass(frozen=True)
class ShardIndex:
    """Of one shard."""

    place: str  # as `audiotoken.data.remote.shown`
    size: int  # bytes of the shard
    samples: dict[str, Members]  # name up to the first dot -> its members
    labels: dict[str, str]  # name -> class
    broken: tuple[tuple[str, str], ...]  # (shard or member, why)


def index_of(place: str, fetched: Fetched, folder: Path | None = None) -> ShardIndex:
    """Of the shard at `place`; from `folder` if it is there and the shard is still the same, else it is put there."""
    kept = None if folder is None else _kept_at(place, folder)
    if kept is not None and (index := _load(kept, place)) is not None:
        return index
    try:
        with fetched.open(place) as file:
            index = read_index(file, shown(place))
    except DataError as error:
        return ShardIndex(shown(place), 0, {}, {}, ((shown(place), str(error)),))
    if kept is not None:
        _save(kept, place, index)
    return index


def read_index(file: BinaryIO, place: str) -> ShardIndex:
    """Group the members of an open tar file by name and read the labels."""
    size = file.seek(0, os.SEEK_END)
    samples: dict[str, Members] = {}
    labels: dict[str, str] = {}
    broken: list[tuple[str, str]] = []
    for member in _members(file, size, place, broken):
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
            labels[name] = _label(file, members)
        except ValueError as error:
            broken.append((f"{place}: {printable(name)}", f"its label cannot be read ({error}); mend it."))
    return ShardIndex(place, size, samples, labels, tuple(broken))


def _members(file: BinaryIO, size: int, place: str, broken: list[tuple[str, str]]) -> Iterator[tarfile.TarInfo]:
    """Those that are there as a whole; what stops the reading is added to `broken`."""
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
    file.seek(end)  # tarfile takes a damaged header for the end
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
    """Is this the header of that member? Long names and those that are not ASCII stand elsewhere, if at all."""
    try:
        member = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.TarError:
        return False
    plain = name.isascii() and len(name) < 100
    return member.size == size and (not plain or split_name(member.name) == split_name(name))


def printable(name: str) -> str:
    """Archives may hold names in no encoding."""
    return name.encode(errors="backslashreplace").decode()


def _label(file: BinaryIO, members: Members) -> str:
    """The class, "" where none is named; ValueError when it cannot be read."""
    suffix = next((suffix for suffix in LABELS if suffix in members), None)
    if suffix is None:
        return ""
    offset, size = members[suffix]
    if size > MAX_LABEL:
        raise ValueError(f"it has {size} bytes, want at most {MAX_LABEL}")
    file.seek(offset)
    text = file.read(size).decode("utf-8-sig").strip()
    if suffix != ".json":
        return text
    content = json.loads(text)
    label = content.get("label", "") if isinstance(content, dict) else content
    if isinstance(label, bool) or not isinstance(label, str | int):
        raise ValueError('want {"label": NAME}')
    return str(label).strip()


def _kept_at(place: str, folder: Path) -> Path:
    """Two shards of one name from different places have different files."""
    return folder / f"{PurePosixPath(shown(place)).stem[:100]}-{_name(place)}.json"


def _name(place: str) -> str:
    """Sixteen letters for a shard; its address may hold a key, so it is not written down."""
    whole = place if is_url(place) else os.path.abspath(place)
    return blake2b(whole.encode(errors="surrogateescape"), digest_size=8).hexdigest()


def _stamp(place: str) -> list[Any]:
    """What changes when the shard does; of one behind an address the size is compared when it is fetched."""
    status = None if is_url(place) else os.stat(place)
    return [VERSION, _name(place), *((status.st_size, status.st_mtime_ns) if status else ())]


def _load(path: Path, place: str) -> ShardIndex | None:
    """None: not there, of another shard, or unreadable, which all mean that it must be made."""
    try:
        kept = json.loads(path.read_text())
        if kept.pop("stamp") != _stamp(place):
            return None
        samples = {
            str(name): {str(suffix): (int(offset), int(size)) for suffix, (offset, size) in members.items()}
            for name, members in kept["samples"].items()
        }
        labels = {str(name): str(label) for name, label in kept["labels"].items()}
        broken = tuple((str(name), str(why)) for name, why in kept["broken"])
        return ShardIndex(str(kept["place"]), int(kept["size"]), samples, labels, broken)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _save(path: Path, place: str, index: ShardIndex) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps({"stamp": _stamp(place), **asdict(index)}))
        os.replace(temporary, path)
    except OSError as error:
        raise DataError(f"Cannot write {path}: {error.strerror or error}; choose another folder as index.") from None
    finally:
        temporary.unlink(missing_ok=True)
