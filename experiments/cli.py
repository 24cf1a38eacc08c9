"""The `audiotoken` command.

    audiotoken generate dog.wav -o dog.png

Heavy imports happen inside the commands, so that `audiotoken --help` answers at once.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from experiments.generate import DTYPES, errors_as_sentences, say_written
from experiments.generate import generate as generate_pictures

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


@app.command()
def generate(
    clip: Annotated[Path, typer.Argument(help="A WAV, FLAC, OGG or MP3 file, or a video with sound.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Where the picture goes: PNG, JPEG or WebP.")] = Path(
        "out.png"
    ),
    prompt: Annotated[str, typer.Option(help="Words around the sound.")] = "a photo of <audio>",
    negative_prompt: Annotated[str | None, typer.Option(help="What to avoid.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed draws the same picture.")] = 0,
    count: Annotated[int, typer.Option(help="How many pictures, with seed, seed + 1, ...")] = 1,
    steps: Annotated[int | None, typer.Option(help="Denoising steps. [default: the model's]")] = None,
    guidance: Annotated[float | None, typer.Option(help="Guidance scale. [default: the model's]")] = None,
    model: Annotated[str, typer.Option(help='"mini", a folder or a hub id.')] = "mini",
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, ... [default: the best there is]")] = None,
    dtype: Annotated[str, typer.Option(help=f"Precision of the drawing: {', '.join(DTYPES)}.")] = "float32",
    report: Annotated[bool, typer.Option("--report", help="Also draw what was heard into OUTPUT-report.png.")] = False,
) -> None:
    """Hear a clip and draw it."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # it advises while it is imported
    with errors_as_sentences(), _progress() as on_step:
        result = generate_pictures(
            clip,
            output,
            prompt=prompt,
            negative_prompt=negative_prompt,
            seed=seed,
            count=count,
            steps=steps,
            guidance=guidance,
            model=model,
            device=device,
            dtype=dtype,
            report=report,
            on_step=on_step,
        )
    typer.echo(say_written(result, output, report))


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A bar over the denoising steps, on stderr when that is a terminal; gone when it is done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("loading", total=None)
        yield lambda done, steps: bar.update(task, description="drawing", completed=done, total=steps)


def main() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # names of files need not be in the terminal's encoding
            stream.reconfigure(errors="backslashreplace")
    app()
