"""The sections of the page about the pictures: frames, boxes, attention."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audiotoken.report import facts, media
from audiotoken.report.figure import format_seeds
from audiotoken.report.html import Html, element
from audiotoken.report.listening_figure import css_colour
from audiotoken.report.listening_text import format_setup
from audiotoken.report.source_sections import build_name, describe_direction
from audiotoken.stereo.generation import Result

MAX_MAPS = 8  # of the attention to each word, from the first to the last

Boxes = Mapping[int, tuple[float, float, float, float]]  # by the number of the source


def list_boxes(result: "Result") -> list[Boxes]:
    """The boxes of each picture."""
    if result.frames:
        return [dict(zip(result.regions, [region.box for region in row], strict=True)) for row in result.frames]
    return [{i: region.box for i, region in result.regions.items()}] * len(result.images)


def build_header(result: "Result", rows: Sequence[Boxes], picture: Any = None, film: Path | None = None) -> Html:
    """The prompt, the picture and the notes."""
    uris = media.encode_pictures([picture, *result.images] if picture else result.images)
    encoded = media.encode_film(film) if film else None
    whole = {i: region.box for i, region in result.regions.items()}
    boxes = whole if picture else rows[0]
    first = _build_player(*encoded) if encoded else build_picture(uris[0], boxes, result, "The picture")
    notes = [
        *result.notes,
        *["The film is too large for this page, so its frames are shown."] * bool(film and not encoded),
    ]
    listed = element("ul", *[element("li", note) for note in notes], class_="notes") if notes else None
    beside = element("div", _list_sources(result), _build_toggle(result), listed)
    strip = _build_strip(result, uris[-len(rows) :], rows, picture is not None) if len(result.images) > 1 else None
    title, columns = element("h1", *_colour_prompt(result)), element("div", first, beside, class_="two")
    return element("header", title, _summarise_run(result), columns, strip)


def build_picture(uri: str, boxes: Boxes, result: "Result", alt: str, small: bool = False) -> Html:
    """A picture with boxes that can be hidden."""
    outlines = [
        element(
            "div",
            element("span", result.regions[i].label),
            class_="box",
            style=f"--on:{css_colour(i)};{_css_box(box)}",
        )
        for i, box in boxes.items()
    ]
    kind = "picture shown small" if small else "picture shown"
    return element("div", element("img", src=uri, alt=alt), *outlines, class_=kind)


def build_attention(result: "Result", boxes: Boxes) -> Html | None:
    """The attention maps of each word with its box, over the steps of the first picture."""
    maps = result.sample.maps
    if not maps:
        return None
    chosen = sorted({round(at) for at in np.linspace(0, len(maps) - 1, MAX_MAPS)})
    names, strips = _name_maps(result), []
    for nth, source in enumerate(result.regions):
        shown = [maps[at][0][nth].float().cpu().numpy() for at in chosen]  # (h, w) each
        highest = max(float(each.max()) for each in shown)
        cells = [
            _build_map(each, highest, source, boxes[source], names[at]) for each, at in zip(shown, chosen, strict=True)
        ]
        strips += [
            element("h3", build_name(source, result.subjects[source])),
            element("div", element("div", *cells, class_="strip"), class_="wide"),
        ]
    first = " They belong to the first picture." if len(result.images) > 1 else ""
    text = "Attention maps of each word with its box, over the steps; bright is high, on one scale for each word."
    return element("div", element("p", text + first), *strips, class_="maps")


def _name_maps(result: "Result") -> list[str]:
    """A name for each map: its step, if steps and maps correspond."""
    count, guided = len(result.sample.maps), [step for step in result.sample.trace if step.before]
    steps = [step.step + 1 for step in guided for _ in range(max(max(step.updates, default=0), 1))]
    return [f"step {each}" for each in steps] if len(steps) == count else [f"map {i + 1}" for i in range(count)]


def _colour_prompt(result: "Result") -> list[Html | str]:
    """The text, each `<audio>` in the colour of its source."""
    pieces = result.prompt.text.split("<audio>")
    order, names = facts.find_spoken_sources(result), result.subjects
    parts: list[Html | str] = [pieces[0]]
    for nth, piece in enumerate(pieces[1:]):
        colour = f"--on:{css_colour(order[nth])}" if nth < len(order) else None
        title = f"the sound of {names[order[nth]]}" if nth < len(order) else None
        parts += [element("span", "<audio>", class_="sound", style=colour, title=title), piece]
    return parts


def _summarise_run(result: "Result") -> Html:
    """Sources, setup, seed and length in one line."""
    count = len(result.scene.sources)
    sources = {0: "no source", 1: "1 source"}.get(count, f"{count} sources")
    frames = [f"{len(result.frames)} frames"] if result.frames else []
    items = [
        sources,
        format_setup(result.scene),
        *frames,
        format_seeds(result),
        f"{result.recording.shape[1] / result.rate:.1f} s",
    ]
    return element("p", " · ".join(items), class_="faint")


def _list_sources(result: "Result") -> Html:
    """Each source with its direction, and whether it has a box."""
    items = []
    for i in range(len(result.scene.sources)):
        boxed = "" if i in result.regions else ", without a box"
        items.append(
            element(
                "li",
                element("span", build_name(i, result.subjects[i]), f": {describe_direction(result.scene, i)}{boxed}"),
            )
        )
    return element("ul", *items, class_="where")


def _build_toggle(result: "Result") -> Html | None:
    if not result.regions:
        return None
    box = element("input", type="checkbox", id="boxes", checked=True)
    return element("label", box, "Show the box of each source", class_="toggle", for_="boxes")


def _build_strip(result: "Result", uris: Sequence[str], rows: Sequence[Boxes], is_trail: bool) -> Html:
    """The frames of a film or a trail, or the pictures of several seeds."""
    count, shown = len(uris), []
    times = np.linspace(0, 1, count) if is_trail else (np.arange(count) + 0.5) / count
    times = times * result.recording.shape[1] / result.rate
    for i, (uri, boxes) in enumerate(zip(uris, rows, strict=True)):
        name = f"{times[i]:.1f} s" if result.frames else f"seed {result.seed + i}"
        shown.append(
            element("figure", build_picture(uri, boxes, result, name, small=True), element("figcaption", name))
        )
    inside = element("div", *shown, class_="strip" if result.frames else "pictures")
    return element("div", inside, class_="wide", style="margin-top:1.5rem")


def _build_player(uri: str, kind: str) -> Html:
    if kind == "video/mp4":
        return element("video", controls=True, loop=True, src=uri, style="width:100%")
    return element("div", element("img", src=uri, alt="The film"), class_="picture")


def _css_box(box: tuple[float, float, float, float]) -> str:
    x0, y0, x1, y1 = (100 * edge for edge in box)
    return f"left:{x0:.2f}%;top:{y0:.2f}%;width:{x1 - x0:.2f}%;height:{y1 - y0:.2f}%"


def _build_map(values: np.ndarray, highest: float, source: int, box: Any, name: str) -> Html:
    frame = element("div", class_="box", style=f"--on:{css_colour(source)};{_css_box(box)}")
    shown = element(
        "div",
        element("img", src=media.encode_heatmap(values, highest), alt=f"attention at {name}"),
        frame,
        class_="picture small",
    )
    return element("figure", shown, element("figcaption", name))
