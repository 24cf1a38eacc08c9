"""Commands that open a page in the browser: rate, demo."""

import sys
import webbrowser
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from audiotoken import page, rating, tasks
from audiotoken.cli import choices
from audiotoken.cli.parameters import Device, Dtype, Model, Offload, Open, Quiet, Verbose
from audiotoken.cli.terminal import handling_errors
from audiotoken.serving import check_access, is_local

PUBLIC = (
    "warning  everyone who can reach this address can use the page, upload files to this computer and keep it busy; "
    "there is no password."
)


def rate(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="A folder with clips/NAME.wav, a folder of NAME.png for each system, and optionally objects.json.",
        ),
    ],
    table: Annotated[
        bool, typer.Option("--table", help="Write ratings.md and ratings.csv instead of opening the page.")
    ] = False,
    rater: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the rater.", show_default="the page asks")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="Port of the page; 0 picks a free one.")] = 0,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Random seed of the order, and of the intervals in the table.")
    ] = 0,
    opened: Open = True,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Let people rate how well pictures match sounds.

    The page is only reachable from this computer, and every answer is stored at once. It needs Gradio:
    pip install 'spatial-audiotoken[demo]'.

    \b
    Example:
      audiotoken rate study
      audiotoken rate study --table
    """
    with handling_errors(verbose):
        if table:
            typer.echo(rating.command.export(folder, seed=seed))
            return
        hint = "" if quiet else "Ctrl-C stops the page; every answer is stored at once."
        show = partial(_show_page, opened=opened, hint=hint)
        typer.echo(rating.command.serve(folder, port=port, rater=rater, seed=seed, on_ready=show))


def demo(
    model: Model = "mini",
    device: Device = None,
    dtype: Dtype = None,
    offload: Offload = choices.Offload.NONE,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, metavar="N", help="Port of the page.", show_default="first free from 7860"),
    ] = None,
    mcp: Annotated[
        bool, typer.Option("--mcp", help="Also offer listen and layout to programs, as tools (MCP).")
    ] = False,
    host: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="Address to serve at; 0.0.0.0 lets others in the network use the page."),
    ] = "127.0.0.1",
    share: Annotated[
        bool, typer.Option("--share", help="Make a public link through Gradio's servers, for 72 hours at most.")
    ] = False,
    root_path: Annotated[
        str | None, typer.Option(metavar="PATH", help="Path below which a proxy offers the page, such as /sound.")
    ] = None,
    opened: Open = True,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Try everything on a page in the browser.

    Upload a clip, correct the detected directions, and see it painted; or pan two sounds by hand. The page is only
    reachable from this computer, unless --host, --share or --root-path lets others in, who need no password. It needs
    Gradio: pip install 'spatial-audiotoken[demo]'; --mcp needs [mcp].

    \b
    Example:
      audiotoken demo --device cuda --dtype float16
    """
    with handling_errors(verbose):
        tasks.checks.check_model(model)
        where: dict[str, Any] = {"host": host, "share": share, "root_path": root_path}
        check_access(port, mcp, **where)
        hint = "" if quiet else "Ctrl-C stops the page and removes what was uploaded."
        if mcp:
            hint = "\n".join(filter(None, ["tools  at gradio_api/mcp/ below that address", hint]))
        show = partial(_show_page, opened=opened, hint=hint)
        if not quiet:
            typer.echo(f"loading {model} ...", err=True)
        if not is_local(host, share, root_path):
            typer.echo(PUBLIC, err=True)
        page.launch.open_page(
            model, device=device, dtype=dtype, offload=offload, port=port, mcp=mcp, on_ready=show, **where
        )


def _show_page(url: str, opened: bool, hint: str) -> None:
    """Print the address, for people and for programs that read it, and open it in a browser."""
    typer.echo(f"open   {url}")
    if hint:
        typer.echo(hint)
    sys.stdout.flush()
    if opened:
        webbrowser.open(url)
