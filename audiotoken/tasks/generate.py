"""A clip -> pictures on the disk.

    python -m experiments.generate clip=dog.wav output=dog.png seed=3

`audiotoken generate` does the same without Hydra; both call `generate` below.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiotoken import report as reports
from audiotoken import stereo
from audiotoken.audio import MAX_SECONDS, load_beginning
from audiotoken.errors import printable
from audiotoken.labels import format_labels
from audiotoken.model import load_pipeline
from audiotoken.options import check_options
from audiotoken.placeholder import PLACEHOLDER
from audiotoken.tasks.picture_files import PAGES, REPORTS, check_outputs, write_pictures
from audiotoken.writing import list_model_paths, write_image

if TYPE_CHECKING:  # takes seconds to import
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
    guidance_scale: float | None = None,
    width: int | None = None,
    height: int | None = None,
    model: str = "mini",
    token: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    offload: str = "none",
    report: str | os.PathLike | None = None,
    on_step: Callable[[int, int], None] | None = None,
) -> "Result":
    """Draw what is heard in `clip`, `count` times, and write the pictures (names: see `picture_files`).

    The word for the sound is the embedder's (`token="learned"`) or the label of what was heard (`token="label"`); by
    default the embedder's, if the model has one. Steps and guidance scale default to the model's own, the device to
    the best one available. report: a picture (PNG, JPEG, WebP) or an HTML page that explains the result.
    `on_step(done, steps)` is called after each step. Only the first `MAX_SECONDS` of a clip are heard; the notes say so
    when it is longer. Raises AudioError, CheckpointError, PromptError or OptionError.
    """
    check_options(
        seed=seed,
        count=count,
        steps=steps,
        guidance_scale=guidance_scale,
        width=width,
        height=height,
        dtype=dtype,
        offload=offload,
        token=token,
    )
    recording, rate, notes = load_beginning(clip, MAX_SECONDS)
    check_outputs(  # before the long work
        output, report, report_suffixes=REPORTS, inputs=(clip, *list_model_paths(model)), count=count
    )

    pipe = load_pipeline(model, device, dtype, offload)
    drawing: dict[str, Any] = {"token": token, "num_inference_steps": steps, "guidance_scale": guidance_scale}
    result = stereo.sound_to_image(
        recording,
        rate,
        pipe,
        prompt=prompt,
        negative_prompt=negative_prompt,
        seed=seed,
        count=count,
        width=width,
        height=height,
        on_step=on_step,
        setup="mono",
        **drawing,
    )
    result.notes.extend(notes)
    write_pictures(result.images, output)
    if report is not None:
        facts = {"negative_prompt": negative_prompt, "model": model, "device": device, "dtype": dtype}
        write_report(result, Path(report), drawing | facts)
    return result


def write_report(result: "Result", path: Path, options: Mapping[str, object]) -> None:
    """An HTML page or, by its suffix, a picture of what was heard and drawn."""
    if path.suffix.lower() in PAGES:
        reports.result_page.write_page(result, path, options=options)
    else:
        write_image(reports.figure.draw_report(result), path)


def format_summary(
    result: "Result", output: str | os.PathLike, report: str | os.PathLike | None = None, notes: bool = True
) -> str:
    """What the command prints at the end: what was heard, notes, and where the files are."""
    lines = [f"heard  {format_labels(result.heard[0])}"]
    lines += [] if PLACEHOLDER in result.prompt.text else [f"as     {result.prompt.text}"]  # a label token
    lines += [f"note   {note}" for note in result.notes if notes]
    lines += [f"drew   {output}"]
    lines += [f"report {report}"] if report is not None else []
    return "\n".join(map(printable, lines))
