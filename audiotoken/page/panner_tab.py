"""The second tab: choose two sounds and their azimuths, listen to the mix, generate a picture of it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from audiotoken.errors import OptionError
from audiotoken.mini.things import AUDIBLE_WORDS
from audiotoken.page import panning, view
from audiotoken.page.background import Cancelled, Monitor, Progress, run_in_background
from audiotoken.page.clip_tab import ClipTab, Updates
from audiotoken.page.components import (
    IMMEDIATE,
    QUEUED_JOB,
    format_error,
    format_notes,
    script_element,
    step_heading,
)
from audiotoken.page.examples import RATE, write_sound
from audiotoken.page.session import Session, Sessions
from audiotoken.page.uploads import MAX_MEGABYTES
from audiotoken.report.html import table
from audiotoken.report.listening_text import format_azimuth
from audiotoken.stereo.generation import Result, draw
from audiotoken.stereo.planning import plan
from spatial.setups import NAMES

if TYPE_CHECKING:
    from audiotoken.pipeline import AudioTokenPipeline

OWN_FILE = "my own file"
DEFAULTS = (("frog", -28.0), ("bell", 28.0))  # word, azimuth in degrees
GUARD = {"most": MAX_MEGABYTES, "seconds": panning.MAX_SECONDS, "within": "#file-1, #file-2"}


class PannerTab:
    """Each public method handles an event and returns the updates of the page."""

    def __init__(self, pipe: "AudioTokenPipeline", sessions: Sessions, clip: ClipTab, tabs: gr.Tabs, tab: gr.Tab):
        self.pipe, self.sessions, self.clip, self.tabs = pipe, sessions, clip, tabs
        with gr.Row(elem_classes="columns"):
            with gr.Column(scale=6):
                self._build_choose_step()
                self._build_place_step()
            with gr.Column(scale=5, elem_classes="generate-column"):
                self._build_generate_step()
        self._connect_events(tab)

    def _build_choose_step(self) -> None:
        step_heading(1, "Choose two sounds")
        self.words, self.files = [], []
        with gr.Row():
            for number, (word, _) in enumerate(DEFAULTS, 1):
                with gr.Column(min_width=200):
                    choices, label = [*AUDIBLE_WORDS, OWN_FILE], f"Sound {number}"
                    dropdown = gr.Dropdown(choices, value=word, label=label, elem_id=f"voice-{number}")
                    file = gr.Audio(
                        type="filepath",
                        label="Audio file, mixed down to mono",
                        visible=False,
                        buttons=[],
                        elem_id=f"file-{number}",
                    )
                self.words.append(dropdown)
                self.files.append(file)
        script_element("guard", GUARD, elem_id="guard-mix")

    def _build_place_step(self) -> None:
        step_heading(2, "Choose their directions")
        voices = [replace(panning.synthesise_voice(word), azimuth=azimuth) for word, azimuth in DEFAULTS]
        state = panning.panner_state(voices, panning.azimuth_limit("panned"))
        self.places = script_element("places", state, elem_id="panner")
        with gr.Row():
            self.setup = gr.Dropdown(list(NAMES), value="panned", label="Recording setup", min_width=140)
            rooms, label = list(panning.ROOMS), "Reverberation (microphones only)"
            self.room = gr.Dropdown(rooms, value="none", label=label, min_width=140)

    def _build_generate_step(self) -> None:
        step_heading(3, "Listen and generate")
        self.player = gr.Audio(label="The mix", interactive=False, type="filepath", buttons=["download"], elem_id="mix")
        self.status = gr.HTML(js_on_load=None, elem_classes="page-status")
        with gr.Row():
            self.generate_button = gr.Button("Generate", variant="primary", elem_id="generate-mix")
            self.cancel_button = gr.Button("Cancel", variant="stop", visible=False, elem_id="cancel-mix")
        empty = {"kind": "empty", "text": "The picture will appear here. The mix is analysed like any other recording."}
        self.canvas = script_element("canvas", empty, elem_id="mix-canvas")
        self.table = gr.HTML(js_on_load=None, elem_classes="comparison")
        self.open_button = gr.Button("Open in the Recording tab", size="sm", visible=False, elem_id="open")

    def _connect_events(self, tab: gr.Tab) -> None:
        inputs = [*self.words, *self.files, self.places, self.setup, self.room]
        for word, file in zip(self.words, self.files, strict=True):
            word.input(lambda name: gr.update(visible=name == OWN_FILE), word, file, **IMMEDIATE)
        changed = [*(word.input for word in self.words), *(file.change for file in self.files), self.setup.input]
        gr.on(changed, self.choose, inputs, [self.places, self.status], **IMMEDIATE)
        gr.on(
            [*changed, self.places.edit, self.room.input, tab.select],
            self.mix,
            inputs,
            [self.player, self.status],
            concurrency_id="mix",
            concurrency_limit=1,
            trigger_mode="always_last",
            show_progress="hidden",
        )
        outputs = [self.canvas, self.player, self.status, self.table]
        outputs += [self.generate_button, self.cancel_button, self.open_button]
        started = self.generate_button.click(self.begin_job, None, outputs, **IMMEDIATE)
        started.then(self.generate, inputs, outputs, **QUEUED_JOB)
        self.cancel_button.click(self.cancel, None, outputs, **IMMEDIATE)
        self.open_button.click(self.open_in_clip_tab, None, [self.tabs, self.clip.clip], **IMMEDIATE)

    def _session(self, request: gr.Request) -> Session:
        return self.sessions.get(str(request.session_hash))

    def read_voices(self, *values: Any) -> list[panning.Voice]:
        """The chosen sounds with azimuths and levels, without missing files; AudioError for an unreadable file."""
        words, paths, places = values[:2], values[2:4], values[4]
        voices = []
        for word, path, place in zip(words, paths, (places or {}).get("sources", [{}, {}]), strict=True):
            if word == OWN_FILE and not path:
                continue
            voice = panning.load_voice(path) if word == OWN_FILE else panning.synthesise_voice(word)
            azimuth, level = float(place.get("azimuth", 0.0)), float(place.get("size", 0.0))
            voices.append(replace(voice, azimuth=azimuth, level=level))
        return voices

    def choose(self, *values: Any) -> Updates:
        """Another sound or setup: update the names and the limit of azimuths."""
        try:
            voices = self.read_voices(*values)
        except ValueError as error:
            return {self.status: format_error(error)}
        if len(voices) < len(DEFAULTS):
            return {self.status: ""}  # `mix` shows the message
        limit = panning.azimuth_limit(values[5])
        voices = [replace(voice, azimuth=min(max(voice.azimuth, -limit), limit)) for voice in voices]
        return {self.places: panning.panner_state(voices, limit), self.status: ""}

    def mix(self, request: gr.Request, *values: Any) -> Updates:
        try:
            return {self.player: str(self._write_mix(self._session(request), *values).path), self.status: ""}
        except ValueError as error:
            return {self.status: format_error(error)}

    def _write_mix(self, session: Session, *values: Any) -> panning.Mix:
        """Simulate the mix and replace its file. Raises OptionError while a sound is missing."""
        for element, path in zip(("voice-1", "voice-2"), values[2:4], strict=True):
            session.replace_upload(element, Path(path) if path else None)
        voices = self.read_voices(*values)
        if len(voices) < len(DEFAULTS):
            raise OptionError("One of the two sounds is missing; drop a file, record it or choose another.")
        setup, room = values[5:7]
        recording = panning.mix_voices(voices, setup, None if setup == "panned" else panning.ROOMS[room])
        for old in session.folder.glob("mix-*.wav"):
            old.unlink(missing_ok=True)
        session.mix_count += 1
        path = write_sound(recording, RATE, session.folder / f"mix-{session.mix_count}.wav")
        session.mix = panning.Mix(recording, voices, panning.azimuth_limit(setup), path)
        return session.mix

    def begin_job(self, request: gr.Request) -> Updates:
        session = self._session(request)
        session.waiting += 1
        return {
            self.canvas: {"kind": "running", "boxes": [], "waiting": "Waiting in the queue"},
            self.status: "",
            self.table: "",
            self.generate_button: gr.update(interactive=False),
            self.cancel_button: gr.update(visible=True),
            self.open_button: gr.update(visible=False),
        }

    def cancel(self, request: gr.Request) -> Updates:
        if not self._session(request).cancel_jobs():
            return {self.status: format_notes("Cancelling ...")}
        return {self.status: format_notes("Cancelled."), self.canvas: view.EMPTY, **self._idle_controls(False)}

    def generate(self, request: gr.Request, *values: Any) -> Iterator[Updates]:
        session, last = self._session(request), {}
        if not session.try_begin():
            return
        try:
            mix = self._write_mix(session, *values)
            yield {self.player: str(mix.path)}
            for updates in self._generate_picture(session, mix):
                last = updates
                yield updates
        except Cancelled:
            last = {self.status: format_notes("Cancelled."), self.canvas: view.EMPTY}
        except ValueError as error:
            last = {self.status: format_error(error), self.canvas: view.EMPTY}
        finally:
            session.running = False
        yield {**last, **self._idle_controls(self.table in last)}

    def _idle_controls(self, done: bool) -> Updates:
        """The buttons when no job runs."""
        return {
            self.generate_button: gr.update(interactive=True),
            self.cancel_button: gr.update(visible=False),
            self.open_button: gr.update(visible=done),
        }

    def _generate_picture(self, session: Session, mix: panning.Mix) -> Iterator[Updates]:
        planned, preview = plan(mix.recording, RATE, self.pipe), None
        boxes = view.region_boxes(planned)

        def work(monitor: Monitor) -> Result:
            steps = self.pipe.config.get("default_steps", 50)
            return draw(planned, self.pipe, on_latents=monitor.on_latents(steps))

        for event in run_in_background(work, session.stop, self.pipe):
            if isinstance(event, Progress):
                preview = view.encode_image(event.preview) if event.preview is not None else preview
                yield {self.canvas: view.progress_state(event, preview, boxes)}
            else:
                comparisons = panning.compare_directions(mix.voices, mix.limit, planned)
                yield {self.canvas: view.result_state(event), self.table: _format_table(comparisons), self.status: ""}

    def open_in_clip_tab(self, request: gr.Request) -> tuple[Any, str]:
        mix = self._session(request).mix
        assert mix is not None
        return gr.update(selected="clip"), str(mix.path)


def _format_table(comparisons: list[panning.Comparison]) -> str:
    """Where each sound was placed and where it was heard."""
    rows = [
        (
            each.name,
            format_azimuth(each.placed_at),
            each.heard_as or "not heard",
            "" if each.heard_at is None else format_azimuth(each.heard_at),
        )
        for each in comparisons
    ]
    return table(["", "placed at", "heard as", "heard at"], rows)
