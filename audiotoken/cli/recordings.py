"""Commands that listen: sound source localisation, and layouts for generators that read boxes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from audiotoken import stereo, tasks
from audiotoken.cli import choices
from audiotoken.cli.parameters import (
    Device,
    Fov,
    MaxSources,
    Model,
    Overwrite,
    PlacedPrompt,
    Quiet,
    ReportPage,
    Setup,
    Spacing,
    StereoClips,
    Unknown,
    Unmatched,
    Verbose,
    choice_option,
)
from audiotoken.cli.terminal import SOME_BROKEN, Bar, describe_folder, running
from audiotoken.errors import OptionError

LAYOUT_FORMS = (
    "Who reads the layout: flux3 (arguments of the diffusers pipeline), flux3-text (the same as one prompt), moss "
    "(MOSS-Image), ideogram (Ideogram 4's JSON caption), fibo (Bria FIBO's caption, places in words), comfy (ComfyUI's "
    "bounding boxes), invoke (InvokeAI's regional guidance), coco (COCO annotations) or svg (a picture to look at). "
    "invoke and fibo are experimental: no public document says how a file of the first is opened, or where a place of "
    "the second ends."
)

APART = ", with commas or semicolons between"
Words = Annotated[
    str | None,
    typer.Option(
        metavar="WORD,WORD", help=f"The names of the sounds, from left to right{APART}; no model is needed then."
    ),
]
MOST_WORDS = 20  # that are listened for


def listen(
    clip: StereoClips,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FOLDER",
            help="For a folder of clips: the folder of a JSON file of each.",
            show_default="heard/",
        ),
    ] = None,
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
    report: ReportPage = None,
    labels: Annotated[bool, typer.Option("--labels/--no-labels", help="Classify each source.")] = True,
    model: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help='Model that classifies the sources: "mini", a folder, or an encoder such as ced:mispeech/ced-mini.',
        ),
    ] = "mini",
    words: Annotated[
        str | None,
        typer.Option(metavar="WORD,WORD", help=f"Listen for these{APART}: is each heard, when and where?"),
    ] = None,
    word_encoder: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help="What listens for the words: mini, which knows 16, or any words by clap:ID or pe:ID (hub id or "
            "folder of CLAP, PE-A-Frame or PE-AV).",
        ),
    ] = "mini",
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Locate and classify the sources of a stereo recording, or of every recording of a folder.

    For each source: its direction, how certain that is, when it sounds, whether it moves and what it is. Directions
    are degrees from straight ahead as recorded; for panned stereo the loudspeakers stand at 45 degrees left and right.
    A folder is worked through as by `audiotoken generate`; its heard.csv has a row for each source.

    \b
    Example:
      audiotoken listen street.wav
    """
    with running("listening", quiet, verbose) as bar:
        names = stereo.parse_words(words, MOST_WORDS)
        if not names and word_encoder != "mini":
            raise OptionError(
                f"Got --word-encoder {word_encoder}, expected --words for it to listen for; add them, or leave it out."
            )
        tasks.checks.check_setup(setup, spacing)
        tasks.checks.check_source_count(max_sources, count)
        options: dict[str, Any] = {
            "setup": setup,
            "spacing": spacing,
            "max_sources": max_sources,
            "count": count,
            "labels": labels,
            "model": model,
            "words": names,
            "word_encoder": word_encoder,
        }
        if clip.is_dir():
            _refuse_for_folder(clip, {"--json": json, "--plot": plot, "--stems": stems})
            folder = output or Path("heard")
            summary, code = _listen_to_folder(clip, folder, report, bar, options, overwrite=overwrite, notes=not quiet)
        else:
            _refuse_for_file(clip, {"--output": output, "--overwrite": overwrite})
            tasks.checks.check_clip(clip)
            files = tasks.listening_files.ListeningFiles(plot, json, stems, report)
            files.check(clip, *tasks.checks.list_model_paths(model))
            listening = tasks.listen.listen_to(clip, **options, stems=stems, on_progress=bar.update)
            shown = {name: options[name] for name in ("setup", "spacing", "max_sources", "count", "model")}
            summary, code = files.write(listening, notes=not quiet, options=shown), 0
    typer.echo(summary)
    raise typer.Exit(code)


def _listen_to_folder(
    clips: Path, folder: Path, report: Path | None, bar: Bar, options: dict[str, Any], *, overwrite: bool, notes: bool
) -> tuple[str, int]:
    """(the text to print, the exit code)."""
    _check_folder(folder, report)
    listened = tasks.listen_folder.listen_to_folder(
        clips,
        folder,
        tasks.listen.Listener(**options),
        report=report,
        overwrite=overwrite,
        on_progress=bar.update,
        on_broken=bar.write_note,
    )
    return describe_folder(listened, report, notes=notes)


def _refuse_for_folder(clips: Path, given: Mapping[str, object]) -> None:
    """OptionError for options that name the files of one clip."""
    if names := [name for name, value in given.items() if value is not None]:
        raise OptionError(f"Got {names[0]} with the folder {clips}, but it is of one clip; leave it out.")


def _check_folder(output: Path, report: Path | None) -> None:
    tasks.checks.check_output_folder(output)
    if report is not None:
        tasks.picture_files.check_report(report)


def _refuse_for_file(clip: Path, given: Mapping[str, object]) -> None:
    """OptionError for options that are for folders of clips."""
    if names := [name for name, value in given.items() if value]:
        raise OptionError(f"{names[0]} needs a folder of clips, but {clip} is none; leave it out.")


