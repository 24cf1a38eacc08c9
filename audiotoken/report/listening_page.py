"""One self-contained HTML page of what is heard in one recording, and of the layout that was made of it.

write_listening_page(listening, Path("street.html"))
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audiotoken.audio import load_beginning
from audiotoken.report import facts, media, plots, source_sections
from audiotoken.report.html import Html, build_document, element, inline_svg, join_html, section, table
from audiotoken.report.listening_figure import css_colour, format_title
from audiotoken.report.listening_text import format_setup, name_source
from audiotoken.stereo.labelled_scene import Label, Listening
from audiotoken.writing import encode_text, write_bytes
from guidance.forms import svg
from guidance.layout import Layout

PLAYER_SECONDS = 60.0  # of the recording


def write_listening_page(listening: Listening, path: Path, **more: Any) -> None:
    """Write `listening_page` to a file, whole or not at all; raises OptionError if the file cannot be written."""
    write_bytes(encode_text(listening_page(listening, **more)), path)


def listening_page(
    listening: Listening,
    *,
    options: Mapping[str, object] | None = None,
    layout: Layout | None = None,
    notes: Sequence[str] | None = None,
) -> str:
    """HTML with embedded media: the recording, its sources, their directions and, first, the `layout` if there is one.

    notes: None takes those of the scene. The recording is read again, from `listening.file`.
    """
    body = join_html(
        [
            _build_header(listening, listening.scene.notes if notes is None else notes),
            None if layout is None else _build_layout(layout),
            _build_recording(listening),
            source_sections.build_directions(listening),
            _build_sources(listening),
            source_sections.build_settings([*_list_options(options or {}), *facts.list_versions()]),
        ]
    )
    return build_document(format_title(listening), body)


def name_label(label: Label | None) -> str:
    """The name of a source; unsure ones say so."""
    return name_source(*((None, None) if label is None else (label.name, label.sure)))


def _build_header(listening: Listening, notes: Sequence[str]) -> Html:
    scene = listening.scene
    items = [
        element(
            "li",
            element(
                "span",
                source_sections.build_name(i, name_label(label)),
                f": {source_sections.describe_direction(scene, i)}",
            ),
        )
        for i, label in enumerate(listening.labels)
    ]
    return element(
        "header",
        element("h1", format_title(listening)),
        element("p", f"{format_setup(scene)} · {listening.seconds:.1f} s", class_="faint"),
        element("ul", *items, class_="where") if items else None,
        element("ul", *[element("li", note) for note in notes], class_="notes") if notes else None,
    )


def _build_layout(layout: Layout) -> Html:
    """The boxes as a picture and as numbers."""
    width, height = layout.canvas
    drawn = inline_svg(svg.write(layout), "layout", f"The boxes: {', '.join(layout.words) or 'none'}")
    rows = [[entry.word, *(f"{edge:.2f}" for edge in entry.box)] for entry in layout.entries]
    numbers = table(["", "left", "top", "right", "bottom"], rows) if rows else element("p", "No sound has a box.")
    caption = element("p", f"Shares of a picture of {width} × {height} pixels, from its top left.", class_="faint")
    sheet = element("figure", drawn, class_="sheet")
    return section("Layout", element("div", sheet, element("div", numbers, caption), class_="two"), name="layout")


def _build_recording(listening: Listening) -> Html:
    recording, rate, _ = load_beginning(listening.file, PLAYER_SECONDS)
    (uri,), notes = media.encode_sounds([recording[:2]], rate, media.SOUNDS // 3)
    if recording.shape[1] / rate < listening.seconds - 1:
        notes = [f"The player holds the first {recording.shape[1] / rate:.0f} of {listening.seconds:.0f} seconds."]
    player = element("audio", controls=True, preload="metadata", src=uri, aria_label="the recording")
    shown = element("figure", plots.plot_outline(listening), class_="plot")
    return section("Recording", shown, player, *[element("p", each, class_="faint") for each in notes], name="recorded")


def _build_sources(listening: Listening) -> Html:
    """A card for each source, with its player."""
    sources, rate = listening.scene.sources, listening.scene.rate
    signals = [source.signal for source in sources]
    uris, notes = media.encode_sounds(signals, rate, media.SOUNDS * 2 // 3)
    if any(signal.size < np.floor((listening.seconds - 1) * rate) for signal in signals):
        notes = ["Of a long recording a player holds the window in which its source is loudest.", *notes]
    cards = [
        element(
            "article",
            element("h3", source_sections.build_name(i, name_label(label))),
            element("audio", controls=True, preload="metadata", src=uri, aria_label=f"source {i + 1} alone"),
            element("p", source_sections.describe_source(listening.scene, i)),
            _build_score(label, css_colour(i)),
            class_="card",
            style=f"--on:{css_colour(i)}",
        )
        for i, (label, uri) in enumerate(zip(listening.labels, uris, strict=True))
    ]
    body = element("div", *cards, class_="cards") if cards else element("p", "No source was found.")
    return section("Separated sources", body, *[element("p", each, class_="faint") for each in notes], name="sources")


def _build_score(label: Label | None, colour: str) -> Html | None:
    if label is None:
        return None
    bar = source_sections.build_bars([(label.name, label.score, f"{label.score:.2f}")], colour=colour)
    unsure = element("p", "The encoder does not know such sounds; this is the nearest that it knows.")
    return bar if label.sure else join_html([bar, unsure])


def _list_options(options: Mapping[str, object]) -> list[tuple[str, str]]:
    return [(name.replace("_", " "), str(value)) for name, value in options.items() if value is not None]
