"""A folder of clips and of pictures of several systems -> what is to be rated.

clips/NAME.wav      what is heard
SYSTEM/NAME.png     what each system drew of it; every folder beside clips/ is a system
objects.json        may be absent: {NAME: ["frog on the left", ...]}, asked one by one
"""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiotoken.errors import OptionError

SOUNDS = {".wav": "audio/wav", ".flac": "audio/flac", ".mp3": "audio/mpeg", ".ogg": "audio/ogg"}
PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}
LARGEST = 256 * 2**20  # bytes of a file
MOST_OBJECTS, LONGEST = 12, 80  # of a clip; letters of a name
BELONGS, SIDE = "belongs", "side: "
CANNOT_SAY = "cannot say"
SCALE, YES_NO = ("1", "2", "3", "4", "5", CANNOT_SAY), ("yes", "no", CANNOT_SAY)

Order = list[tuple[str, tuple[str, ...]]]  # clips as they are shown, each with its systems from left to right


@dataclass(frozen=True)
class Study:
    clips: Mapping[str, Path]  # name -> sound
    pictures: Mapping[tuple[str, str], Path]  # (clip, system) -> picture
    systems: tuple[str, ...]
    objects: Mapping[str, tuple[str, ...]]  # clip -> what has a side

    def questions(self, clip: str) -> tuple[str, ...]:
        """What is asked of each picture of a clip."""
        return (BELONGS, *(SIDE + each for each in self.objects.get(clip, ())))

    def order(self, rater: str, seed: int) -> Order:
        """Clips, and the systems of each, shuffled: of the same rater and seed always in the same way."""
        chance = random.Random(f"{seed}/{rater}")
        return [
            (clip, tuple(chance.sample(self.systems, len(self.systems))))
            for clip in chance.sample(list(self.clips), len(self.clips))
        ]


def choices(question: str) -> tuple[str, ...]:
    return SCALE if question == BELONGS else YES_NO


def read_study(folder: Path) -> Study:
    """OptionError says what is wrong with the folder."""
    if not folder.is_dir():
        raise OptionError(f"Got no folder {folder}, want one with clips/ and a folder for each system; make it.")
    clips = _files(folder / "clips", SOUNDS) if (folder / "clips").is_dir() else {}
    if not clips:
        raise OptionError(f"Got no clips in {folder / 'clips'}, want NAME{', NAME'.join(SOUNDS)}; put some there.")
    systems = sorted(each.name for each in folder.iterdir() if each.is_dir() and each.name != "clips" and _seen(each))
    if not systems:
        raise OptionError(f"Got no pictures in {folder}, want a folder of them for each system beside clips/; add one.")
    pictures: dict[tuple[str, str], Path] = {}
    for system in systems:
        drawn = _files(folder / system, PICTURES)
        if missing := [clip for clip in clips if clip not in drawn]:
            more = f" and of {len(missing) - 1} more" if len(missing) > 1 else ""
            wanted = f"want one for each clip in {folder / 'clips'}; draw what is missing or take the folder away"
            raise OptionError(f"Got no picture of {missing[0]}{more} in {folder / system}, {wanted}.")
        pictures |= {(clip, system): drawn[clip] for clip in clips}
    for sound in clips.values():
        _check_sound(sound)
    for picture in pictures.values():
        _check_picture(picture)
    return Study(clips, pictures, tuple(systems), _read_objects(folder / "objects.json", clips))


def _seen(path: Path) -> bool:
    return not path.name.startswith((".", "__"))


def _files(folder: Path, suffixes: Mapping[str, str]) -> dict[str, Path]:
    """Name -> file, in order of names; OptionError where two files have one name."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if not _seen(path) or path.suffix.lower() not in suffixes or not path.is_file():
            continue
        if path.stem in found:
            raise OptionError(f"Got {found[path.stem].name} and {path.name} in {folder}, want one of them; remove one.")
        if path.stat().st_size > LARGEST:
            raise OptionError(f"Got {path} of more than {LARGEST // 2**20} MiB, want less; shorten it.")
        found[path.stem] = path
    return found


def _check_sound(path: Path) -> None:
    import soundfile

    try:
        frames = soundfile.info(path).frames
    except (OSError, RuntimeError):
        raise OptionError(f"Cannot read {path} as sound; write it again or take it away.") from None
    if frames < 1:
        raise OptionError(f"Got no sound in {path}, want some; write it again or take it away.")


def _check_picture(path: Path) -> None:
    from PIL import Image

    try:
        with Image.open(path, formats=("PNG", "JPEG", "WEBP")) as picture:
            picture.verify()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise OptionError(f"Cannot read {path} as a picture; draw it again or take it away.") from None


def _read_objects(path: Path, clips: Mapping[str, Path]) -> dict[str, tuple[str, ...]]:
    if not path.exists():
        return {}
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        said = " ".join(str(error).split())
        raise OptionError(f"Cannot read {path}: {said}; mend it or take it away.") from None
    if not isinstance(read, dict):
        raise OptionError(f"Got a {type(read).__name__} in {path}, want {{NAME: [object, ...]}}; mend it.")
    for clip, objects in read.items():
        if clip not in clips:
            raise OptionError(f"Got {clip!r} in {path}, want names of clips such as {next(iter(clips))!r}; mend it.")
        if not _are_objects(objects):
            wanted = f"want up to {MOST_OBJECTS} different texts such as 'frog on the left', of {LONGEST} letters"
            raise OptionError(f"Got {str(objects)[:100]!r} for {clip!r} in {path}, {wanted} at most; mend it.")
    return {clip: tuple(each.strip() for each in objects) for clip, objects in read.items()}


def _are_objects(objects: Any) -> bool:
    if not isinstance(objects, list) or not all(isinstance(each, str) for each in objects):
        return False
    names = [each.strip() for each in objects]
    fitting = all(0 < len(name) <= LONGEST and name.isprintable() for name in names)
    return fitting and len(set(names)) == len(names) <= MOST_OBJECTS
