"""Commands that draw: generate, place, animate."""

from pathlib import Path
from typing import Annotated, Any

import typer

from audiotoken import stereo, tasks
from audiotoken.cli import choices
from audiotoken.cli.parameters import (
    PICTURE_OR_FOLDER,
    Count,
    Device,
    DrawingSetup,
    Dtype,
    Energy,
    Fov,
    GuidanceScale,
    Height,
    MaxSources,
    Model,
    NegativePrompt,
    Offload,
    Overwrite,
    PlacedCount,
    PlacedPrompt,
    Quiet,
    ReportPage,
    Seed,
    Spacing,
    Steps,
    StereoClip,
    StereoClips,
    Token,
    Unknown,
    Unmatched,
    Verbose,
    Width,
    choice_option,
)
from audiotoken.cli.terminal import Bar, describe_folder, running
from audiotoken.errors import OptionError


def generate(
    clip: Annotated[
        Path,
        typer.Argument(
            metavar="CLIP", help="A sound file (WAV, FLAC, OGG, MP3), a video, or a folder of them or of tar shards."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="PATH",
            help=PICTURE_OR_FOLDER,
            show_default="out.png, or pictures/ for a folder",
        ),
    ] = None,
    prompt: Annotated[
        str, typer.Option(metavar="TEXT", help="Words around the sound; (<audio>:1.3) gives it more weight.")
    ] = "a photo of <audio>",
    negative_prompt: NegativePrompt = None,
    token: Token = None,
    seed: Seed = 0,
    count: Count = 1,
    steps: Steps = None,
    guidance_scale: GuidanceScale = None,
    width: Width = None,
    height: Height = None,
    model: Model = "mini",
    device: Device = None,
    dtype: Dtype = None,
    offload: Offload = choices.Offload.NONE,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also explain the result: a picture (report.png) or a page (report.html); of a folder one page of all "
            "clips, to share.",
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1024,
            metavar="N",
            help="For a folder: number of clips drawn at once.",
            show_default="4 on a GPU, else 1",
        ),
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Draw what is heard in a clip, or in every clip of a folder.

    The pictures of a folder keep the names and sub-folders of their clips. The folder also gets gallery.png, heard.csv
    (the recognised sounds) and made.jsonl, a progress log used for resuming: the same command continues where it was
    stopped. Unreadable clips are named and skipped. Several processes with the same command share a folder's clips.

    \b
    Example:
      audiotoken generate dog.wav -o dog.png
    """
    options: dict[str, Any] = {
        "prompt": prompt,
        "negative_prompt": negative_prompt,
        "seed": seed,
        "count": count,
        "steps": steps,
        "guidance_scale": guidance_scale,
        "width": width,
        "height": height,
        "model": model,
        "token": token,
        "device": device,
        "dtype": dtype,
        "offload": offload,
    }
    with running("drawing", quiet, verbose) as bar:
        if clip.is_dir():
            options |= {"batch": batch, "overwrite": overwrite}
            summary, code = _generate_folder(clip, output or Path("pictures"), report, bar, options, notes=not quiet)
        elif batch is not None or overwrite:
            raise OptionError(f"--batch and --overwrite need a folder of clips, but {clip} is none; leave them out.")
        else:
            summary, code = _generate_one(clip, output or Path("out.png"), report, bar, options, notes=not quiet), 0
    typer.echo(summary)
    raise typer.Exit(code)


def _generate_folder(
    clips: Path, folder: Path, report: Path | None, bar: Bar, options: dict[str, Any], *, notes: bool
) -> tuple[str, int]:
    """(the text to print, the exit code)."""
    tasks.checks.check_output_folder(folder)
    if report is not None:
        tasks.picture_files.check_report(report)
    tasks.checks.check_model(options["model"])
    result = tasks.folder.draw_folder(
        clips, folder, **options, report=report, on_progress=bar.update, on_broken=bar.write_note
    )
    return describe_folder(result, report, notes=notes)


def _generate_one(
    clip: Path, picture: Path, report: Path | None, bar: Bar, options: dict[str, Any], *, notes: bool
) -> str:
    """The text to print."""
    tasks.checks.check_clip(clip)
    tasks.picture_files.check_outputs(
        picture, report, report_suffixes=tasks.picture_files.REPORTS, inputs=(clip,), count=options["count"]
    )
    tasks.checks.check_model(options["model"])
    drawn = tasks.generate.generate(clip, picture, **options, report=report, on_step=bar.update)
    return tasks.generate.format_summary(drawn, picture, report, notes=notes)


def place(
    clip: StereoClips,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="PATH",
            help=PICTURE_OR_FOLDER,
            show_default="placed.png, or placed/ for a folder",
        ),
    ] = None,
    prompt: PlacedPrompt = None,
    negative_prompt: NegativePrompt = None,
    token: Token = None,
    unmatched: Unmatched = choices.Unmatched.ADD,
    unknown: Unknown = choices.Unknown.OMIT,
    energy: Energy = choices.Energy.AUTO,
    motion: Annotated[
        choices.Motion,
        choice_option(help="How to draw a moving source: in the middle of its path, or as a trail along it."),
    ] = choices.Motion.MIDDLE,
    boxes: Annotated[
        bool, typer.Option("--boxes", help="Also write OUTPUT-boxes.png with the box of each source.")
    ] = False,
    control_layout: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="A segmentation ControlNet that is given the boxes: a folder or hub id."),
    ] = None,
    setup: DrawingSetup = choices.DrawingSetup.AUTO,
    spacing: Spacing = None,
    max_sources: MaxSources = 4,
    fov: Fov = 90.0,
    seed: Seed = 0,
    count: PlacedCount = 1,
    steps: Steps = None,
    guidance_scale: GuidanceScale = None,
    width: Width = None,
    height: Height = None,
    model: Model = "mini",
    device: Device = None,
    dtype: Dtype = None,
    offload: Offload = choices.Offload.NONE,
    report: ReportPage = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Draw every sound of a stereo clip, or of every clip of a folder, where it is heard.

    A sound from the left is drawn on the left. Sources without a direction, such as those of a mono file, are drawn
    without a box; a note says which. A folder is worked through as by `audiotoken generate`; its heard.csv has a row
    for each sound, with its direction and box.

    \b
    Example:
      audiotoken place street.wav -o street.png --boxes
    """
    with running("drawing", quiet, verbose) as bar:
        picture = output or Path("placed" if clip.is_dir() else "placed.png")
        _check_placing(clip, picture, report, count, boxes=boxes, overwrite=overwrite)
        tasks.checks.check_model(model)
        planning = stereo.PlanOptions(prompt, token, unmatched, unknown, setup, spacing, max_sources, fov)
        drawing = stereo.DrawOptions(
            energy, seed, count, negative_prompt, steps, guidance_scale, width=width, height=height
        )
        options: dict[str, Any] = {
            "model": model,
            "device": device,
            "dtype": dtype,
            "offload": offload,
            "motion": motion,
            "boxes": boxes,
            "report": report,
            "control_layout": control_layout,
        }
        if clip.is_dir():
            made = tasks.place_folder.place_folder(
                clip,
                picture,
                planning,
                drawing,
                **options,
                overwrite=overwrite,
                on_progress=bar.update,
                on_broken=bar.write_note,
            )
            summary, code = describe_folder(made, report, notes=not quiet)
        else:
            result = tasks.place.place_file(clip, picture, planning, drawing, **options, on_step=bar.update)
            summary, code = tasks.place.format_summary(result, picture, boxes, report, notes=not quiet), 0
    typer.echo(summary)
    raise typer.Exit(code)


