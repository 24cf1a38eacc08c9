"""What lies beside the files of a folder of clips: a table of all clips, a sheet of their pictures, a page to share."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from audiotoken.manifest import Line
from audiotoken.report.gallery import gallery
from audiotoken.report.gallery_page import Entry, HeardSound, write_gallery_page
from audiotoken.tasks.clip_folder import GALLERY, TABLE, ClipFolder, count_clips
from audiotoken.writing import encode_text, write_bytes, write_image

FormatTable = Callable[[Sequence[Line], Mapping[str, str]], str]  # (lines, broken clips with the reasons) -> CSV
ListSounds = Callable[[Line], Sequence[HeardSound]]


def write_overview(folder: ClipFolder, lines: Sequence[Line], format_table: FormatTable) -> None:
    """Write the table of all clips, and the contact sheet of the pictures of `lines`, made now or before."""
    result = folder.result
    write_bytes(encode_text(format_table(lines, result.broken)), result.output / TABLE)
    if lines:
        write_image(gallery(lines, result.output), result.output / GALLERY)


def write_report(folder: ClipFolder, lines: Sequence[Line], path: Path, list_sounds: ListSounds) -> None:
    """Write a page with a card for each clip, also for those that could not be used."""
    result, entries = folder.result, []
    known = {line["clip"]: line for line in lines}
    for name in folder.lines:
        line = known.get(name, {})
        sounds = tuple(list_sounds(line))
        entries.append(
            Entry(
                name,
                tuple(result.output / file for file in line.get("files", ())),
                folder.clips / name,
                sounds,
                details="" if sounds or name in result.broken else "no label is likely",
                problem=result.broken.get(name, ""),
            )
        )
    write_gallery_page(entries, path, title=f"{folder.clips.resolve().name}: {count_clips(folder.lines)}")
