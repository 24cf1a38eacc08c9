"""A model and prepared (or raw) data -> a trained embedder, by the paper's recipe.

    python -m experiments.train data=prepared/vggsound model=sd14-beats out=runs/paper
    python -m experiments.train recipe=published settings.lora=8 settings.min_snr=5 ...
    accelerate launch --multi_gpu -m experiments.train precision=bf16 ...

`audiotoken train` is the same without Hydra; both call `train` below. A run that was stopped goes on when the same
command is given again. In `out`: embedder/ (and lora/), checkpoint.pt, settings.json, losses.csv, losses.png,
samples/ (a grid of pictures every `sample_every` steps) and log/ (TensorBoard).
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from audiotoken.data.augment import Augment
from audiotoken.data.batches import TEMPLATES as VARIED
from audiotoken.data.batches import Batches
from audiotoken.data.examples import Examples, RawExamples
from audiotoken.data.manifest import describe_source
from audiotoken.data.prepared import Prepared
from audiotoken.embedder import AudioEmbedder
from audiotoken.errors import OptionError
from audiotoken.learner import check_schedule, lora_state
from audiotoken.model import load_pipeline
from audiotoken.placeholder import TEMPLATE
from audiotoken.tasks.run_log import plot_losses, records, sample, say_skipped
from audiotoken.training import LossWeights, Progress, Settings, train_embedder

PRECISIONS = {"no": "float32", "bf16": "bfloat16", "fp16": "float16"}  # accelerate's names -> of the frozen parts
TEMPLATES = ("paper", "varied")


def train(
    data: Any,
    out: str | os.PathLike,
    *,
    model: str = "mini",
    settings: Mapping[str, Any] | None = None,
    batch: int = 8,
    embedder: Mapping[str, Any] | None = None,
    templates: str = "paper",
    precision: str = "no",
    device: str | None = None,
    log: str | None = "tensorboard",
    sample_every: int = 500,
    sample_count: int = 4,
    size: int | None = None,
    seconds: float = 5.0,
    augment: Mapping[str, Any] | None = None,
    on_progress: "Callable[[Progress], None] | None" = None,
) -> Path:
    """Train, write everything into `out` -> the folder of the embedder.

    data: a folder made by `prepare`, or a source of `audiotoken.data`, which is then encoded again every time
        (`size` of the pictures in pixels, by default the model's; `seconds` of each clip; `augment` as in
        `audiotoken.data.augment.Augment`).
    settings: of `audiotoken.training.Settings`; `steps` is the only one without a default.
    batch: of a step, all processes together. embedder: the parameters of a new `AudioEmbedder` (pooling,
        tokens_per_clip, dropout); None goes on with the model's own, or begins the paper's where it has none.
    templates: "paper", or "varied" wordings. log: a tracker accelerate knows by name, or None.

    OptionError, CheckpointError or DataError, one sentence each.
    """
    _check_options(precision, templates, batch)
    out = Path(out)
    from accelerate import Accelerator

    run = _settings(settings or {})
    accelerator = Accelerator(
        cpu=device == "cpu", mixed_precision=precision, log_with=_tracker(log), project_dir=str(out)
    )
    pipe = load_pipeline(model, str(accelerator.device), PRECISIONS[precision])
    examples = _examples(data, pipe, size, seconds, augment, run.seed)
    if not examples.names and run.weights.classification:
        raise OptionError(
            "The data has no labels, but the classification loss wants some; give them, or do without it: "
            "settings.weights.classification=0."
        )
    pipe.register_modules(audio_embedder=_embedder(pipe, examples, embedder, run.seed))
    wordings = VARIED if templates == "varied" else (TEMPLATE,)
    batches = Batches(
        examples, batch, seed=run.seed, templates=wordings, rank=accelerator.process_index,
        processes=accelerator.num_processes,
    )  # fmt: skip
    about = {"model": model, "data": _describe(data), "batch": batch, "templates": templates, "precision": precision}
    config = {**about, "settings": asdict(run)}
    with records(out, accelerator, config, log) as record, _as_option_error(FloatingPointError):

        def report(progress: "Progress") -> None:
            record(progress)
            if on_progress is not None:
                on_progress(progress)

        train_embedder(
            pipe, batches, examples.names, run, checkpoint=out / "checkpoint.pt", on_progress=report,
            evaluate=lambda step: sample(pipe, examples, sample_count, out, step, accelerator),
            evaluate_every=sample_every, accelerator=accelerator, about=about,
        )  # fmt: skip
    if accelerator.is_main_process:
        pipe.audio_embedder.save_pretrained(out / "embedder")
        if run.lora:
            pipe.save_lora_weights(out / "lora", unet_lora_layers=lora_state(pipe.unet))
        plot_losses(out)
        say_skipped(out, examples)
    return out / "embedder"


def _examples(
    data: Any, pipe: Any, size: int | None, seconds: float, augment: Mapping[str, Any] | None, seed: int
) -> "Examples":
    """Prepared ones from a folder, or a source encoded as it goes."""
    if isinstance(data, str | os.PathLike):
        prepared = Prepared(data)
        prepared.check_fits(pipe)
        return prepared

    pixels = size or pipe.unet.config.sample_size * pipe.vae_scale_factor
    change = None if augment is None else Augment(**augment)
    return RawExamples(data, pipe, size=pixels, seconds=seconds, augment=change, seed=seed)


def _describe(data: Any) -> str:
    """The same for the same data, in every process."""
    return str(data) if isinstance(data, str | os.PathLike) else describe_source(data)


def _embedder(pipe: Any, examples: "Examples", wanted: Mapping[str, Any] | None, seed: int) -> Any:
    """The model's own, or a new one that fits the features and the text encoder."""
    import torch

    width = examples.load([0]).features.shape[-1]
    own = pipe.audio_embedder
    if wanted is None and own is not None:
        if own.config["input_size"] != width:
            raise OptionError(
                f"The model's embedder reads features {own.config['input_size']} wide, the data has {width}; "
                "prepare the data with this model, or begin a new embedder: embedder={}."
            )
        return own
    with torch.random.fork_rng(), _as_option_error(TypeError, ValueError):
        torch.manual_seed(seed)
        return AudioEmbedder(width, pipe.token_width, **(wanted or {})).to(pipe.unet.device)


