"""What a training run writes beside its weights: settings, losses, pictures on the way, what could not be read."""

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from audiotoken.data.examples import Examples
from audiotoken.errors import OptionError
from audiotoken.placeholder import TEMPLATE
from audiotoken.report.figure import contact_sheet
from audiotoken.training import Progress
from audiotoken.writing import write_bytes, write_image


@contextmanager
def records(
    out: Path, accelerator: Any, config: dict[str, Any], log: str | None
) -> Iterator["Callable[[Progress], None]"]:
    """What a run writes while it goes: settings.json, a line per step in losses.csv, the tracker."""
    if not accelerator.is_main_process:
        yield lambda progress: None
        return
    path = out / "losses.csv"
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "settings.json").write_text(json.dumps(config, indent=2, default=str) + "\n")
        path.open("a").close()
    except OSError as error:
        raise OptionError(f"Cannot write into {out}: {error.strerror}; choose another folder with out=.") from None
    if log is not None:
        accelerator.init_trackers("log", config={key: str(value) for key, value in config.items()})
    with ExitStack() as stack:
        streams: list[IO[str]] = []

        def record(progress: "Progress") -> None:
            if not streams:
                _keep_before(progress.step, path)
                streams.append(stack.enter_context(path.open("a", newline="")))
            writer = csv.writer(streams[0])
            if streams[0].tell() == 0:
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


def _keep_before(step: int, path: Path) -> None:
    """A killed run wrote steps that its checkpoint does not know: those that are done again are taken out."""
    head, *rows = path.read_text().splitlines(keepends=True) or [""]
    kept = [row for row in rows if row.endswith("\n") and row.split(",")[0].isdigit() and int(row.split(",")[0]) < step]
    if len(kept) < len(rows):
        write_bytes("".join([head, *kept]).encode(), path)


def sample(pipe: Any, examples: "Examples", count: int, out: Path, step: int, accelerator: Any) -> None:
    """A grid: clips from all over the data, drawn; beneath each the picture it came with."""
    import numpy as np
    import torch

    count = min(count, len(examples))
    some = examples.load([i * len(examples) // count for i in range(count)])
    tokens = pipe.audio_embedder(some.features.to(pipe.unet.device).float())
    drawn = pipe(prompt=pipe.encode_prompts([TEMPLATE] * len(tokens), tokens), seed=0).images
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


def plot_losses(out: Path) -> None:
    """losses.csv as a picture: each term, smoothed."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np

    with (out / "losses.csv").open(newline="") as stream:
        rows = {int(row["step"]): row for row in csv.DictReader(stream)}
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


def say_skipped(out: Path, examples: "Examples") -> None:
    """What could not be read on the way, into skipped.csv; nothing is left out silently."""
    skipped = getattr(examples, "skipped", {})
    if skipped:
        with (out / "skipped.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows([("key", "why"), *skipped.items()])
