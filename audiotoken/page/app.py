"""The page and its tabs."""

from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from audiotoken.page.clip_tab import ClipTab
from audiotoken.page.panner_tab import PannerTab
from audiotoken.page.session import Sessions
from audiotoken.page.tools import add_tools
from audiotoken.report.html import element, join_html

if TYPE_CHECKING:
    from audiotoken.pipeline import AudioTokenPipeline

DELETE_CACHE = (600, 7200)  # seconds between searches for old files, and their age then


def build(
    pipe: "AudioTokenPipeline", folder: Path, model: str = "mini", *, mcp: bool = False, local: bool = True
) -> gr.Blocks:
    """The page of a pipeline; its files go into `folder`. mcp: it offers its tools. local: others cannot reach it."""
    sessions = Sessions(folder)

    def close_session(request: gr.Request) -> None:
        sessions.close(str(request.session_hash))

    with gr.Blocks(
        title="Pictures from sound", analytics_enabled=False, fill_width=True, delete_cache=DELETE_CACHE
    ) as page:
        gr.HTML(_build_header(pipe, model, local), js_on_load=None, elem_classes="masthead")
        with gr.Tabs() as tabs:
            with gr.Tab("Recording", id="clip"):
                clip = ClipTab(pipe, sessions)
            with gr.Tab("Panner", id="panner") as tab:
                PannerTab(pipe, sessions, clip, tabs, tab)
        page.unload(close_session)
        if mcp:
            add_tools(page, model)
    page.sessions = sessions
    return page


def _build_header(pipe: "AudioTokenPipeline", model: str, local: bool) -> str:
    where = f"Model {Path(model).name or model} on {pipe.device}. "
    where += "No data leaves this computer." if local else "What you upload is deleted when you close the page."
    return join_html([element("h1", "Pictures from sound, with each source where it is heard"), element("p", where)])
