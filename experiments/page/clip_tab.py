"""The first tab: listen, check, paint."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from experiments.page import files, jobs, view
from experiments.page.components import drawn, sentence_of, sentences, step
from experiments.page.examples import EXAMPLES, RATE, example, write_sound
from experiments.page.painting import Step, Stopped
from experiments.page.session import Session, Sessions
from experiments.page.uploads import LONGEST, MOST
from guidance.methods import METHODS
from spatial.setups import NAMES

JOB: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1, "show_progress": "hidden"}
SOON: dict[str, Any] = {"queue": False, "show_progress": "hidden"}
ASKED = ("negative_prompt", "seed", "steps", "guidance_scale", "energy", "fov", "token")
OWN_TOKENS = (("learned: what it sounds like", "learned"), ("label: its name", "label"))


class ClipTab:
    """Its elements and what they do; `parts` is an `AudioTokenPipeline`."""

    def __init__(self, parts: Any, sessions: Sessions):
        self.parts, self.sessions = parts, sessions
        with gr.Row(elem_classes="columns"):
            with gr.Column(scale=6):
                self._listen_step()
                self._check_step()
            with gr.Column(scale=5, elem_classes="paint-column"):
                self._paint_step()
        self._wire()

    def _listen_step(self) -> None:
        step(1, "Listen")
        self.clip = gr.Audio(
            sources=["upload", "microphone"],
            type="filepath",
            label=f"A stereo clip: up to {MOST} MB, the first {LONGEST:g} seconds are heard",
            buttons=[],
            elem_id="clip",
        )
        with gr.Row(elem_classes="examples"):
            self.examples = [gr.Button(name, size="sm", variant="secondary") for name in EXAMPLES]
        self.wave = drawn("wave")
        with gr.Accordion("How it was recorded", open=False):
            choices = [("find out", "auto"), *((name, name) for name in NAMES), ("mono: no places", "mono")]
            self.setup = gr.Dropdown(choices, value="auto", label="Microphones or desk")
            self.most = gr.Slider(1, 4, value=4, step=1, label="Sounds at most")
        self.heard_said = gr.HTML(js_on_load=None, elem_classes="said")

    def _check_step(self) -> None:
        step(2, "Check")
        self.places = drawn("places", elem_id="places")
        self.prompt = gr.Textbox(
            label="Prompt",
            placeholder="Left empty, the sounds themselves are painted. Or say it: a frog and a bell by a lake",
            info="Words that name what is heard go where it is heard; the others stay free. <audio> is a sound itself.",
            max_lines=3,
            elem_id="prompt",
        )

    def _paint_step(self) -> None:
        step(3, "Paint")
        self.canvas = drawn("canvas", view.NOTHING, elem_id="canvas")
        with gr.Row():
            self.paint_button = gr.Button("Paint", variant="primary", interactive=False, elem_id="paint")
            self.stop_button = gr.Button("Cancel", variant="stop", visible=False, elem_id="cancel")
        self.paint_said = gr.HTML(js_on_load=None, elem_classes="said")
        with gr.Row(visible=False) as self.more:
            self.compare_button = gr.Button("Compare: without places", size="sm", elem_id="compare")
            self.film_button = gr.Button("Film", size="sm", elem_id="film")
        with gr.Row():
            self.downloads = {
                name: gr.DownloadButton(title, size="sm", visible=False, elem_id=f"download-{name}")
                for name, title in (
                    ("picture", "Picture"),
                    ("report", "Report"),
                    ("steps", "GIF of the steps"),
                    ("gif", "Film, GIF"),
                    ("mp4", "Film with sound, MP4"),
                )
            }
        with gr.Accordion("Options", open=False):
            self._options()

    def _options(self) -> None:
        own = self.parts.config
        tokens = list(OWN_TOKENS) if self.parts.audio_embedder is not None else list(OWN_TOKENS[1:])
        with gr.Row():
            seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=2**32, min_width=90)
            steps = gr.Number(own.get("default_steps", 50), label="Steps", precision=0, minimum=1, min_width=90)
            scale = gr.Number(own.get("default_guidance", 7.5), label="Guidance", minimum=0, maximum=100, min_width=90)
        with gr.Row():
            methods = [("none: nothing is moved", "none"), *((name, name) for name in METHODS)]
            energy = gr.Dropdown(methods, value="ours", label="How things are moved", min_width=140)
            token = gr.Dropdown(tokens, value=tokens[0][1], label="A sound's word", min_width=140)
        fov = gr.Slider(30, 150, value=90, step=5, label="Degrees across the picture")
        negative = gr.Textbox(label="What to avoid", max_lines=2)
        self.fov = fov
        self.asked = [negative, seed, steps, scale, energy, fov, token]

    def _wire(self) -> None:
        for button, name in zip(self.examples, EXAMPLES, strict=True):
            button.click(self._chooser(name), outputs=self.clip, concurrency_limit=1, show_progress="hidden")
        hearing = [self.clip, self.setup, self.most, self.fov]
        found = [self.wave, self.places, self.canvas, self.heard_said, self.prompt, *self._after()]
        gr.on(
            [self.clip.change, self.setup.input, self.most.release],
            self.begin_hearing,
            [self.clip],
            found,
            **SOON,
        ).then(self.hear, hearing, found, **JOB)
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
        for button, work, inputs in (
            (self.paint_button, self.paint, [self.prompt, *self.asked]),
            (self.compare_button, self.compare, self.asked),
            (self.film_button, self.film, self.asked),
        ):
            begun = button.click(self.begin_painting, None, [self.canvas, *self._after()], **SOON)
            begun.then(work, inputs, [self.canvas, *self._after()], **JOB)
        self.stop_button.click(self.stop, None, [self.paint_said], **SOON)

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
        session.stop.set()
        session.forget()
        said = sentences("Listening.") if clip else ""
        return {
            self.wave: None,
            self.places: None,
            self.canvas: view.NOTHING,
            self.heard_said: said,
            **self._idle(session),
        }

    def hear(self, clip: str | None, setup: str, most: int, fov: float, request: gr.Request) -> dict:
        session = self._session(request)
        if clip is None:
            return {self.heard_said: ""}
        try:
            heard = jobs.hear(session, self.parts, clip, setup=setup, max_sources=most)
        except ValueError as error:
            return {self.heard_said: sentence_of(error)}
        return {
            self.wave: view.waveform(heard),
            self.places: view.scene(heard, session.places, fov, view.players(heard)),
            self.canvas: view.sketch(heard, session.places, fov),
            self.heard_said: "",
            self.prompt: "",
            **self._idle(session),
        }

    def edit(self, value: Any, fov: float, request: gr.Request) -> dict:
        """A dot was dragged: where it will be is shown at once."""
        session = self._session(request)
        if session.plan is None:
            return {self.paint_said: ""}
        try:
            session.places = view.read_places(value, session.plan, session.places)
        except ValueError as error:
            return {self.paint_said: sentence_of(error)}
        if not session.stop.is_set() and session.busy:
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
            plan = jobs.match_again(session, self.parts, prompt)
        except ValueError as error:
            return {self.paint_said: sentence_of(error)}
        return {self.places: view.scene(plan, session.places, fov, view.players(plan)), self.paint_said: ""}

    def begin_painting(self, request: gr.Request) -> dict:
        session = self._session(request)
        session.stop.clear()
        session.busy = True
        waiting = {"kind": "painting", "boxes": [], "waiting": "Waiting for its turn"}
        hidden = {button: gr.update(visible=False) for button in self.downloads.values()}
        return {
            self.canvas: waiting,
            self.paint_said: "",
            self.paint_button: gr.update(interactive=False),
            self.stop_button: gr.update(visible=True),
            self.more: gr.update(visible=False),
            **hidden,
        }

    def stop(self, request: gr.Request) -> str:
        self._session(request).stop.set()
        return sentences("Stopping.")

    def paint(self, request: gr.Request, prompt: str, *asked: Any) -> Iterator[dict]:
        session, options = self._session(request), _asked(asked)
        yield from self._shown(session, lambda: jobs.paint(session, self.parts, prompt, options), options["fov"])
        if session.result is not None and not session.stop.is_set():
            yield self._taken_home(session, options)

    def compare(self, request: gr.Request, *asked: Any) -> Iterator[dict]:
        session, options = self._session(request), _asked(asked)
        yield from self._shown(session, lambda: jobs.compare(session, self.parts, options), options["fov"])

    def film(self, request: gr.Request, *asked: Any) -> Iterator[dict]:
        session, options = self._session(request), _asked(asked)
        yield from self._shown(session, lambda: jobs.animate(session, self.parts, options), options["fov"])

    def _shown(self, session: Session, work: Callable, fov: float) -> Iterator[dict]:
        """The canvas over the steps of a job, and how it ends."""
        said, shown, film = "", None, None
        try:
            if session.stop.is_set():
                raise Stopped
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
            session.busy = False
        yield {**self._idle(session), **self._finished(session, fov, film), self.paint_said: said}

    def _finished(self, session: Session, fov: float, film: Any) -> dict:
        if session.plan is None:
            return {self.canvas: view.NOTHING}
        if session.result is None:
            return {self.canvas: view.sketch(session.plan, session.places, fov)}
        if film is None:
            return {self.canvas: view.picture(session.result, session.plain)}
        gif, mp4 = files.write_films(film, session.folder)
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
        return {self.downloads[name]: _offer(path) for name, path in made.items()}

    def _idle(self, session: Session) -> dict:
        """The buttons when nothing runs."""
        moves = session.plan is not None and any(source.moves for source in session.plan.scene.sources)
        done = session.result is not None
        kept = {} if done else {button: gr.update(visible=False) for button in self.downloads.values()}
        return {
            self.paint_said: "",
            self.paint_button: gr.update(interactive=session.plan is not None),
            self.stop_button: gr.update(visible=False),
            self.more: gr.update(visible=done),
            self.film_button: gr.update(visible=moves),
            **kept,
        }


def _asked(values: tuple[Any, ...]) -> dict[str, Any]:
    """The options by name, as `jobs.paint` has them."""
    asked = dict(zip(ASKED, values, strict=True))
    asked["negative_prompt"] = asked["negative_prompt"] or None
    for name in ("seed", "steps"):
        asked[name] = None if asked[name] is None else int(asked[name])
    asked["seed"] = asked["seed"] or 0
    return asked


def _offer(path: Path) -> Any:
    return gr.update(value=str(path), visible=True)
