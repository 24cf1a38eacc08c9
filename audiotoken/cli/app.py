"""The `audiotoken` command.

    audiotoken generate dog.wav -o dog.png

The rooms below are imported when a command names something in them, so that `audiotoken --help` answers at once.
"""

import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from audiotoken.cli.models import assemble, evaluate, prepare, train
from audiotoken.cli.pages import demo, rate
from audiotoken.cli.pictures import animate, generate, place
from audiotoken.cli.recordings import listen

# plain help, without rich: that alone would take half of the second in which `--help` answers
app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False, rich_markup_mode=None)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"audiotoken {version('spatial-audiotoken')}")
        raise typer.Exit


@app.callback()
def audiotoken(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say it and leave.")
    ] = False,
) -> None:
    """Pictures from sound (AudioToken, arXiv 2305.13050)."""


for command in (generate, listen, place, animate, assemble, prepare, train, rate, evaluate, demo):
    app.command()(command)


def main() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # names of files need not be in the terminal's encoding
            stream.reconfigure(errors="backslashreplace")
    app()
