"""The sections of the page about the recording and its sources; a source has the same colour in all of them."""

from collections.abc import Sequence

from audiotoken.labels import LIKELY
from audiotoken.report import facts, media, plots
from audiotoken.report.html import Html, element, join_html, section, table
from audiotoken.report.listening_figure import css_colour
from audiotoken.report.listening_text import format_azimuth, format_path, format_setup, format_spans
from audiotoken.stereo.generation import Result
from audiotoken.stereo.labelled_scene import Listening
from spatial.scene import Scene

LABELS = 5  # shown for each source, best first
SPANS = 4  # shown for each source


def build_recording(result: "Result") -> Html:
    """Waveform, spectrogram and a player of the recording."""
    (uri,), notes = media.encode_sounds([result.recording[:2]], result.rate, media.SOUNDS // 3)
    player = element("audio", controls=True, preload="metadata", src=uri, aria_label="the recording")
    shown = element("figure", plots.plot_waveform(result), class_="plot")
    return section("Recording", shown, player, *[element("p", each, class_="faint") for each in notes], name="recorded")


def build_directions(listening: Listening) -> Html:
    """The half circle, and azimuths over time; a sentence if there are no directions to show."""
    scene = listening.scene
    if scene.setup == "mono" or not scene.sources:
        text = "The recording is mono, which holds no directions." if scene.sources else "No source was found."
        return section("Directions", element("p", text), name="directions")
    setup = f"Recording setup: {format_setup(scene)}, confidence {scene.confidence:.2f}. Straight ahead is 0 degrees."
    above = "View from above, straight ahead is up. The length of a wedge is the confidence, its width the spread."
    over_time = "Azimuth over time, left is up. Thick lines where a source is active; the band shows the spread."
    return section(
        "Directions",
        element("p", setup),
        element(
            "div",
            element("figure", plots.plot_half_circle(listening), element("figcaption", above)),
            element("figure", plots.plot_timeline(listening), element("figcaption", over_time)),
            class_="two",
        ),
        name="directions",
    )


def build_sources(result: "Result") -> Html:
    """A card for each source, with its player."""
    uris, notes = media.encode_sounds(
        [each.signal for each in result.scene.sources], result.rate, media.SOUNDS * 2 // 3
    )
    cards = [_build_card(result, i, uri) for i, uri in enumerate(uris)]
    empty = None if cards else element("p", "No source was found.")
    listed = [element("p", note, class_="faint") for note in notes]
    return section("Separated sources", empty, element("div", *cards, class_="cards"), *listed, name="sources")


def build_matches(result: "Result") -> Html:
    """The similarity of each source and each word of the prompt, and which are matched."""
    if not result.words or not result.scene.sources:
        reason = "The prompt has no words for sources" if not result.words else "No source was found"
        text = f"{reason}, so there was nothing to match."
        return section("Matching sources and words", element("p", text), name="words")
    matched = {(pair.source, pair.token) for pair in result.matches}
    rows = [
        [build_name(i, result.subjects[i]), *[_score_cell(i, value, (i, j) in matched) for j, value in enumerate(row)]]
        for i, row in enumerate(result.similarity.tolist())
    ]
    sentences = [element("li", each) for each in facts.describe_matches(result)]
    return section(
        "Matching sources and words",
        element("p", "Similarity of each source and each word of the prompt, 0 to 1; matched pairs are framed."),
        table(["", *[word.text for word in result.words]], rows),
        element("ul", *sentences, class_="notes") if sentences else None,
        name="words",
    )


def build_bars(rows: Sequence[tuple[str, float, str]], low: float = 0.0, colour: str | None = None) -> Html:
    """Horizontal bars from (name, share in [0, 1], text); faint below `low`."""
    cells = [
        join_html(
            [
                element("span", name),
                element("i", class_="low" if share < low else None, style=f"width:{100 * min(max(share, 0), 1):.1f}%"),
                element("b", text),
            ]
        )
        for name, share, text in rows
    ]
    return element("div", *cells, class_="bars", style=f"--on:{colour}" if colour else None)


def build_settings(listed: Sequence[tuple[str, str]]) -> Html:
    """(name, value) of all settings."""
    rows = [join_html([element("dt", name), element("dd", value)]) for name, value in listed]
    return section("Settings", element("dl", *rows), name="settings")


def describe_direction(scene: Scene, i: int) -> str:
    """The azimuth or the path of a source."""
    source = scene.sources[i]
    if scene.setup == "mono":
        return "no direction"
    return format_path(source).replace("->", "→") or format_azimuth(source.direction.azimuth)


def build_name(source: int, name: str) -> Html:
    """The number and the name of a source, with a dot in its colour."""
    dot = element("span", class_="dot", style=f"--on:{css_colour(source)}")
    return element("span", dot, f"{source + 1} {name}")


def _score_cell(source: int, value: float, pair: bool) -> Html:
    style = f"--on:{css_colour(source)};--part:{value:.3f}"
    return element("td", f"{value:.2f}{' ✓' if pair else ''}", class_="pair" if pair else None, style=style)


def _build_card(result: "Result", i: int, uri: str) -> Html:
    labels, colour = result.heard[i], css_colour(i)
    known = "A known sound." if result.known[i] else "No known sound has a high score; the best match is named."
    return element(
        "article",
        element("h3", build_name(i, result.subjects[i])),
        element("audio", controls=True, preload="metadata", src=uri, aria_label=f"source {i + 1} alone"),
        element("p", describe_source(result.scene, i)),
        build_bars([(label, score, f"{score:.2f}") for label, score in labels[:LABELS]], LIKELY, colour),
        element("p", known if labels else "The audio encoder has no labels."),
        element("p", f"{facts.describe_token(result, i)}."),
        class_="card",
        style=f"--on:{colour}",
    )


def describe_source(scene: Scene, i: int) -> str:
    """Direction, level and times of a source, as far as they are known."""
    source = scene.sources[i]
    direction, items = source.direction, []
    if scene.setup != "mono":
        items += [describe_direction(scene, i)]
        items += [f"±{direction.spread:.0f}°"] if direction.spread else []
        items += [f"confidence {direction.confidence:.2f}"]
    items += [f"{source.level:.0f} dB re full scale"] if source.level else []
    items += [f"active {format_spans(source.active, SPANS)}"] if source.active else []
    return " · ".join(items)
