"""Commands that listen: who is where."""

import os
from pathlib import Path
from typing import Annotated

import typer

from audiotoken import tasks
from audiotoken.cli.parameters import MaxSources, Setup, Spacing, Stereo
from audiotoken.cli.terminal import progress
from audiotoken.tasks.sentences import errors_as_sentences


def listen(
    clip: Stereo,
    setup: Setup = "auto",
    spacing: Spacing = None,
    max_sources: MaxSources = 4,
    count: Annotated[int | None, typer.Option(help="Exactly so many. [default: found out]")] = None,
    json: Annotated[Path | None, typer.Option(help="Write it for programs too; - writes nothing else.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw it into a PNG, JPEG or WebP.")] = None,
    stems: Annotated[Path | None, typer.Option(help="A folder for a WAV of each source.")] = None,
    labels: Annotated[bool, typer.Option("--labels/--no-labels", help="Say what each source is.")] = True,
    model: Annotated[str, typer.Option(help='Who says it: "mini" or a folder.')] = "mini",
) -> None:
    """Who is where in a stereo recording: directions, how sure, when, whether it moves, and what it is.

    Degrees from straight ahead as it was recorded; of a mixing desk's stereo the loudspeakers are at 45 degrees left
    and right.
    """
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    with errors_as_sentences(), progress("listening") as bar:
        places = tasks.listening_files.Places(plot, json, stems)
        places.check()
        heard = tasks.listen.listen_to(
            clip,
            setup=setup,
            spacing=spacing,
            max_sources=max_sources,
            count=count,
            labels=labels,
            model=model,
            stems=stems,
            on_progress=bar.update,
        )
        said = places.write(heard)
    typer.echo(said)
