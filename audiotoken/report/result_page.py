"""One page of one run: what was recorded, who is where, what was drawn and how, in a file that needs no other.

write_page(result, Path("report.html"))
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from audiotoken.report import drawing, facts, plots, sounds
from audiotoken.report.html import Html, element, joined, section
from audiotoken.report.style import STYLE
from audiotoken.stereo.generation import Result
from audiotoken.writing import write_bytes

POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"  # nothing from outside


def write_page(result: "Result", path: Path, **options: Any) -> None:
    """`report_page` into a file, whole or not at all; OptionError where none can be made."""
    write_bytes(report_page(result, **options).encode(), path)


def report_page(
    result: "Result",
    *,
    asked: Mapping[str, Any] | None = None,
    picture: Any = None,
    film: Path | None = None,
) -> str:
    """HTML with everything in it, at most `media.PAGE` characters.

    asked: the options of the run, by name. Of a film: `picture`, one of all frames, as a trail is; or `film`, its file.
    """
    rows = drawing.boxes_of(result)
    body = joined(
        [
            drawing.opening(result, rows, picture, film),
            sounds.recorded(result),
            sounds.directions(result),
            sounds.sources(result),
            sounds.pairs(result),
            _drawing(result, rows[0]),
            _time(result),
            _settings(result, asked or {}),
            _works(result),
        ]
    )
    head = [
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", result.prompt.text),
        element("style", Html(STYLE)),
    ]
    return f"<!DOCTYPE html>\n{element('html', element('head', *head), element('body', body), lang='en')}\n"


def _drawing(result: "Result", boxes: drawing.Boxes) -> Html:
    """Attention of each word with its box, and the energy, over the steps."""
    trace = result.sample.trace
    looked = any(note.before for note in trace)
    if not result.regions:
        said = "Nothing had a place, so nothing was moved: this is plain sampling."
    elif result.energy == "none":
        said = "Nothing was moved (energy none): this is plain sampling, and the boxes say where things would belong."
    elif not looked:
        said = "No energy was lowered: attention was made to lean towards the boxes."
    else:
        said = facts.fallen(trace)
    return section(
        "How it was drawn",
        element("p", said),
        drawing.attention(result, boxes) if looked else None,
        element("figure", plots.energy(trace), class_="plot") if looked else None,
        name="drawing",
    )


def _time(result: "Result") -> Html:
    longest = max(result.seconds.values(), default=1.0)
    rows = [(stage, each / max(longest, 1e-9), f"{each:.2f} s") for stage, each in result.seconds.items()]
    total = element("p", f"{sum(result.seconds.values()):.1f} seconds, without loading the model.")
    return section("How long it took", total, sounds.bars(rows), name="time")


def _settings(result: "Result", asked: Mapping[str, Any]) -> Html:
    listed = [*facts.settings(result, asked), *facts.versions()]
    return section("Settings", element("dl", *[_fact(*each) for each in listed]), name="settings")


def _fact(name: str, value: str) -> Html:
    return joined([element("dt", name), element("dd", value)])


def _works(result: "Result") -> Html:
    items = [
        element("li", f"{title}, ", element("a", f"arXiv {number}", href=f"https://arxiv.org/abs/{number}"))
        for title, number in facts.works(result)
    ]
    return section("What this is built on", element("ul", *items, class_="notes"), name="works")
