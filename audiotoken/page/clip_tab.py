"""What the first tab does: listen, check, paint."""

from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from audiotoken.page import files, jobs, view
from audiotoken.page.clip_layout import ClipLayout, asked_for
from audiotoken.page.components import AGAIN, JOB, SOON, sentence_of, sentences
from audiotoken.page.examples import EXAMPLES, RATE, example, write_sound
from audiotoken.page.painting import Step, Stopped
from audiotoken.page.session import Session, Sessions


class ClipTab(ClipLayout):
    """Methods are what its elements call; each returns what changes on the page."""

    def __init__(self, pipe: Any, sessions: Sessions):
        super().__init__(pipe)
        self.sessions = sessions
        self._wire()

    def _wire(self) -> None:
        for button, name in zip(self.examples, EXAMPLES, strict=True):
            button.click(self._chooser(name), outputs=self.clip, concurrency_limit=1, show_progress="hidden")
        hearing = [self.clip, self.setup, self.most, self.fov]
        found = [self.wave, self.places, self.canvas, self.heard_said, self.hush_button, self.prompt, *self._after()]
        gr.on(
            [self.clip.change, self.setup.input, self.most.release],
            self.begin_hearing,
            [self.clip],
            found,
            **SOON,
        ).then(self.hear, hearing, found, **AGAIN)
        self.hush_button.click(self.hush, None, [self.heard_said, self.hush_button], **SOON)
        self.places.edit(
            self.edit, [self.places, self.fov], [self.canvas, *self._after()], trigger_mode="always_last", **SOON
        )
        self.fov.release(self.look, [self.fov], [self.places, self.canvas, *self._after()], **SOON)
        gr.on(
            [self.prompt.submit, self.prompt.blur],
            self.match,
            [self.prompt, self.fov],
            [self.places, self.paint_said],
            **JOB,
        )
        again = self.again_button.click(lambda seed: (seed or 0) + 1, self.seed, self.seed, **SOON)
        again = again.then(self.begin_painting, None, [self.canvas, *self._after()], **SOON)
        again.then(self.paint, [self.prompt, *self.asked], [self.canvas, *self._after()], **AGAIN)
        for button, work, inputs in (
            (self.paint_button, self.paint, [self.prompt, *self.asked]),
            (self.compare_button, self.compare, self.asked),
            (self.film_button, self.film, self.asked),
        ):
            begin = self.begin_painting if work == self.paint else self.begin_more
            begun = button.click(begin, None, [self.canvas, *self._after()], **SOON)
            begun.then(work, inputs, [self.canvas, *self._after()], **AGAIN)
        self.stop_button.click(self.stop, None, [self.canvas, *self._after()], **SOON)

    def _after(self) -> list[Any]:
        """What changes when something is painted, or no longer what was painted."""
        buttons = [self.paint_button, self.stop_button, self.more, self.film_button]
        return [self.paint_said, *buttons, *self.downloads.values()]

    def _chooser(self, name: str) -> Callable:
        def choose(request: gr.Request) -> str:
            folder = self._session(request).folder
            return str(write_sound(example(name), RATE, folder / f"{name.replace(', ', '-').replace(' ', '-')}.wav"))

        return choose

    def _session(self, request: gr.Request) -> Session:
        return self.sessions.of(str(request.session_hash))

    def begin_hearing(self, clip: str | None, request: gr.Request) -> dict:
        """At once: what runs is stopped, what was heard before is gone."""
        session = self._session(request)
        session.end()
        session.forget()
        session.take("clip", Path(clip) if clip else None)
        session.waiting += 1
        said = sentences("Listening.") if clip else ""
        return {
            self.hush_button: gr.update(visible=bool(clip)),
            self.wave: None,
            self.places: None,
            self.canvas: view.NOTHING,
            self.heard_said: said,
            **self._idle(session),
        }

    def hear(self, clip: str | None, setup: str, most: int, fov: float, request: gr.Request) -> dict:
        session = self._session(request)
        if not session.begins():
            return {self.prompt: gr.skip()}
        try:
            if clip is None:
                return {self.heard_said: ""}
            heard = jobs.hear(session, self.pipe, clip, setup=setup, max_sources=most)
        except Stopped:
            return {self.prompt: gr.skip()}  # `hush` said so, or the next clip is listened to
        except ValueError as error:
            return {self.heard_said: sentence_of(error), self.hush_button: gr.update(visible=False)}
        finally:
            session.running = False
        return {
            self.hush_button: gr.update(visible=False),
            self.wave: view.waveform(heard),
            self.places: view.scene(heard, session.places, fov, view.players(heard)),
            self.canvas: view.sketch(heard, session.places, fov),
            self.heard_said: "",
            self.prompt: "",
            **self._idle(session),
        }

    def hush(self, request: gr.Request) -> dict:
        """Heard no further; the work ends at its next stage, the page is free at once."""
        self._session(request).end()
        said = sentences("Stopped. Drop another clip, or choose an example.")
        return {self.heard_said: said, self.hush_button: gr.update(visible=False)}

    def edit(self, value: Any, fov: float, request: gr.Request) -> dict:
        """A dot was dragged: where it will be is shown at once."""
        session = self._session(request)
        if session.plan is None:
            return {self.paint_said: ""}
        try:
            session.places = view.read_places(value, session.plan, session.places)
        except ValueError as error:
            return {self.paint_said: sentence_of(error)}
        if session.busy:
            return {self.paint_said: sentences("This is for the next picture; the one that is painted stays as it is.")}
        session.clear_result()
        return {self.canvas: view.sketch(session.plan, session.places, fov), **self._idle(session)}

    def look(self, fov: float, request: gr.Request) -> dict:
        """Another angle of view."""
        session = self._session(request)
        if session.plan is None or session.busy:
            return {self.paint_said: ""}
        session.clear_result()
        return {
            self.places: view.scene(session.plan, session.places, fov, view.players(session.plan)),
            self.canvas: view.sketch(session.plan, session.places, fov),
            **self._idle(session),
        }

    def match(self, prompt: str, fov: float, request: gr.Request) -> dict:
        session = self._session(request)
        if session.plan is None or prompt == session.prompt:
            return {self.paint_said: gr.skip()}
        try:
            plan = jobs.match_again(session, self.pipe, prompt)
        except ValueError as error:
            return {self.paint_said: sentence_of(error)}
        return {self.places: view.scene(plan, session.places, fov, view.players(plan)), self.paint_said: ""}

    def begin_painting(self, request: gr.Request) -> dict:
        """Another picture: the files of the last one are no longer offered."""
        hidden = {button: gr.update(visible=False) for button in self.downloads.values()}
        return {**self.begin_more(request), **hidden}

    def begin_more(self, request: gr.Request) -> dict:
        session = self._session(request)
        session.waiting += 1
        waiting = {"kind": "painting", "boxes": [], "waiting": "Waiting for its turn"}
        return {
            self.canvas: waiting,
            self.paint_said: "",
            self.paint_button: gr.update(interactive=False),
            self.stop_button: gr.update(visible=True),
            self.more: gr.update(visible=False),
        }

    def stop(self, request: gr.Request) -> dict:
        session = self._session(request)
        if not session.end():
            return {self.paint_said: sentences("Stopping.")}
        return {**self._idle(session), **self._finished(session), self.paint_said: sentences("Stopped.")}

    def paint(self, request: gr.Request, prompt: str, *asked: Any) -> Iterator[dict]:
        session, options = self._session(request), asked_for(asked)
        work = partial(jobs.paint, session, self.pipe, prompt, options)
        if (yield from self._shown(session, work, options["fov"])):
            yield self._taken_home(session, options)

    def compare(self, request: gr.Request, *asked: Any) -> Iterator[dict]:
        session, options = self._session(request), asked_for(asked)
        yield from self._shown(session, lambda: jobs.compare(session, self.pipe, options), options["fov"])

    def film(self, request: gr.Request, *asked: Any) -> Iterator[dict]:
        session, options = self._session(request), asked_for(asked)
        yield from self._shown(session, lambda: jobs.animate(session, self.pipe, options), options["fov"])

    def _shown(self, session: Session, work: Callable, fov: float) -> Generator[dict, None, bool]:
        """The canvas over the steps of a job, and how it ends; was it done?"""
        said, shown, film = "", None, None
        if not session.begins():
            return False
        try:
            session.fov = fov
            boxes = view.sketch(session.plan, session.places, fov)["boxes"] if session.plan else []
            for each in work():
                if isinstance(each, Step):
                    shown = view.encoded(each.preview) if each.preview is not None else shown
                    yield {self.canvas: view.canvas(each, shown, boxes)}
                elif each.frames:
                    film = each
        except Stopped:
            said = sentences("Stopped.")
        except ValueError as error:
            said = sentence_of(error)
        finally:
            session.running = False
        yield {**self._idle(session), **self._finished(session, film), self.paint_said: said}
        return not said

    def _finished(self, session: Session, film: Any = None) -> dict:
        """The canvas when nothing runs."""
        if session.plan is None:
            return {self.canvas: view.NOTHING}
        if session.result is None:
            return {self.canvas: view.sketch(session.plan, session.places, session.fov)}
        if film is None:
            return {self.canvas: view.picture(session.result, session.plain)}
        gif, mp4 = files.write_films(film, session.folder)
        session.made |= {"gif", "mp4"}
        return {
            self.canvas: view.picture(session.result, film=view.film(gif)),
            self.downloads["gif"]: gr.update(value=str(gif), visible=True),
            self.downloads["mp4"]: gr.update(value=str(mp4), visible=True),
        }

    def _taken_home(self, session: Session, options: dict[str, Any]) -> dict:
        result, folder = session.result, session.folder
        assert result is not None
        made = {
            "picture": files.write_picture(result, folder),
            "steps": files.write_steps(session.painting, folder),
            "report": files.write_report(result, folder, options),
        }
        session.made |= set(made)
        return {self.downloads[name]: _offer(path) for name, path in made.items()}

    def _idle(self, session: Session) -> dict:
        """The buttons when nothing runs."""
        moves = session.plan is not None and any(source.moves for source in session.plan.scene.sources)
        done = session.result is not None
        offered = {button: gr.update(visible=name in session.made) for name, button in self.downloads.items()}
        return {
            self.paint_said: "",
            self.paint_button: gr.update(interactive=session.plan is not None),
            self.stop_button: gr.update(visible=False),
            self.more: gr.update(visible=done),
            self.film_button: gr.update(visible=moves),
            **offered,
        }


def _offer(path: Path) -> Any:
    return gr.update(value=str(path), visible=True)
