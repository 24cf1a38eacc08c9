"""Commands that make models and evaluate them: assemble, prepare, train, evaluate."""

from pathlib import Path
from typing import Annotated

import typer

from audiotoken import assembly, evaluation, tasks
from audiotoken.cli import choices
from audiotoken.cli.composing import compose_config, prepare_from_config, require, train_from_config
from audiotoken.cli.parameters import (
    KEY_VALUE,
    Device,
    GuidanceScale,
    Quiet,
    ReportPage,
    Steps,
    Verbose,
    choice_option,
    describe_keys,
)
from audiotoken.cli.terminal import handling_errors, running
from audiotoken.errors import OptionError, printable
from audiotoken.spelling import find_spelling

RECIPES_OWN = "the recipe's own"


def assemble(
    base: Annotated[
        str,
        typer.Option(
            metavar="MODEL", help="The model that draws: a diffusers folder, a hub id, a .safetensors or .ckpt file."
        ),
    ],
    encoder: Annotated[
        str | None,
        typer.Option(
            metavar="ENCODER",
            help="The audio encoder: beats:FILE (a path, or OWNER/NAME/FILE of the hub), ast:ID, ced:ID, clap:ID "
            "(hub id or folder) or mini.",
            show_default="the base's own",
        ),
    ] = None,
    embedder: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="The trained embedder: a published file, a folder, or a run of `audiotoken train`."
        ),
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FOLDER", help="Folder of the new model.")] = Path(
        "model"
    ),
    layers: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,...", help="Layers of BEATs, AST or CED whose features are used.", show_default="4,8,12"
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Text file of the labels that CLAP chooses from, one on each line.",
            show_default="AudioSet's",
        ),
    ] = None,
    lora: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="LoRA layers to merge into the denoiser.", show_default="those of the training run"
        ),
    ] = None,
    dtype: Annotated[
        choices.StoredDtype, choice_option(help="Precision of the saved model; float16 and bfloat16 halve its size.")
    ] = choices.StoredDtype.FLOAT32,
    base_config: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="For a single-file base: a folder (json and txt files are enough) or hub id of its kind.",
        ),
    ] = None,
    steps: Steps = None,
    guidance_scale: GuidanceScale = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Assemble a model folder from published parts, for --model.

    The parts are a text-to-image model (Stable Diffusion, FLUX, Chroma, Qwen-Image or Z-Image), an audio encoder and an
    embedder. Without --embedder no training is needed: pictures are drawn from the label of the recognised sound.
    diffusers looks up the configuration of a single-file base on the hub unless --base-config names a folder with it;
    Stable Diffusion 2 (base, 512 pixels) always needs --base-config, because its files look like those of 2.1.
    --steps and --guidance-scale are what the model then draws with unless told otherwise; Z-Image-Turbo needs --steps 8
    --guidance-scale 0.

    \b
    Example:
      audiotoken assemble --base SD_FOLDER --encoder beats:BEATS_FILE --embedder EMBEDDER_FILE -o my-model
    """
    with handling_errors(verbose):
        layer_numbers = _parse_layers(layers)
        parts = {"base": base, "encoder": encoder, "embedder": embedder, "labels": labels, "lora": lora}
        tasks.checks.check_values("assemble", {**parts, "output": output})
        summary = assembly.assemble.assemble(
            base,
            encoder,
            embedder,
            output,
            layers=layer_numbers,
            labels=labels,
            lora=lora,
            dtype=dtype,
            base_config=base_config,
            steps=steps,
            guidance_scale=guidance_scale,
        )
    typer.echo(output if quiet else summary)


def _parse_layers(text: str | None) -> tuple[int, ...] | None:
    """ "4,8,12" -> (4, 8, 12)."""
    try:
        return None if text is None else tuple(int(number) for number in text.split(","))
    except ValueError:
        raise OptionError(f"Got layers={text}, expected numbers such as 4,8,12; change it.") from None


def prepare(
    values: Annotated[list[str] | None, typer.Argument(metavar=KEY_VALUE, help=describe_keys("prepare"))] = None,
    source: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Required: a folder of name.wav + name.jpg, or esc, vggsound or web with the keys of "
            "audiotoken/configs/source.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FOLDER", help="Required: folder of the prepared data.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Model to prepare for.", show_default="mini")
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(min=8, metavar="N", help="Picture size in pixels.", show_default="the model's own"),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.1, max=600.0, metavar="X", help="Length of each clip in seconds.", show_default="5"),
    ] = None,
    part: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Number of this process among --parts, from 0.", show_default="0"),
    ] = None,
    parts: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Number of processes that share the work.", show_default="1"),
    ] = None,
    device: Device = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Encode training data once with the frozen parts of a model.

    The encoded sounds and pictures are stored in shards. The same command continues where it was stopped.

    \b
    Example:
      audiotoken prepare --source clips -o prepared --model my-model
      audiotoken prepare --source esc source.audio=ESC-50/audio source.pictures=pictures -o prepared
    """
    with handling_errors(verbose):
        if source is not None:
            source = str(find_spelling(source)) if source else source  # an empty text is refused as it is
            tasks.checks.check_source(source)
        folder = source if source is not None and Path(source).is_dir() else None
        options = {"output": output, "model": model, "size": size, "seconds": seconds, "part": part, "parts": parts}
        options |= {"device": device, "source.folder": folder}
        config = compose_config("prepare", _choose(source="pairs" if folder else source), values, options)
        require(config, source="--source", output="--output")
        report = prepare_from_config(config, quiet)
    typer.echo(report)


