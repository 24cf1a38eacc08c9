"""Commands that listen: sound source localisation."""

from pathlib import Path
from typing import Annotated

import typer

from audiotoken import tasks
from audiotoken.cli import choices
from audiotoken.cli.parameters import MaxSources, Quiet, Setup, Spacing, StereoClip, Verbose
from audiotoken.cli.terminal import running


def listen(
    clip: StereoClip,
    setup: Setup = choices.Setup.AUTO,
    spacing: Spacing = None,
    max_sources: MaxSources = 4,
    count: Annotated[
        int | None, typer.Option(min=1, max=4, metavar="N", help="Exact number of sources.", show_default="estimated")
    ] = None,
    json: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write the result as JSON; - prints JSON instead of the table."),
    ] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Also draw the result: PNG, JPEG or WebP.")] = None,
    stems: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Also write a WAV file of each source into this folder.")
    ] = None,
    labels: Annotated[bool, typer.Option("--labels/--no-labels", help="Classify each source.")] = True,
    model: Annotated[
        str, typer.Option(metavar="MODEL", help='Model that classifies the sources: "mini" or a folder.')
    ] = "mini",
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Locate and classify the sources of a stereo recording.

    For each source: its direction, how certain that is, when it sounds, whether it moves and what it is. Directions
    are degrees from straight ahead as recorded; for panned stereo the loudspeakers stand at 45 degrees left and right.

    \b
    Example:
      audiotoken listen street.wav
    """
    with running("listening", quiet, verbose) as bar:
        files = tasks.listening_files.ListeningFiles(plot, json, stems)
        files.check()
        listening = tasks.listen.listen_to(
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
        summary = files.write(listening, notes=not quiet)
    typer.echo(summary)
