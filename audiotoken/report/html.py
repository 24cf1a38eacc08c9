"""HTML that cannot be broken by what it tells: every string is escaped, unless it is `Html` already."""

import re
from collections.abc import Iterable
from html import escape
from typing import Any

VOID = ("img", "input", "meta", "br")  # elements that hold nothing


class Html(str):
    """Text that is HTML."""

    __slots__ = ()


def element(name: str, /, *content: Any, **attributes: Any) -> Html:
    """<name attributes>content</name>; `class_` is class, `aria_label` aria-label; True stands alone, None is none."""
    written = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.rstrip("_").replace("_", "-")
        written.append(key if value is True else f'{key}="{escape(str(value))}"')
    start = f"<{' '.join(written)}>"
    return Html(start if name in VOID else f"{start}{joined(content)}</{name}>")


def joined(content: Iterable[Any]) -> Html:
    """One after the other; None is left out."""
    return Html("".join(each if isinstance(each, Html) else escape(str(each)) for each in content if each is not None))


def section(title: str, *content: Any, name: str) -> Html:
    """A part of the page with its heading."""
    return element("section", element("h2", title, id=name), *content, aria_labelledby=name)


def table(head: Iterable[Any], rows: Iterable[Iterable[Any]], **attributes: Any) -> Html:
    """`head` and the first of each row are headings; cells that are not elements become some."""
    top = element("tr", *[element("th", each, scope="col") for each in head])
    body = [element("tr", element("th", first, scope="row"), *map(_cell, rest)) for first, *rest in rows]
    scrolled = element("table", element("thead", top), element("tbody", *body), **attributes)
    return element("div", scrolled, class_="wide", tabindex=0, role="region", aria_label="table")


def _cell(content: Any) -> Html:
    return content if isinstance(content, Html) and content.startswith("<td") else element("td", content)


def inlined(svg: str, name: str, alt: str) -> Html:
    """An SVG file as an element of a page: no outside names, ids that begin with `name`, and what `alt` says."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    start = re.sub(r'\s(width|height)="[^"]*"', "", svg[: svg.index(">")])
    said = f'<svg role="img" aria-label="{escape(alt)}"'
    return Html(start.replace("<svg", said, 1) + svg[svg.index(">") :].strip())
