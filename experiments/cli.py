"""The `audiotoken` command.

    audiotoken generate dog.wav -o dog.png

Heavy imports happen inside the commands, so that `audiotoken --help` answers at once.
"""

import os
import sys
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer

from experiments.generate import DTYPES, OptionError, errors_as_sentences, say_written
from experiments.generate import generate as generate_pictures
from experiments.terminal import composed, made, progress, require

KEYS = "What the options below leave out, as in configs/{}.yaml."

# options that several commands have
Stereo = Annotated[Path, typer.Argument(help="A sound file (WAV, FLAC, OGG, MP3) or a video, in stereo.")]
Setup = Annotated[str, typer.Option(help="auto, or how it was recorded: panned, spaced, ortf, nos, xy, ms, binaural.")]
Spacing = Annotated[float | None, typer.Option(help="Of spaced microphones, metres. [default: found out, or 0.5]")]
MaxSources = Annotated[int, typer.Option(help="At most so many sources.")]
Token = Annotated[str | None, typer.Option(help="A sound's word: learned or label, as in generate.")]
Unmatched = Annotated[str, typer.Option(help="A sound that no word names: add it to the prompt, or drop it.")]
Unknown = Annotated[
    str,
    typer.Option(help="A sound that is none of the known: guess draws it as the nearest, unplaced without a place."),
]
Words = Annotated[
    str | None, typer.Option("--prompt", help="Words to draw; those that name what is heard go where it is heard.")
]
Avoid = Annotated[str | None, typer.Option(help="What to avoid.")]
Energy = Annotated[str, typer.Option(help="How things are moved: ours, layout, boxdiff, centroid, forward or none.")]
Fov = Annotated[float, typer.Option(help="Degrees across the picture.")]
Seed = Annotated[int, typer.Option(help="The same seed draws the same picture.")]
Steps = Annotated[int | None, typer.Option(help="Denoising steps. [default: the model's]")]
Scale = Annotated[float | None, typer.Option(help="Guidance scale. [default: the model's]")]
Model = Annotated[str, typer.Option(help='"mini", a folder or a hub id; see `audiotoken assemble`.')]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, ... [default: the best there is]")]
Report = Annotated[Path | None, typer.Option(help="A page of how it came about: report.html.")]

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
        result = generate_pictures(clip, output, report=report, on_step=bar.update, **options)
    typer.echo(say_written(result, output, report))


def _generate_folder(clips: Path, output: Path, report: bool, **options: Any) -> None:
    with errors_as_sentences(), progress() as bar:
        if report:
            raise OptionError(f"--report is for a single clip, {clips} is a folder; leave it out.")
        from experiments.folder import draw_folder

        drawn = draw_folder(clips, output, on_progress=bar.update, on_broken=bar.say, **options)
    typer.echo(drawn)
    if drawn.broken:
        raise typer.Exit(1)