@contextmanager
def _as_option_error(*kinds: type[Exception]) -> Iterator[None]:
    """What the user can mend by another option says so and ends with exit code 2."""
    try:
        yield
    except kinds as error:
        raise OptionError(str(error)) from error


def _settings(values: Mapping[str, Any]) -> "Settings":
    """Of plain values; OptionError for a name that is not one."""
    try:
        settings = Settings(**{**values, "weights": LossWeights(**values.get("weights") or {})})
        check_schedule(settings.schedule)
        return settings
    except (TypeError, ValueError) as error:
        raise OptionError(
            f"Cannot use these settings: {str(error).rstrip('.')}; see audiotoken.training.Settings."
        ) from None


def _tracker(log: str | None) -> str | None:
    """The tracker's name; OptionError when it is not installed."""
    from accelerate.tracking import get_available_trackers
    from accelerate.utils import LoggerType

    if log is None or log in [
        str(each.value if isinstance(each, LoggerType) else each) for each in get_available_trackers()
    ]:
        return log
    raise OptionError(f"There is no tracker {log} here, want one that accelerate knows; install it, or say log=null.")


def _check_options(precision: str, templates: str, batch: int) -> None:
    for name, value, known in (("precision", precision, PRECISIONS), ("templates", templates, TEMPLATES)):
        if value not in known:
            raise OptionError(f"Got {name}={value}, want one of {', '.join(known)}; change it.")
    if batch < 1:
        raise OptionError(f"Got batch={batch}, want 1 or more; change it.")


@contextmanager
def show_progress(steps: int | None = None) -> "Iterator[Callable[[Progress], None]]":
    """A bar with the loss and pictures per second on a terminal, a line every ten seconds elsewhere; on stderr."""
    import sys
    import time

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    last = [-10.0]

    def line(progress: "Progress") -> None:
        if time.monotonic() - last[0] > 10 or progress.step == steps:
            last[0] = time.monotonic()
            terms = "  ".join(f"{name} {value:.4f}" for name, value in progress.losses.items())
            print(f"step {progress.step}  {terms}  {progress.images_per_second:.1f} pictures/s", file=sys.stderr)

    console = Console(stderr=True)
    if not console.is_terminal:
        yield line
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console) as bar:
        task = bar.add_task("loading", total=steps)

        def move(progress: "Progress") -> None:
            said = f"loss {progress.losses['total']:.4f}  {progress.images_per_second:.1f} pictures/s"
            bar.update(task, completed=progress.step, description=said)

        yield move
