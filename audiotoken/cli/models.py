"""Commands that make models and evaluate them: assemble, prepare, train, evaluate."""

from pathlib import Path
from typing import Annotated

import typer

from audiotoken import assembly, evaluation, tasks
from audiotoken.cli import choices
from audiotoken.cli.composing import compose_config, prepare_from_config, require, train_from_config
from audiotoken.cli.parameters import KEYS, Device, Quiet, Verbose
from audiotoken.cli.terminal import handling_errors, running
from audiotoken.errors import OptionError

RECIPES_OWN = "the recipe's own"


def assemble(
    base: Annotated[
        str, typer.Option(help="The model that draws: a diffusers folder, a hub id, a .safetensors or .ckpt file.")
    ],
    encoder: Annotated[
        str | None,
        typer.Option(
            help="The audio encoder: beats:FILE, ast:ID, clap:ID (hub id or folder) or mini.",
            show_default="the base's own",
        ),
    ] = None,
    embedder: Annotated[
        Path | None,
        typer.Option(help="The trained embedder: a published file, a folder, or a run of `audiotoken train`."),
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the new model.")] = Path("model"),
    layers: Annotated[
        str | None, typer.Option(help="Layers of BEATs or AST whose features are used.", show_default="4,8,12")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="Text file of the labels that CLAP chooses from, one a line.", show_default="AudioSet's"),
    ] = None,
    lora: Annotated[
        Path | None,
        typer.Option(help="LoRA layers to merge into the UNet.", show_default="those of the training run"),
    ] = None,
    dtype: Annotated[
        choices.StoredDtype, typer.Option(help="Precision of the saved model; float16 halves its size.")
    ] = choices.StoredDtype.FLOAT32,
    base_config: Annotated[
        str | None, typer.Option(help="For a single-file base: a folder with the json and txt files of its kind.")
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Assemble a model folder from published parts, for --model.

    The parts are a text-to-image model (Stable Diffusion 1, 2 or XL), an audio encoder and an embedder. Without
    --embedder no training is needed: pictures are drawn from the label of the recognised sound. diffusers looks up the
    configuration of a single-file base on the hub unless --base-config gives it; Stable Diffusion 2 (base, 512 pixels)
    always needs it, as its files look like those of 2.1.

    \b
    Example:
      audiotoken assemble --base SD_FOLDER --encoder beats:BEATS_FILE --embedder EMBEDDER_FILE -o my-model
    """
    with handling_errors(verbose):
        layer_numbers = _parse_layers(layers)
        tasks.checks.check_base(base)
        if encoder is not None:
            tasks.checks.check_encoder(encoder)
        tasks.checks.check_exists(embedder, "--embedder", "an embedder file or folder")
        tasks.checks.check_exists(labels, "--labels", "a text file with a label on each line")
        tasks.checks.check_exists(lora, "--lora", "a folder of LoRA layers")
        tasks.checks.check_output_folder(output)
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
        )
    typer.echo(output if quiet else summary)


def _parse_layers(text: str | None) -> tuple[int, ...] | None:
    """ "4,8,12" -> (4, 8, 12)."""
    try:
        return None if text is None else tuple(int(number) for number in text.split(","))
    except ValueError:
        raise OptionError(f"Got layers={text}, expected numbers such as 4,8,12; change it.") from None


def prepare(
    values: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help=KEYS.format("prepare"))] = None,
    source: Annotated[
        str | None,
        typer.Option(
            help="A folder of name.wav + name.jpg, or esc, vggsound or web with the keys of audiotoken/configs/source."
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder of the prepared data.")] = None,
    model: Annotated[str | None, typer.Option(help="Model to prepare for.", show_default="mini")] = None,
    size: Annotated[
        int | None, typer.Option(min=8, help="Picture size in pixels.", show_default="the model's own")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.1, max=600.0, help="Length of each clip in seconds.", show_default="5")
    ] = None,
    part: Annotated[
        int | None, typer.Option(min=0, help="Number of this process among --parts, from 0.", show_default="0")
    ] = None,
    parts: Annotated[
        int | None, typer.Option(min=1, help="Number of processes that share the work.", show_default="1")
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
            tasks.checks.check_source(source)
        if model is not None:
            tasks.checks.check_model(model)
        if output is not None:
            tasks.checks.check_output_folder(output)
        folder = source if source is not None and Path(source).is_dir() else None
        options = {"output": output, "model": model, "size": size, "seconds": seconds, "part": part, "parts": parts}
        options |= {"device": device, "source.folder": folder}
        config = compose_config("prepare", _choose(source="pairs" if folder else source), values, options)
        require(config, source="--source", output="--output")
        report = prepare_from_config(config, quiet)
    typer.echo(report)


def train(
    values: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help=KEYS.format("train"))] = None,
    data: Annotated[Path | None, typer.Option(help="A folder made by `audiotoken prepare`.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder of the run; an interrupted run continues.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model to train for.", show_default="mini")] = None,
    recipe: Annotated[choices.Recipe | None, typer.Option(help="Training recipe.", show_default="paper")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Optimisation steps.", show_default=RECIPES_OWN)] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Batch size, over all processes.", show_default=RECIPES_OWN)
    ] = None,
    precision: Annotated[choices.Precision | None, typer.Option(help="Mixed precision.", show_default="no")] = None,
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
    On several GPUs:
      accelerate launch -m experiments.train data=prepared out=runs/one
    """
    with handling_errors(verbose):
        if data is not None:
            tasks.checks.check_prepared(data)
        if model is not None:
            tasks.checks.check_model(model)
        if output is not None:
            tasks.checks.check_output_folder(output)
        options = {"data": data, "out": output, "model": model, "settings.steps": steps, "batch": batch}
        options |= {"precision": precision, "device": device}
        config = compose_config("train", _choose(recipe=recipe), values, options)
        require(config, out="--output")
        folder = train_from_config(config, quiet)
    run = config["out"]
    typer.echo(f"made   {folder}\nnext   audiotoken assemble --base {config['model']} --embedder {run} -o trained")


def evaluate(
    values: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help=KEYS.format("evaluate"))] = None,
    clips: Annotated[
        Path | None,
        typer.Option(help="A folder of clips, with a sub-folder for each label.", show_default="synthesised clips"),
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Evaluate the pictures of this folder, named like the clips.")
    ] = None,
    real: Annotated[Path | None, typer.Option(help="A folder of real pictures, named like the clips.")] = None,
    n: Annotated[int | None, typer.Option("-n", min=2, help="Number of clips.", show_default="all")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder of the results.", show_default="runs/evaluated")
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Measure how well pictures show what was heard.

    The table has AIS, IIS, AIC and FID, with intervals, of several systems on the same clips.

    \b
    Example:
      audiotoken evaluate --clips clips -n 40 seeds=[0,1] -o evaluated
    """
    with running("evaluating", quiet, verbose) as bar:
        tasks.checks.check_folder(clips, "--clips", "a folder of sounds")
        tasks.checks.check_folder(pictures, "--pictures", "a folder of pictures")
        tasks.checks.check_folder(real, "--real", "a folder of pictures")
        if output is not None:
            tasks.checks.check_output_folder(output)
        options = {"clips": clips, "pictures": pictures, "real": real, "n": n, "out": output}
        config = compose_config("evaluate", [], values, options)
        table = evaluation.evaluate.evaluate(**config, on_row=bar.write_note)
    typer.echo(table)


def _choose(**groups: str | None) -> list[str]:
    """Hydra's choice of a file for each group that was given."""
    return [f"{group}={name}" for group, name in groups.items() if name is not None]
