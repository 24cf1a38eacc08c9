"""The page: what its buttons do, and its launch."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gradio as gr

from audiotoken.errors import OptionError
from audiotoken.rating.screens import (
    Screens,
    describe_question,
    format_notice,
    format_progress,
    format_thanks,
    name_picture,
    select_answer,
)
from audiotoken.rating.study import CANNOT_SAY, Order
from audiotoken.rating.trials import RequestError, Trial, Trials, find_open, normalise_name
from audiotoken.serving import launch_blocks

HERE = Path(__file__).parent
# one event at a time, in the order they come: an answer is stored before the trial after it is shown
EVENT: dict[str, Any] = {"concurrency_id": "rating", "concurrency_limit": 1, "show_progress": "hidden"}
EVERY: dict[str, Any] = {**EVENT, "trigger_mode": "multiple"}  # no click is dropped while another is on its way
Updates = dict[Any, Any]  # element -> its new value or properties


@dataclass(frozen=True)
class Visit:
    """State of one open page."""

    rater: str = ""
    order: Order = field(default_factory=list)
    place: int = 0  # of the trial shown
    heard: bool = False  # has its sound been started?


def serve(trials: Trials, *, rater: str = "", port: int = 0) -> gr.Blocks:
    """Launch the page; `serving.prepare_gradio` comes before."""
    script = (HERE / "keys.js").read_text(encoding="utf-8")
    page = build_page(trials, rater)
    return launch_blocks(page, port=port, max_upload=1, css_paths=[HERE / "style.css"], js=script)


def build_page(trials: Trials, rater: str = "") -> gr.Blocks:
    """The page of a study; `rater` fills in the name."""
    with gr.Blocks(title="Sounds and pictures", analytics_enabled=False, fill_width=True) as page:
        RatingPage(trials, rater)
    return page


class RatingPage:
    """Elements and event handlers; everything that differs between open pages is in `Visit`."""

    def __init__(self, trials: Trials, rater: str = "") -> None:
        self.trials = trials
        self.visit = gr.State(Visit())
        self.screens = screens = Screens(trials.study, rater)
        radios = [radio for row in screens.radios for radio in row]
        shown = [screens.progress, screens.sound, screens.notice, *screens.images, *radios, screens.back]
        ends = [self.visit, screens.welcome, screens.trial, screens.end, screens.name_notice, screens.thanks]
        everything = [*ends, *shown]
        gr.on([screens.start.click, screens.name.submit], self.start, [screens.name], everything, **EVENT)
        screens.next.click(self.show_next, [self.visit], everything, **EVENT)
        screens.back.click(self.show_previous, [self.visit], everything, **EVENT)
        screens.again.click(self.show_last, [self.visit], everything, **EVENT)
        screens.sound.play(self.note_heard, [self.visit], [self.visit, screens.notice], **EVERY)
        for radio in radios:
            radio.select(self._answer_with(radio), [self.visit], [radio, screens.progress, screens.notice], **EVERY)

    def start(self, name: str) -> Updates:
        """Show the first trial with an open question."""
        try:
            rater = normalise_name(name)
            visit = Visit(rater, self.trials.start(rater))
            return self._show(visit, find_open(self._read(visit)))
        except (RequestError, OptionError) as error:
            return {self.screens.name_notice: format_notice(str(error))}

    def show_next(self, visit: Visit) -> Updates:
        """The next trial; after the last one the first with an open question, or the end."""
        return self._try(lambda: self._go_on(visit))

    def _go_on(self, visit: Visit) -> Updates:
        trials = self._read(visit)
        if num_open := trials[visit.place].num_open:
            questions = "1 question is" if num_open == 1 else f"{num_open} questions are"
            message = f"{questions} still open; answer all of them, then go on."
            return {self.screens.notice: format_notice(message), **self._show_answers(trials[visit.place])}
        following = visit.place + 1
        return self._show(visit, following if following < len(trials) else find_open(trials))

    def show_previous(self, visit: Visit) -> Updates:
        return self._try(lambda: self._show(visit, max(visit.place - 1, 0)))

    def show_last(self, visit: Visit) -> Updates:
        return self._try(lambda: self._show(visit, len(visit.order) - 1))

    def note_heard(self, visit: Visit) -> Updates:
        return {self.visit: replace(visit, heard=True), self.screens.notice: ""}

    def answer(self, visit: Visit, value: str, radio: gr.Radio) -> Updates:
        """Store `value`, a question's key and an answer; the radio then shows what the store holds."""
        key, _, answer = value.partition(":")
        message = ""
        try:
            if not visit.heard and answer != CANNOT_SAY:
                raise RequestError("Play the sound first; if it cannot be played, choose “I cannot say”.")
            self.trials.answer(visit.rater, key, answer)
        except (RequestError, OptionError) as error:
            message = str(error)
        return {self.screens.notice: format_notice(message), **self._try(lambda: self._show_stored(visit, key, radio))}

    def _answer_with(self, radio: gr.Radio) -> Callable[[Visit, gr.SelectData], Updates]:
        def answer(visit: Visit, event: gr.SelectData) -> Updates:
            return self.answer(visit, str(event.value), radio)

        return answer

    def _try(self, act: Callable[[], Updates]) -> Updates:
        """A problem is a message on the page."""
        try:
            return act()
        except (RequestError, OptionError) as error:
            return {self.screens.notice: format_notice(str(error))}

    def _read(self, visit: Visit) -> list[Trial]:
        if not visit.order:
            raise RequestError("This page is from an earlier run; load it again and enter your name.")
        return self.trials.read(visit.rater, visit.order)

    def _show_stored(self, visit: Visit, key: str, radio: gr.Radio) -> Updates:
        trials = self._read(visit)
        stored = {question.key: select_answer(question) for question in trials[visit.place].questions}
        updates: Updates = {self.screens.progress: format_progress(trials, visit.place, visit.rater)}
        if key in stored:  # otherwise the radio asks something else by now
            updates[radio] = gr.update(value=stored[key])
        return updates

    def _show(self, visit: Visit, place: int | None) -> Updates:
        """The trial at `place`, or the end for None."""
        screens, trials = self.screens, self._read(visit)
        done = place is None
        updates: Updates = {
            screens.welcome: gr.update(visible=False),
            screens.trial: gr.update(visible=not done),
            screens.end: gr.update(visible=done),
        }
        if place is None:
            return {**updates, screens.thanks: format_thanks(trials), screens.sound: None}
        trial = trials[place]
        return {
            **updates,
            **self._show_pictures(trial),
            self.visit: replace(visit, place=place, heard=not trial.num_open),
            screens.progress: format_progress(trials, place, visit.rater),
            screens.sound: str(self.trials.copy_blind(trial.sound)),
            screens.notice: "",
            screens.back: gr.update(interactive=place > 0),
        }

    def _show_answers(self, trial: Trial) -> Updates:
        """Every question with the answer that is stored, whatever the page shows."""
        pairs = zip(trial.pictures, self.screens.radios, strict=True)
        return {
            radio: gr.update(value=select_answer(question))
            for picture, radios in pairs
            for question, radio in zip(picture.questions, radios, strict=False)
        }

    def _show_pictures(self, trial: Trial) -> Updates:
        screens = self.screens
        updates: Updates = {}
        for i, (picture, image, radios) in enumerate(zip(trial.pictures, screens.images, screens.radios, strict=True)):
            updates[image] = str(self.trials.copy_blind(picture.path))
            name = name_picture(i, screens.num_pictures)
            for j, radio in enumerate(radios):
                unused = {"visible": False, "choices": [], "value": None}
                asked = j < len(picture.questions)
                updates[radio] = gr.update(**describe_question(picture.questions[j], name) if asked else unused)
        return updates
