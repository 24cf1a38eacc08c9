"""One self-contained HTML page of an evaluation: the table of the systems, and what each drew of the clips."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from audiotoken.report.gallery_page import Entry, HeardSound, Sound, gallery_page
from audiotoken.report.html import section, table
from audiotoken.report.spread import spread_evenly
from audiotoken.writing import encode_text, write_bytes

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_CLIPS = 60  # whose pictures are on the page


@dataclass(frozen=True, eq=False)
class Drawn:
    """What the systems drew of one clip."""

    name: str
    word: str  # of its label; empty if there is none
    sound: Sound
    pictures: Mapping[str, "Image"]  # by the title of the system


def write_evaluation_page(
    path: Path, *, head: Sequence[str], rows: Sequence[Sequence[str]], about: str, drawn: Sequence[Drawn]
) -> None:
    """Write the page, whole or not at all.

    head, rows: the table, a row for each system. about: how it was judged. Raises OptionError if the file cannot be
    written.
    """
    shown = spread_evenly(drawn, MOST_CLIPS)
    images = {Path(each.name, title): image for each in shown for title, image in each.pictures.items()}
    entries = [
        Entry(
            each.name,
            tuple(Path(each.name, title) for title in each.pictures),
            each.sound,
            (HeardSound(each.word),) if each.word else (),
            captions=tuple(each.pictures),
        )
        for each in shown
    ]
    scores = section("Scores", table(head, rows), name="scores")
    page = gallery_page(
        entries,
        title="Evaluation",
        lines=[about],
        notes=[f"The pictures of {len(shown)} of {len(drawn)} clips are shown."] * (len(shown) < len(drawn)),
        read_picture=images.__getitem__,
        top=scores,
    )
    write_bytes(encode_text(page), path)
