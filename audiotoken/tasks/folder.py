"""A folder of clips -> a folder of pictures; an interrupted run continues.

    python -m experiments.folder clips=clips output=pictures count=2

`audiotoken generate clips/ -o pictures/` does the same without Hydra. Several processes share the work, one a GPU: each
is given the same command. See `clip_folder` for the clips, the names and the manifest; `heard.csv` and `gallery.png`
are beside the pictures.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiotoken import stereo
from audiotoken.audio import as_recording
from audiotoken.errors import CheckpointError
from audiotoken.manifest import Line, fingerprint, number_endings
from audiotoken.model import find_device, load_pipeline
from audiotoken.options import check_options
from audiotoken.report.gallery import LABELS, format_label_table
from audiotoken.report.gallery_page import HeardSound
from audiotoken.tasks.clip_folder import (
    GALLERY,
    TABLE,
    FolderResult,
    LoadedClip,
    OnStep,
    open_folder,
    read_clip,
)
from audiotoken.tasks.folder_files import write_clip_pictures, write_overview
from audiotoken.tasks.picture_files import check_report
from audiotoken.writing import list_model_paths

if TYPE_CHECKING:  # takes seconds to import
    from audiotoken.pipeline import AudioTokenPipeline

StepCallback = Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]  # diffusers' callback_on_step_end
STORED_LABELS = 5  # per clip, in the manifest
AUDIBLE = 0.05  # score from which the report names a label
BATCH_ON_GPU = 4  # clips; larger batches are no faster on a CPU


def draw_folder(
    clips: str | os.PathLike,
    output: str | os.PathLike = "pictures",
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
    batch: int | None = None,
    overwrite: bool = False,
    report: str | os.PathLike | None = None,
    on_progress: Callable[[float, int], None] | None = None,
    on_broken: Callable[[str], None] | None = None,
) -> FolderResult:
    """Draw every sound file below `clips` into `output`; the options are those of `generate`.

    `batch` clips are drawn at once (default: 4 on a GPU, else 1). A clip is drawn again when it, the model or an option
    has changed, or with `overwrite`. report: one HTML page of all pictures, sounds and labels, to share. A clip that
    cannot be read is skipped and listed in the result, and `on_broken(message)` is called. After each step
    `on_progress(clips done, clips to draw)` is called. Raises the same errors as `generate`.
    """
    check_options(
        seed=seed,
        count=count,
        steps=steps,
        guidance_scale=guidance_scale,
        width=width,
        height=height,
        batch=batch,
        dtype=dtype,
        offload=offload,
        token=token,
    )
    words: Line = {"prompt": prompt, "negative_prompt": negative_prompt, "token": token}
    numbers: Line = {"seed": seed, "count": count, "steps": steps}
    drawing = words | numbers | {"guidance_scale": guidance_scale, "width": width, "height": height}
    options = words | numbers | {"guidance": guidance_scale, "dtype": dtype, "model": fingerprint(model)}
    if width or height:
        options |= {"width": width, "height": height}
    if report is not None:
        check_report(report)
    folder = open_folder(
        clips,
        output,
        options,
        endings=number_endings(count),
        beside=(TABLE, GALLERY),
        outputs=[report],
        inputs=list_model_paths(model),
        overwrite=overwrite,
    )
    on_gpu = bool(folder.pending) and find_device(device).type == "cuda"  # torch is imported only if there is work
    folder.work(
        lambda: _load_hearing_pipeline(model, device, dtype, offload),
        lambda pipe, group, on_step: _draw_group(pipe, group, folder.result.output, drawing, on_step),
        read=read_clip,
        size=batch or (BATCH_ON_GPU if on_gpu else 1),
        on_progress=on_progress,
        on_broken=on_broken,
    )
    return write_overview(folder, format_label_table, _list_sounds, report)


def _load_hearing_pipeline(model: str, device: str | None, dtype: str | None, offload: str) -> "AudioTokenPipeline":
    pipe = load_pipeline(model, device, dtype, offload)
    if pipe.audio_encoder is None:
        raise CheckpointError(
            f"The model {model} has no audio encoder, so it cannot hear; `audiotoken assemble` adds one."
        )
    return pipe


def _draw_group(
    pipe: "AudioTokenPipeline",
    group: Sequence[LoadedClip],
    output: Path,
    options: Mapping[str, Any],
    on_step: OnStep | None,
) -> Iterator[Line | str]:
    """Draw a batch of clips, and write the pictures of each."""
    encoder_rate = pipe.audio_encoder.rate
    recordings = [as_recording(each.recording, each.rate, resample_to=encoder_rate)[0] for each in group]
    labels = [pipe.classify(recording, encoder_rate)[:STORED_LABELS] for recording in recordings]
    drawn = stereo.draw_sounds(pipe, recordings, encoder_rate, on_step_end=_step_callback(on_step), **options)
    for clip, scored, each in zip(group, labels, drawn, strict=True):
        if each.rejected:
            yield f"Cannot draw {clip.name}: the model's safety checker rejected every picture."
            continue
        write_clip_pictures(each.images, clip, output)
        heard = [[label, round(score, 4)] for label, score in scored]
        yield {"heard": heard, "notes": [*clip.notes, *each.notes]}


def _step_callback(on_step: OnStep | None) -> StepCallback | None:
    if on_step is None:
        return None

    def callback(pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        on_step(step + 1, pipe.num_timesteps)
        return tensors

    return callback


def _list_sounds(line: Line) -> list[HeardSound]:
    best = (line.get("heard") or [])[:LABELS]
    return [HeardSound(label, details=f"{score:.2f}") for label, score in best if score >= AUDIBLE]
