"""Commands that make models and judge them: assemble, prepare, train, evaluate."""

import os
from pathlib import Path
from typing import Annotated

import typer

from audiotoken import assembly, evaluation, tasks
from audiotoken.cli.composing import compose_config, instantiate_source, require
from audiotoken.cli.parameters import KEYS
from audiotoken.cli.terminal import progress
from audiotoken.errors import OptionError
from audiotoken.tasks.sentences import errors_as_sentences


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
    with errors_as_sentences():
        made = assembly.assemble.assemble(
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


def prepare(
    values: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help=KEYS.format("prepare"))] = None,
    source: Annotated[
        str | None,
        typer.Option(help="A folder of name.wav + name.jpg; or esc, vggsound or web, see audiotoken/configs/source."),
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
        config = compose_config("prepare", _chosen(source=source), values, options | {"device": device})
        require(config, "source", "output")
        typer.echo(
            tasks.prepare.prepare(instantiate_source(config.pop("source")), **config, **tasks.prepare.say_progress())
        )


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
        config = compose_config(
            "train", _chosen(recipe=recipe), values, options | {"precision": precision, "device": device}
        )
        require(config, "out")
        source = config.pop("source", None)
        if (config["data"] is None) == (source is None):
            raise OptionError("Want either --data, made by `audiotoken prepare`, or source=...; give one.")
        with tasks.train.show_progress() as on_progress:
            folder = tasks.train.train(
                **config | ({"data": instantiate_source(source)} if source else {}), on_progress=on_progress
            )
    typer.echo(f"made   {folder}\nnext   audiotoken assemble --base {config['model']} --embedder {out} -o trained")


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
        config = compose_config("evaluate", [], values, options)
        table = evaluation.evaluate.evaluate(**config, on_row=bar.say)
    typer.echo(table)


def _chosen(**groups: str | None) -> list[str]:
    return [f"{group}={name}" for group, name in groups.items() if name is not None]
