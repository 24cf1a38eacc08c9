"""The events of the first tab: listen, check, generate."""

from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from audiotoken.errors import OptionError
from audiotoken.page import files, jobs, view
from audiotoken.page.background import Cancelled, Progress, run_in_background
from audiotoken.page.clip_layout import ClipLayout, read_options
from audiotoken.page.components import IMMEDIATE, JOB, QUEUED_JOB, format_error, format_notes
from audiotoken.page.examples import EXAMPLES, RATE, load_example, write_sound
from audiotoken.page.session import Session, Sessions
from audiotoken.stereo.generation import Result
from audiotoken.stereo.planning import Plan

if TYPE_CHECKING:
    from audiotoken.pipeline import AudioTokenPipeline

Updates = dict[Any, Any]  # element -> its new value or properties


class ClipTab(ClipLayout):
    """Each public method handles an event and returns the updates of the page."""

    def __init__(self, pipe: "AudioTokenPipeline", sessions: Sessions):
        super().__init__(pipe)
        self.sessions, self.vocabulary = sessions, view.list_vocabulary(pipe)
        self._connect_listening()
        self._connect_editing()
        self._connect_generating()

    def _connect_listening(self) -> None:
        for button, name in zip(self.examples, EXAMPLES, strict=True):
            button.click(self._make_chooser(name), outputs=self.clip, concurrency_limit=1, show_progress="hidden")
        inputs = [self.clip, self.setup, self.max_sources, self.fov]
        status = [self.listen_status, self.cancel_listening_button]
        outputs = [self.wave, self.places, *status, self.prompt, *self._list_result_elements()]
        events = [self.clip.change, self.setup.input, self.max_sources.release]
        started = gr.on(events, self.begin_listening, [self.clip], outputs, **IMMEDIATE)
        started.then(self.listen, inputs, outputs, **QUEUED_JOB)
        self.cancel_listening_button.click(self.cancel_listening, None, status, **IMMEDIATE)

    def _connect_editing(self) -> None:
        outputs = self._list_result_elements()
        self.places.edit(self.edit, [self.places, self.fov], outputs, trigger_mode="always_last", **IMMEDIATE)
        self.fov.release(self.change_fov, [self.fov], [self.places, *outputs], **IMMEDIATE)
        events, inputs = [self.prompt.submit, self.prompt.blur], [self.prompt, self.fov]
        gr.on(events, self.match, inputs, [self.places, self.generate_status], **JOB)

    def _connect_generating(self) -> None:
        outputs = self._list_result_elements()
        next_seed = self.next_seed_button.click(lambda seed: (seed or 0) + 1, self.seed, self.seed, **IMMEDIATE)
        for started, begin, work, inputs in (
            (next_seed.then, self.begin_generating, self.generate, [self.prompt, *self.options]),
            (self.generate_button.click, self.begin_generating, self.generate, [self.prompt, *self.options]),
            (self.compare_button.click, self.begin_job, self.compare, self.options),
            (self.film_button.click, self.begin_job, self.film, self.options),
        ):
            drawn = started(begin, None, outputs, **IMMEDIATE).then(work, inputs, outputs, **QUEUED_JOB)
            if work == self.generate:  # in no place of the queue: the next job may begin meanwhile
                files = [self.downloads["steps"], self.downloads["report"]]
                drawn.then(self.write_files, self.options, files, concurrency_limit=1, show_progress="hidden")
        self.cancel_button.click(self.cancel, None, outputs, **IMMEDIATE)

    def _list_result_elements(self) -> list[Any]:
        """The elements that change when a picture is generated, or when it is no longer valid."""
        buttons = [self.generate_button, self.cancel_button, self.result_buttons, self.film_button]
        return [self.canvas, self.generate_status, *buttons, *self.downloads.values()]

    def _make_chooser(self, name: str) -> Callable:
        def choose_example(request: gr.Request) -> str:
            folder = self._session(request).folder
            path = folder / f"{name.replace(', ', '-').replace(' ', '-')}.wav"
            return str(write_sound(load_example(name), RATE, path))

        return choose_example

    def _session(self, request: gr.Request) -> Session:
        return self.sessions.get(str(request.session_hash))

    def begin_listening(self, clip: str | None, request: gr.Request) -> Updates:
        """At once: stop what runs and clear what belongs to the last recording."""
        session = self._session(request)
        session.cancel_jobs()
        session.clear()
        session.replace_upload("clip", Path(clip) if clip else None)
        session.waiting += 1
        return {
            self.cancel_listening_button: gr.update(visible=bool(clip)),
            self.wave: None,
            self.places: None,
            self.canvas: view.EMPTY,
            self.listen_status: format_notes("Listening ...") if clip else "",
            **self._idle_controls(session),
        }

    def listen(
        self, clip: str | None, setup: str, max_sources: int, fov: float, request: gr.Request
    ) -> Iterator[Updates]:
        """Show how much is heard, then what; a cancelled job changes nothing, as what cancelled it updates the page."""
        session, planned = self._session(request), None
        if not session.try_begin():
            return
        hidden = {self.cancel_listening_button: gr.update(visible=False)}
        try:
            if clip is None:
                yield {self.listen_status: ""}
                return
            work = partial(jobs.listen_to_file, session, self.pipe, clip, setup=setup, max_sources=max_sources)
            for event in run_in_background(lambda monitor: work(on_share=monitor.on_share), session.stop):
                if isinstance(event, Progress):
                    yield {self.listen_status: format_notes(f"Listening ... {event.done} %")}
                else:
                    planned = event
        except Cancelled:
            return
        except ValueError as error:
            yield {self.listen_status: format_error(error), **hidden}
            return
        finally:
            session.running = False
        if planned is None or session.closed:
            return
        yield {
            **hidden,
            self.wave: view.waveform_state(planned),
            self.places: self._show_scene(planned, session, fov),
            self.canvas: view.sketch_state(planned, session.placements, fov),
            self.listen_status: "",
            self.prompt: "",
            **self._idle_controls(session),
        }

    def _show_scene(self, planned: Plan, session: Session, fov: float) -> Updates:
        players = view.encode_players(planned)
        return view.scene_state(planned, session.placements, fov, players, self.vocabulary)

    def cancel_listening(self, request: gr.Request) -> Updates:
        """Free the page at once; the work ends at its next stage."""
        self._session(request).cancel_jobs()
        status = format_notes("Cancelled. Drop another recording, or choose an example.")
        return {self.listen_status: status, self.cancel_listening_button: gr.update(visible=False)}

    def edit(self, value: Any, fov: float, request: gr.Request) -> Updates:
        """A person changed a placement: show its box at once."""
        session = self._session(request)
        if session.plan is None:
            return {self.generate_status: ""}
        try:
            session.placements = view.read_placements(value, session.plan, session.placements)
        except ValueError as error:
            return {self.generate_status: format_error(error)}
        if session.busy:
            return {self.generate_status: format_notes("This change applies to the next picture.")}
        session.clear_result()
        sketch = view.sketch_state(session.plan, session.placements, fov)
        return {self.canvas: sketch, **self._idle_controls(session)}

    def change_fov(self, fov: float, request: gr.Request) -> Updates:
        session = self._session(request)
        if session.plan is None or session.busy:
            return {self.generate_status: ""}
        session.clear_result()
        return {
            self.places: self._show_scene(session.plan, session, fov),
            self.canvas: view.sketch_state(session.plan, session.placements, fov),
            **self._idle_controls(session),
        }

    def match(self, prompt: str, fov: float, request: gr.Request) -> Updates:
        """Another prompt: show which word each sound is matched with."""
        session = self._session(request)
        if session.plan is None or prompt == session.prompt:
            return {self.generate_status: gr.skip()}
        try:
            planned = jobs.rematch(session, self.pipe, prompt)
        except ValueError as error:
            return {self.generate_status: format_error(error)}
        scene = self._show_scene(planned, session, fov)
        return {self.places: scene, self.generate_status: ""}

    def begin_generating(self, request: gr.Request) -> Updates:
        """A new picture: hide the downloads of the last one."""
        hidden = {button: gr.update(visible=False) for button in self.downloads.values()}
        return {**self.begin_job(request), **hidden}

    def begin_job(self, request: gr.Request) -> Updates:
        session = self._session(request)
        session.waiting += 1
        return {
            self.canvas: {"kind": "running", "boxes": [], "waiting": "Waiting in the queue"},
            self.generate_status: "",
            self.generate_button: gr.update(interactive=False),
            self.cancel_button: gr.update(visible=True),
            self.result_buttons: gr.update(visible=False),
        }

    def cancel(self, request: gr.Request) -> Updates:
        session = self._session(request)
        if not session.cancel_jobs():
            return {self.generate_status: format_notes("Cancelling ...")}
        updates = {**self._idle_controls(session), **self._final_canvas(session)}
        return {**updates, self.generate_status: format_notes("Cancelled.")}

    def generate(self, request: gr.Request, prompt: str, *values: Any) -> Iterator[Updates]:
        session, options = self._session(request), read_options(values)
        work = partial(jobs.generate_picture, session, self.pipe, prompt, options)
        yield from self._run_job(session, work, options["fov"])

    def compare(self, request: gr.Request, *values: Any) -> Iterator[Updates]:
        session, options = self._session(request), read_options(values)
        work = partial(jobs.generate_comparison, session, self.pipe, options)
        yield from self._run_job(session, work, options["fov"])

    def film(self, request: gr.Request, *values: Any) -> Iterator[Updates]:
        session, options = self._session(request), read_options(values)
        yield from self._run_job(session, partial(jobs.generate_film, session, self.pipe, options), options["fov"])

    def _run_job(
        self, session: Session, work: Callable[[], Iterator[Progress | Result]], fov: float
    ) -> Generator[Updates, None, bool]:
        """Show the progress of a job and its end; returns True if it was completed."""
        message, preview, film = "", None, None
        if not session.try_begin():
            return False
        try:
            session.fov = fov
            boxes = view.sketch_state(session.plan, session.placements, fov)["boxes"] if session.plan else []
            for event in work():
                if isinstance(event, Progress):
                    preview = view.encode_image(event.preview) if event.preview is not None else preview
                    yield {self.canvas: view.progress_state(event, preview, boxes)}
                elif event.frames:
                    film = event
        except Cancelled:
            message = format_notes("Cancelled.")
        except ValueError as error:
            message = format_error(error)
        finally:
            session.running = False
        if session.closed:
            return False
        yield {**self._idle_controls(session), **self._final_canvas(session, film), self.generate_status: message}
        return not message

    def _final_canvas(self, session: Session, film: Result | None = None) -> Updates:
        """The canvas when no job runs, with the downloads of a film."""
        if session.plan is None:
            return {self.canvas: view.EMPTY}
        if session.result is None:
            return {self.canvas: view.sketch_state(session.plan, session.placements, session.fov)}
        if film is None:
            shown = view.result_state(session.result, session.unguided)
            return {self.canvas: shown, **self._offer_picture(session)}
        gif, mp4 = files.write_films(film, session.folder)
        session.downloads |= {"gif", "mp4"}
        return {
            self.canvas: view.result_state(session.result, film=view.encode_film(gif)),
            self.downloads["gif"]: _offer_file(gif),
            self.downloads["mp4"]: _offer_file(mp4),
        }

    def write_files(self, request: gr.Request, *values: Any) -> Iterator[Updates]:
        """Offer the GIF of the steps and the report, each as soon as it is written; nothing if a new job began."""
        session, options = self._session(request), read_options(values)
        result, previews = session.result, list(session.previews)
        if result is None or "picture" not in session.downloads:
            return
        for name, write in (
            ("steps", lambda: files.write_steps(previews, session.folder)),
            ("report", lambda: files.write_report(result, session.folder, options)),
        ):
            try:
                path = write()
            except (OSError, OptionError):
                if session.closed:  # meanwhile
                    return
                raise
            if session.result is not result:
                return
            session.downloads.add(name)
            yield {self.downloads[name]: _offer_file(path)}

    def _offer_picture(self, session: Session) -> Updates:
        """The picture can be downloaded as soon as it is shown."""
        if session.result is None or "picture" in session.downloads:
            return {}
        session.downloads.add("picture")
        return {self.downloads["picture"]: _offer_file(files.write_picture(session.result, session.folder))}

    def _idle_controls(self, session: Session) -> Updates:
        """The buttons when no job runs."""
        moving = session.plan is not None and any(source.moves for source in session.plan.scene.sources)
        offered = {button: gr.update(visible=name in session.downloads) for name, button in self.downloads.items()}
        return {
            self.generate_status: "",
            self.generate_button: gr.update(interactive=session.plan is not None),
            self.cancel_button: gr.update(visible=False),
            self.result_buttons: gr.update(visible=session.result is not None),
            self.film_button: gr.update(visible=moving),
            **offered,
        }


def _offer_file(path: Path) -> Any:
    return gr.update(value=str(path), visible=True)
