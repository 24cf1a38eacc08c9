"""The `audiotoken` command.

    audiotoken generate dog.wav -o dog.png

Heavy imports happen inside the commands, so that `audiotoken --help` answers at once.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

# plain help, without rich: that alone would take half of the second in which `--help` answers
app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False, rich_markup_mode=None)


class Precision(StrEnum):
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


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
    seed: Annotated[int, typer.Option(min=0, help="The same seed draws the same picture.")] = 0,
    count: Annotated[int, typer.Option(min=1, max=64, help="How many pictures, with seed, seed + 1, ...")] = 1,
    steps: Annotated[int | None, typer.Option(min=1, max=1000, help="Denoising steps. [default: the model's]")] = None,
    guidance: Annotated[float | None, typer.Option(min=0, help="Guidance scale. [default: the model's]")] = None,
    model: Annotated[str, typer.Option(help='"mini", a folder or a hub id.')] = "mini",
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, ... [default: the best there is]")] = None,
    dtype: Annotated[Precision, typer.Option(help="Precision of the drawing.")] = Precision.float32,
    report: Annotated[bool, typer.Option("--report", help="Also draw what was heard into OUTPUT-report.png.")] = False,
) -> None:
    """Hear a clip and draw it."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    with _errors_as_sentences(), _progress() as on_step:
        from experiments.generate import files_of
        from experiments.generate import generate as draw

        result = draw(
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
            dtype=dtype.value,
            report=report,
            on_step=on_step,
        )
    from audiotoken.pipeline import say_heard

    typer.echo(f"heard  {say_heard(result.heard)}")
    files = files_of(output, count, report)
    for path in files["sheet"] or files["pictures"]:
        typer.echo(f"drew   {path}")
    for path in files["report"]:
        typer.echo(f"report {path}")


@contextmanager
def _errors_as_sentences() -> Iterator[None]:
    """What a user can mend is one line on stderr and exit code 2; anything else is a bug and keeps its traceback."""
    try:
        yield
    except ValueError as error:
        if not _mendable(error):
            raise
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None


def _mendable(error: ValueError) -> bool:
    from audiotoken.audio import AudioError
    from experiments.generate import OptionError

    if isinstance(error, AudioError | OptionError):
        return True

    from audiotoken.checkpoint import CheckpointError  # these two wait for torch
    from audiotoken.prompt import PromptError

    return isinstance(error, CheckpointError | PromptError)


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
    app()
