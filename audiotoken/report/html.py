"""Build HTML safely: every string is escaped unless it is `Html` already; a document of ours, and how to know one."""

import os
import re
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from audiotoken.errors import OptionError
from audiotoken.report.style import STYLE
from audiotoken.writing import cannot_write, check_output

POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"  # nothing from elsewhere
PAGES = (".html", ".htm")
MAKER = "spatial-audiotoken"
VOID = ("img", "input", "meta", "br")  # elements without content


class Html(str):
    """Text that is HTML."""

    __slots__ = ()


def element(name: str, /, *content: Any, **attributes: Any) -> Html:
    """<name attributes>content</name>; `class_` is class, `aria_label` aria-label.

    An attribute that is True is written without a value; one that is None or False is left out.
    """
    words = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.rstrip("_").replace("_", "-")
        words.append(key if value is True else f'{key}="{escape(str(value))}"')
    start = f"<{' '.join(words)}>"
    return Html(start if name in VOID else f"{start}{join_html(content)}</{name}>")


def join_html(content: Iterable[Any]) -> Html:
    """Concatenate; None is left out."""
    return Html("".join(each if isinstance(each, Html) else escape(str(each)) for each in content if each is not None))


def build_document(title: str, body: Html) -> str:
    """A whole page that loads nothing and runs nothing."""
    head = [
        element("meta", charset="utf-8"),
        element("meta", name="generator", content=MAKER),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Html(STYLE)),
    ]
    return f"<!DOCTYPE html>\n{element('html', element('head', *head), element('body', body), lang='en')}\n"


def is_document(path: Path) -> bool:
    """Whether a file is a page of `build_document`, so that another may take its place; OSError if unreadable."""
    with path.open("rb") as file:
        return f'content="{MAKER}"'.encode() in file.read(1000)


def check_report(report: str | os.PathLike, suffixes: Sequence[str] = PAGES) -> None:
    """OptionError unless a report can be written there; a page that is none of our reports is not replaced."""
    check_output(report, suffixes)
    path = Path(report)
    try:
        foreign = path.suffix.lower() in PAGES and path.exists() and not is_document(path)
    except OSError as error:
        raise cannot_write(path, error) from None
    if foreign:
        raise OptionError(f"Cannot write {path}: this page exists and is no report of ours; choose another name.")


def section(title: str, *content: Any, name: str) -> Html:
    """A section of the page with its heading."""
    return element("section", element("h2", title, id=name), *content, aria_labelledby=name)


def table(head: Iterable[Any], rows: Iterable[Iterable[Any]], **attributes: Any) -> Html:
    """A table that scrolls sideways; `head` and the first cell of each row are headings."""
    top = element("tr", *[element("th", each, scope="col") for each in head])
    body = [element("tr", element("th", first, scope="row"), *map(_cell, rest)) for first, *rest in rows]
    content = element("table", element("thead", top), element("tbody", *body), **attributes)
    return element("div", content, class_="wide", tabindex=0, role="region", aria_label="table")


def _cell(content: Any) -> Html:
    return content if isinstance(content, Html) and content.startswith("<td") else element("td", content)


def inline_svg(svg: str, name: str, alt: str) -> Html:
    """An SVG file as an element: without outside names, with ids that begin with `name` and the description `alt`."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    start = re.sub(r'\s(width|height)="[^"]*"', "", svg[: svg.index(">")])
    opening = f'<svg role="img" aria-label="{escape(alt)}"'
    return Html(start.replace("<svg", opening, 1) + svg[svg.index(">") :].strip())
