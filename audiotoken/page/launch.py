"""Open the page: on this computer only, with no look-ups elsewhere, its files in a folder that goes with it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from audiotoken import page as room
from audiotoken.errors import OptionError
from audiotoken.model import load_pipeline
from audiotoken.options import check_options
from audiotoken.page.ending import INTERRUPTED, end, obey_signals, wait
from audiotoken.page.uploads import MOST

HOST = "127.0.0.1"
POLICY = (  # what a browser may do: nothing but this server
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' blob: data:; connect-src 'self' blob: data:; "
    "frame-ancestors 'self'; form-action 'self'; base-uri 'self'"
)


class Policy:
    """ASGI middleware: every answer says that the page may load nothing from elsewhere."""

    def __init__(self, app: Any):
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def told(message: Any) -> None:
            if message["type"] == "http.response.start":
                extra = [(b"content-security-policy", POLICY.encode()), (b"referrer-policy", b"no-referrer")]
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        await self.app(scope, receive, told)


def open_page(
    model: str = "mini",
    *,
    device: str | None = None,
    dtype: str = "float32",
    port: int | None = None,
    on_ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve until Ctrl-C, which is raised again as KeyboardInterrupt when the files are removed.

    Raises OptionError where Gradio is missing or the port is taken, CheckpointError for the model.
    """
    check_options(dtype=dtype)
    obey_signals()
    folder, page = Path(mkdtemp(prefix="audiotoken-")), None
    try:
        prepare(folder)
        page = serve(load_pipeline(model, device, dtype), folder, model=model, port=port)
        on_ready(page.local_url)
        wait()
    except KeyboardInterrupt:
        end(page, folder, INTERRUPTED)
        raise
    except SystemExit:  # another signal that asks to leave
        end(page, folder, 0)
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def prepare(folder: Path) -> None:
    """Before the first import of Gradio: it asks two hosts for news otherwise."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        import gradio  # noqa: F401
    except ImportError:
        raise OptionError(
            "Got no Gradio, which the page is made of; pip install 'spatial-audiotoken[demo]' first."
        ) from None


def serve(pipe: Any, folder: Path, *, model: str = "mini", port: int | None = None) -> Any:
    """The running page, a `gradio.Blocks` with `.local_url` and `.close()`; `prepare` comes before."""
    from starlette.middleware import Middleware

    page = room.app.build(pipe, folder, model)
    try:
        page.queue(max_size=32, default_concurrency_limit=4, api_open=False).launch(
            server_name=HOST,
            server_port=port or None,
            share=False,
            quiet=True,
            show_error=False,
            ssr_mode=False,
            mcp_server=False,
            enable_monitoring=False,
            run_history=False,
            footer_links=[],
            max_file_size=MOST * 2**20,
            prevent_thread_lock=True,
            app_kwargs={"middleware": [Middleware(Policy)], "docs_url": None, "redoc_url": None},
            **room.app.looks(),
        )
    except OSError:  # Gradio's, when it found none
        ports = f"port {port}" if port else "a port from 7860 to 7959"
        raise OptionError(f"Cannot open {ports} of {HOST}: it is taken or not allowed; choose another one.") from None
    return page
