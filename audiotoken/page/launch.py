"""Open the page: load the model, build the page and serve it until Ctrl-C."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from audiotoken import page
from audiotoken.model import load_pipeline
from audiotoken.options import check_options
from audiotoken.page.uploads import MAX_MEGABYTES
from audiotoken.serving import HOST, check_access, is_local, launch_blocks, run_page

if TYPE_CHECKING:
    import gradio as gr

HERE = Path(__file__).parent


def open_page(
    model: str = "mini",
    *,
    device: str | None = None,
    dtype: str | None = None,
    offload: str = "none",
    port: int | None = None,
    mcp: bool = False,
    host: str = HOST,
    share: bool = False,
    root_path: str | None = None,
    on_ready: Callable[[str], None] = lambda url: None,
) -> NoReturn:
    """Serve until Ctrl-C, which is raised again as KeyboardInterrupt when the files are removed.

    mcp: also offer `page.tools` to programs. Raises OptionError if Gradio, or for mcp its extra, is missing or the port
    is taken, CheckpointError for the model.
    """
    check_options(dtype=dtype, offload=offload)
    where: dict[str, Any] = {"host": host, "share": share, "root_path": root_path}
    check_access(port, mcp, **where)

    def start(folder: Path) -> "gr.Blocks":
        pipe = load_pipeline(model, device, dtype, offload)
        return serve(pipe, folder, model=model, port=port, mcp=mcp, **where)

    run_page(start, on_ready=on_ready, on_end=_end_sessions)


def serve(
    pipe: Any, folder: Path, *, model: str = "mini", port: int | None = None, mcp: bool = False, **where: Any
) -> "gr.Blocks":
    """Build and launch the page; its files go into `folder`. `serving.prepare_gradio` comes before.

    where: host, share and root_path of `serving.launch_blocks`.
    """
    blocks = page.app.build(pipe, folder, model, mcp=mcp, local=is_local(**where))
    limit = MAX_MEGABYTES * 2**20
    return launch_blocks(blocks, port=port, max_upload=limit, mcp=mcp, css_paths=[HERE / "style.css"], **where)


def _end_sessions(blocks: Any) -> None:  # the Blocks of `app.build`, which adds `sessions`
    for session in blocks.sessions:
        session.cancel_jobs()
