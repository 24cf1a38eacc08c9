"""What the first tab looks like: listen, check, paint."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from audiotoken.page import view
from audiotoken.page.components import drawn, step
from audiotoken.page.examples import EXAMPLES
from audiotoken.page.uploads import LONGEST, MOST
from audiotoken.report.html import element
from guidance.methods import METHODS
from spatial.setups import NAMES

ASKED = (
    "negative_prompt",
    "seed",
    "num_inference_steps",
    "guidance_scale",
    "energy",
    "fov",
    "token",
)  # as in `ClipLayout.asked`
BEST = "the best"  # for `token=None`
TOKENS = ((BEST, BEST), ("learned: what it sounds like", "learned"), ("label: its name", "label"))


class ClipLayout:
    """Its elements, by name; `pipe` is an `AudioTokenPipeline`."""

    def __init__(self, pipe: Any):
        self.pipe = pipe
        with gr.Row(elem_classes="columns"):
            with gr.Column(scale=6):
                self._listen_step()
                self._check_step()
            with gr.Column(scale=5, elem_classes="paint-column"):
                self._paint_step()

    def _listen_step(self) -> None:
        step(1, "Listen")
        self.clip = gr.Audio(
            sources=["upload", "microphone"],
            type="filepath",
            label=f"A stereo clip: up to {MOST} MB, the first {LONGEST:g} seconds are heard",
            buttons=[],
            elem_id="clip",
        )
        drawn("guard", {"most": MOST, "seconds": LONGEST, "within": "#clip"}, elem_id="guard")
        gr.HTML(element("p", "Or begin with an example:"), js_on_load=None, elem_classes="hint-line")
        with gr.Row(elem_classes="examples"):
            self.examples = [gr.Button(name, size="sm", variant="secondary") for name in EXAMPLES]
        self.wave = drawn("wave", elem_id="wave")
        with gr.Accordion("How it was recorded", open=False):
            choices = [("find out", "auto"), *((name, name) for name in NAMES), ("mono: no places", "mono")]
            self.setup = gr.Dropdown(choices, value="auto", label="Microphones or desk")
            self.most = gr.Slider(1, 4, value=4, step=1, label="Sounds at most")
        with gr.Row(elem_classes="telling"):
            self.heard_said = gr.HTML(js_on_load=None, elem_classes="said")
            self.hush_button = gr.Button("Cancel", size="sm", visible=False, elem_id="hush")

    def _check_step(self) -> None:
        step(2, "Check")
        self.places = drawn("places", elem_id="places")

    def _paint_step(self) -> None:
        step(3, "Paint")
        self.canvas = drawn("canvas", view.NOTHING, elem_id="canvas")
        self.prompt = gr.Textbox(
            label="Prompt",
            placeholder="Left empty, what was heard is painted. Or say it: a frog and a bell by a lake",
            info="Words that name what is heard go where it is heard; the others stay free. <audio> is a sound itself.",
            max_lines=3,
            elem_id="prompt",
        )
        with gr.Row():
            self.paint_button = gr.Button("Paint", variant="primary", interactive=False, elem_id="paint")
            self.stop_button = gr.Button("Cancel", variant="stop", visible=False, elem_id="cancel")
        self.paint_said = gr.HTML(js_on_load=None, elem_classes="said")
        with gr.Row(visible=False, elem_classes="examples") as self.more:
            self.again_button = gr.Button("Another one", size="sm", elem_id="again")
            self.compare_button = gr.Button("Compare without places", size="sm", elem_id="compare")
            self.film_button = gr.Button("Film", size="sm", elem_id="film")
        with gr.Row(elem_classes="examples"):
            self.downloads = {
                name: gr.DownloadButton(title, size="sm", visible=False, elem_id=f"download-{name}")
                for name, title in (
                    ("picture", "Download picture"),
                    ("report", "Download report"),
                    ("steps", "Download GIF"),
                    ("gif", "Film as GIF"),
                    ("mp4", "Film with sound"),
                )
            }
        with gr.Accordion("Options", open=False):
            self._options()

    def _options(self) -> None:
        own = self.pipe.config
        tokens = [each for each in TOKENS if each[1] != "learned" or self.pipe.audio_embedder is not None]
        with gr.Row():
            seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=2**32, min_width=90)
            steps = gr.Number(own.get("default_steps", 50), label="Steps", precision=0, minimum=1, min_width=90)
            scale = gr.Number(own.get("default_guidance", 7.5), label="Guidance", minimum=0, maximum=100, min_width=90)
        with gr.Row():
            methods = [("none: nothing is moved", "none"), *((name, name) for name in METHODS)]
            energy = gr.Dropdown(methods, value="combined", label="How things are moved", min_width=140)
            token = gr.Dropdown(tokens, value=BEST, label="A sound's word", min_width=140)
        fov = gr.Slider(30, 150, value=90, step=5, label="Degrees across the picture")
        negative = gr.Textbox(label="What to avoid", max_lines=2)
        self.fov, self.seed = fov, seed
        self.asked = [negative, seed, steps, scale, energy, fov, token]


def asked_for(values: Sequence[Any]) -> dict[str, Any]:
    """The options by name, as `jobs.paint` has them."""
    asked = dict(zip(ASKED, values, strict=True))
    asked["negative_prompt"] = asked["negative_prompt"] or None
    asked["token"] = None if asked["token"] == BEST else asked["token"]
    for name in ("seed", "steps"):
        asked[name] = None if asked[name] is None else int(asked[name])
    asked["seed"] = asked["seed"] or 0
    return asked
