"""A model and prepared (or raw) data -> a trained embedder, by the paper's recipe.

    python -m experiments.train data=prepared/vggsound model=sd14-beats out=runs/paper
    python -m experiments.train recipe=published settings.lora=8 settings.min_snr=5 ...
    accelerate launch --multi_gpu -m experiments.train precision=bf16 ...

`audiotoken train` does the same without Hydra; both call `train` below. The same command continues a run where it was
stopped. The folder `out` gets embedder/ (and lora/), checkpoint.pt, settings.json, losses.csv, losses.png, samples/ (a
grid of pictures every `sample_every` steps, in a shorter run at its end) and log/ (TensorBoard).
"""

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.tracking import get_available_trackers
from accelerate.utils import LoggerType
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from audiotoken.data.augment import make_augment
from audiotoken.data.batches import TEMPLATES as VARIED
from audiotoken.data.batches import Batches
from audiotoken.data.examples import Examples, RawExamples
from audiotoken.data.folders import Source
from audiotoken.data.manifest import NAME, describe_source
from audiotoken.data.prepared import Prepared
from audiotoken.embedder import AudioEmbedder
from audiotoken.errors import OptionError
from audiotoken.learner import check_schedule, lora_state
from audiotoken.model import load_pipeline
from audiotoken.pipeline import AudioTokenPipeline
from audiotoken.placeholder import TEMPLATE
from audiotoken.report.html import check_report
from audiotoken.report.training_page import Run, write_training_page
from audiotoken.tasks.checks import check_labels
from audiotoken.tasks.flow import find_denoising, own_size
from audiotoken.tasks.run_log import log_run, move_parts, plot_losses, write_samples, write_skipped
from audiotoken.training import LossWeights, Progress, Settings, train_embedder
from audiotoken.writing import check_inputs_kept, list_model_paths

PRECISIONS = {"no": "float32", "bf16": "bfloat16", "fp16": "float16"}  # accelerate's names -> of the frozen parts
TEMPLATES = ("paper", "varied")
MOST = {"batch": 2**20, "sample_every": 10**9, "sample_count": 64}
ENCODERS = ("vae", "audio_encoder")  # which prepared examples need no more


