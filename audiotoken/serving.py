"""Serve a Gradio page to this computer only, without look-ups elsewhere, until a signal ends it.

A page ends within about two seconds of a signal, whatever is open or running, and its files are removed in any case.
Gradio is an extra, so it is imported inside functions.
"""

import atexit
import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from socket import SOCK_STREAM, create_server, getaddrinfo
from tempfile import mkdtemp
from threading import Event, Thread
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from audiotoken.errors import OptionError

if TYPE_CHECKING:
    import gradio as gr
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOST = "127.0.0.1"
POLICY = (  # a browser may load from this server only
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' blob: data:; connect-src 'self' blob: data:; "
    "form-action 'self'; base-uri 'self'; frame-ancestors 'self'"
)
SPACES = " https://huggingface.co"  # shows the pages of its Spaces in a frame
SANS, MONO = ("system-ui", "sans-serif"), ("ui-monospace", "monospace")
PATIENCE = 1.0  # seconds that jobs, open connections and threads of the server have to end by themselves
INTERRUPTED = 130  # exit code after Ctrl-C, as in shells: 128 plus the number of the signal
POLL = 0.5  # seconds: some systems deliver Ctrl-C to a waiting thread only when it wakes up


class SecurityHeaders:
    """ASGI middleware: every response tells the browser to load nothing from elsewhere."""

    def __init__(self, app: "ASGIApp"):
        self.app = app

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        async def send_with_headers(message: "Message") -> None:
            if message["type"] == "http.response.start":
                policy = POLICY + SPACES * ("SPACE_ID" in os.environ)
                extra = [(b"content-security-policy", policy.encode()), (b"referrer-policy", b"no-referrer")]
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        await self.app(scope, receive, send_with_headers)


