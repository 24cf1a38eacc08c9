"""One self-contained HTML page of many clips: the picture of each, what was heard where, and a player.

write_gallery_page(entries, Path("gallery.html"), title="pictures")

Conventions: azimuths in degrees, positive right.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiotoken.audio import as_recording, load_beginning
from audiotoken.channels import find_stereo
from audiotoken.data.image_file import read_image
from audiotoken.errors import AudioError, AudioTokenError
from audiotoken.report import media
from audiotoken.report.html import Html, build_document, element, join_html
from audiotoken.report.listening_figure import css_colour
from audiotoken.report.listening_text import format_azimuth
from audiotoken.writing import encode_text, write_bytes

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_CARDS, MAX_PICTURES = 400, 1200  # on one page
SIDES = ((24, 512), (100, 384), (MAX_CARDS, 256))  # (pictures at most, pixels of their longer side)
SECONDS = (3.0, 15.0)  # of a player: least and most
PICTURES, SOUNDS = 5_500_000, 6_000_000  # characters of the page
SPEED = 12_000  # characters that a second of sound takes, roughly
EDGE = 90.0  # degrees at the ends of the line that shows directions

ReadPicture = Callable[[Path], "Image"]
Sound = Path | tuple[Any, int]  # a file, or a signal (frames,) or (channels, frames) with its rate


@dataclass(frozen=True)
class HeardSound:
    """One sound of a clip."""

    name: str
    azimuth: float | None = None
    details: str = ""  # such as a score
    at: float | None = None  # where it is heard across the picture, 0 to 1
    seen: float | None = None  # where it is seen


@dataclass(frozen=True)
class Entry:
    """One clip of the gallery."""

    name: str
    pictures: tuple[Path, ...]  # none for a clip that was not drawn
    clip: Sound | None
    sounds: tuple[HeardSound, ...] = ()
    score: float | None = None  # cards can be sorted by it
    details: str = ""
    problem: str = ""
    captions: tuple[str, ...] = ()  # of the pictures


def write_gallery_page(entries: Sequence[Entry], path: Path, **more: object) -> None:
    """Write `gallery_page` to a file, whole or not at all; raises OptionError if the file cannot be written."""
    write_bytes(encode_text(gallery_page(entries, **more)), path)  # type: ignore[arg-type]


def gallery_page(
    entries: Sequence[Entry],
    *,
    title: str,
    lines: Sequence[str] = (),
    notes: Sequence[str] = (),
    read_picture: ReadPicture = read_image,
    top: Html | None = None,
) -> str:
    """HTML with embedded media, at most `media.PAGE` characters: what does not fit is left out, and a note says so.

    lines: below the title; top: below them. The cards can be sorted by name, by the first sound and by score, without a
    script.
    """
    shown = entries[:MAX_CARDS]
    players = _Players(len(shown))
    most = max(1, MAX_PICTURES // max(len(shown), 1))  # of one clip
    pictures = sum(len(each.pictures[:most]) for each in shown) or 1
    side = next((side for most, side in SIDES if pictures <= most), SIDES[-1][1])
    places = _sort_cards(shown)
    cards = [
        _build_card(
            each, place, [_encode(picture, side, pictures, read_picture) for picture in each.pictures[:most]], players
        )
        for each, place in zip(shown, places, strict=True)
    ]
    notes = [*notes, *players.notes]
    notes += [f"Of each clip the first {most} pictures are shown."] * any(len(each.pictures) > most for each in shown)
    notes += [f"The first {len(shown)} of {len(entries)} clips are shown."] * (len(shown) < len(entries))
    header = element(
        "header",
        element("h1", title),
        *[element("p", line, class_="faint") for line in lines],
        element("ul", *[element("li", note) for note in notes], class_="notes") if notes else None,
        top,
        _build_sorting(shown),
    )
    return build_document(title, join_html([header, element("main", *cards, class_="gallery")]))


class _Players:
    """Players within the budget of the page: of equal length, until it is spent."""

    def __init__(self, count: int) -> None:
        self.seconds = min(max(SOUNDS / SPEED / max(count, 1), SECONDS[0]), SECONDS[1])
        self.left, self.cut, self.missing = SOUNDS, False, 0

    def build(self, clip: Sound, name: str) -> Html | None:
        if self.missing:
            self.missing += 1
            return None
        try:
            recording, rate = _read_sound(clip, self.seconds + 1)
        except AudioError:
            return None
        recording = find_stereo(recording).apply(recording)
        kept = round(self.seconds * rate)
        uri = media.encode_excerpt(recording[:, :kept], rate)
        if len(uri) > self.left:
            self.missing += 1
            return None
        self.cut |= recording.shape[1] > kept
        self.left -= len(uri)
        return element("audio", controls=True, preload="metadata", src=uri, aria_label=f"the sound of {name}")

    @property
    def notes(self) -> list[str]:
        notes = [f"The players hold the first {self.seconds:.0f} seconds of longer clips."] * self.cut
        more = [f"{self.missing} of the clips have no player, to keep this page small."] * bool(self.missing)
        return [*notes, *more]


def _read_sound(clip: Sound, seconds: float) -> tuple[Any, int]:
    """The beginning of a file or signal: (channels, frames) and the rate."""
    if isinstance(clip, Path):
        return load_beginning(clip, seconds)[:2]
    recording, rate = as_recording(*clip)
    return recording[:, : round(seconds * rate)], rate


def _encode(path: Path, side: int, count: int, read_picture: ReadPicture) -> str | None:
    """A data URI; None for a picture that is missing or damaged."""
    try:
        picture = read_picture(path)
    except AudioTokenError:
        return None
    return media.encode_thumbnail(picture, side, PICTURES // count)


def _sort_cards(entries: Sequence[Entry]) -> list[dict[str, int]]:
    """Of each card its place by name, by its first sound and by score (low scores first); problems come last."""
    keys: dict[str, Callable[[Entry], tuple]] = {
        "name": lambda each: (each.name.casefold(),),
        "sound": lambda each: (each.sounds[0].name.casefold() if each.sounds else "\uffff", each.name.casefold()),
        "score": lambda each: (each.score is None, each.score or 0.0, each.name.casefold()),
    }
    places: list[dict[str, int]] = [{} for _ in entries]
    for name, key in keys.items():
        order = sorted(range(len(entries)), key=lambda i: (bool(entries[i].problem), *key(entries[i])))
        for place, i in enumerate(order):
            places[i][name] = place
    return places


def _build_sorting(entries: Sequence[Entry]) -> Html | None:
    names = ["name"]
    names += ["sound"] * any(each.sounds for each in entries)
    names += ["score"] * any(each.score is not None for each in entries)
    if len(entries) < 2 or len(names) < 2:
        return None
    choices = [
        element(
            "label",
            element("input", type="radio", name="sort", id=f"by-{name}", checked=name == "name"),
            f"by {name}",
            class_="toggle",
        )
        for name in names
    ]
    return element("fieldset", element("legend", "Sort"), *choices, class_="sorting")


def _build_card(entry: Entry, place: dict[str, int], uris: Sequence[str | None], players: _Players) -> Html:
    shown = [
        _build_picture(entry, uri, caption)
        for uri, caption in zip_longest(uris, entry.captions[: len(uris)], fillvalue="")
        if uri
    ]
    lost = entry.pictures and not shown and not entry.problem
    missing = element("p", "The picture is missing.", class_="faint") if lost else None
    placed = [(i, each.name, each.azimuth) for i, each in enumerate(entry.sounds) if each.azimuth is not None]
    return element(
        "article",
        element("div", *shown, class_=f"shots{' several' if len(shown) > 1 else ''}") if shown else missing,
        element("h2", entry.name),
        element("p", entry.problem, class_="problem") if entry.problem else None,
        _build_line(placed) if placed else None,
        element("ul", *[_build_sound(i, each) for i, each in enumerate(entry.sounds)], class_="where"),
        element("p", entry.details, class_="faint") if entry.details else None,
        players.build(entry.clip, entry.name) if entry.clip is not None and not entry.problem else None,
        class_="card",
        style=";".join(f"--{name}:{number}" for name, number in place.items()),
    )


def _build_picture(entry: Entry, uri: str, caption: str) -> Html:
    alt = f"{entry.name}: {caption}" if caption else entry.name
    picture = element("div", element("img", src=uri, alt=alt), *_build_marks(entry), class_="picture")
    return element("figure", picture, element("figcaption", caption)) if caption else picture


def _build_marks(entry: Entry) -> list[Html]:
    """A line where each sound is heard in the picture, and a dot where it is seen."""
    marks = []
    for i, sound in enumerate(entry.sounds):
        colour = f"--on:{css_colour(i)}"
        if sound.at is not None:
            marks.append(element("i", class_="heard", style=f"{colour};left:{100 * sound.at:.1f}%"))
        if sound.seen is not None:
            place = f"left:{100 * sound.seen:.1f}%;bottom:{6 + 5 * i}%"
            marks.append(element("i", class_="seen", style=f"{colour};{place}"))
    return marks


def _build_line(placed: Sequence[tuple[int, str, float]]) -> Html:
    """(number, name, azimuth) of sounds -> their directions on a line from left to right."""
    dots = [
        element("i", style=f"--on:{css_colour(i)};left:{50 + 50 * min(max(azimuth / EDGE, -1), 1):.1f}%")
        for i, _, azimuth in placed
    ]
    text = ", ".join(f"{name} {format_azimuth(azimuth)}" for _, name, azimuth in placed)
    line = element("div", *dots, class_="line", role="img", aria_label=text)
    return element("div", element("span", "left"), line, element("span", "right"), class_="ears")


def _build_sound(number: int, sound: HeardSound) -> Html:
    where = [] if sound.azimuth is None else [format_azimuth(sound.azimuth)]
    text = " · ".join([sound.name, *where, *([sound.details] if sound.details else [])])
    dot = element("span", class_="dot", style=f"--on:{css_colour(number)}")
    return element("li", dot, element("span", text))
