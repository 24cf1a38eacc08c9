"""What the page offers to programs with a language model, as tools of the Model Context Protocol: listen and layout.

Gradio makes the tools of the methods below, their annotations and docstrings: "Args:" is how it reads parameters.
"""

import json
from collections.abc import Sequence
from threading import Lock
from typing import Any

import gradio as gr

from audiotoken.errors import AudioTokenError
from audiotoken.report.listening_text import to_json
from audiotoken.stereo.layouts import make_layout, parse_words
from audiotoken.stereo.options import PlanOptions
from audiotoken.tasks.layout import SoundNamer
from guidance.errors import GuidanceError
from guidance.forms import FORMS
from guidance.layout import check_canvas
from spatial.errors import SpatialError

OPTIONS = PlanOptions()  # programs choose none of them


def add_tools(page: gr.Blocks, model: str) -> None:
    """Offer the tools on a page, and none of its buttons; call it inside the page's context."""
    for event in page.fns.values():
        event.api_visibility = "private"
    tools = Tools(model)
    gr.api(tools.listen, api_name="listen")
    gr.api(tools.layout, api_name="layout")


class Tools:
    """The tools; the audio encoder of `model` names sounds. Every error is a sentence for the program that asked.

    The encoder is loaded by the first call that needs it and serves all later ones, from any thread.
    """

    def __init__(self, model: str) -> None:
        self._by_encoder = SoundNamer(OPTIONS, model=model)
        self._loading = Lock()

    def _find_namer(self, words: Sequence[str]) -> SoundNamer:
        if words:
            return SoundNamer(OPTIONS, words)
        with self._loading:
            _ = self._by_encoder.listener.label_scene
        return self._by_encoder

    def listen(self, recording: str, words: str = "") -> dict[str, Any]:
        """Find the sounds of a stereo recording: what each is, where it is heard, and when. Azimuths are in degrees,
        0 straight ahead, positive to the right.

        Args:
            recording: path of a sound or video file on the computer that serves this tool
            words: names of the sounds, from left to right with commas between; empty: an encoder names them

        Returns:
            the setup of the recording, its sources with azimuth, level, spans of time and label, and notes
        """
        try:
            names = parse_words(words or None)
            listening = self._find_namer(names).listener.listen(recording)
        except (AudioTokenError, SpatialError, GuidanceError) as error:
            raise gr.Error(str(error)) from None
        found: dict[str, Any] = json.loads(to_json(listening))
        return {**found, "words": names} if names else found

    def layout(
        self,
        recording: str,
        form: str = "flux3-text",
        words: str = "",
        setting: str = "",
        width: int = 1024,
        height: int = 1024,
    ) -> str:
        """Write where each sound of a stereo recording belongs in a picture, as generators that read boxes take it.

        Args:
            recording: path of a sound or video file on the computer that serves this tool
            form: who reads it: flux3, flux3-text, moss, ideogram, fibo, comfy, invoke, coco or svg
            words: names of the sounds, from left to right with commas between; empty: an encoder names them
            setting: where it all is, for the caption, such as "in a meadow"
            width: of the picture in pixels
            height: of the picture in pixels

        Returns:
            the layout in that form
        """
        if form not in FORMS:
            raise gr.Error(f"Got the form {form}, expected one of {', '.join(FORMS)}; choose one of these.")
        try:
            canvas, names = check_canvas((width, height)), parse_words(words or None)
            named = self._find_namer(names).name_sounds(recording)
            layout = make_layout(named.scene, named.names, named.boxes, canvas=canvas, fov=OPTIONS.fov, setting=setting)
        except (AudioTokenError, SpatialError, GuidanceError) as error:
            raise gr.Error(str(error)) from None
        return FORMS[form].write(layout)