def run_page(
    start: Callable[[Path], "gr.Blocks"],
    *,
    on_ready: Callable[[str], None] = lambda url: None,
    on_end: Callable[["gr.Blocks"], None] = lambda page: None,
    exit_code: int = INTERRUPTED,
) -> NoReturn:
    """Serve `start(folder)` until a signal, which is raised again: Ctrl-C as KeyboardInterrupt, others as SystemExit.

    `folder` is temporary and holds the page's files. `exit_code` is the exit code after Ctrl-C. When this function
    has raised, the process has `PATIENCE` seconds left. Raises OptionError if Gradio is missing.
    """
    obey_signals()
    folder, page = Path(mkdtemp(prefix="audiotoken-")), None
    try:
        prepare_gradio(folder)
        page = start(folder)
        on_ready(str(getattr(page, "share_url", None) or page.local_url))
        wait_for_signal()
    except (KeyboardInterrupt, SystemExit) as error:
        end_process(page, folder, exit_code if isinstance(error, KeyboardInterrupt) else 0)
        if page is not None:
            on_end(page)
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def prepare_gradio(folder: Path) -> None:
    """Set Gradio's environment before its first import: with analytics on it contacts two hosts.

    Gradio's files go into `folder`. Raises OptionError if Gradio is missing.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    require_gradio()


def require_gradio() -> None:
    """OptionError if Gradio is missing."""
    if find_spec("gradio") is None:
        raise OptionError('The page needs Gradio; run `pip install "spatial-audiotoken[demo]"` first.')


def check_access(
    port: int | None, mcp: bool, host: str = HOST, share: bool = False, root_path: str | None = None
) -> None:
    """OptionError for what cannot be served, before anything is loaded.

    That is: tools for others than this computer, a missing extra, a port or an address that cannot be opened.
    """
    if mcp and not is_local(host, share, root_path):
        raise OptionError(
            "Got mcp for an address that others reach, but its tools read any file of this computer; leave one out."
        )
    require_gradio()
    if mcp:
        require_mcp()
    try:
        family, *_, address = getaddrinfo(host.strip("[]"), port, type=SOCK_STREAM)[0]
        create_server(address, family=family).close()
    except (OSError, UnicodeError):  # the latter for a host that no name can be
        raise cannot_open(host, port) from None


def cannot_open(host: str, port: int | None) -> OptionError:
    """The error for a port that is taken, or an address that this computer does not have."""
    ports = f"port {port}" if port else "a port from 7860 to 7959"
    return OptionError(f"Cannot open {ports} of {host}: it is taken or not allowed; choose another one.")


def require_mcp() -> None:
    """OptionError if the Model Context Protocol's library is missing, which Gradio's extra brings."""
    if find_spec("mcp") is None:
        raise OptionError('The tools need the library mcp; run `pip install "spatial-audiotoken[mcp]"` first.')


def launch_blocks(
    page: "gr.Blocks",
    *,
    port: int | None = None,
    max_upload: int,
    mcp: bool = False,
    host: str = HOST,
    share: bool = False,
    root_path: str | None = None,
    **files: Any,
) -> "gr.Blocks":
    """Launch and return `page`, which then has `.local_url` and `.close()`; call `prepare_gradio` before building it.

    `port`: None or 0 for the first free one from 7860. `max_upload`: largest upload, bytes. `mcp`: serve tools at
    gradio_api/mcp/. `host`, `share` and `root_path` (behind a proxy) as in Gradio: then others can reach it. `files`:
    css_paths and js for `Blocks.launch`. Raises OptionError if the port is taken.
    """
    import gradio as gr
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    hosts = [HOST, "localhost"] if is_local(host, share, root_path) else ["*"]
    local = Middleware(TrustedHostMiddleware, allowed_hosts=hosts)  # refuses DNS rebinding
    # fonts of the system, so that none are fetched
    theme = gr.themes.Base(primary_hue="orange", neutral_hue="stone", font=SANS, font_mono=MONO, radius_size="md")
    try:
        page.queue(max_size=32, default_concurrency_limit=4, api_open=False).launch(
            server_name=host,
            root_path=root_path,
            server_port=port or None,
            share=share,
            quiet=True,
            show_error=False,
            ssr_mode=False,
            mcp_server=mcp,
            enable_monitoring=False,
            run_history=False,
            footer_links=[],
            max_file_size=max_upload,
            prevent_thread_lock=True,
            app_kwargs={"middleware": [Middleware(SecurityHeaders), local], "docs_url": None, "redoc_url": None},
            theme=theme,
            **files,
        )
    except OSError:  # raised by Gradio if it finds no free port
        raise cannot_open(host, port) from None
    return page


def is_local(host: str = HOST, share: bool = False, root_path: str | None = None) -> bool:
    """Whether only this computer can reach a page that is served so."""
    return host in (HOST, "localhost") and not share and root_path is None


def obey_signals() -> None:
    """Let Ctrl-C end the page even if a script started it with `&`: such a process is told to ignore Ctrl-C."""

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        sys.exit(0)

    with suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for name in ("SIGTERM", "SIGHUP"):  # SIGHUP: its terminal was closed
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), leave)


def wait_for_signal() -> NoReturn:
    """Wait until a signal raises KeyboardInterrupt or SystemExit."""
    while True:
        Event().wait(POLL)


def end_process(page: "gr.Blocks | None", folder: Path, exit_code: int) -> None:
    """Stop the server and make sure that the process ends soon after; `page` is None if it was not yet served."""
    atexit.register(_exit_now, folder, exit_code)
    Thread(target=_exit_later, args=(folder, exit_code), daemon=True).start()
    with suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second one would only disturb the end
    if page is not None:
        page.server.should_exit = True  # `page.close` waits five seconds and more for open connections


def _exit_later(folder: Path, exit_code: int) -> None:
    """Threads of a server, or one step of a large model, may run for long, and Python would wait for them."""
    Event().wait(PATIENCE)
    _exit_now(folder, exit_code)


def _exit_now(folder: Path, exit_code: int) -> None:
    """Exit without Python's teardown: freeing models and running threads takes seconds and sometimes aborts."""
    shutil.rmtree(folder, ignore_errors=True)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(exit_code)
