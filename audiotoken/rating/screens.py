"""The elements of the page: a welcome, one trial at a time, a thank-you."""

from collections.abc import Sequence
from html import escape
from string import ascii_uppercase
from typing import Any

import gradio as gr

from audiotoken.rating.study import BELONGS, CANNOT_SAY, ORDER, SIDE, Study, list_choices
from audiotoken.rating.trials import MAX_NAME, Question, Trial

WELCOME = """# Sounds and pictures

You will hear short sounds, each with one or more pictures. Rate how well each picture belongs to the sound, and say
whether things are on the side where you hear them, and in that order. There is no right or wrong: your impression
counts.

Headphones help. Every answer is stored at once: you may close the page at any time and continue later under the same
name.
"""
END = """# Thank you

You have rated {pictures} pictures of {sounds} sounds. Everything is stored; you can close this page.

To let another person rate, load the page again.
"""
KEYS = {
    "space": "play or pause",
    "1 to 5, y, n": "answer",
    "c": "cannot say",
    "← →": "other question",
    "enter": "next sound",
}
SCALE_INFO = "1: not at all, 5: perfectly"


class Screens:
    """The page's elements by name; `rater` fills in the name."""

    def __init__(self, study: Study, rater: str = "") -> None:
        self.num_pictures = len(study.systems)
        self.num_questions = max(len(study.questions(clip)) for clip in study.clips)
        with gr.Column(elem_id="welcome") as self.welcome:
            gr.Markdown(WELCOME)
            with gr.Row(elem_classes="name"):
                self.name = gr.Textbox(
                    rater, label="Your name or a code", max_length=MAX_NAME, autofocus=True, scale=3, elem_id="name"
                )
                self.start = gr.Button("Start", variant="primary", scale=1, elem_id="start")
            self.name_notice = gr.HTML(js_on_load=None, elem_classes="notice")
        with gr.Column(visible=False, elem_id="trial") as self.trial:
            self._build_trial()
        with gr.Column(visible=False, elem_id="end") as self.end:
            self.thanks = gr.Markdown()
            self.again = gr.Button("Back to the last sound", elem_id="again")

    def _build_trial(self) -> None:
        self.progress = gr.HTML(js_on_load=None, elem_id="progress")
        self.sound = gr.Audio(
            label="Sound", show_label=False, interactive=False, autoplay=True, buttons=[], elem_id="sound"
        )
        self.notice = gr.HTML(js_on_load=None, elem_classes="notice", elem_id="notice")
        self.images: list[gr.Image] = []
        self.radios: list[list[gr.Radio]] = []  # by picture and question
        with gr.Row(elem_id="pictures"):
            for i in range(self.num_pictures):
                with gr.Column(min_width=300, elem_classes="picture"):
                    title = name_picture(i, self.num_pictures).replace("p", "P", 1).replace("the ", "The ")
                    self.images.append(gr.Image(label=title, interactive=False, buttons=["fullscreen"]))
                    questions = range(self.num_questions)
                    self.radios.append([gr.Radio(interactive=True, elem_classes="question") for _ in questions])
        with gr.Row(elem_id="steps"):
            self.back = gr.Button("Back", elem_id="back")
            gr.HTML(_format_keys(), js_on_load=None, elem_id="keys")
            self.next = gr.Button("Next", variant="primary", elem_id="next")


def name_picture(place: int, num_pictures: int) -> str:
    """ "picture A" and so on, or "the picture" if it is the only one."""
    return f"picture {ascii_uppercase[place % 26]}" if num_pictures > 1 else "the picture"


def describe_question(question: Question, picture: str) -> dict[str, Any]:
    """Properties of a radio. Its values hold the question's random key, so that no answer can go to another picture."""
    if question.name == BELONGS:
        text, info = f"Does {picture} belong to the sound?", SCALE_INFO
    elif question.name == ORDER:
        text, info = f"In {picture}: are they in the order in which you hear them, from left to right?", None
    else:
        text, info = f"In {picture}: {question.name.removeprefix(SIDE)}?", None
    choices = [
        ("I cannot say" if each == CANNOT_SAY else each, f"{question.key}:{each}")
        for each in list_choices(question.name)
    ]
    return {"label": text, "info": info, "choices": choices, "value": select_answer(question), "visible": True}


def select_answer(question: Question) -> str | None:
    """The value of the radio's choice that was answered."""
    return None if question.answer is None else f"{question.key}:{question.answer}"


def format_progress(trials: Sequence[Trial], place: int, rater: str) -> str:
    total = sum(len(trial.questions) for trial in trials)
    done = total - sum(trial.num_open for trial in trials)
    return (
        f'<div class="row"><strong>Sound {place + 1} of {len(trials)}</strong>'
        f'<span role="status">{done} of {total} answers stored for {escape(rater)}</span></div>'
        f'<progress max="{total}" value="{done}" aria-label="Answers"></progress>'
    )


def format_thanks(trials: Sequence[Trial]) -> str:
    num_pictures = sum(len(trial.pictures) for trial in trials)
    return END.format(pictures=num_pictures, sounds=len(trials))


def format_notice(message: str) -> str:
    """A message for the rater, or nothing."""
    return f'<p role="alert">{escape(message)}</p>' if message else ""


def _format_keys() -> str:
    return " ".join(f"<span><kbd>{escape(key)}</kbd> {escape(action)}</span>" for key, action in KEYS.items())
