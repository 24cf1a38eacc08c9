"""WebDataset shards -> examples: tar files whose members belong together when they share a name up to the first dot.

A sample has a sound (`key.wav`, flac, ogg, mp3) and a picture (`key.jpg`, jpeg, png, webp), or a video (`key.mp4`, mkv,
webm, mov) in place of a missing one; and optionally its label: `key.json` {"label": "dog"}, `key.cls` (a name,
or an index into `names`) or `key.txt`.

Shards are indexed by reading their headers once; members are then read in place. Nothing is unpacked, and names from
an archive are never used as paths. A remote shard is downloaded for its index and again when its samples are read,
and two shards are kept at a time: a set larger than the disk is prepared in order, with two downloads per shard. With
`index`, a folder that stores the indices, the first download happens only once.
"""

import glob
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

from audiotoken.audio import MAX_SECONDS, prepare_recording
from audiotoken.audio_file import read_stream
from audiotoken.data.folders import PICTURES, SOUNDS, Example, list_files, make_safe_keys
from audiotoken.data.image_file import decode_image
from audiotoken.data.remote import FileCache, is_url
from audiotoken.data.shard_clips import COMPRESSED, SHARD
from audiotoken.data.tar_index import BLOCK, Members, ShardIndex, is_header_of, load_index
from audiotoken.data.video_file import middle, read_frame, read_sound
from audiotoken.errors import AudioError, DataError, printable

VIDEOS = (".mp4", ".mkv", ".webm", ".mov")
MAX_SHARDS = 100_000
MAX_BYTES = 1 << 30  # of a member; it is held in memory


class WebShards:
    """The samples of tar shards, in the order of the shards and of the members in them.

    shards: files, `http(s)://` addresses, a folder of .tar files, patterns (`shard-{000000..000012}.tar`, `*.tar`), or
    a list of those. names: of the classes, where labels are numbers. index: a folder that stores the index of each
    shard. temporary: the folder for downloads, the system's by default. Read remote shards in order, as `prepare`
    does: out of order they would be downloaded again and again.

    `broken` lists (name, why): damaged shards, whose members before the damage are used, and samples without a sound or
    a picture, which are left out. DataError when no sample can be used.
    """

    def __init__(
        self,
        shards: str | os.PathLike | Sequence[str | os.PathLike],
        *,
        names: Sequence[str] = (),
        index: str | os.PathLike | None = None,
        temporary: str | os.PathLike | None = None,
    ):
        self._cache = FileCache(temporary)
        self._places = expand_shards(shards)
        found = [load_index(place, self._cache, None if index is None else Path(index)) for place in self._places]
        self._shards = found
        broken = [entry for shard in found for entry in shard.broken]
        self._samples: list[tuple[int, str]] = []  # shard, name
        for number, shard in enumerate(found):
            for name, members in shard.samples.items():
                if why := _describe_missing(members):
                    broken.append((f"{shard.place}: {printable(name)}", why))
                else:
                    self._samples.append((number, name))
        self.broken = tuple(broken)
        if not self._samples:
            first = f"; the first fault, {broken[0][0]}: {broken[0][1]}" if broken else "."
            raise DataError(f"Found no sample in {len(found)} shards, expected key.wav and key.jpg in them{first}")
        self._labels = [_resolve_label(found[number], name, names) for number, name in self._samples]
        count = Counter(name for _, name in self._samples)
        self._keys = make_safe_keys(
            name if count[name] == 1 else f"{Path(found[number].place).stem}/{name}" for number, name in self._samples
        )

    def __len__(self) -> int:
        return len(self._samples)

    def key(self, i: int) -> str:
        return self._keys[i]

    def label(self, i: int) -> str:
        return self._labels[i]

    def __getitem__(self, i: int) -> Example:
        number, name = self._samples[i]
        shard = self._shards[number]
        shown, members = f"{shard.place}: {printable(name)}", shard.samples[name]
        try:
            files = {suffix: self._member(number, name, suffix) for suffix in _choose_members(members)}
            sound, picture, video = (_find_suffix(files, kinds) for kinds in (SOUNDS, PICTURES, VIDEOS))
            if sound:
                samples, rate = read_stream(files[sound], MAX_SECONDS)
            else:
                samples, rate = read_sound(files[video], max_seconds=MAX_SECONDS)
            image = decode_image(files[picture]) if picture else read_frame(files[video], middle)
        except (AudioError, DataError) as error:
            raise type(error)(f"Cannot read {shown}: {error}") from None
        recording, rate = prepare_recording(samples, rate, None, shown)
        return Example(self.key(i), self.label(i), recording, rate, image)

    def _member(self, number: int, name: str, suffix: str) -> BytesIO:
        """Read a member in place, after a check that its header still precedes it."""
        shard = self._shards[number]
        offset, size = shard.samples[name][suffix]
        if size > MAX_BYTES:
            raise DataError(f"its {suffix} has {size} bytes, expected at most {MAX_BYTES}; cut it.")
        try:
            with self._cache.open(self._places[number]) as file:
                whole = file.seek(0, os.SEEK_END)
                file.seek(max(0, offset - BLOCK))
                header, content = file.read(BLOCK), file.read(size)
        except OSError as error:
            raise DataError(f"{error.strerror or error}; check the file and the disk.") from None
        if whole != shard.size or len(content) != size or not is_header_of(header, name + suffix, size):
            raise DataError("the shard has changed since it was indexed; delete the index and start again.")
        return BytesIO(content)