def train(
    data: Source | str | os.PathLike,
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
    report: str | os.PathLike | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Path:
    """Train an embedder and write everything into the folder `out` -> the folder of the embedder.

    data: a folder made by `prepare`, or a source of `audiotoken.data`, which is then encoded again in every step
        (`size` of the pictures in pixels, by default the model's own; `seconds` of each clip; `augment` as in
        `audiotoken.data.augment.Augment`).
    settings: those of `audiotoken.training.Settings`; only `steps` has no default.
    batch: batch size, over all processes. embedder: the parameters of a new `AudioEmbedder` (pooling,
        tokens_per_clip, dropout); None continues with the model's own, or starts the paper's if it has none.
    templates: the "paper"'s wording of prompts, or "varied" ones. log: a tracker of Accelerate by name, or None.

    report: also a page.html of the losses, the sample pictures and the settings, to share.

    Raises OptionError, CheckpointError or DataError.
    """
    _check_options(precision, templates, batch=batch, sample_every=sample_every, sample_count=sample_count)
    if not 0.1 <= seconds <= 600:
        raise OptionError(f"Got seconds={seconds}, expected 0.1 to 600; change it.")
    out = Path(out)
    if report is not None:
        check_report(report)
    given = data if isinstance(data, str | os.PathLike) else None
    check_inputs_kept([out, report], [*list_model_paths(model), given, given and Path(given) / NAME])
    run = _make_settings(settings or {})
    tracker = _check_tracker(log)
    with _as_option_error(ValueError):  # of another precision than an earlier training of this process
        accelerator = Accelerator(
            cpu=device == "cpu", mixed_precision=precision, log_with=tracker, project_dir=str(out)
        )
    source = Prepared(data) if isinstance(data, str | os.PathLike) else data
    if isinstance(source, Prepared):  # before the model is loaded
        check_labels(source.names, run.weights.classification)
    pipe = load_pipeline(model, str(accelerator.device), PRECISIONS[precision])
    examples = _open_examples(source, pipe, size, seconds, augment, run.seed)
    check_labels(examples.names, run.weights.classification)
    pipe.register_modules(audio_embedder=_make_embedder(pipe, examples, embedder, run.seed))
    wordings = VARIED if templates == "varied" else (TEMPLATE,)
    batches = Batches(
        examples, batch, seed=run.seed, templates=wordings, rank=accelerator.process_index,
        processes=accelerator.num_processes, pinned=accelerator.device.type == "cuda",
    )  # fmt: skip
    about = {"model": model, "data": _describe(data), "batch": batch, "templates": templates, "precision": precision}
    config = {**about, "settings": asdict(run)}
    if isinstance(examples, Prepared):
        move_parts(ENCODERS, pipe, torch.device("cpu"))
    with log_run(out, accelerator, config, log) as record, _as_option_error(FloatingPointError):
        train_embedder(
            pipe, batches, examples.names, run, checkpoint=out / "checkpoint.pt",
            on_progress=_join_listeners(record, on_progress),
            evaluate=lambda step: write_samples(pipe, examples, sample_count, out, step, accelerator),
            evaluate_every=min(sample_every, run.steps), accelerator=accelerator, about=about,
            denoising=find_denoising(pipe, run.min_snr),
        )  # fmt: skip
    if accelerator.is_main_process:
        _write_outcome(pipe, examples, run, out, report)
    return out / "embedder"


def _join_listeners(*listeners: Callable[[Progress], None] | None) -> Callable[[Progress], None]:
    def tell(progress: Progress) -> None:
        for listener in listeners:
            if listener is not None:
                listener(progress)

    return tell


def _write_outcome(
    pipe: AudioTokenPipeline, examples: Examples, run: Settings, out: Path, report: str | os.PathLike | None
) -> None:
    """What is written once the training has ended."""
    pipe.audio_embedder.save_pretrained(out / "embedder")
    if run.lora:
        pipe.save_lora_weights(out / "lora", **{f"{pipe.denoiser_name}_lora_layers": lora_state(pipe.denoiser)})
    plot_losses(out)
    write_skipped(out, examples)
    if report is not None:
        write_training_page(Run.read(out), Path(report))


def _open_examples(
    data: Source | Prepared,
    pipe: AudioTokenPipeline,
    size: int | None,
    seconds: float,
    augment: Mapping[str, Any] | None,
    seed: int,
) -> Examples:
    """Prepared examples that fit the pipeline, or a source that is encoded during training."""
    if isinstance(data, Prepared):
        data.check_fits(pipe)
        return data

    pixels = size or own_size(pipe)
    change = make_augment(augment)
    return RawExamples(data, pipe, size=pixels, seconds=seconds, augment=change, seed=seed)


def _describe(data: Source | str | os.PathLike) -> str:
    """The same text for the same data, in every process."""
    return str(data) if isinstance(data, str | os.PathLike) else describe_source(data)


def _make_embedder(
    pipe: AudioTokenPipeline, examples: Examples, parameters: Mapping[str, Any] | None, seed: int
) -> AudioEmbedder:
    """The model's own embedder, or a new one that fits the features and the text encoder."""
    width = examples.load([0]).features.shape[-1]
    own = pipe.audio_embedder
    if parameters is None and own is not None:
        if own.config["input_size"] != width:
            raise OptionError(
                f"The model's embedder reads features {own.config['input_size']} wide, but the data has {width}; "
                "prepare the data with this model, or start a new embedder: embedder={}."
            )
        return own
    with torch.random.fork_rng(), _as_option_error(TypeError, ValueError):
        torch.manual_seed(seed)
        return AudioEmbedder(width, pipe.token_width, **(parameters or {})).to(pipe.denoiser.device)


@contextmanager
def _as_option_error(*kinds: type[Exception]) -> Iterator[None]:
    """Turn these errors into an OptionError, since another option avoids them."""
    try:
        yield
    except kinds as error:
        raise OptionError(str(error)) from error


def _make_settings(values: Mapping[str, Any]) -> Settings:
    """Settings from plain values; OptionError for an unknown name or an invalid value."""
    try:
        settings = Settings(**{**values, "weights": LossWeights(**values.get("weights") or {})})
        check_schedule(settings.schedule)
        return settings
    except (TypeError, ValueError) as error:
        raise OptionError(
            f"Cannot use these settings: {str(error).rstrip('.')}; see audiotoken.training.Settings."
        ) from None


def _check_tracker(log: str | None) -> str | None:
    """The name of the tracker; OptionError if it is not installed."""
    if log is None or log in [
        str(each.value if isinstance(each, LoggerType) else each) for each in get_available_trackers()
    ]:
        return log
    raise OptionError(f"Got log={log}, expected a tracker that Accelerate finds here; install it, or pass log=null.")


def _check_options(precision: str, templates: str, **numbers: int) -> None:
    for name, value, known in (("precision", precision, PRECISIONS), ("templates", templates, TEMPLATES)):
        if value not in known:
            raise OptionError(f"Got {name}={value}, expected one of {', '.join(known)}; change it.")
    for name, number in numbers.items():
        if not (0 if name == "sample_every" else 1) <= number <= MOST[name]:  # 0: no samples
            raise OptionError(f"Got {name}={number}, expected at least 1, at most {MOST[name]}; change it.")


@contextmanager
def show_progress(steps: int | None = None, quiet: bool = False) -> Iterator[Callable[[Progress], None]]:
    """Show loss and speed on stderr: a bar on a terminal, elsewhere a line every ten seconds; nothing when `quiet`."""
    console = Console(stderr=True)
    if quiet:
        yield lambda progress: None
    elif console.is_terminal:
        with _bar(console, steps) as update:
            yield update
    else:
        yield _line_printer(steps)


@contextmanager
def _bar(console: Console, steps: int | None) -> Iterator[Callable[[Progress], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console) as bar:
        task = bar.add_task("loading", total=steps)

        def update(progress: Progress) -> None:
            text = f"loss {progress.losses['total']:.4f}  {progress.images_per_second:.1f} pictures/s"
            bar.update(task, completed=progress.step, description=text)

        yield update


def _line_printer(steps: int | None) -> Callable[[Progress], None]:
    start, last_time, first = time.monotonic(), -10.0, 0

    def print_line(progress: Progress) -> None:
        nonlocal start, last_time, first
        if not first:  # a run that continues does not begin with step 1
            start, first = time.monotonic(), progress.step
        if time.monotonic() - last_time > 10 or progress.step == steps:
            last_time = time.monotonic()
            terms = "  ".join(f"{name} {value:.4f}" for name, value in progress.losses.items())
            total = f"step {progress.step}" if steps is None else f"step {progress.step} of {steps}"
            left = _format_left(progress.step - first, time.monotonic() - start, steps and steps - progress.step)
            print(f"{total}  {terms}  {progress.images_per_second:.1f} pictures/s{left}", file=sys.stderr)

    return print_line


def _format_left(done: int, seconds: float, todo: int | None) -> str:
    """ "  0:12:30 left" by the speed of the steps that are done; empty while it is unknown."""
    if not done or todo is None:
        return ""
    return f"  {timedelta(seconds=round(seconds / done * todo))} left"
