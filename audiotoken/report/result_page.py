"""One self-contained HTML page of one run: the recording, its sources, the pictures and how they were made.

write_page(result, Path("report.html"))
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from audiotoken.report import facts, picture_sections, plots, source_sections
from audiotoken.report.html import Html, build_document, element, join_html, section
from audiotoken.stereo.generation import Result
from audiotoken.writing import encode_text, write_bytes


def write_page(result: "Result", path: Path, **options: Any) -> None:
    """Write `report_page` to a file, whole or not at all; raises OptionError if the file cannot be written."""
    write_bytes(encode_text(report_page(result, **options)), path)


def report_page(
    result: "Result",
    *,
    options: Mapping[str, Any] | None = None,
    picture: Any = None,
    film: Path | None = None,
) -> str:
    """HTML with embedded media, at most `media.PAGE` characters.

    options: those of the run, by name. For films: `film`, its file, or `picture`, one picture of all frames such as a
    trail.
    """
    rows = picture_sections.list_boxes(result)
    body = join_html(
        [
            picture_sections.build_header(result, rows, picture, film),
            source_sections.build_recording(result),
            source_sections.build_directions(result.outline()),
            source_sections.build_sources(result),
            source_sections.build_matches(result),
            _build_guidance(result, rows[0]),
            _build_times(result),
            _build_settings(result, options or {}),
            _build_references(result),
        ]
    )
    return build_document(result.prompt.text, body)


def _build_guidance(result: "Result", boxes: picture_sections.Boxes) -> Html:
    """The attention of each word with its box, and the energy, over the steps."""
    trace = result.sample.trace
    guided = any(step.before for step in trace)
    if not result.regions:
        text = "No source has a box, so the picture was sampled without layout guidance."
    elif result.energy == "none":
        text = "No layout guidance was used (method none); the boxes show where each source belongs."
    elif not guided:
        text = "This method lowers no energy; it biases attention towards the boxes."
    else:
        text = facts.describe_energy(trace)
    return section(
        "Layout guidance",
        element("p", text),
        picture_sections.build_attention(result, boxes) if guided else None,
        element("figure", plots.plot_energy(trace), class_="plot") if guided else None,
        name="guidance",
    )


def _build_times(result: "Result") -> Html:
    longest = max(result.seconds.values(), default=1.0)
    rows = [(stage, each / max(longest, 1e-9), f"{each:.2f} s") for stage, each in result.seconds.items()]
    total = element("p", f"{sum(result.seconds.values()):.1f} seconds in total, without loading the model.")
    return section("Time", total, source_sections.build_bars(rows), name="time")


def _build_settings(result: "Result", options: Mapping[str, Any]) -> Html:
    listed = [*facts.list_settings(result, options), *facts.list_versions()]
    return source_sections.build_settings(listed)


def _build_references(result: "Result") -> Html:
    items = [
        element("li", f"{title}, ", element("a", f"arXiv {number}", href=f"https://arxiv.org/abs/{number}"))
        for title, number in facts.list_citations(result)
    ]
    return section("References", element("ul", *items, class_="notes"), name="references")
