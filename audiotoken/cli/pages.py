"""Commands that open a page of this computer: rate, demo."""

import os
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from audiotoken import page, rating
from audiotoken.cli.parameters import Device, Model
from audiotoken.options import DTYPES
from audiotoken.tasks.sentences import errors_as_sentences


def rate(
    folder: Annotated[
        Path,
        typer.Argument(help="clips/NAME.wav, a folder of NAME.png for each system, maybe objects.json."),
    ],
    table: Annotated[bool, typer.Option("--table", help="Write ratings.md and ratings.csv, open no page.")] = False,
    rater: Annotated[str | None, typer.Option(help="Who rates. [default: asked on the page]")] = None,
    port: Annotated[int, typer.Option(help="Of the page; 0 takes a free one.")] = 0,
    seed: Annotated[int, typer.Option(help="Of the order, and of the intervals in the table.")] = 0,
    opened: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = True,
) -> None:
    """Let people say how well pictures belong to sounds, on a page of this computer; then a table of what they said.

    The page needs Gradio: pip install 'spatial-audiotoken[demo]'.
    """
    with errors_as_sentences():
        if table:
            typer.echo(rating.command.export(folder, seed=seed))
            return
        show = partial(_show_page, opened=opened)
        typer.echo(rating.command.serve(folder, port=port, rater=rater, seed=seed, on_ready=show))


def _show_page(url: str, opened: bool, said: str = "Ctrl-C ends it; answers are stored as they are given.") -> None:
    typer.echo(f"open   {url}\n{said}")
    sys.stdout.flush()
    if opened:
        import webbrowser

        webbrowser.open(url)


def demo(
    model: Model = "mini",
    device: Device = None,
    dtype: Annotated[str, typer.Option(help=f"Precision of the drawing: {', '.join(DTYPES)}.")] = "float32",
    port: Annotated[int | None, typer.Option(help="Of the page. [default: the first free one from 7860]")] = None,
    opened: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = True,
) -> None:
    """A page of this computer: hear a clip, correct who is where, see it painted; or pan two sounds yourself.

    It needs Gradio: pip install 'spatial-audiotoken[demo]'.
    """
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    with errors_as_sentences():
        show = partial(_show_page, opened=opened, said="Ctrl-C ends it; what was uploaded is removed then.")
        page.launch.open_page(model, device=device, dtype=dtype, port=port, on_ready=show)
