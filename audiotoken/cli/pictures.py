"""Commands that draw: generate, place, animate."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from audiotoken import tasks
from audiotoken.cli.parameters import (
    Avoid,
    Device,
    Energy,
    Fov,
    MaxSources,
    Model,
    Report,
    Scale,
    Seed,
    Setup,
    Spacing,
    Steps,
    Stereo,
    Token,
    Unknown,
    Unmatched,
    Words,
)
from audiotoken.cli.terminal import progress
from audiotoken.errors import OptionError
from audiotoken.options import DTYPES
from audiotoken.tasks.sentences import errors_as_sentences


def generate(
    clip: Annotated[Path, typer.Argument(help="A sound file (WAV, FLAC, OGG, MP3), a video, or a folder of them.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="PNG, JPEG or WebP; of a folder: a folder. [default: out.png, pictures/]"),
    ] = None,
    prompt: Annotated[
        str, typer.Option(help="Words around the sound; (<audio>:1.3) says it louder.")
    ] = "a photo of <audio>",
    negative_prompt: Annotated[str | None, typer.Option(help="What to avoid.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed draws the same picture.")] = 0,
    count: Annotated[int, typer.Option(help="How many pictures of a clip, with seed, seed + 1, ...")] = 1,
    steps: Annotated[int | None, typer.Option(help="Denoising steps. [default: the model's]")] = None,
    guidance: Annotated[float | None, typer.Option(help="Guidance scale. [default: the model's]")] = None,
    model: Annotated[str, typer.Option(help='"mini", a folder or a hub id; see `audiotoken assemble`.')] = "mini",
    token: Annotated[
        str | None,
        typer.Option(
            help="The sound's word: learned, or label: the name of what was heard. [default: learned if it can]"
        ),
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, ... [default: the best there is]")] = None,
    dtype: Annotated[str, typer.Option(help=f"Precision of the drawing: {', '.join(DTYPES)}.")] = "float32",
    report: Annotated[bool, typer.Option("--report", help="Also draw what was heard into OUTPUT-report.png.")] = False,
    batch: Annotated[
        int | None, typer.Option(help="Of a folder: clips drawn at once. [default: 4 on a GPU, else 1]")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Of a folder: draw again what is there already.")
    ] = False,
) -> None:
    """Hear a clip and draw it; or every clip of a folder.

    A folder's pictures keep the names and sub-folders of their clips; beside them stand gallery.png, heard.csv and
    made.jsonl. Stopped, it goes on where it was: what is there already, drawn in the same way, is kept. A broken clip
    is named and skipped, and the exit code is 1 then. Bad options are one sentence and exit code 2.
    """
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # it advises while it is imported
    options: dict[str, Any] = {"prompt": prompt, "negative_prompt": negative_prompt, "seed": seed, "count": count}
    options |= {"steps": steps, "guidance": guidance, "model": model, "token": token, "device": device, "dtype": dtype}
    if clip.is_dir():
        _generate_folder(clip, output or Path("pictures"), report, batch=batch, overwrite=overwrite, **options)
        return
    output = output or Path("out.png")
    with errors_as_sentences(), progress() as bar:
        if batch is not None or overwrite:
            raise OptionError(f"--batch and --overwrite are for a folder of clips, {clip} is none; leave them out.")
        result = tasks.generate.generate(clip, output, report=report, on_step=bar.update, **options)
    typer.echo(tasks.generate.say_written(result, output, report))


def _generate_folder(clips: Path, output: Path, report: bool, **options: Any) -> None:
    with errors_as_sentences(), progress() as bar:
        if report:
            raise OptionError(f"--report is for a single clip, {clips} is a folder; leave it out.")
        drawn = tasks.folder.draw_folder(clips, output, on_progress=bar.update, on_broken=bar.say, **options)
    typer.echo(drawn)
    if drawn.broken:
        raise typer.Exit(1)


def place(
    clip: Stereo,
    output: Annotated[Path, typer.Option("-o", "--output", help="PNG, JPEG or WebP.")] = Path("placed.png"),
    prompt: Words = None,
    negative_prompt: Avoid = None,
    unmatched: Unmatched = "add",
    unknown: Unknown = "guess",
    energy: Energy = "combined",
    motion: Annotated[
        str, typer.Option(help="What moves: in the middle of its way, or a trail from start to end.")
    ] = "middle",
    boxes: Annotated[bool, typer.Option("--boxes", help="Also OUTPUT-boxes.png: where things belong.")] = False,
    control_layout: Annotated[
        str | None, typer.Option(help="A ControlNet for segmentation that is shown where: a folder or hub id.")
    ] = None,
    report: Report = None,
    token: Token = None,
    setup: Setup = "auto",
    spacing: Spacing = None,
    max_sources: MaxSources = 4,
    fov: Fov = 90.0,
    seed: Seed = 0,
    steps: Steps = None,
    guidance: Scale = None,
    model: Model = "mini",
    device: Device = None,
) -> None:
    """Hear a stereo clip and draw everything where it is heard: what sounds on the left is on the left.

    What has no side, such as one channel, is drawn without a place, and that is said.
    """
    options = dict(locals())
    _draw("place_file", **options)


def animate(
    clip: Stereo,
    output: Annotated[Path, typer.Option("-o", "--output", help="A GIF, or an MP4 with the sound in it.")] = Path(
        "placed.gif"
    ),
    frames: Annotated[int, typer.Option(help="How many pictures.")] = 12,
    report: Report = None,
    prompt: Words = None,
    negative_prompt: Avoid = None,
    unmatched: Unmatched = "add",
    unknown: Unknown = "guess",
    energy: Energy = "combined",
    token: Token = None,
    setup: Setup = "auto",
    spacing: Spacing = None,
    max_sources: MaxSources = 4,
    fov: Fov = 90.0,
    seed: Seed = 0,
    steps: Steps = None,
    guidance: Scale = None,
    model: Model = "mini",
    device: Device = None,
) -> None:
    """Hear a stereo clip and draw it over time: what is heard to move moves, the rest stays."""
    options = dict(locals())
    _draw("animate_file", **options)


def _draw(how: str, clip: Path, output: Path, **options: Any) -> None:
    """Run a function of `audiotoken.tasks.place`, and say what came of it."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    with errors_as_sentences(), progress("drawing") as bar:
        result = getattr(tasks.place, how)(clip, output, on_step=bar.update, **options)
        text = tasks.place.said(result, output, options.get("boxes", False), options.get("report"))
    typer.echo(text)
