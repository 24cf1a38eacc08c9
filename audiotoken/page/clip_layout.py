"""The elements of the first tab: listen, check, generate."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from audiotoken.page import view
from audiotoken.page.components import script_element, step_heading
from audiotoken.page.examples import EXAMPLES
from audiotoken.page.uploads import MAX_MEGABYTES, MAX_SECONDS
from audiotoken.report.html import element
from guidance.methods import METHODS
from spatial.setups import NAMES

if TYPE_CHECKING:
    from audiotoken.pipeline import AudioTokenPipeline

OPTIONS = (  # in the order of `ClipLayout.options`
    "negative_prompt",
    "seed",
    "num_inference_steps",
    "guidance_scale",
    "energy",
    "fov",
    "token",
)
AUTOMATIC = "automatic"  # for `token=None`
TOKENS = ((AUTOMATIC, AUTOMATIC), ("learned from the sound", "learned"), ("the sound's label", "label"))
DOWNLOADS = (
    ("picture", "Download picture"),
    ("report", "Download report"),
    ("steps", "Download steps (GIF)"),
    ("gif", "Download film (GIF)"),
    ("mp4", "Download film with sound"),
)


class ClipLayout:
    """The elements by name, in three steps."""

    def __init__(self, pipe: "AudioTokenPipeline"):
        self.pipe = pipe
        with gr.Row(elem_classes="columns"):
            with gr.Column(scale=6):
                self._build_listen_step()
                self._build_check_step()
            with gr.Column(scale=5, elem_classes="generate-column"):
                self._build_generate_step()

    def _build_listen_step(self) -> None:
        step_heading(1, "Listen")
        self.clip = gr.Audio(
            sources=["upload", "microphone"],
            type="filepath",
            label=f"Stereo recording: up to {MAX_MEGABYTES} MB, the first {MAX_SECONDS:g} seconds are used",
            buttons=[],
            elem_id="clip",
        )
        script_element("guard", {"most": MAX_MEGABYTES, "seconds": MAX_SECONDS, "within": "#clip"}, elem_id="guard")
        gr.HTML(element("p", "Or start with an example:"), js_on_load=None, elem_classes="hint-line")
        with gr.Row(elem_classes="examples"):
            self.examples = [gr.Button(name, size="sm", variant="secondary") for name in EXAMPLES]
        self.wave = script_element("wave", elem_id="wave")
        with gr.Accordion("Recording setup", open=False):
            choices = [("automatic", "auto"), *((name, name) for name in NAMES), ("mono: no directions", "mono")]
            self.setup = gr.Dropdown(choices, value="auto", label="Microphone array or mixing desk")
            self.max_sources = gr.Slider(1, 4, value=4, step=1, label="Maximum number of sounds")
        with gr.Row(elem_classes="status-line"):
            self.listen_status = gr.HTML(js_on_load=None, elem_classes="page-status")
            self.cancel_listening_button = gr.Button("Cancel", size="sm", visible=False, elem_id="cancel-listening")

    def _build_check_step(self) -> None:
        step_heading(2, "Check")
        self.places = script_element("places", elem_id="places")

    def _build_generate_step(self) -> None:
        step_heading(3, "Generate")
        self.canvas = script_element("canvas", view.EMPTY, elem_id="canvas")
        self.prompt = gr.Textbox(
            label="Prompt",
            placeholder="For example: a frog and a bell by a lake. If empty, the sounds are drawn as heard.",
            info="A word that names a sound is drawn where the sound is heard. <audio> stands for a sound itself.",
            max_lines=3,
            elem_id="prompt",
        )
        with gr.Row():
            self.generate_button = gr.Button("Generate", variant="primary", interactive=False, elem_id="generate")
            self.cancel_button = gr.Button("Cancel", variant="stop", visible=False, elem_id="cancel")
        self.generate_status = gr.HTML(js_on_load=None, elem_classes="page-status")
        with gr.Row(visible=False, elem_classes="examples") as self.result_buttons:
            self.next_seed_button = gr.Button("Next seed", size="sm", elem_id="next-seed")
            self.compare_button = gr.Button("Compare without guidance", size="sm", elem_id="compare")
            self.film_button = gr.Button("Film", size="sm", elem_id="film")
        with gr.Row(elem_classes="examples"):
            self.downloads = {
                name: gr.DownloadButton(title, size="sm", visible=False, elem_id=f"download-{name}")
                for name, title in DOWNLOADS
            }
        with gr.Accordion("Options", open=False):
            self._build_options()

    def _build_options(self) -> None:
        config = self.pipe.config
        tokens = [each for each in TOKENS if each[1] != "learned" or self.pipe.audio_embedder is not None]
        with gr.Row():
            seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=2**32, min_width=90)
            steps = gr.Number(config.get("default_steps", 50), label="Steps", precision=0, minimum=1, min_width=90)
            default = config.get("default_guidance", 7.5)
            scale = gr.Number(default, label="Guidance scale", minimum=0, maximum=100, min_width=90)
        with gr.Row():
            methods = [("none: no layout guidance", "none"), *((name, name) for name in METHODS if name != "none")]
            energy = gr.Dropdown(methods, value="combined", label="Layout guidance method", min_width=140)
            token = gr.Dropdown(tokens, value=AUTOMATIC, label="Token for a sound", min_width=140)
        fov = gr.Slider(30, 150, value=90, step=5, label="Field of view, degrees")
        negative = gr.Textbox(label="Negative prompt", max_lines=2)
        self.fov, self.seed = fov, seed
        self.options = [negative, seed, steps, scale, energy, fov, token]


def read_options(values: Sequence[Any]) -> dict[str, Any]:
    """The values of `ClipLayout.options` by name, for `jobs.generate_picture`."""
    options = dict(zip(OPTIONS, values, strict=True))
    options["negative_prompt"] = options["negative_prompt"] or None
    options["token"] = None if options["token"] == AUTOMATIC else options["token"]
    for name in ("seed", "num_inference_steps"):
        options[name] = None if options[name] is None else int(options[name])
    options["seed"] = options["seed"] or 0
    return options
