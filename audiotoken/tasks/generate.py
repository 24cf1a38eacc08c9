"""A clip -> pictures on the disk.

    python -m experiments.generate clip=dog.wav output=dog.png seed=3

`audiotoken generate` is the same without Hydra; both call `generate` below.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from audiotoken import report as reports
from audiotoken import stereo
from audiotoken.audio import LONGEST, load_beginning
from audiotoken.errors import printable
from audiotoken.labels import format_labels
from audiotoken.model import load_pipeline
from audiotoken.options import check_options
from audiotoken.placeholder import PLACEHOLDER
from audiotoken.writing import check_output, write_image

if TYPE_CHECKING:  # what takes seconds to import is imported when it is needed
    from audiotoken.stereo import Result


def generate(
    clip: str | os.PathLike,
    output: str | os.PathLike = "out.png",
    *,
    prompt: str | None = None,
    negative_prompt: str | None = None,
    seed: int = 0,
    count: int = 1,
    steps: int | None = None,
    guidance: float | None = None,
    model: str = "mini",
    token: str | None = None,
    device: str | None = None,
    dtype: str = "float32",
    report: bool = False,
    on_step: Callable[[int, int], None] | None = None,
) -> "Result":
    """Hear `clip`, draw it `count` times, write the pictures (see `files_of`).

    The sound's word is the embedder's (`token="learned"`) or the name of what was heard (`token="label"`); by default
    the embedder's, if the model has one. Steps and guidance are the model's own, the device is the best there is;
    `on_step(done, steps)` is called after each step. Of a file longer than `LONGEST` the beginning is heard, and the
    notes say so. Raises AudioError, CheckpointError, PromptError or OptionError.
    """
    check_options(seed=seed, count=count, steps=steps, guidance=guidance, dtype=dtype, token=token)
    recording, rate, cut = load_beginning(clip, LONGEST)
    check_output(output)  # before the long work

    pipe = load_pipeline(model, device, dtype)
    result = stereo.sound_to_image(
        recording,
        rate,
        pipe,
        prompt=prompt,
        negative_prompt=negative_prompt,
        seed=seed,
        count=count,
        num_inference_steps=steps,
        guidance_scale=guidance,
        on_step=on_step,
        token=token,
        setup="mono",
    )
    result.notes.extend(cut)
    write(result, output, report)
    return result


def say_written(result: "Result", output: str | os.PathLike, report: bool) -> str:
    """What a command says when it is done: what was heard, and where the files are."""
    files = files_of(output, len(result.images), report)
    lines = [f"heard  {format_labels(result.heard[0])}"]
    lines += [] if PLACEHOLDER in result.prompt.text else [f"as     {result.prompt.text}"]  # a label token
    lines += [f"note   {note}" for note in result.notes]
    lines += [f"drew   {path}" for path in files["sheet"] or files["pictures"]]
    lines += [f"report {path}" for path in files["report"]]
    return "\n".join(map(printable, lines))


def files_of(output: str | os.PathLike, count: int, report: bool) -> dict[str, list[Path]]:
    """Names of what is written: `dog.png`; or with count=2 `dog-1.png`, `dog-2.png` and both side by side in `dog.png`.

    The report is `dog-report.png`.
    """
    output = Path(output)
    single = [output] if count == 1 else [output.with_stem(f"{output.stem}-{i + 1}") for i in range(count)]
    return {
        "pictures": single,
        "sheet": [output] if count > 1 else [],
        "report": [output.with_name(f"{output.stem}-report.png")] if report else [],
    }


def write(result: "Result", output: str | os.PathLike, report: bool = False) -> dict[str, list[Path]]:
    """Each file appears whole or not at all."""
    files = files_of(output, len(result.images), report)
    for image, path in zip(result.images, files["pictures"], strict=True):
        write_image(image, path)
    for path in files["sheet"]:
        write_image(reports.figure.contact_sheet(result.images), path)
    for path in files["report"]:
        write_image(reports.figure.draw_report(result), path)
    return files
