"""The parts of the page about what was drawn: pictures, frames, boxes, attention."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audiotoken.report import facts, media, plots
from audiotoken.report.html import Html, element
from audiotoken.report.listening_text import say_kind
from audiotoken.report.sounds import named, where
from audiotoken.stereo.generation import Result

LOOKS = 8  # at the attention, from the first to the last

Boxes = Mapping[int, tuple[float, float, float, float]]  # by the number of the source


def boxes_of(result: "Result") -> list[Boxes]:
    """Of each picture."""
    if result.frames:
        return [dict(zip(result.regions, [region.box for region in row], strict=True)) for row in result.frames]
    return [{i: region.box for i, region in result.regions.items()}] * len(result.images)


def opening(result: "Result", rows: Sequence[Boxes], picture: Any = None, film: Path | None = None) -> Html:
    """The prompt, the picture and what should be known."""
    uris = media.pictures([picture, *result.images] if picture else result.images)
    played = media.film(film) if film else None
    whole = {i: region.box for i, region in result.regions.items()}
    first = _played(*played) if played else pictured(uris[0], whole if picture else rows[0], result, "The picture")
    notes = [
        *result.notes,
        *["The film is too large for this page; here are its pictures."] * bool(film and not played),
    ]
    known = element("ul", *[element("li", note) for note in notes], class_="notes") if notes else None
    beside = element("div", _whereabouts(result), _toggle(result), known)
    strip = _strip(result, uris[-len(rows) :], rows, picture is not None) if len(result.images) > 1 else None
    return element(
        "header", element("h1", *_prompt(result)), _below(result), element("div", first, beside, class_="two"), strip
    )


def pictured(uri: str, boxes: Boxes, result: "Result", alt: str, small: bool = False) -> Html:
    """A picture with boxes that can be hidden."""
    drawn = [
        element(
            "div",
            element("span", result.regions[i].label),
            class_="box",
            style=f"--on:{plots.colour_of(i)};{_edges(box)}",
        )
        for i, box in boxes.items()
    ]
    kind = "picture shown small" if small else "picture shown"
    return element("div", element("img", src=uri, alt=alt), *drawn, class_=kind)


def attention(result: "Result", boxes: Boxes) -> Html | None:
    """For each word its maps, from the first look to the last, with its box; of the first picture."""
    maps = result.sample.maps
    if not maps:
        return None
    chosen = sorted({round(at) for at in np.linspace(0, len(maps) - 1, LOOKS)})
    names, strips = _looks(result), []
    for nth, source in enumerate(result.regions):
        seen = [maps[look][0][nth].float().cpu().numpy() for look in chosen]  # (h, w) each
        highest = max(float(each.max()) for each in seen)
        cells = [_look(each, highest, source, boxes[source], names[at]) for each, at in zip(seen, chosen, strict=True)]
        strips += [
            element("h3", named(result, source)),
            element("div", element("div", *cells, class_="strip"), class_="wide"),
        ]
    first = " Of the first picture." if len(result.images) > 1 else ""
    said = (
        "Where the attention of each word lies, bright, and its box, from the first look to the last; a scale a word."
    )
    return element("div", element("p", said + first), *strips, class_="maps")


def _looks(result: "Result") -> list[str]:
    """What to call each: by its step, where a step has one."""
    count, noted = len(result.sample.maps), [note for note in result.sample.trace if note.before]
    steps = [note.step + 1 for note in noted for _ in range(max(max(note.updates, default=0), 1))]
    return [f"step {each}" for each in steps] if len(steps) == count else [f"look {i + 1}" for i in range(count)]


def _prompt(result: "Result") -> list[Html | str]:
    """The text, each `<audio>` in the colour of its source."""
    pieces = result.prompt.text.split("<audio>")
    order, names = facts.spoken(result), result.subjects
    said: list[Html | str] = [pieces[0]]
    for nth, piece in enumerate(pieces[1:]):
        colour = f"--on:{plots.colour_of(order[nth])}" if nth < len(order) else None
        title = f"the sound of {names[order[nth]]}" if nth < len(order) else None
        said += [element("span", "<audio>", class_="sound", style=colour, title=title), piece]
    return said


def _below(result: "Result") -> Html:
    count = len(result.scene.sources)
    heard = {0: "no sound", 1: "one sound"}.get(count, f"{count} sounds")
    frames = [f"{len(result.frames)} frames"] if result.frames else []
    said = [
        heard,
        say_kind(result.scene),
        *frames,
        facts.seeds(result),
        f"{result.recording.shape[1] / result.rate:.1f} s",
    ]
    return element("p", " · ".join(said), class_="faint")


def _whereabouts(result: "Result") -> Html:
    """Each source with its direction, or why it has no place."""
    items = []
    for i in range(len(result.scene.sources)):
        placed = "" if i in result.regions else ", without a place in the picture"
        items.append(element("li", element("span", named(result, i), f": {where(result, i)}{placed}")))
    return element("ul", *items, class_="where")


def _toggle(result: "Result") -> Html | None:
    if not result.regions:
        return None
    box = element("input", type="checkbox", id="boxes", checked=True)
    return element("label", box, "boxes: where each sound belongs", class_="toggle", for_="boxes")


def _strip(result: "Result", uris: Sequence[str], rows: Sequence[Boxes], trail: bool) -> Html:
    """The frames of a film or a trail, or pictures of several seeds."""
    count, shown = len(uris), []
    times = np.linspace(0, 1, count) if trail else (np.arange(count) + 0.5) / count
    times = times * result.recording.shape[1] / result.rate
    for i, (uri, boxes) in enumerate(zip(uris, rows, strict=True)):
        name = f"{times[i]:.1f} s" if result.frames else f"seed {result.seed + i}"
        shown.append(element("figure", pictured(uri, boxes, result, name, small=True), element("figcaption", name)))
    inside = element("div", *shown, class_="strip" if result.frames else "pictures")
    return element("div", inside, class_="wide", style="margin-top:1.5rem")


def _played(uri: str, kind: str) -> Html:
    if kind == "video/mp4":
        return element("video", controls=True, loop=True, src=uri, style="width:100%")
    return element("div", element("img", src=uri, alt="The film"), class_="picture")


def _edges(box: tuple[float, float, float, float]) -> str:
    x0, y0, x1, y1 = (100 * edge for edge in box)
    return f"left:{x0:.2f}%;top:{y0:.2f}%;width:{x1 - x0:.2f}%;height:{y1 - y0:.2f}%"


def _look(values: np.ndarray, highest: float, source: int, box: Any, name: str) -> Html:
    frame = element("div", class_="box", style=f"--on:{plots.colour_of(source)};{_edges(box)}")
    shown = element(
        "div", element("img", src=media.heat(values, highest), alt=f"attention, {name}"), frame, class_="picture small"
    )
    return element("figure", shown, element("figcaption", name))
