"""Records which clips were drawn, and with which options, one JSON object per line, so that a folder can be resumed."""

import json
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from audiotoken.errors import OptionError
from audiotoken.json_file import FormError, parse_object

SOUNDS = (".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff", ".au", ".opus", ".m4a", ".aac", ".wma")
VIDEOS = (".mp4", ".mkv", ".webm", ".mov", ".avi", ".m4v", ".mpg", ".mpeg", ".3gp")

# clip, bytes, changed, pictures, the options; once drawn also heard. A dict, as the options differ by caller
Line = dict[str, Any]


def picture_names(
    clips: Path, count: int = 1, reserved: tuple[str, ...] = (), members: Iterable[str] = ()
) -> dict[str, list[str]]:
    """Clip -> its pictures, as POSIX paths relative to their folders: `dogs/a.wav` -> `dogs/a.png`.

    `members` are clips in shards, `train.tar/a.wav` -> `train/a.png`; see `audiotoken.data.shard_clips`.

    Several pictures are numbered (`a-1.png`, ...). Clips that differ only in their suffix keep it: `a.wav.png`,
    `a.mp3.png`; so does a clip named like one of the `reserved` stems. OptionError when there are no clips.
    """
    packed = set(members)
    names = sorted([*_find_clips(clips), *packed])
    if not names:
        kinds = ", ".join(SOUNDS[:4])
        raise OptionError(f"There is no sound in {clips}, expected files such as {kinds} or videos; check the folder.")
    stems = {name: Path(name).with_suffix("").as_posix() for name in names}
    stems |= {name: stems[name].replace(".tar/", "/", 1) for name in packed}
    uses = Counter(stem.casefold() for stem in (*stems.values(), *reserved))  # some file systems ignore case
    stems = {name: stem if uses[stem.casefold()] == 1 else name for name, stem in stems.items()}
    if len({stem.casefold() for stem in stems.values()}) < len(stems):  # a.wav, a.mp3 and a.wav.wav
        stems = {name: name for name in names}
    ends = [""] if count == 1 else [f"-{i + 1}" for i in range(count)]
    return {name: [f"{stem}{end}.png" for end in ends] for name, stem in stems.items()}


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


def make_line(clip: str, size: int, changed: float, pictures: list[str], options: Mapping[str, Any]) -> Line:
    """The manifest line of a clip of `size` bytes, changed at that time, before it is drawn."""
    return {"clip": clip, "bytes": size, "changed": int(changed), "pictures": pictures, **options}


def is_up_to_date(line: Line | None, wanted: Line, output: Path) -> bool:
    """Whether the pictures exist and were drawn from the same clip by the same model with the same options."""
    same = line is not None and all(line.get(key) == value for key, value in wanted.items())
    return same and all((output / picture).is_file() for picture in wanted["pictures"])


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
    folder = Path(str(files("audiotoken.mini"))) if model == "mini" else Path(os.path.expanduser(model))
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