def _check_placing(clip: Path, picture: Path, report: Path | None, count: int, *, boxes: bool, overwrite: bool) -> None:
    """Errors about the files of `place`, before anything heavy is imported."""
    if clip.is_dir():
        tasks.checks.check_output_folder(picture)
    elif overwrite:
        raise OptionError(f"--overwrite needs a folder of clips, but {clip} is none; leave it out.")
    else:
        tasks.checks.check_clip(clip)
        beside = tasks.picture_files.EXTRA if boxes else ()
        tasks.picture_files.check_outputs(picture, report, inputs=(clip,), count=count, beside=beside)


def animate(
    clip: StereoClip,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="The film: a GIF, or an MP4 with the sound in it.")
    ] = Path("placed.gif"),
    frames: Annotated[int, typer.Option(min=2, max=200, metavar="N", help="Number of pictures.")] = 12,
    prompt: PlacedPrompt = None,
    negative_prompt: NegativePrompt = None,
    token: Token = None,
    unmatched: Unmatched = choices.Unmatched.ADD,
    unknown: Unknown = choices.Unknown.OMIT,
    energy: Energy = choices.Energy.AUTO,
    setup: DrawingSetup = choices.DrawingSetup.AUTO,
    spacing: Spacing = None,
    max_sources: MaxSources = 4,
    fov: Fov = 90.0,
    seed: Seed = 0,
    steps: Steps = None,
    guidance_scale: GuidanceScale = None,
    width: Width = None,
    height: Height = None,
    model: Model = "mini",
    device: Device = None,
    dtype: Dtype = None,
    offload: Offload = choices.Offload.NONE,
    report: ReportPage = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Draw a stereo clip as a film in which moving sources move.

    Everything else stays where it is.

    \b
    Example:
      audiotoken animate passing.wav -o passing.gif
    """
    with running("drawing", quiet, verbose) as bar:
        tasks.checks.check_clip(clip)
        tasks.picture_files.check_outputs(output, report, tasks.picture_files.FILMS, inputs=(clip,))
        tasks.checks.check_model(model)
        planning = stereo.PlanOptions(prompt, token, unmatched, unknown, setup, spacing, max_sources, fov)
        drawing = stereo.DrawOptions(
            energy, seed, 1, negative_prompt, steps, guidance_scale, width=width, height=height
        )
        result = tasks.place.animate_file(
            clip,
            output,
            planning,
            drawing,
            model=model,
            device=device,
            dtype=dtype,
            offload=offload,
            frames=frames,
            report=report,
            on_step=bar.update,
        )
        summary = tasks.place.format_summary(result, output, report=report, notes=not quiet)
    typer.echo(summary)
