"""What a training run writes besides its weights: settings, losses, sample pictures, unreadable examples."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import torch
from matplotlib.figure import Figure

from audiotoken.data.examples import Examples, decode_latents
from audiotoken.errors import OptionError
from audiotoken.folder_lock import writing_alone
from audiotoken.loss_table import OTHERS, STEP, check_columns, drop_steps_from, read_losses
from audiotoken.placeholder import TEMPLATE
from audiotoken.report.figure import contact_sheet
from audiotoken.report.spread import spread_evenly
from audiotoken.training import Progress
from audiotoken.writing import encode_text, replace_file, write_bytes, write_image

if TYPE_CHECKING:
    from accelerate import Accelerator

    from audiotoken.pipeline import AudioTokenPipeline


@contextmanager
def log_run(
    out: Path, accelerator: "Accelerator", config: Mapping[str, Any], log: str | None
) -> Iterator[Callable[[Progress], None]]:
    """Write settings.json, then a line of losses.csv and of the tracker `log` for each step that is reported.

    OptionError if another process trains into the same folder, DataError if the losses that are there cannot be read.
    """
    if not accelerator.is_main_process:
        yield lambda progress: None
        return
    path = out / "losses.csv"
    with ExitStack() as stack:
        stack.enter_context(writing_alone(out))
        try:
            write_bytes(encode_text(json.dumps(config, indent=2, default=str) + "\n"), out / "settings.json")
            path.open("a").close()
        except OSError as error:
            raise OptionError(f"Cannot write into {out}: {error.strerror}; choose another folder.") from None
        read_losses(path)  # before the long work
        if log is not None:
            accelerator.init_trackers("log", config={key: str(value) for key, value in config.items()})
        streams: list[IO[str]] = []

        def record(progress: Progress) -> None:
            names = [STEP, *progress.losses, *OTHERS]
            if not streams:
                check_columns(names, path)
                drop_steps_from(progress.step, path)
                streams.append(stack.enter_context(path.open("a", newline="")))
            writer = csv.writer(streams[0])
            if streams[0].tell() == 0:
                writer.writerow(names)
            values = [*progress.losses.values(), progress.learning_rate, progress.images_per_second]
            writer.writerow([progress.step, *(f"{value:.6g}" for value in values)])
            if log is not None and (progress.step % 10 == 0 or progress.step == 1):
                accelerator.log({f"loss/{name}": value for name, value in progress.losses.items()}, progress.step)
                accelerator.log({"images_per_second": progress.images_per_second}, progress.step)

        try:
            yield record
        finally:
            accelerator.end_training()


def write_samples(
    pipe: "AudioTokenPipeline", examples: Examples, count: int, out: Path, step: int, accelerator: "Accelerator"
) -> None:
    """Draw clips from all over the data into a grid; below each is the picture that came with it."""
    some = examples.load(spread_evenly(range(len(examples)), count))
    device, usual = pipe.denoiser.device, pipe.vae.device
    tokens = pipe.audio_embedder(some.features.to(device).float())
    move_parts(["vae"], pipe, device)
    samples = pipe(prompt=pipe.encode_prompts([TEMPLATE] * len(tokens), tokens), seed=0).images
    mean = some.moments.chunk(2, dim=1)[0].to(device, pipe.vae.dtype)
    true = pipe.image_processor.postprocess(decode_latents(pipe.vae, mean), output_type="pil")
    move_parts(["vae"], pipe, usual)
    sheet = contact_sheet([*samples, *true], columns=len(samples))
    (out / "samples").mkdir(exist_ok=True)
    write_image(sheet, out / "samples" / f"step-{step:06d}.png")
    for tracker in accelerator.trackers:
        if hasattr(tracker, "log_images"):
            order = {"dataformats": "NHWC"} if tracker.name == "tensorboard" else {}
            tracker.log_images({"samples": np.asarray(sheet)[None]}, step=step, **order)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def move_parts(names: Iterable[str], pipe: "AudioTokenPipeline", device: torch.device) -> None:
    """Move these parts of a pipeline, where it has them, to the device; on a GPU their memory is free then."""
    for name in names:
        if (part := getattr(pipe, name)) is not None:
            part.to(device)


def plot_losses(out: Path) -> None:
    """Plot each term of losses.csv, smoothed, into losses.png."""
    table = read_losses(out / "losses.csv")
    if len(table.steps) < 2:
        return
    steps, names = np.array(table.steps), list(table.losses)
    figure = Figure(figsize=(3.2 * len(names), 2.6), layout="constrained")
    axes = figure.subplots(1, len(names), squeeze=False)[0]
    wide = max(1, len(steps) // 50)
    for name, axis in zip(names, axes, strict=True):
        values = np.array(table.losses[name])
        axis.plot(steps, values, color="0.85", linewidth=0.8)
        axis.plot(steps[wide - 1 :], np.convolve(values, np.ones(wide) / wide, "valid"), color="C0")
        axis.set(title=name, xlabel="step")
    with replace_file(out / "losses.png") as temporary:
        figure.savefig(temporary, dpi=110)


def write_skipped(out: Path, examples: Examples) -> None:
    """List the examples that could not be read in skipped.csv, so that none is left out silently."""
    skipped = getattr(examples, "skipped", {})
    if skipped:
        with replace_file(out / "skipped.csv") as temporary, temporary.open("w", newline="") as stream:
            csv.writer(stream).writerows([("key", "why"), *skipped.items()])
