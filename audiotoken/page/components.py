"""Parts of the page that Gradio does not have: their scripts are beside this file."""

from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr

from audiotoken.report.html import element, joined
from audiotoken.tasks.sentences import MENDABLE

HERE = Path(__file__).parent
JOB: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1, "show_progress": "hidden"}  # one at a time
AGAIN: dict[str, Any] = {**JOB, "trigger_mode": "multiple"}  # even if one waits that was cancelled
SOON: dict[str, Any] = {"queue": False, "show_progress": "hidden"}


@cache
def script(name: str) -> str:
    return (HERE / "dom.js").read_text(encoding="utf-8") + (HERE / f"{name}.js").read_text(encoding="utf-8")


def drawn(name: str, value: Any = None, **options: Any) -> gr.HTML:
    """`name`.js draws `value`, plain lists and dictionaries, into an element of that class.

    places.js says with an `edit` event that a person changed it.
    """
    template = f'<div class="{name}"></div>'
    return gr.HTML(value, html_template=template, js_on_load=script(name), elem_classes="drawn", **options)


def step(number: int, title: str) -> gr.HTML:
    heading = element("h2", element("b", number), title)
    return gr.HTML(heading, js_on_load=None, elem_classes="step")


def sentences(*said: str, error: bool = False) -> str:
    """Each a line of its own, as HTML; nothing for none."""
    return joined([element("p", each, class_="error" if error else "note", role="status") for each in said])


def sentence_of(error: Exception) -> str:
    """Of what a user can mend; anything else is raised again, since it is a bug."""
    if isinstance(error, MENDABLE):
        return sentences(str(error), error=True)
    raise error