def train(
    values: Annotated[
        list[str] | None, typer.Argument(metavar=KEY_VALUE, help=describe_keys("train", "recipe/paper"))
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Required, or source=...: a folder made by `audiotoken prepare`."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FOLDER", help="Required: folder of the run; an interrupted run continues."
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="MODEL", help="Model to train for.", show_default="mini")] = None,
    recipe: Annotated[
        choices.Recipe | None,
        choice_option(
            help="Training recipe: paper (as in the paper's text), published (as in the authors' code) or mini (for "
            "the built-in model).",
            show_default="paper",
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Optimisation steps.", show_default=RECIPES_OWN)
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Batch size, over all processes.", show_default=RECIPES_OWN),
    ] = None,
    precision: Annotated[choices.Precision | None, choice_option(help="Mixed precision.", show_default="no")] = None,
    report: ReportPage = None,
    device: Device = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Train an embedder, which turns a sound into a word.

    `audiotoken assemble --embedder OUTPUT` uses the result.

    \b
    Example:
      audiotoken train --data prepared --model my-model -o runs/one settings.lora=8
    \b
    On several GPUs, from a checkout of the repository:
      accelerate launch -m experiments.train data=prepared out=runs/one
    """
    with handling_errors(verbose):
        options = {"data": data, "out": output, "model": model, "settings.steps": steps, "batch": batch}
        options |= {"precision": precision, "device": device, "report": report}
        config = compose_config("train", _choose(recipe=recipe), values, options)
        require(config, out="--output")
        folder = train_from_config(config, quiet)
    run = config["out"]
    if config["report"] is not None:
        typer.echo(f"report {printable(config['report'])}")
    typer.echo(f"made   {folder}\nnext   audiotoken assemble --base {config['model']} --embedder {run} -o trained")


def evaluate(
    values: Annotated[list[str] | None, typer.Argument(metavar=KEY_VALUE, help=describe_keys("evaluate"))] = None,
    clips: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="A folder of clips, with a sub-folder for each label; or of tar shards.",
            show_default="synthesised clips",
        ),
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Evaluate the pictures of this folder, named like the clips.")
    ] = None,
    real: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="A folder of real pictures, named like the clips.")
    ] = None,
    n: Annotated[
        int | None, typer.Option("-n", "--num-clips", min=2, metavar="N", help="Number of clips.", show_default="all")
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="MODEL", help="Model that draws.", show_default="mini")] = None,
    device: Device = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FOLDER", help="Folder of the results.", show_default="runs/evaluated"),
    ] = None,
    report: ReportPage = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Measure how well pictures show what was heard.

    The table compares several systems on the same clips by AIS (audio-image similarity), IIS (image-image similarity),
    AIC (audio-image content) and FID (Fréchet distance), with confidence intervals.

    \b
    Example:
      audiotoken evaluate --clips clips -n 40 seeds=[0,1] -o evaluated
    """
    with running("evaluating", quiet, verbose) as bar:
        options = {"clips": clips, "pictures": pictures, "real": real, "n": n, "out": output, "report": report}
        config = compose_config("evaluate", [], values, {**options, "model": model, "device": device})
        table = evaluation.evaluate.evaluate(**config, on_row=bar.write_note)
    typer.echo(table)
    if config["report"] is not None:
        typer.echo(f"report {printable(config['report'])}")


def _choose(**groups: str | None) -> list[str]:
    """Hydra's choice of a file for each group that was given."""
    return [f"{group}={name}" for group, name in groups.items() if name is not None]
