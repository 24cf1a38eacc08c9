"""A model and prepared (or raw) data -> a trained embedder, by the paper's recipe.

    python -m experiments.train data=prepared/vggsound model=sd14-beats out=runs/paper
    python -m experiments.train recipe=published settings.lora=8 settings.min_snr=5 ...
    accelerate launch --multi_gpu -m experiments.train precision=bf16 ...

`audiotoken train` is the same without Hydra; both call `train` below. A run that was stopped goes on when the same
command is given again. In `out`: embedder/ (and lora/), checkpoint.pt, settings.json, losses.csv, losses.png,
samples/ (a grid of pictures every `sample_every` steps) and log/ (TensorBoard).
"""

import csv
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.generate import OptionError, errors_as_sentences, load_parts

if TYPE_CHECKING:  # what takes seconds to import is imported when it is needed
    from audiotoken.examples import Examples
    from audiotoken.training import Progress, Settings

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
        `audiotoken.augment.Augment`).
    settings: of `audiotoken.training.Settings`; `steps` is the only one without a default.
    batch: of a step, all processes together. embedder: the parameters of a new `AudioEmbedder` (pooling,
        tokens_per_clip, dropout); None goes on with the model's own, or begins the paper's where it has none.
    templates: "paper", or "varied" wordings. log: a tracker accelerate knows by name, or None.

    OptionError, CheckpointError or DataError, one sentence each.
    """
    _check_options(precision, templates, batch)
    out = Path(out)
    from accelerate import Accelerator

    from audiotoken.batches import TEMPLATES as VARIED
    from audiotoken.batches import Batches
    from audiotoken.learner import lora_state
    from audiotoken.prompt import TEMPLATE
    from audiotoken.training import train_embedder

    run = _settings(settings or {})
    accelerator = Accelerator(
        cpu=device == "cpu", mixed_precision=precision, log_with=_tracker(log), project_dir=str(out)
    )
    pipe = load_parts(model, str(accelerator.device), PRECISIONS[precision])
    examples = _examples(data, pipe, size, seconds, augment, run.seed)
    pipe.register_modules(audio_embedder=_embedder(pipe, examples, embedder, run.seed))
    wordings = VARIED if templates == "varied" else (TEMPLATE,)
    batches = Batches(
        examples, batch, seed=run.seed, templates=wordings, rank=accelerator.process_index,
        processes=accelerator.num_processes,
    )  # fmt: skip
    about = {"model": model, "data": _describe(data), "batch": batch, "templates": templates, "precision": precision}
    with _records(out, accelerator, {**about, "settings": asdict(run)}, log) as record:

        def report(progress: "Progress") -> None:
            record(progress)
            if on_progress is not None:
                on_progress(progress)

        train_embedder(
            pipe, batches, examples.names, run, checkpoint=out / "checkpoint.pt", progress=report,
            evaluate=lambda step: _sample(pipe, examples, sample_count, out, step, accelerator),
            evaluate_every=sample_every, accelerator=accelerator, about=about,
        )  # fmt: skip
    if accelerator.is_main_process:
        pipe.audio_embedder.save_pretrained(out / "embedder")
        if run.lora:
            pipe.save_lora_weights(out / "lora", unet_lora_layers=lora_state(pipe.unet))
        _plot(out)
        _say_skipped(out, examples)
    return out / "embedder"


def _examples(
    data: Any, pipe: Any, size: int | None, seconds: float, augment: Mapping[str, Any] | None, seed: int
) -> "Examples":
    """Prepared ones from a folder, or a source encoded as it goes."""
    if isinstance(data, str | os.PathLike):
        from audiotoken.prepared import Prepared

        return Prepared(Path(data))

    from audiotoken.augment import Augment
    from audiotoken.examples import RawExamples

    pixels = size or pipe.unet.config.sample_size * pipe.vae_scale_factor
    change = None if augment is None else Augment(**augment)
    return RawExamples(data, pipe, size=pixels, seconds=seconds, augment=change, seed=seed)


def _describe(data: Any) -> str:
    """The same for the same data, in every process."""
    from audiotoken.manifest import describe_source

    return str(data) if isinstance(data, str | os.PathLike) else describe_source(data)


def _embedder(pipe: Any, examples: "Examples", wanted: Mapping[str, Any] | None, seed: int) -> Any:
    """The model's own, or a new one that fits the features and the text encoder."""
    import torch

    from audiotoken.embedder import AudioEmbedder

    width = examples.encoded([0]).features.shape[-1]
    own = pipe.audio_embedder
    if wanted is None and own is not None:
        if own.config["input_size"] != width:
            raise OptionError(
                f"The model's embedder reads features {own.config['input_size']} wide, the data has {width}; "
                "prepare the data with this model, or begin a new embedder: embedder={}."
            )
        return own
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return AudioEmbedder(width, pipe.token_width, **(wanted or {})).to(pipe.unet.device)


