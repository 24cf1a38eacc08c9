"""A folder of clips -> a folder of pictures; an interrupted run continues.

    python -m experiments.folder clips=clips output=pictures count=2

`audiotoken generate clips/ -o pictures/` does the same without Hydra. Clips are files, and members of tar shards
(WebDataset). Several processes share the work, one a GPU: each is given the same command. The pictures keep the
sub-folders and the names of their clips. The folder also holds `made.jsonl` (one line per clip with all options, so
that the next call draws only what is missing or has changed), `heard.csv` and `gallery.png`. The lines are separate,
unlike the settings of `audiotoken.evaluation.pictures`, because a user adds and replaces clips, and the pictures of the
others stay valid.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiotoken.audio import Recording, as_recording, load_audio
from audiotoken.data.shard_clips import Member, list_members
from audiotoken.errors import AudioError, CheckpointError
from audiotoken.manifest import Line, append_line, fingerprint, is_up_to_date, make_line, picture_names, read_manifest
from audiotoken.model import find_device, load_pipeline
from audiotoken.options import check_options
from audiotoken.placeholder import TEMPLATE
from audiotoken.tasks.claims import Claims, claiming
from audiotoken.tasks.folder_files import GALLERY, MANIFEST, TABLE, count_clips, write_folder_page, write_overview
from audiotoken.tasks.picture_files import check_report
from audiotoken.writing import cannot_write, check_inputs_kept, list_model_paths, write_image

if TYPE_CHECKING:  # takes seconds to import
    from PIL.Image import Image

    from audiotoken.pipeline import AudioTokenPipeline

StepCallback = Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]  # diffusers' callback_on_step_end
STORED_LABELS = 5  # per clip, in the manifest
BATCH_ON_GPU = 4  # clips; larger batches are no faster on a CPU


@dataclass(frozen=True)
class FolderResult:
    """What happened to each clip of a folder."""

    output: Path
    made: list[str] = field(default_factory=list)  # clips drawn now
    kept: list[str] = field(default_factory=list)  # clips whose pictures already existed
    broken: dict[str, str] = field(default_factory=dict)  # clip -> why it was skipped

    def __str__(self) -> str:
        lines = [f"drew   {count_clips(self.made)} into {self.output}"]
        lines += [f"kept   {count_clips(self.kept)} drawn before"] if self.kept else []
        lines += [f"broken {count_clips(self.broken)}, skipped"] if self.broken else []
        lines += [f"heard  {self.output / TABLE}"]
        lines += [f"sheet  {self.output / GALLERY}"] if self.made or self.kept else []
        return "\n".join(lines)


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
    clips, output = Path(clips), Path(output)
    options: Line = {"prompt": prompt, "negative_prompt": negative_prompt, "seed": seed, "count": count, "steps": steps}
    options |= {"guidance": guidance_scale, "token": token, "dtype": dtype, "model": fingerprint(model)}
    if width or height:
        options |= {"width": width, "height": height}
    members, broken = list_members(clips)
    names = picture_names(clips, count, reserved=(Path(GALLERY).stem,), members=members)
    wanted = {
        clip: make_line(clip, *_describe_state(clips / clip, members.get(clip)), pictures, options)
        for clip, pictures in names.items()
    }
    known = (output / MANIFEST).stat().st_size if (output / MANIFEST).is_file() else 0  # bytes, before it is read
    existing = {} if overwrite else read_manifest(output / MANIFEST)
    kept = [clip for clip, line in wanted.items() if is_up_to_date(existing.get(clip), line, output)]
    result = FolderResult(output, kept=kept, broken=dict(broken))
    _check_outputs(output, report, names, clips, members, model)
    for each in broken.items():
        if on_broken:
            on_broken(": ".join(each))
    _make_folder(output)
    lines = [wanted[clip] for clip in wanted if clip not in set(kept)]
    if lines:
        size = batch or (BATCH_ON_GPU if find_device(device).type == "cuda" else 1)
        load = partial(_load_hearing_pipeline, model, device, dtype, offload)
        with claiming(output, output / MANIFEST, known) as claims:
            _draw_lines(lines, claims, result, size, partial(_load_clips, clips, members), load, on_progress, on_broken)
    manifest = read_manifest(output / MANIFEST)
    drawn = {*result.made, *result.kept}
    write_overview(output, [manifest[clip] for clip in wanted if clip in drawn], result.broken)
    if report is not None:
        write_folder_page(output, clips, [*wanted], manifest, result.broken, Path(report))
    return result


def _check_outputs(
    output: Path,
    report: str | os.PathLike | None,
    names: Mapping[str, Sequence[str]],
    clips: Path,
    members: Mapping[str, Member],
    model: str,
) -> None:
    """OptionError, before the work, for a report that cannot be written and for outputs that would replace an input."""
    if report is not None:
        check_report(report)
    pictures = [picture for each in names.values() for picture in each]
    check_inputs_kept(
        [output, report, *(output / name for name in (MANIFEST, TABLE, GALLERY, *pictures))],
        [clips, *(clips / name for name in names), *{one.shard for one in members.values()}, *list_model_paths(model)],
    )


def _draw_lines(
    lines: Sequence[Line],
    claims: Claims,
    result: FolderResult,
    size: int,
    load_clips: Callable[..., Iterator["tuple[Line, Recording, int]"]],
    load: Callable[[], "AudioTokenPipeline"],
    on_progress: Callable[[float, int], None] | None,
    on_broken: Callable[[str], None] | None,
) -> None:
    """Draw the clips of `lines`, `size` at once; at last, one by one, those that another process had claimed."""
    before, pipe = len(result.kept) + len(result.broken), None
    for some, at_once, wait in ((lines, size, False), (claims.missed, 1, True)):
        readable = load_clips(_claim(some, claims, result, wait), result, on_broken)
        while group := list(islice(readable, at_once)):
            pipe = pipe or load()
            done = len(result.made) + len(result.broken) + len(result.kept) - before
            _draw_group(pipe, group, result, _step_callback(on_progress, done, len(group), len(lines)))
            claims.release()


def _claim(lines: Iterable[Line], claims: Claims, result: FolderResult, wait: bool) -> Iterator[Line]:
    """The lines that this process draws. What another process draws meanwhile counts as kept.

    Only a process without claims waits for others, so that no two wait for each other.
    """
    for line in lines:
        if wait:
            claims.release()
        if not claims.take(line["clip"], wait):
            claims.missed.append(line)
        elif is_up_to_date(claims.read_drawn().get(line["clip"]), line, result.output):
            result.kept.append(line["clip"])
        else:
            yield line


def _load_hearing_pipeline(model: str, device: str | None, dtype: str | None, offload: str) -> "AudioTokenPipeline":
    pipe = load_pipeline(model, device, dtype, offload)
    if pipe.audio_encoder is None:
        raise CheckpointError(
            f"The model {model} has no audio encoder, so it cannot hear; `audiotoken assemble` adds one."
        )
    return pipe


def _describe_state(path: Path, member: Member | None) -> tuple[int, float]:
    """(bytes, when it was changed) of a clip."""
    if member is not None:
        return member.size, member.changed
    state = path.stat()
    return state.st_size, state.st_mtime


def _load_clips(
    clips: Path,
    members: Mapping[str, Member],
    lines: Iterable[Line],
    result: FolderResult,
    on_broken: Callable[[str], None] | None,
) -> Iterator["tuple[Line, Recording, int]"]:
    """Load the clips one by one: (line, recording, rate in Hz); list those that cannot be read, and skip them."""
    for line in lines:
        member = members.get(line["clip"])
        try:
            yield line, *(load_audio(clips / line["clip"]) if member is None else member.read())
        except AudioError as error:
            result.broken[line["clip"]] = str(error)
            if on_broken:
                on_broken(str(error))


def _draw_group(
    pipe: "AudioTokenPipeline",
    group: "list[tuple[Line, Recording, int]]",
    result: FolderResult,
    on_step: StepCallback | None,
) -> None:
    """Draw a batch of clips, write the pictures, and only then add a line for each to the manifest."""
    encoder_rate = pipe.audio_encoder.rate
    recordings = [as_recording(recording, rate, resample_to=encoder_rate)[0] for _, recording, rate in group]
    lines = [line for line, _, _ in group]
    labels = [pipe.classify(recording, encoder_rate)[:STORED_LABELS] for recording in recordings]
    images = iter(_draw_images(pipe, recordings, lines[0], on_step))
    for line, scored in zip(lines, labels, strict=True):
        for picture in line["pictures"]:
            _make_folder((result.output / picture).parent)
            write_image(next(images), result.output / picture)
        heard = [[label, round(score, 4)] for label, score in scored]
        _append_to_manifest(result.output / MANIFEST, line | {"heard": heard})
        result.made.append(line["clip"])


def _draw_images(
    pipe: "AudioTokenPipeline", recordings: list[Recording], options: Line, on_step: StepCallback | None
) -> "list[Image]":
    """`count` pictures of each recording, one recording after the other."""
    return pipe(
        recordings,
        options["prompt"] or TEMPLATE,
        rate=pipe.audio_encoder.rate,
        negative_prompt=options["negative_prompt"],
        seed=options["seed"],
        num_images_per_prompt=options["count"],
        num_inference_steps=options["steps"],
        guidance_scale=options["guidance"],
        width=options.get("width"),
        height=options.get("height"),
        callback_on_step_end=on_step,
        token=options["token"],
    ).images


def _step_callback(
    on_progress: Callable[[float, int], None] | None, before: int, clips: int, total: int
) -> StepCallback | None:
    """After each step, report the number of clips done, counting the current batch in part."""
    if on_progress is None:
        return None

    def callback(pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        on_progress(before + clips * (step + 1) / pipe.num_timesteps, total)
        return tensors

    return callback


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from None


def _append_to_manifest(file: Path, line: Line) -> None:
    try:
        append_line(file, line)
    except OSError as error:
        raise cannot_write(file, error) from None
