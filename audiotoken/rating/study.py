"""Read a folder of clips and of several systems' pictures into a study.

clips/NAME.wav      the sounds
SYSTEM/NAME.png     each system's pictures of them; every folder beside clips/ is a system
objects.json        optional: {NAME: ["frog on the left", ...]}, one question each; of several also their order
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile
from PIL import Image

from audiotoken.errors import OptionError
from audiotoken.json_file import FormError, read_json
from audiotoken.manifest import match_names

SOUNDS = (".wav", ".flac", ".mp3", ".ogg")
PICTURES = (".png", ".jpg", ".jpeg", ".webp")
MAX_BYTES = 256 * 2**20  # of a file
MAX_OBJECTS, MAX_LETTERS = 12, 80  # objects of a clip; letters of an object
BELONGS, SIDE, ORDER = "belongs", "side: ", "order"
CANNOT_SAY = "cannot say"
SCALE, YES_NO = ("1", "2", "3", "4", "5", CANNOT_SAY), ("yes", "no", CANNOT_SAY)

Order = list[tuple[str, tuple[str, ...]]]  # clips in the order shown, each with its systems from left to right


@dataclass(frozen=True)
class Study:
    """The sounds, pictures and objects of a folder that people rate."""

    clips: Mapping[str, Path]  # name -> sound
    pictures: Mapping[tuple[str, str], Path]  # (clip, system) -> picture
    systems: tuple[str, ...]
    objects: Mapping[str, tuple[str, ...]]  # clip -> objects with a side

    def questions(self, clip: str) -> tuple[str, ...]:
        """The questions about each picture of a clip; of several objects also whether they are in their order."""
        objects = self.objects.get(clip, ())
        return (BELONGS, *(SIDE + each for each in objects), *[ORDER] * (len(objects) > 1))

    def order(self, rater: str, seed: int) -> Order:
        """Clips, and the systems of each, in random order; the same rater and seed always give the same order."""
        generator = random.Random(f"{seed}/{rater}")
        return [
            (clip, tuple(generator.sample(self.systems, len(self.systems))))
            for clip in generator.sample(list(self.clips), len(self.clips))
        ]


def list_choices(question: str) -> tuple[str, ...]:
    """The answers among which a rater chooses."""
    return SCALE if question == BELONGS else YES_NO


def read_study(folder: Path) -> Study:
    """Raises OptionError, which says what is wrong with the folder."""
    if not folder.is_dir():
        raise OptionError(
            f"Found no folder {folder}, expected one with clips/ and a folder for each system; create it."
        )
    clips = _list_files(folder / "clips", SOUNDS) if (folder / "clips").is_dir() else {}
    if not clips:
        raise OptionError(f"Found no clips in {folder / 'clips'}, expected NAME{', NAME'.join(SOUNDS)}; add some.")
    folders = [each for each in folder.iterdir() if each.is_dir() and each.name != "clips" and not _is_hidden(each)]
    systems = sorted(each.name for each in folders)
    if not systems:
        raise OptionError(
            f"Found no pictures in {folder}, expected a folder for each system beside clips/; add at least one."
        )
    pictures: dict[tuple[str, str], Path] = {}
    for system in systems:
        drawn = match_names(clips, _list_files(folder / system, PICTURES))
        if missing := [clip for clip in clips if clip not in drawn]:
            more = f" and of {len(missing) - 1} more" if len(missing) > 1 else ""
            expected = f"expected one for each clip in {folder / 'clips'}; add the missing ones or remove the folder"
            raise OptionError(f"Found no picture of {missing[0]}{more} in {folder / system}, {expected}.")
        pictures |= {(clip, system): drawn[clip] for clip in clips}
    for sound in clips.values():
        _check_sound(sound)
    for picture in pictures.values():
        _check_picture(picture)
    return Study(clips, pictures, tuple(systems), _read_objects(folder / "objects.json", clips))


def _is_hidden(path: Path) -> bool:
    return path.name.startswith((".", "__"))


def _list_files(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    """Name -> file, sorted by name; OptionError if two files have the same name."""
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if _is_hidden(path) or path.suffix.lower() not in suffixes or not path.is_file():
            continue
        if path.stem in files:
            both = f"{files[path.stem].name} and {path.name}"
            raise OptionError(f"Found {both} in {folder}, expected one of them; remove the other.")
        if path.stat().st_size > MAX_BYTES:
            raise OptionError(f"{path} is larger than {MAX_BYTES // 2**20} MiB, the maximum; shorten it.")
        files[path.stem] = path
    return files


def _check_sound(path: Path) -> None:
    try:
        frames = soundfile.info(path).frames
    except (OSError, RuntimeError):
        raise OptionError(f"Cannot read {path} as sound; write it again or remove it.") from None
    if frames < 1:
        raise OptionError(f"{path} contains no sound, expected at least one sample; write it again or remove it.")


def _check_picture(path: Path) -> None:
    try:
        with Image.open(path, formats=("PNG", "JPEG", "WEBP")) as picture:
            picture.verify()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise OptionError(f"Cannot read {path} as a picture; draw it again or remove it.") from None


def _read_objects(path: Path, clips: Mapping[str, Path]) -> dict[str, tuple[str, ...]]:
    if not path.exists():
        return {}
    try:
        content = read_json(path)
    except FormError as error:
        raise OptionError(f"Cannot read {path}: {error}, {{NAME: [object, ...]}}; correct or remove it.") from None
    for clip, objects in content.items():
        if clip not in clips:
            expected = f"expected names of clips such as {next(iter(clips))!r}"
            raise OptionError(f"Got {clip!r} in {path}, {expected}; correct it.")
        if not _are_objects(objects):
            expected = f"expected up to {MAX_OBJECTS} different texts such as 'frog on the left'"
            limit = f"of at most {MAX_LETTERS} letters"
            raise OptionError(f"Got {str(objects)[:100]!r} for {clip!r} in {path}, {expected}, {limit}; correct it.")
    return {clip: tuple(each.strip() for each in objects) for clip, objects in content.items()}


def _are_objects(objects: Any) -> bool:
    if not isinstance(objects, list) or not all(isinstance(each, str) for each in objects):
        return False
    names = [each.strip() for each in objects]
    valid = all(0 < len(name) <= MAX_LETTERS and name.isprintable() for name in names)
    return valid and len(set(names)) == len(names) <= MAX_OBJECTS