def expand_shards(shards: str | os.PathLike | Sequence[str | os.PathLike]) -> list[str]:
    """Files, folders, patterns and addresses -> files and addresses, sorted where no order is given."""
    places = [shards] if isinstance(shards, str | os.PathLike) else list(shards)
    found = [one for place in places for name in _expand_braces(os.fspath(place)) for one in _list_shards(name)]
    if not found or len(found) > MAX_SHARDS:
        raise DataError(f"Got {len(found)} shards from {shards}, expected 1 to {MAX_SHARDS:,}; check the pattern.")
    return found


def _list_shards(name: str) -> list[str]:
    if is_url(name) or Path(name).is_file():
        return [name]
    if name.startswith("pipe:") or "://" in name:
        raise DataError(f"Got the shard {name}, expected a file or an http(s):// address; no command is run for one.")
    if Path(name).is_dir():
        return [str(path) for path in list_files(Path(name), (SHARD, *COMPRESSED))]  # those cannot be read
    if re.search(r"[*?\[]", name):
        return sorted(glob.glob(name))
    return [name]  # missing: reported when it is opened


def _expand_braces(pattern: str) -> Iterator[str]:
    """`a-{000..002}.tar` -> a-000.tar, a-001.tar, a-002.tar; `{train,test}.tar` -> both; several multiply."""
    match = re.search(r"\{([^{}]*)\}", pattern)
    if match is None or Path(pattern).exists():
        yield pattern
        return
    before, inside, after = pattern[: match.start()], match[1], pattern[match.end() :]
    ends = re.fullmatch(r"(\d{1,12})\.\.(\d{1,12})", inside)
    if ends and not 0 <= int(ends[2]) - int(ends[1]) < MAX_SHARDS:
        raise DataError(f"Got the pattern {pattern}, expected a range of 1 to {MAX_SHARDS:,} shards; change it.")
    choices = [f"{n:0{len(ends[1])}d}" for n in range(int(ends[1]), int(ends[2]) + 1)] if ends else inside.split(",")
    for choice in choices:
        yield from _expand_braces(before + choice + after)


def _find_suffix(members: dict, kinds: Sequence[str]) -> str:
    return next((suffix for suffix in kinds if suffix in members), "")


def _describe_missing(members: Members) -> str:
    """Why a sample cannot be used; "" if it can."""
    if _find_suffix(members, VIDEOS) or (_find_suffix(members, SOUNDS) and _find_suffix(members, PICTURES)):
        return ""
    lacking = (
        "picture"
        if _find_suffix(members, SOUNDS)
        else "sound"
        if _find_suffix(members, PICTURES)
        else "sound or picture"
    )
    return f"it has no {lacking} in this shard, only {', '.join(sorted(members))}; it is left out."


def _choose_members(members: Members) -> list[str]:
    """The members that are read: a video only in place of a missing sound or picture."""
    own = [suffix for kinds in (SOUNDS, PICTURES) if (suffix := _find_suffix(members, kinds))]
    return own if len(own) == 2 else [*own, _find_suffix(members, VIDEOS)]


def _resolve_label(shard: ShardIndex, name: str, names: Sequence[str]) -> str:
    """The class of a sample, in words where `names` has them."""
    label = shard.labels.get(name, "")
    if not names or not label.isdecimal():
        return label
    if int(label) >= len(names):
        raise DataError(
            f"Got the class {label} for {shard.place}: {printable(name)}, expected 0 to {len(names) - 1}; "
            "give all names."
        )
    return names[int(label)]