def check(
    picture: Annotated[
        Path, typer.Argument(metavar="PICTURE", help="A picture, a film (MP4, MKV, WebM, MOV), or a folder of them.")
    ],
    clip: Annotated[
        Path | None,
        typer.Argument(
            metavar="[CLIP]",
            help="The stereo recording that it belongs to, or a folder of recordings with the same names.",
            show_default="the film's own sound, or the same folder",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Also write the result as JSON.")
    ] = None,
    figure: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also draw the result: PNG, JPEG or WebP.")
    ] = None,
    report: ReportPage = None,
    words: Words = None,
    detector: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help='What sees: "mini" for the painted world, or a folder or hub id of OWLv2 or Grounding DINO.',
        ),
    ] = "mini",
    unknown: Unknown = choices.Unknown.OMIT,
    setup: Setup = choices.Setup.AUTO,
    spacing: Spacing = None,
    max_sources: MaxSources = 4,
    fov: Fov = 90.0,
    model: Model = "mini",
    device: Device = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Check whether things are seen where they are heard.

    The sounds are located and named, and a detector looks for these names in the picture, whatever drew it. The score
    is 1 where all sides and orders agree, 0.5 by chance and 0 if left and right are exchanged.

    \b
    Example:
      audiotoken check street.png street.wav --figure check.png
    """
    with running("checking", quiet, verbose) as bar:
        if not picture.is_dir():
            tasks.checks.check_clip(picture)
        pairs, unpaired = tasks.check.find_pairs(picture, clip)
        for path in (pairs[0].picture, pairs[0].clip):
            tasks.checks.check_clip(path)
        files = tasks.check_files.CheckFiles(output, figure, report)
        files.check(
            *(path for pair in pairs for path in (pair.picture, pair.clip)), *tasks.checks.list_model_paths(model)
        )
        names = stereo.parse_words(words)
        tasks.checks.check_words(names, None, max_sources)
        if not names:
            tasks.checks.check_model(model)
        checked = tasks.check.check_pairs(
            pairs,
            stereo.PlanOptions(unknown=unknown, setup=setup, spacing=spacing, max_sources=max_sources, fov=fov),
            words=names,
            notes=unpaired,
            detector=detector,
            model=model,
            device=device,
            on_progress=bar.update,
        )
        summary = files.write(checked, notes=not quiet)
    typer.echo(summary)
    raise typer.Exit(SOME_BROKEN if checked.broken else 0)


def layout(
    clip: StereoClips,
    form: Annotated[choices.LayoutForm, choice_option("--for", help=LAYOUT_FORMS)] = choices.LayoutForm.FLUX3,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="PATH",
            help="Write the layout to this file; - prints it. For a folder of clips: the folder of a layout of each.",
            show_default="-, or layouts/ for a folder",
        ),
    ] = None,
    prompt: PlacedPrompt = None,
    report: ReportPage = None,
    words: Words = None,
    setting: Annotated[
        str, typer.Option(metavar="TEXT", help='Where it all is, for the written caption: "in a meadow".')
    ] = "",
    canvas: Annotated[
        str, typer.Option(metavar="WIDTHxHEIGHT", help="Size of the picture to be drawn, in pixels.")
    ] = "1024x1024",
    unmatched: Unmatched = choices.Unmatched.ADD,
    unknown: Unknown = choices.Unknown.OMIT,
    setup: Setup = choices.Setup.AUTO,
    spacing: Spacing = None,
    max_sources: MaxSources = 4,
    fov: Fov = 90.0,
    model: Model = "mini",
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write where each sound of a stereo clip belongs in a picture, for generators that read boxes.

    The layout has a caption of the whole picture and, for each sound that has a direction, a name and a box. Nothing
    is drawn. The model names the sounds; its generator is needed only with --prompt. A folder is worked through as by
    `audiotoken generate`; its heard.csv has a row for each sound.

    \b
    Example:
      audiotoken layout street.wav --for flux3 -o layout.json
    """
    with running("listening", quiet, verbose) as bar:
        size = tasks.checks.parse_canvas(canvas)
        if words is None:
            tasks.checks.check_model(model)
        names = stereo.parse_words(words)
        tasks.checks.check_words(names, prompt, max_sources)
        options = stereo.PlanOptions(prompt, None, unmatched, unknown, setup, spacing, max_sources, fov)
        more: dict[str, Any] = {"words": names, "canvas": size, "setting": setting, "model": model}
        if clip.is_dir():
            folder = output or Path("layouts")
            _check_folder(folder, report)
            sketched = tasks.layout_folder.sketch_folder(
                clip,
                folder,
                tasks.layout.Sketcher(options, **more),
                form,
                report=report,
                overwrite=overwrite,
                on_progress=bar.update,
                on_broken=bar.write_note,
            )
            summary, code = describe_folder(sketched, report, notes=not quiet)
        else:
            _refuse_for_file(clip, {"--overwrite": overwrite})
            tasks.checks.check_clip(clip)
            inputs = (clip, *tasks.checks.list_model_paths(model))
            tasks.checks.check_layout_file(output, form, inputs=inputs)
            if report is not None:
                tasks.picture_files.check_report(report)
                tasks.checks.check_inputs_kept([output, report], inputs)
            sketch = tasks.layout.sketch_layout(clip, options, **more, on_progress=bar.update)
            summary, code = tasks.layout.write_layout(sketch, form, output, report, notes=not quiet), 0
            if output in (None, tasks.checks.STDOUT) and not quiet:
                for note in sketch.notes:
                    bar.write_note(f"note   {note}")
    typer.echo(summary)
    raise typer.Exit(code)
