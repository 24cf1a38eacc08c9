"""The second tab: choose two sounds, put them somewhere, hear the mix, paint it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from audiotoken.errors import OptionError
from audiotoken.mini.things import AUDIBLE_WORDS
from audiotoken.page import panning, view
from audiotoken.page.clip_tab import ClipTab
from audiotoken.page.components import AGAIN, SOON, drawn, sentence_of, sentences, step
from audiotoken.page.examples import RATE, write_sound
from audiotoken.page.painting import Step, Stopped, Watch, watched
from audiotoken.page.session import Session, Sessions
from audiotoken.page.uploads import MOST
from audiotoken.report.html import element, table
from audiotoken.report.listening_text import say_azimuth
from audiotoken.stereo.generation import draw
from audiotoken.stereo.planning import plan
from spatial.setups import NAMES

OWN = "a file of mine"
BEGIN = (("frog", -28.0), ("bell", 28.0))


class PannerTab:
    """Methods are what its elements call."""

    def __init__(self, pipe: Any, sessions: Sessions, clip: ClipTab, tabs: gr.Tabs, tab: gr.Tab):
        self.pipe, self.sessions, self.clip, self.tabs = pipe, sessions, clip, tabs
        with gr.Row(elem_classes="columns"):
            with gr.Column(scale=6):
                self._choose_step()
                self._place_step()
            with gr.Column(scale=5, elem_classes="paint-column"):
                self._hear_step()
        self._wire(tab)

    def _choose_step(self) -> None:
        step(1, "Choose two sounds")
        self.words, self.files = [], []
        with gr.Row():
            for number, (word, _) in enumerate(BEGIN, 1):
                with gr.Column(min_width=200):
                    chosen = gr.Dropdown(
                        [*AUDIBLE_WORDS, OWN], value=word, label=f"Sound {number}", elem_id=f"voice-{number}"
                    )
                    file = gr.Audio(
                        type="filepath",
                        label="Its channels are mixed down",
                        visible=False,
                        buttons=[],
                        elem_id=f"file-{number}",
                    )
                self.words.append(chosen)
                self.files.append(file)
        drawn("guard", {"most": MOST, "seconds": panning.LONGEST, "within": "#file-1, #file-2"}, elem_id="guard-mix")

    def _place_step(self) -> None:
        step(2, "Put them somewhere")
        voices = [replace(panning.known_voice(word), azimuth=azimuth) for word, azimuth in BEGIN]
        self.places = drawn("places", panning.scene(voices, panning.limit("panned")), elem_id="panner")
        with gr.Row():
            self.setup = gr.Dropdown(list(NAMES), value="panned", label="Recorded as", min_width=140)
            self.room = gr.Dropdown(list(panning.ROOMS), value="none", label="Room, for microphones", min_width=140)

    def _hear_step(self) -> None:
        step(3, "Hear and paint")
        self.mixed = gr.Audio(label="The mix", interactive=False, type="filepath", buttons=["download"], elem_id="mix")
        self.said = gr.HTML(js_on_load=None, elem_classes="said")
        with gr.Row():
            self.paint_button = gr.Button("Paint it", variant="primary", elem_id="paint-mix")
            self.stop_button = gr.Button("Cancel", variant="stop", visible=False, elem_id="cancel-mix")
        empty = {"kind": "empty", "text": "Painted, the mix is listened to like any other recording."}
        self.canvas = drawn("canvas", empty, elem_id="mix-canvas")
        self.table = gr.HTML(js_on_load=None, elem_classes="truth")
        self.open_button = gr.Button("Check and change it on the first tab", size="sm", visible=False, elem_id="open")

    def _wire(self, tab: gr.Tab) -> None:
        made = [*self.words, *self.files, self.places, self.setup, self.room]
        for word, file in zip(self.words, self.files, strict=True):
            word.input(lambda name: gr.update(visible=name == OWN), word, file, **SOON)
        changed = [*(word.input for word in self.words), *(file.change for file in self.files), self.setup.input]
        gr.on(changed, self.choose, made, [self.places, self.said], **SOON)
        gr.on(
            [*changed, self.places.edit, self.room.input, tab.select],
            self.mix,
            made,
            [self.mixed, self.said],
            concurrency_id="mix",
            concurrency_limit=1,
            trigger_mode="always_last",
            show_progress="hidden",
        )
        outputs = [self.canvas, self.mixed, self.said, self.table]
        outputs += [self.paint_button, self.stop_button, self.open_button]
        self.paint_button.click(self.begin, None, outputs, **SOON).then(self.paint, made, outputs, **AGAIN)
        self.stop_button.click(self.stop, None, outputs, **SOON)
        self.open_button.click(self.open, None, [self.tabs, self.clip.clip], **SOON)

    def _session(self, request: gr.Request) -> Session:
        return self.sessions.of(str(request.session_hash))

    def voices(self, *chosen: Any) -> list[panning.Voice]:
        """What `made` holds -> the sounds with their places; AudioError for a file that cannot be heard."""
        words, paths, places = chosen[:2], chosen[2:4], chosen[4]
        found = []
        for word, path, place in zip(words, paths, (places or {}).get("sources", [{}, {}]), strict=True):
            if word == OWN and not path:
                continue
            voice = panning.own_voice(path) if word == OWN else panning.known_voice(word)
            azimuth, level = float(place.get("azimuth", 0.0)), float(place.get("size", 0.0))
            found.append(replace(voice, azimuth=azimuth, level=level))
        return found

    def choose(self, *chosen: Any) -> dict:
        """Other names, another edge."""
        try:
            voices = self.voices(*chosen)
        except ValueError as error:
            return {self.said: sentence_of(error)}
        if len(voices) < len(BEGIN):
            return {self.said: ""}  # the mix says so
        edge = panning.limit(chosen[5])
        voices = [replace(voice, azimuth=min(max(voice.azimuth, -edge), edge)) for voice in voices]
        return {self.places: panning.scene(voices, edge), self.said: ""}

    def mix(self, request: gr.Request, *chosen: Any) -> dict:
        try:
            return {self.mixed: str(self._mixed(self._session(request), *chosen)), self.said: ""}
        except ValueError as error:
            return {self.said: sentence_of(error)}

    def _mixed(self, session: Session, *chosen: Any) -> Path:
        """The file of the mix; the one before is removed. OptionError while a sound is missing."""
        for where, path in zip(("voice-1", "voice-2"), chosen[2:4], strict=True):
            session.take(where, Path(path) if path else None)
        voices = self.voices(*chosen)
        if len(voices) < len(BEGIN):
            raise OptionError("One of the two sounds is missing; drop a file, record it or choose another.")
        setup, room = chosen[5:7]
        recording = panning.mix(voices, setup, None if setup == "panned" else panning.ROOMS[room])
        for old in session.folder.glob("mix-*.wav"):
            old.unlink(missing_ok=True)
        session.mixes += 1
        path = write_sound(recording, RATE, session.folder / f"mix-{session.mixes}.wav")
        session.mixed = {"recording": recording, "voices": voices, "edge": panning.limit(setup), "path": path}
        return path

    def begin(self, request: gr.Request) -> dict:
        session = self._session(request)
        session.waiting += 1
        return {
            self.canvas: {"kind": "painting", "boxes": [], "waiting": "Waiting for its turn"},
            self.said: "",
            self.table: "",
            self.paint_button: gr.update(interactive=False),
            self.stop_button: gr.update(visible=True),
            self.open_button: gr.update(visible=False),
        }

    def stop(self, request: gr.Request) -> dict:
        if not self._session(request).end():
            return {self.said: sentences("Stopping.")}
        return {self.said: sentences("Stopped."), self.canvas: view.NOTHING, **self._idle(False)}

    def paint(self, request: gr.Request, *chosen: Any) -> Iterator[dict]:
        session, last = self._session(request), {}
        if not session.begins():
            return
        try:
            yield {self.mixed: str(self._mixed(session, *chosen))}
            for changed in self._painted(session):
                last = changed
                yield changed
        except Stopped:
            last = {self.said: sentences("Stopped."), self.canvas: view.NOTHING}
        except ValueError as error:
            last = {self.said: sentence_of(error), self.canvas: view.NOTHING}
        finally:
            session.running = False
        yield {**last, **self._idle(self.table in last)}

    def _idle(self, done: bool) -> dict:
        """The buttons when nothing runs."""
        return {
            self.paint_button: gr.update(interactive=True),
            self.stop_button: gr.update(visible=False),
            self.open_button: gr.update(visible=done),
        }

    def _painted(self, session: Session) -> Iterator[dict]:
        mixed, shown = session.mixed, None
        heard = plan(mixed["recording"], RATE, self.pipe)
        boxes = view.boxes_of(heard)

        def work(watch: Watch) -> Any:
            return draw(heard, self.pipe, on_latents=watch.latents(self.pipe.config.get("default_steps", 50)))

        for each in watched(work, session.stop, self.pipe):
            if isinstance(each, Step):
                shown = view.encoded(each.preview) if each.preview is not None else shown
                yield {self.canvas: view.canvas(each, shown, boxes)}
            else:
                rows = panning.compared(mixed["voices"], mixed["edge"], heard)
                yield {self.canvas: view.picture(each), self.table: _truth(rows), self.said: ""}

    def open(self, request: gr.Request) -> tuple[Any, str]:
        return gr.update(selected="clip"), str(self._session(request).mixed["path"])


def _truth(rows: list) -> str:
    """Where each was put and where it was heard."""
    shown = [
        (name, say_azimuth(put), subject or "not heard", say_azimuth(found) if found is not None else "")
        for name, put, subject, found in rows
    ]
    return table(["", "put", "heard as", "at"], shown) if shown else element("p", "")
