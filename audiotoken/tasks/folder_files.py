"""What is written for a folder of clips: pictures, a table of all clips, a sheet of the pictures, a page to share."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from audiotoken.folder_lock import make_folder
from audiotoken.manifest import Line
from audiotoken.report.gallery import gallery
from audiotoken.report.gallery_page import Entry, HeardSound, write_gallery_page
from audiotoken.tasks.clip_folder import GALLERY, TABLE, ClipFolder, FolderResult, FoundClip, count_clips
from audiotoken.writing import SUFFIXES, encode_text, write_bytes, write_image

if TYPE_CHECKING:  # takes seconds to import
    from PIL.Image import Image

FormatTable = Callable[[Sequence[Line], Mapping[str, str]], str]  # (lines, broken clips with the reasons) -> CSV
ListSounds = Callable[[Line], Sequence[HeardSound]]


def write_clip_pictures(pictures: "Iterable[Image]", clip: FoundClip, output: Path) -> None:
    """Write the pictures of a clip under the names that its line has for them."""
    for picture, name in zip(pictures, clip.line["files"], strict=True):
        make_folder((output / name).parent)
        write_image(picture, output / name)


def write_clip_text(text: str, clip: FoundClip, output: Path) -> None:
    """Write the only file of a clip, under the name that its line has for it."""
    (name,) = clip.line["files"]
    make_folder((output / name).parent)
    write_bytes(encode_text(text), output / name)


def write_overview(
    folder: ClipFolder,
    format_table: FormatTable,
    list_sounds: ListSounds,
    report: str | os.PathLike | None = None,
    *,
    nothing: str = "no label is likely",
) -> FolderResult:
    """Write what is of all clips, worked on now or before: the table, the contact sheet of pictures, the page `report`.

    list_sounds: those of a card of the page; nothing: what a card says without any.
    """
    lines, result = folder.read_lines(), folder.result
    write_bytes(encode_text(format_table(lines, result.broken)), result.output / TABLE)
    if any(Path(file).suffix in SUFFIXES for line in lines for file in line["files"]):
        write_image(gallery(lines, result.output), result.output / GALLERY)
    if report is not None:
        _write_report(folder, lines, Path(report), list_sounds, nothing)
    return result


def _write_report(folder: ClipFolder, lines: Sequence[Line], path: Path, list_sounds: ListSounds, nothing: str) -> None:
    """Write a page with a card for each clip, also for those that could not be used; `nothing`: of one without sounds.

    A card has the files that are pictures.
    """
    result, entries = folder.result, []
    known = {line["clip"]: line for line in lines}
    for name in folder.lines:
        line = known.get(name, {})
        sounds = tuple(list_sounds(line))
        pictures = (Path(file) for file in line.get("files", ()))
        entries.append(
            Entry(
                name,
                tuple(result.output / file for file in pictures if file.suffix in SUFFIXES),
                folder.clips / name,
                sounds,
                details="" if sounds or name in result.broken else nothing,
                problem=result.broken.get(name, ""),
            )
        )
    write_gallery_page(entries, path, title=f"{folder.clips.resolve().name}: {count_clips(folder.lines)}")
