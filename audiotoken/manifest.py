"""Records what was made of which clips, and how, one JSON object per line, so that a folder can be resumed."""

import json
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files as package_files
from itertools import chain
from pathlib import Path
from typing import Any

from audiotoken.errors import OptionError
from audiotoken.json_file import FormError, parse_object

SOUNDS = (".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff", ".au", ".opus", ".m4a", ".aac", ".wma")
VIDEOS = (".mp4", ".mkv", ".webm", ".mov", ".avi", ".m4v", ".mpg", ".mpeg", ".3gp")

# clip, bytes, changed, files, the options; once made also heard. A dict, as the options differ by caller
Line = dict[str, Any]


def file_names(
    clips: Path, endings: Sequence[str] = (".png",), reserved: Iterable[str] = (), members: Iterable[str] = ()
) -> dict[str, list[str]]:
    """Clip -> what is made of it, as POSIX paths relative to their folders: `dogs/a.wav` -> `dogs/a.png`.

    `members` are clips in shards, `train.tar/a.wav` -> `train/a.png`; see `audiotoken.data.shard_clips`.

    endings: of the files of each clip, see `number_endings`. Clips whose files would have one name keep their suffix:
    `a.wav.png`, `a.mp3.png`; so does a clip whose file would be one of the `reserved`. OptionError when there are no
    clips.
    """
    packed = set(members)
    names = sorted([*_find_clips(clips), *packed])
    if not names:
        kinds = ", ".join(SOUNDS[:4])
        raise OptionError(
            f"There is no sound in {clips}, expected files such as {kinds} or videos; check the folder, and unpack "
            "archives."
        )
    stems = {name: Path(name).with_suffix("").as_posix() for name in names}
    stems |= {name: stems[name].replace(".tar/", "/", 1) for name in packed}
    files = {name: [f"{stem}{ending}" for ending in endings] for name, stem in stems.items()}
    uses = Counter(file.casefold() for file in chain(*files.values(), reserved))  # some file systems ignore case
    whole = {name: [f"{name}{ending}" for ending in endings] for name in names}
    chosen = {
        name: own if max(uses[each.casefold()] for each in own) == 1 else whole[name] for name, own in files.items()
    }
    every = [file.casefold() for own in chosen.values() for file in own]
    return chosen if len(set(every)) == len(every) else whole  # not so with a.wav, a.mp3 and a.wav.wav


def number_endings(count: int, ending: str = ".png") -> list[str]:
    """The endings of one file, or of several, which are numbered from 1: `-1.png`, ..."""
    return [ending] if count == 1 else [f"-{i + 1}{ending}" for i in range(count)]


def normalise(name: str) -> str:
    """A file's name for comparison: in any case, and however its accents are written (macOS decomposes them)."""
    return unicodedata.normalize("NFC", name).casefold()


def match_names(names: Iterable[str], files: Mapping[str, Path]) -> dict[str, Path]:
    """Each name with the file called so, or with the only one in another case or Unicode form that is no other's."""
    wanted, spellings = set(names), dict[str, list[str]]()
    for name in files.keys() - wanted:
        spellings.setdefault(normalise(name), []).append(name)
    matched = {name: files[name] for name in wanted & files.keys()}
    for name in wanted - files.keys():
        if len(found := spellings.get(normalise(name), [])) == 1:
            matched[name] = files[found.pop()]
    return matched


def find_file(stem: Path, suffixes: Sequence[str]) -> Path | None:
    """The file with this path and one of the suffixes, the first of them; of several spellings the exact one."""
    for suffix in suffixes:
        if (exact := stem.with_name(stem.name + suffix)).is_file():
            return exact
    folder = stem.parent if stem.parent.is_dir() else _find_folder(stem.parent)
    if folder is None:
        return None
    there = {normalise(path.name): path for path in sorted(folder.iterdir(), reverse=True) if path.is_file()}
    return next((there[key] for each in suffixes if (key := normalise(stem.name + each)) in there), None)


def _find_folder(folder: Path) -> Path | None:
    """The existing folder of this path in another spelling."""
    if folder.is_dir() or folder == folder.parent:
        return folder
    above = _find_folder(folder.parent)
    names = {normalise(each.name): each for each in above.iterdir() if each.is_dir()} if above is not None else {}
    return names.get(normalise(folder.name))


def make_line(clip: str, size: int, changed: float, files: list[str], options: Mapping[str, Any]) -> Line:
    """The manifest line of a clip of `size` bytes, changed at that time, before anything is made of it."""
    return {"clip": clip, "bytes": size, "changed": int(changed), "files": files, **options}


def is_up_to_date(line: Line | None, wanted: Line, output: Path) -> bool:
    """Whether the files exist and were made of the same clip by the same model with the same options."""
    same = line is not None and all(line.get(key) == value for key, value in wanted.items())
    return same and all((output / file).is_file() for file in wanted["files"])


def read_manifest(file: Path) -> dict[str, Line]:
    """The last valid line of each clip that was drawn; truncated and invalid lines are ignored."""
    return {clip: line for clip, line in read_lines(file).items() if _holds_labels(line.get("heard"))}


def read_lines(file: Path) -> dict[str, Line]:
    """The last line of each clip that is a JSON object, whatever else it holds."""
    return parse_lines(file.read_text(encoding="utf-8", errors="replace")) if file.is_file() else {}


def parse_lines(content: str) -> dict[str, Line]:
    """The same of a manifest's content."""
    lines = {}
    for text in content.splitlines():
        try:
            line = parse_object(text)
        except FormError:
            continue
        if isinstance(line.get("clip"), str):
            lines[line["clip"]] = line
    return lines


def _holds_labels(heard: Any) -> bool:
    """Whether this is [[label, score], ...], as far as it is there."""
    pairs = heard if isinstance(heard, list) else [None]
    return heard is None or all(
        isinstance(each, list) and len(each) == 2 and isinstance(each[0], str) and isinstance(each[1], int | float)
        for each in pairs
    )


def append_line(file: Path, line: Line) -> None:
    """Append one line in a single write; a truncated last line is ended first, so that it spoils no other."""
    with file.open("ab+") as out:
        end = out.seek(0, os.SEEK_END)
        truncated = end > 0 and out.seek(end - 1) >= 0 and out.read(1) != b"\n"
        out.write(b"\n" * truncated + json.dumps(line).encode() + b"\n")


def fingerprint(model: str) -> str:
    """The model's name or folder, and when its weights last changed: after more training it draws other pictures."""
    folder = Path(str(package_files("audiotoken.mini"))) if model == "mini" else Path(os.path.expanduser(model))
    changed = max((path.stat().st_mtime for path in folder.rglob("*.safetensors")), default=None)
    name = str(folder.resolve()) if model != "mini" and folder.is_dir() else model
    return name if changed is None else f"{name} of {int(changed)}"


def _find_clips(clips: Path) -> Iterator[str]:
    """Relative names of sound and video files; hidden files and folders are skipped."""
    if not clips.is_dir():
        raise OptionError(f"There is no folder {clips}; give a folder of sounds.")
    for path in clips.rglob("*"):
        name = path.relative_to(clips)
        hidden = any(part.startswith(".") for part in name.parts)
        if path.suffix.lower() in SOUNDS + VIDEOS and path.is_file() and not hidden:
            yield name.as_posix()
