"""The `audiotoken` command.

    audiotoken generate dog.wav -o dog.png

The packages are imported when a command uses them, so that `audiotoken --help` answers at once.
"""

import inspect
import os
import re
import sys
from importlib.metadata import version as installed_version
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from typer.core import TyperCommand

from audiotoken.cli.choices import normalize_token
from audiotoken.cli.models import assemble, evaluate, prepare, train
from audiotoken.cli.pages import demo, rate
from audiotoken.cli.pictures import animate, generate, place
from audiotoken.cli.recordings import check, layout, listen
from audiotoken.spelling import find_spelling

UsageError: Any = typer.BadParameter.__base__  # every mistake on the command line; it has no public name
EXIT_CODES = "Exit codes: 0 success, 1 some clips failed, 2 invalid input, 130 interrupted."
WRITTEN = {"output", "plot", "report", "stems"}  # parameters that are paths of what is written
SETTINGS = {"help_option_names": ["-h", "--help"], "token_normalize_func": normalize_token}


class Command(TyperCommand):
    """A command whose errors about options are plain sentences, without the phrases of the library that checks them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            text = error.message.removeprefix("Value error, ")
            error.message = re.sub(r"^Input should be ([^,]*).*", r"it should be \1.", text, flags=re.DOTALL)
            raise
        except UsageError as error:
            error.message += _explain_dash(given)
            raise

    def make_parser(self, ctx: Any) -> Any:
        """The parser of the words, which mends and refuses paths; a path is made of each text only afterwards."""
        parser: Any = super().make_parser(ctx)
        parse = parser.parse_args

        def parse_args(args: list[str]) -> Any:
            values, *others = parse(args)
            self._check_paths(ctx, values)
            return values, *others

        parser.parse_args = parse_args
        return parser

    def _check_paths(self, ctx: Any, values: dict[str, Any]) -> None:
        """Refuse an empty path, which would be the current folder; scripts give one where a variable has no value.

        Paths of what is read are then as they are on the disk, in whichever Unicode form they were given.
        """
        types = inspect.signature(self.callback).parameters if self.callback else {}
        parameters: list[Any] = self.get_params(ctx)
        for parameter in parameters:
            name = str(parameter.name)
            if not isinstance(values.get(name), str) or name not in types or not _is_path(types[name].annotation):
                continue
            if not values[name]:
                raise typer.BadParameter("it is empty, expected a path; give one.", ctx=ctx, param=parameter)
            if name not in WRITTEN:
                values[name] = str(find_spelling(values[name]))


def _is_path(annotation: Any) -> bool:
    """Whether a parameter is an `Annotated[Path, ...]`, or may be None instead."""
    kind, *_ = get_args(annotation) or (annotation,)
    return Path in (kind, *get_args(kind))


def _explain_dash(args: list[str]) -> str:
    """How a file is given whose name begins with a dash, if there is one; else empty."""
    files = [each for each in args if each.startswith("-") and os.path.exists(each)]
    return f"; there is a file {files[0]}: write ./{files[0]} for it." if files else ""


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
