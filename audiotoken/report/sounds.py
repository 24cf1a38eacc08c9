"""The parts of the page about what was recorded and heard; a source has the same colour in all of them."""

from collections.abc import Sequence

from audiotoken.labels import LIKELY
from audiotoken.report import facts, media, plots
from audiotoken.report.html import Html, element, joined, section, table
from audiotoken.report.listening_text import say_azimuth, say_kind, say_path, say_spans
from audiotoken.stereo.generation import Result

LABELS = 5  # of a source, the best
SPANS = 4  # of the times when a source sounds


def recorded(result: "Result") -> Html:
    """Waveform, spectrogram and a player of the recording."""
    (uri,), notes = media.sounds([result.recording[:2]], result.rate, media.SOUNDS // 3)
    player = element("audio", controls=True, preload="metadata", src=uri, aria_label="the recording")
    shown = element("figure", plots.waveform(result), class_="plot")
    return section(
        "What was recorded", shown, player, *[element("p", each, class_="faint") for each in notes], name="recorded"
    )


def directions(result: "Result") -> Html:
    """The half circle, and azimuths over time; a sentence where there is nothing to be seen."""
    scene = result.scene
    if scene.setup == "mono" or not scene.sources:
        said = (
            "It was heard as one channel, which says nothing of directions." if scene.sources else "No sound was found."
        )
        return section("Who is where", element("p", said), name="where")
    kind = f"Recorded as: {say_kind(scene)}, sure {scene.confidence:.2f}. Degrees from straight ahead."
    seen = "From above, ahead is up: a wedge is as wide as half of the sound spreads, as long as it is sure."
    over = "Over time, left is up: thick where it sounds, the band as wide as it spreads."
    return section(
        "Who is where",
        element("p", kind),
        element(
            "div",
            element("figure", plots.half_circle(result), element("figcaption", seen)),
            element("figure", plots.timeline(result), element("figcaption", over)),
            class_="two",
        ),
        name="where",
    )


def sources(result: "Result") -> Html:
    """A card for each, with its player."""
    uris, notes = media.sounds([each.signal for each in result.scene.sources], result.rate, media.SOUNDS * 2 // 3)
    cards = [_card(result, i, uri) for i, uri in enumerate(uris)]
    none = None if cards else element("p", "None was found.")
    said = [element("p", each, class_="faint") for each in notes]
    return section("Each sound alone", none, element("div", *cards, class_="cards"), *said, name="sources")


def pairs(result: "Result") -> Html:
    """The similarity of each sound and each word of the prompt, and which were matched."""
    if not result.words or not result.scene.sources:
        asked = "No words were asked for" if not result.words else "Nothing was heard"
        return section("Sounds and words", element("p", f"{asked}: there was nothing to match."), name="words")
    made = {(pair.source, pair.token) for pair in result.matches}
    rows = [
        [named(result, i), *[_score(i, value, (i, j) in made) for j, value in enumerate(row)]]
        for i, row in enumerate(result.similarity.tolist())
    ]
    said = [element("li", each) for each in facts.pairing(result)]
    return section(
        "Sounds and words",
        element("p", "How alike each sound and each word of the prompt are, from 0 to 1; framed: matched, one to one."),
        table(["", *[word.text for word in result.words]], rows),
        element("ul", *said, class_="notes") if said else None,
        name="words",
    )


def bars(rows: Sequence[tuple[str, float, str]], low: float = 0.0, colour: str | None = None) -> Html:
    """(name, share in [0, 1], what is written) each; faint below `low`."""
    cells = [
        joined(
            [
                element("span", name),
                element("i", class_="low" if share < low else None, style=f"width:{100 * min(max(share, 0), 1):.1f}%"),
                element("b", written),
            ]
        )
        for name, share, written in rows
    ]
    return element("div", *cells, class_="bars", style=f"--on:{colour}" if colour else None)


def where(result: "Result", i: int) -> str:
    """From which direction a source comes, or that it has none."""
    source = result.scene.sources[i]
    if result.scene.setup == "mono":
        return "no direction"
    return say_path(source).replace("->", "→") or say_azimuth(source.direction.azimuth)


def named(result: "Result", source: int) -> Html:
    dot = element("span", class_="dot", style=f"--on:{plots.colour_of(source)}")
    return element("span", dot, f"{source + 1} {result.subjects[source]}")


def _score(source: int, value: float, pair: bool) -> Html:
    style = f"--on:{plots.colour_of(source)};--part:{value:.3f}"
    return element("td", f"{value:.2f}{' ✓' if pair else ''}", class_="pair" if pair else None, style=style)


def _card(result: "Result", i: int, uri: str) -> Html:
    heard, colour = result.heard[i], plots.colour_of(i)
    known = "A sound that is known." if result.known[i] else "None of the sounds that are known: the nearest is named."
    return element(
        "article",
        element("h3", named(result, i)),
        element("audio", controls=True, preload="metadata", src=uri, aria_label=f"sound {i + 1} alone"),
        element("p", _facts(result, i)),
        bars([(label, score, f"{score:.2f}") for label, score in heard[:LABELS]], LIKELY, colour),
        element("p", known if heard else "The audio encoder names no sounds."),
        element("p", f"{facts.stands_as(result, i)}."),
        class_="card",
        style=f"--on:{colour}",
    )


def _facts(result: "Result", i: int) -> str:
    """Where, how loud and when, as far as it is known."""
    source = result.scene.sources[i]
    direction, said = source.direction, []
    if result.scene.setup != "mono":
        said += [where(result, i)]
        said += [f"±{direction.spread:.0f}°"] if direction.spread else []
        said += [f"sure {direction.confidence:.2f}"]
    said += [f"{source.level:.0f} dB of full scale"] if source.level else []
    said += [f"sounds {say_spans(source.active, SPANS)}"] if source.active else []
    return " · ".join(said)