@app.command()
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
        from experiments.listening import listen_to
        from experiments.listening_files import Places

        places = Places(plot, json, stems)
        places.check()
        heard = listen_to(
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


@app.command()
def place(
    clip: Stereo,
    output: Annotated[Path, typer.Option("-o", "--output", help="PNG, JPEG or WebP.")] = Path("placed.png"),
    prompt: Words = None,
    negative_prompt: Avoid = None,
    unmatched: Unmatched = "add",
    unknown: Unknown = "guess",
    energy: Energy = "ours",
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


@app.command()
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
    energy: Energy = "ours",
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
    """Run a function of `experiments.place`, and say what came of it."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    with errors_as_sentences(), progress("drawing") as bar:
        from experiments import place as stereo

        result = getattr(stereo, how)(clip, output, on_step=bar.update, **options)
        text = stereo.said(result, output, options.get("boxes", False), options.get("report"))
    typer.echo(text)


@app.command()
def assemble(
    base: Annotated[str, typer.Option(help="What draws: a diffusers folder, a hub id, a .safetensors or .ckpt file.")],
    encoder: Annotated[
        str | None,
        typer.Option(
            help="What hears: beats:FILE, ast:ID, clap:ID (hub id or folder) or mini. [default: the base's own]"
        ),
    ] = None,
    embedder: Annotated[
        Path | None, typer.Option(help="Sound -> word: a published file, a folder, or a run of `audiotoken train`.")
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder to make.")] = Path("model"),
    layers: Annotated[
        str | None, typer.Option(help="Of BEATs or AST: which layers are the features. [default: 4,8,12]")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="A name on each line: what CLAP tells apart. [default: AudioSet's]")
    ] = None,
    lora: Annotated[
        Path | None, typer.Option(help="LoRA layers to melt into the UNet. [default: those of the training run]")
    ] = None,
    dtype: Annotated[str, typer.Option(help="float32, or float16: half the size.")] = "float32",
    base_config: Annotated[
        str | None, typer.Option(help="Of a single file: a folder with the json and txt files of its kind of model.")
    ] = None,
) -> None:
    """Put a model that draws, one that hears and an embedder into one folder, for --model.

    Stable Diffusion 1, 2 and XL. Without --embedder nothing needs to be trained: the name of what was heard is drawn.
    A single file does not say how its model is built: diffusers asks the hub, or give --base-config; files of
    Stable Diffusion 2 (base), 512 pixels, always need it, since they look like those of 2.1.
    """
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    from experiments.assemble import assemble as assemble_parts

    with errors_as_sentences():
        made = assemble_parts(
            base,
            encoder,
            embedder,
            output,
            layers=_numbers(layers),
            labels=labels,
            lora=lora,
            dtype=dtype,
            base_config=base_config,
        )
    typer.echo(made)


def _numbers(text: str | None) -> tuple[int, ...] | None:
    """ "4,8,12" -> (4, 8, 12)."""
    try:
        return None if text is None else tuple(int(number) for number in text.split(","))
    except ValueError:
        raise OptionError(f"Got layers={text}, want numbers such as 4,8,12; change it.") from None


@app.command()
def prepare(
    values: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help=KEYS.format("prepare"))] = None,
    source: Annotated[
        str | None, typer.Option(help="A folder of name.wav + name.jpg; or esc, vggsound or web, see configs/source.")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The folder to make.")] = None,
    model: Annotated[str | None, typer.Option(help="Whose frozen parts are asked. [default: mini]")] = None,
    size: Annotated[int | None, typer.Option(help="Of the pictures, pixels. [default: the model's]")] = None,
    seconds: Annotated[float | None, typer.Option(help="Of each clip. [default: 5]")] = None,
    part: Annotated[int | None, typer.Option(help="Of --parts processes this one, from 0.")] = None,
    parts: Annotated[int | None, typer.Option(help="How many processes share the work. [default: 1]")] = None,
    device: Annotated[str | None, typer.Option(help="[default: the best there is]")] = None,
) -> None:
    """Do the frozen work of training once: sounds and pictures as the model's frozen parts see them, in shards.

    audiotoken prepare --source clips -o prepared --model my-model

    audiotoken prepare --source esc source.audio=ESC-50/audio source.pictures=pictures -o prepared
    """
    options = {"output": output, "model": model, "size": size, "seconds": seconds, "part": part, "parts": parts}
    with errors_as_sentences():
        if source is not None and Path(source).is_dir():
            options, source = options | {"source.folder": source}, "pairs"
        config = composed("prepare", _chosen(source=source), values, options | {"device": device})
        from experiments.prepare import prepare as prepare_data
        from experiments.prepare import say_progress

        require(config, "source", "output")
        typer.echo(prepare_data(made(config.pop("source")), **config, **say_progress()))


@app.command()
def train(
    values: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help=KEYS.format("train"))] = None,
    data: Annotated[Path | None, typer.Option(help="A folder that `audiotoken prepare` made.")] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Of the run; called again it goes on.")] = None,
    model: Annotated[str | None, typer.Option(help="What is trained for. [default: mini]")] = None,
    recipe: Annotated[str | None, typer.Option(help="paper, published or mini. [default: paper]")] = None,
    steps: Annotated[int | None, typer.Option(help="[default: the recipe's]")] = None,
    batch: Annotated[int | None, typer.Option(help="[default: the recipe's]")] = None,
    precision: Annotated[str | None, typer.Option(help="no, bf16 or fp16. [default: no]")] = None,
    device: Annotated[str | None, typer.Option(help="[default: the best there is]")] = None,
) -> None:
    """Teach an embedder: what a sound is as a word. `audiotoken assemble --embedder OUT` uses it.

    audiotoken train --data prepared --model my-model -o runs/one settings.lora=8

    On several GPUs: accelerate launch -m experiments.train data=prepared ...
    """
    options = {"data": data, "out": out, "model": model, "settings.steps": steps, "batch": batch}
    with errors_as_sentences():
        config = composed("train", _chosen(recipe=recipe), values, options | {"precision": precision, "device": device})
        from experiments.train import show_progress
        from experiments.train import train as train_embedder

        require(config, "out")
        source = config.pop("source", None)
        if (config["data"] is None) == (source is None):
            raise OptionError("Want either --data, made by `audiotoken prepare`, or source=...; give one.")
        with show_progress() as on_progress:
            folder = train_embedder(**config | ({"data": made(source)} if source else {}), on_progress=on_progress)
    typer.echo(f"made   {folder}\nnext   audiotoken assemble --base {config['model']} --embedder {out} -o trained")


@app.command()
def rate(
    folder: Annotated[
        Path,
        typer.Argument(help="clips/NAME.wav, a folder of NAME.png for each system, maybe objects.json."),
    ],
    table: Annotated[bool, typer.Option("--table", help="Write ratings.md and ratings.csv, open no page.")] = False,
    rater: Annotated[str | None, typer.Option(help="Who rates. [default: asked on the page]")] = None,
    port: Annotated[int, typer.Option(help="Of the page; 0 takes a free one.")] = 0,
    seed: Annotated[int, typer.Option(help="Of the order, and of the intervals in the table.")] = 0,
    opened: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = True,
) -> None:
    """Let people say how well pictures belong to sounds, on a page of this computer; then a table of what they said."""
    with errors_as_sentences():
        from experiments.rating import command

        if table:
            typer.echo(command.export(folder, seed=seed))
            return
        show = partial(_show_page, opened=opened)
        typer.echo(command.serve(folder, port=port, rater=rater, seed=seed, on_ready=show))


def _show_page(url: str, opened: bool, said: str = "Ctrl-C ends it; answers are stored as they are given.") -> None:
    typer.echo(f"open   {url}\n{said}")
    sys.stdout.flush()
    if opened:
        import webbrowser

        webbrowser.open(url)


@app.command()
def evaluate(
    values: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help=KEYS.format("evaluate"))] = None,
    clips: Annotated[
        Path | None, typer.Option(help="A folder of clips; its sub-folders are their labels. [default: synthesised]")
    ] = None,
    pictures: Annotated[Path | None, typer.Option(help="Judge these, called like the clips.")] = None,
    real: Annotated[Path | None, typer.Option(help="Real pictures, called like the clips.")] = None,
    n: Annotated[int | None, typer.Option("-n", help="So many of the clips. [default: all]")] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="A folder. [default: runs/evaluated]")] = None,
) -> None:
    """Do the pictures show what was heard? AIS, IIS, AIC and FID of several systems on the same clips.

    audiotoken evaluate --clips clips -n 40 seeds=[0,1] -o evaluated
    """
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    options = {"clips": clips, "pictures": pictures, "real": real, "n": n, "out": out}
    with errors_as_sentences(), progress("judging") as bar:
        config = composed("evaluate", [], values, options)
        from experiments.evaluate import evaluate as evaluate_systems

        table = evaluate_systems(**config, on_row=bar.say)
    typer.echo(table)


@app.command()
def demo(
    model: Model = "mini",
    device: Device = None,
    dtype: Annotated[str, typer.Option(help=f"Precision of the drawing: {', '.join(DTYPES)}.")] = "float32",
    port: Annotated[int | None, typer.Option(help="Of the page. [default: the first free one from 7860]")] = None,
    opened: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = True,
) -> None:
    """A page of this computer: hear a clip, correct who is where, see it painted; or pan two sounds yourself.

    It needs Gradio: pip install 'spatial-audiotoken[demo]'.
    """
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    with errors_as_sentences():
        from experiments.page.launch import open_page

        show = partial(_show_page, opened=opened, said="Ctrl-C ends it; what was uploaded is removed then.")
        open_page(model, device=device, dtype=dtype, port=port, on_ready=show)


def _chosen(**groups: str | None) -> list[str]:
    return [f"{group}={name}" for group, name in groups.items() if name is not None]


def main() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # names of files need not be in the terminal's encoding
            stream.reconfigure(errors="backslashreplace")
    app()
