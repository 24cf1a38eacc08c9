"""Elements that Gradio does not have, drawn by the scripts beside this file, and texts as HTML."""

from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr

from audiotoken.report.html import element, join_html
from audiotoken.tasks.sentences import USER_ERRORS

HERE = Path(__file__).parent
# options of events: jobs that use the model run one at a time
JOB: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1, "show_progress": "hidden"}
QUEUED_JOB: dict[str, Any] = {**JOB, "trigger_mode": "multiple"}  # even while a cancelled one waits
IMMEDIATE: dict[str, Any] = {"queue": False, "show_progress": "hidden"}


@cache
def read_script(name: str) -> str:
    """The JavaScript of an element, with the helpers that all of them use before it."""
    return (HERE / "dom.js").read_text(encoding="utf-8") + (HERE / f"{name}.js").read_text(encoding="utf-8")


def script_element(name: str, value: Any = None, **options: Any) -> gr.HTML:
    """An element of class `name` into which `name`.js draws `value`, plain lists and dictionaries.

    places.js sends an `edit` event when a person changed the value.
    """
    template = f'<div class="{name}"></div>'
    return gr.HTML(value, html_template=template, js_on_load=read_script(name), elem_classes="scripted", **options)


def step_heading(number: int, title: str) -> gr.HTML:
    """The heading of a numbered step of the page."""
    heading = element("h2", element("b", number), title)
    return gr.HTML(heading, js_on_load=None, elem_classes="step")


def format_notes(*texts: str, error: bool = False) -> str:
    """Texts as HTML paragraphs."""
    return join_html([element("p", each, class_="error" if error else "note", role="status") for each in texts])


def format_error(error: Exception) -> str:
    """An error that a user can correct, as HTML; any other is raised again, since it is a bug."""
    if isinstance(error, USER_ERRORS):
        return format_notes(str(error), error=True)
    raise error
