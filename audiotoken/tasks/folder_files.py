"""What `audiotoken.tasks.folder` writes beside the pictures: the table, the contact sheet and the page to share."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from audiotoken import report as reports
from audiotoken.manifest import Line
from audiotoken.report.gallery import LABELS, format_label_table, gallery
from audiotoken.writing import encode_text, write_bytes, write_image

MANIFEST, TABLE, GALLERY = "made.jsonl", "heard.csv", "gallery.png"
AUDIBLE = 0.05  # score from which the page names a label


def write_overview(output: Path, lines: Sequence[Line], broken: Mapping[str, str]) -> None:
    """Write the table and the contact sheet of all pictures, drawn now or before; `lines` are those of the manifest.

    broken: why each clip was skipped.
    """
    write_bytes(encode_text(format_label_table(lines, broken)), output / TABLE)
    if lines:
        write_image(gallery(lines, output), output / GALLERY)


def write_folder_page(
    output: Path, clips: Path, names: Sequence[str], manifest: Mapping[str, Line], broken: Mapping[str, str], path: Path
) -> None:
    """Write an HTML page with a card for each of the clips `names`, also for those that could not be drawn."""
    page, entries = reports.gallery_page, []
    for name in names:
        line = manifest.get(name, {}) if name not in broken else {}
        best = (line.get("heard") or [])[:LABELS]
        sounds = [page.HeardSound(label, details=f"{score:.2f}") for label, score in best if score >= AUDIBLE]
        pictures = tuple(output / picture for picture in line.get("pictures", ()))
        entries.append(
            page.Entry(
                name,
                pictures,
                clips / name,
                tuple(sounds),
                details="" if sounds or name in broken else "no label is likely",
                problem=broken.get(name, ""),
            )
        )
    page.write_gallery_page(entries, path, title=f"{clips.resolve().name}: {count_clips(names)}")


def count_clips(clips: Collection[str]) -> str:
    """ "1 clip", "3 clips"."""
    return "1 clip" if len(clips) == 1 else f"{len(clips)} clips"