def _settings(values: Mapping[str, Any]) -> "Settings":
    """Of plain values; OptionError for a name that is not one."""
    from audiotoken.training import LossWeights, Settings

    try:
        return Settings(**{**values, "weights": LossWeights(**values.get("weights") or {})})
    except TypeError as error:
        raise OptionError(f"Cannot use these settings: {error}; see audiotoken.training.Settings.") from None


def _tracker(log: str | None) -> str | None:
    """The tracker's name; OptionError when it is not installed."""
    from accelerate.tracking import get_available_trackers
    from accelerate.utils import LoggerType

    if log is None or log in [
        str(each.value if isinstance(each, LoggerType) else each) for each in get_available_trackers()
    ]:
        return log
    raise OptionError(f"There is no tracker {log} here, want one that accelerate knows; install it, or say log=null.")


@contextmanager
def _records(
    out: Path, accelerator: Any, config: dict[str, Any], log: str | None
) -> "Iterator[Callable[[Progress], None]]":
    """What a run writes while it goes: settings.json, a line per step in losses.csv, the tracker."""
    if not accelerator.is_main_process:
        yield lambda progress: None
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "settings.json").write_text(json.dumps(config, indent=2, default=str) + "\n")
        stream = (out / "losses.csv").open("a", newline="")
    except OSError as error:
        raise OptionError(f"Cannot write into {out}: {error.strerror}; choose another folder with out=.") from None
    if log is not None:
        accelerator.init_trackers("log", config={key: str(value) for key, value in config.items()})
    with stream:
        writer = csv.writer(stream)

        def record(progress: "Progress") -> None:
            if stream.tell() == 0:
                writer.writerow(["step", *progress.losses, "learning_rate", "images_per_second"])
            values = [*progress.losses.values(), progress.learning_rate, progress.images_per_second]
            writer.writerow([progress.step, *(f"{value:.6g}" for value in values)])
            if log is not None and (progress.step % 10 == 0 or progress.step == 1):
                accelerator.log({f"loss/{name}": value for name, value in progress.losses.items()}, progress.step)
                accelerator.log({"images_per_second": progress.images_per_second}, progress.step)

        try:
            yield record
        finally:
            accelerator.end_training()


