"""An output that is an input, in every disguise, over every command: it is refused by name, and nothing is changed."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz import things
from tests.fuzz.cases import described, hold
from tests.fuzz.inputs import Rng, pick
from tests.fuzz.watched import run_command

AUDIO = (".wav", ".flac", ".mp4", ".ogg", ".aiff")


@dataclass(frozen=True)
class Line:
    """A command of which one output, {out}, will be its input {clip}, {picture} or {folder}."""

    words: str
    suffixes: tuple[str, ...] = ()  # that the output may have; none: it is a folder
    made: Callable[[], Path] = things.pairs  # the folder


PICTURES, FILMS, PAGES = (".png", ".PNG", ".jpg", ".jpeg", ".webp"), (".gif", ".mp4"), (".html", ".htm")
DRAW = "--model {model} --steps 1"
LINES = (
    Line("place {clip} -o {out}", PICTURES),
    Line("place {clip} -o {out} --count 2 --boxes", PICTURES),
    Line("place {clip} -o fresh.png --report {out}", PAGES),
    Line("generate {clip} -o {out}", PICTURES),
    Line("generate {clip} -o fresh.png --report {out}", (*PAGES, *PICTURES)),
    Line("animate {clip} -o {out}", FILMS),
    Line("animate {clip} -o fresh.gif --report {out}", PAGES),
    Line("listen {clip} --json {out}", (".json",)),
    Line("listen {clip} --plot {out}", PICTURES),
    Line("listen {clip} --report {out}", PAGES),
    Line("layout {clip} -o {out}", (".json",)),
    Line("layout {clip} --for svg -o {out}", (".svg",)),
    Line("layout {clip} --for flux3-text -o {out}", (".txt",)),
    Line("layout {clip} --report {out}", PAGES),
    Line("check real.png {clip} -o {out}", (".json",)),
    Line("check real.png {clip} --figure {out}", PICTURES),
    Line("check real.png {clip} --report {out}", PAGES),
    Line("check {clip} sound.wav --figure {out}", PICTURES),
    Line("generate {folder} -o {out}"),
    Line("prepare --source {folder} -o {out}"),
    Line("evaluate --clips {folder} -o {out}"),
    Line("evaluate --clips clips --pictures {folder} -o {out}"),
    Line("evaluate --clips clips --real {folder} -o {out}"),
    Line("train --data {folder} -o {out}", made=things.prepared),
    Line("assemble --base {folder} --encoder mini -o {out}", made=things.base),
    Line("assemble --base {folder} -o {out}", made=things.model),
    Line("assemble --base mini --embedder {folder}/audio_embedder -o {out}", made=things.model),
    Line("assemble --base mini --lora {folder}/unet -o {out}", made=things.model),
)


def kept(rng: Rng, folder: Path) -> str:
    """A command that is told to write over what it was given."""
    line = pick(rng, LINES)
    things.write_clip(folder / "sound.wav")
    things.write_picture(folder / "real.png")
    things.write_clip(folder / "clips" / "dog" / "a.wav")
    if line.suffixes:
        name = f"{pick(rng, ('a', 'a b', 'ü', 'take-1', 'x' * 180))}{pick(rng, line.suffixes)}"
        given = things.write_clip(folder / name) if "{clip} sound" not in line.words else None
        given = given or things.write_picture(folder / name)
    else:
        given = things.copy(line.made, folder / pick(rng, ("set", "my set", "ü")))
    said, output = pick(rng, DISGUISES), pick(rng, DISGUISES)
    how = f"{said.__name__}, {output.__name__}"
    words = {"clip": said(given, folder), "folder": said(given, folder), "out": output(given, folder)}
    words |= {"model": str(things.model())}
    arguments = [word.format(**words) for word in line.words.split()]
    try:
        with described(how):
            hold(not run_command(arguments, folder, how), "it was not refused")
    finally:
        hold(os.path.exists(given), "it is gone")
    return how


# Disguises: other names of one file or folder, as somebody may type them


def plain(given: Path, folder: Path) -> str:
    return given.name


def whole(given: Path, folder: Path) -> str:
    return str(given)


def dotted(given: Path, folder: Path) -> str:
    return f"./{given.name}"


def around(given: Path, folder: Path) -> str:
    return f"clips/../{given.name}"


def doubled(given: Path, folder: Path) -> str:
    return f"{folder}//./{given.name}"


def outside(given: Path, folder: Path) -> str:
    return f"../{folder.name}/{given.name}"


def linked(given: Path, folder: Path) -> str:
    return _link(folder / f"link{given.suffix}", given.name)


def linked_twice(given: Path, folder: Path) -> str:
    return _link(folder / f"second{given.suffix}", linked(given, folder))


def linked_folder(given: Path, folder: Path) -> str:
    return f"{_link(folder / 'here', '.')}/{given.name}"


def linked_wholly(given: Path, folder: Path) -> str:
    return _link(folder / f"far{given.suffix}", str(given))


def hard(given: Path, folder: Path) -> str:
    """A second name of the same file; of a folder there is none."""
    other = folder / f"hard{given.suffix}"
    if given.is_file() and not other.exists():
        os.link(given, other)
    return other.name if given.is_file() else dotted(given, folder)


def process(given: Path, folder: Path) -> str:
    return f"/proc/self/cwd/{given.name}" if os.path.isdir("/proc/self/cwd") else str(given)


def home(given: Path, folder: Path) -> str:
    """As in quotes, or in a configuration, where the shell does not put the folder in; a file is called so then."""
    return plain(given, folder) if given.is_file() else f"~/{given.name}"


def slashed(given: Path, folder: Path) -> str:
    return plain(given, folder) if given.is_file() else f"{given.name}/"


def _link(path: Path, target: str) -> str:
    if not path.is_symlink():
        path.symlink_to(target)
    return path.name


DISGUISES = (plain, whole, dotted, around, doubled, outside, linked, linked_twice, linked_folder, linked_wholly)
DISGUISES += (hard, process, home, slashed)
