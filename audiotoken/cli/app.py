"""The `audiotoken` command.

    audiotoken generate dog.wav -o dog.png

The packages are imported when a command uses them, so that `audiotoken --help` answers at once.
"""

import re
import sys
from importlib.metadata import version as installed_version
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from audiotoken.cli.choices import normalize_token
from audiotoken.cli.models import assemble, evaluate, prepare, train
from audiotoken.cli.pages import demo, rate
from audiotoken.cli.pictures import animate, generate, place
from audiotoken.cli.recordings import check, layout, listen

EXIT_CODES = "Exit codes: 0 success, 1 some clips failed, 2 invalid input, 130 interrupted."
SETTINGS = {"help_option_names": ["-h", "--help"], "token_normalize_func": normalize_token}


class Command(TyperCommand):
    """A command whose errors about options are plain sentences, without the phrases of the library that checks them."""

    def parse_args(self, *arguments: Any) -> list[str]:
        try:
            return super().parse_args(*arguments)
        except typer.BadParameter as error:
            text = error.message.removeprefix("Value error, ")
            error.message = re.sub(r"^Input should be ([^,]*).*", r"it should be \1.", text, flags=re.DOTALL)
            raise


# plain help without rich, whose import alone takes half of the time in which `--help` answers
app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)


def _show_version(requested: bool) -> None:
    if requested:
        typer.echo(f"audiotoken {installed_version('spatial-audiotoken')}")
        raise typer.Exit


@app.callback(context_settings=SETTINGS, epilog=EXIT_CODES)
def audiotoken(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Generate images from sound; in stereo, each source appears in the direction it is heard from.

    The method is AudioToken (arXiv 2305.13050) with a spatial extension. generate draws any sound; listen, layout,
    place and animate are for stereo recordings. The built-in model "mini" draws emoji; assemble makes a model that
    draws photographs from published weights.
    """


for command in (generate, listen, layout, place, animate, check, assemble, prepare, train, rate, evaluate, demo):
    app.command(cls=Command, context_settings=SETTINGS)(command)


def main() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # file names may not fit the terminal's encoding
            stream.reconfigure(errors="backslashreplace")
    app()