def _sample(pipe: Any, examples: "Examples", count: int, out: Path, step: int, accelerator: Any) -> None:
    """A grid: the first clips of the data, drawn; beneath each the picture it came with."""
    import numpy as np
    import torch

    from audiotoken.prompt import TEMPLATE
    from experiments.generate import write_image
    from experiments.report import contact_sheet

    some = examples.encoded(range(min(count, len(examples))))
    tokens = pipe.audio_embedder(some.features.to(pipe.unet.device).float())
    prompts = pipe.read([TEMPLATE] * len(tokens), tokens)
    read = {"prompt_embeds": torch.cat([prompt.embeddings for prompt in prompts])}
    if prompts[0].pooled is not None:  # Stable Diffusion XL
        read["pooled_prompt_embeds"] = torch.cat([prompt.pooled for prompt in prompts])
    drawn = pipe(**read, seed=0).images
    mean = some.moments.chunk(2, dim=1)[0].to(pipe.vae.device, pipe.vae.dtype)
    true = pipe.image_processor.postprocess(pipe.vae.decode(mean).sample, output_type="pil")
    sheet = contact_sheet([*drawn, *true], columns=len(drawn))
    (out / "samples").mkdir(exist_ok=True)
    write_image(sheet, out / "samples" / f"step-{step:06d}.png")
    for tracker in accelerator.trackers:
        if hasattr(tracker, "log_images"):
            order = {"dataformats": "NHWC"} if tracker.name == "tensorboard" else {}
            tracker.log_images({"samples": np.asarray(sheet)[None]}, step=step, **order)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _plot(out: Path) -> None:
    """losses.csv as a picture: each term, smoothed."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np

    with (out / "losses.csv").open(newline="") as stream:
        rows = {int(row["step"]): row for row in csv.DictReader(stream)}  # a step that was done again counts once
    if len(rows) < 2:
        return
    steps = np.array(sorted(rows))
    names = [name for name in rows[steps[0]] if name not in ("step", "learning_rate", "images_per_second")]
    figure, axes = plt.subplots(1, len(names), figsize=(3.2 * len(names), 2.6), layout="constrained")
    wide = max(1, len(steps) // 50)
    for name, axis in zip(names, axes, strict=True):
        values = np.array([float(rows[step][name]) for step in steps])
        axis.plot(steps, values, color="0.85", linewidth=0.8)
        axis.plot(steps[wide - 1 :], np.convolve(values, np.ones(wide) / wide, "valid"), color="C0")
        axis.set(title=name, xlabel="step")
    figure.savefig(out / "losses.png", dpi=110)
    plt.close(figure)


def _check_options(precision: str, templates: str, batch: int) -> None:
    for name, value, known in (("precision", precision, PRECISIONS), ("templates", templates, TEMPLATES)):
        if value not in known:
            raise OptionError(f"Got {name}={value}, want one of {', '.join(known)}; change it.")
    if batch < 1:
        raise OptionError(f"Got batch={batch}, want 1 or more; change it.")


def _say_skipped(out: Path, examples: "Examples") -> None:
    """What could not be read on the way, into skipped.csv; nothing is left out silently."""
    skipped = getattr(examples, "skipped", {})
    if skipped:
        with (out / "skipped.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows([("key", "why"), *skipped.items()])


def main() -> None:
    import hydra

    @hydra.main(version_base=None, config_path="pkg://configs", config_name="train")
    def run(config: Any) -> None:
        with errors_as_sentences(), show_progress() as on_progress:
            folder = train(**options(config), on_progress=on_progress)
            print(f"embedder {folder}")

    run()


def options(config: Any) -> dict[str, Any]:
    """Of a composed config -> the parameters of `train`; the source is made here, as nothing below sees Hydra."""
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    if missing := sorted(OmegaConf.missing_keys(config)):
        raise OptionError(f"Got no {', '.join(missing)}; say {missing[0]}=... as well.")
    values: Any = OmegaConf.to_container(config, resolve=True)
    source = values.pop("source", None)
    if (values["data"] is None) == (source is None):
        raise OptionError(
            "Want either data=FOLDER, made by experiments.prepare, or source=pairs, esc, vggsound or web."
        )
    return {**values, "data": values["data"] if source is None else instantiate(source)}


@contextmanager
def show_progress() -> "Iterator[Callable[[Progress], None]]":
    """A bar with loss and pictures per second on a terminal; a line now and then elsewhere."""
    import sys
    import time

    last = [0.0]

    def line(progress: "Progress") -> None:
        terms = "  ".join(f"{name} {value:.4f}" for name, value in progress.losses.items())
        text = f"step {progress.step}  {terms}  {progress.images_per_second:.1f} pictures/s"
        if sys.stderr.isatty():
            print(f"\r{text}\x1b[K", end="", file=sys.stderr, flush=True)
        elif time.monotonic() - last[0] > 10:
            last[0] = time.monotonic()
            print(text, file=sys.stderr, flush=True)

    yield line
    if sys.stderr.isatty():
        print(file=sys.stderr)


if __name__ == "__main__":
    main()
