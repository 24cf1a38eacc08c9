"""The page and its tabs."""

from pathlib import Path
from typing import Any

import gradio as gr

from audiotoken.page.clip_tab import ClipTab
from audiotoken.page.panner_tab import PannerTab
from audiotoken.page.session import Sessions
from audiotoken.report.html import element, joined

KEPT = (600, 7200)  # seconds between looks for old files, and how old they are then


def build(pipe: Any, folder: Path, model: str = "mini") -> gr.Blocks:
    """`pipe`: an `AudioTokenPipeline`; files go into `folder`."""
    sessions = Sessions(folder)

    def leave(request: gr.Request) -> None:
        sessions.end(str(request.session_hash))

    with gr.Blocks(title="Pictures from sound", analytics_enabled=False, fill_width=True, delete_cache=KEPT) as page:
        gr.HTML(_masthead(pipe, model), js_on_load=None, elem_classes="masthead")
        with gr.Tabs() as tabs:
            with gr.Tab("A clip", id="clip"):
                clip = ClipTab(pipe, sessions)
            with gr.Tab("Panner", id="panner") as tab:
                PannerTab(pipe, sessions, clip, tabs, tab)
        page.unload(leave)
    page.sessions = sessions
    return page


def _masthead(pipe: Any, model: str) -> str:
    where = f"Model {Path(model).name or model} on {pipe.device}. Nothing leaves this computer."
    return joined([element("h1", "Pictures from sound, with everything where it is heard"), element("p", where)])
