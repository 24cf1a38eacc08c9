"""A folder of clips -> a folder of pictures, which can be stopped and goes on where it was.

    python -m experiments.folder clips=clips output=pictures count=2

`audiotoken generate clips/ -o pictures/` is the same without Hydra. The pictures keep the sub-folders and the names of
their clips. Beside them stand `made.jsonl` (a line for each clip: what it was drawn with, so that the next call draws
only what is missing or asked for differently), `heard.csv` and `gallery.png`.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiotoken.audio import Recording, as_recording, load_audio
from audiotoken.errors import AudioError, CheckpointError
from audiotoken.manifest import Line, append_line, fingerprint, is_up_to_date, make_line, picture_names, read_manifest
from audiotoken.model import find_device, load_pipeline
from audiotoken.options import check_options
from audiotoken.placeholder import TEMPLATE
from audiotoken.report.gallery import format_label_table, gallery
from audiotoken.writing import cannot_write, write_bytes, write_image

if TYPE_CHECKING:  # what takes seconds to import is imported when it is needed
    from audiotoken.pipeline import AudioTokenPipeline

MANIFEST, TABLE, GALLERY = "made.jsonl", "heard.csv", "gallery.png"
KEPT = 5  # labels of a clip that the manifest remembers
BATCH_ON_GPU = 4  # clips; on a CPU several at once are no faster


@dataclass(frozen=True)
class Drawn:
    """What became of a folder of clips."""

    output: Path
    made: list[str] = field(default_factory=list)  # clips drawn now
    kept: list[str] = field(default_factory=list)  # clips whose pictures were there already
    broken: dict[str, str] = field(default_factory=dict)  # clip -> the sentence why it was skipped

    def __str__(self) -> str:
        said = [f"drew   {_clips(self.made)} into {self.output}"]
        said += [f"kept   {_clips(self.kept)} drawn before"] * bool(self.kept)
        said += [f"broken {_clips(self.broken)}, skipped"] * bool(self.broken)
        said += [f"heard  {self.output / TABLE}"]
        return "\n".join(said + [f"sheet  {self.output / GALLERY}"] * bool(self.made or self.kept))


def draw_folder(
    clips: str | os.PathLike,
    output: str | os.PathLike = "pictures",
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
    batch: int | None = None,
    overwrite: bool = False,
    on_progress: Callable[[float, int], None] | None = None,
    on_broken: Callable[[str], None] | None = None,
) -> Drawn:
    """Draw every sound file below `clips` into `output`; the options mean what they mean in `generate`.

    `batch` clips are drawn at once (default: 4 on a GPU, else 1). A clip is drawn again when it, the model or an option
    has changed, or with `overwrite`. A clip that cannot be heard is skipped: it stands in the result, and
    `on_broken(sentence)` is called. `on_progress(clips done, clips to draw)` is called after each step. Errors as in
    `generate`.
    """
    check_options(seed=seed, count=count, steps=steps, guidance=guidance, batch=batch, dtype=dtype, token=token)
    clips, output = Path(clips), Path(output)
    asked: Line = {"prompt": prompt, "negative_prompt": negative_prompt, "seed": seed, "count": count, "steps": steps}
    asked |= {"guidance": guidance, "token": token, "dtype": dtype, "model": fingerprint(model)}
    names = picture_names(clips, count, reserved=(Path(GALLERY).stem,))
    wanted = {clip: make_line(clips, clip, pictures, asked) for clip, pictures in names.items()}
    there = {} if overwrite else read_manifest(output / MANIFEST)
    drawn = Drawn(output, kept=[clip for clip, line in wanted.items() if is_up_to_date(there.get(clip), line, output)])
    lines = [line for clip, line in wanted.items() if clip not in set(drawn.kept)]
    _make_folder(output)
    if lines:
        size = batch or (BATCH_ON_GPU if find_device(device).type == "cuda" else 1)
        hearable, pipe = _hear(clips, lines, drawn, on_broken), None
        while group := list(islice(hearable, size)):
            pipe = pipe or _load_ears(model, device, dtype)
            done = len(drawn.made) + len(drawn.broken)
            _draw_group(pipe, group, drawn, _steps(on_progress, done, len(group), len(lines)))
    _summarise(drawn, [*wanted])
    return drawn


def _load_ears(model: str, device: str | None, dtype: str) -> "AudioTokenPipeline":
    pipe = load_pipeline(model, device, dtype)
    if pipe.audio_encoder is None:
        raise CheckpointError(
            f"The model {model} has no audio encoder, so it cannot hear; `audiotoken assemble` adds one."
        )
    return pipe


def _hear(
    clips: Path, lines: list[Line], drawn: Drawn, on_broken: Callable[[str], None] | None
) -> Iterator["tuple[Line, Recording, int]"]:
    """The lines whose clips can be heard, each with its recording and rate, one by one as they are asked for."""
    for line in lines:
        try:
            yield line, *load_audio(clips / line["clip"])
        except AudioError as error:
            drawn.broken[line["clip"]] = str(error)
            if on_broken:
                on_broken(str(error))


def _draw_group(
    pipe: "AudioTokenPipeline", group: "list[tuple[Line, Recording, int]]", drawn: Drawn, on_step: Any
) -> None:
    """Draw a batch of clips, write the pictures, and only then a line for each into the manifest."""
    wanted = pipe.audio_encoder.rate
    recordings = [as_recording(recording, rate, resample_to=wanted)[0] for _, recording, rate in group]
    lines = [line for line, _, _ in group]
    heard = [pipe.classify(recording, wanted)[:KEPT] for recording in recordings]
    images = iter(_draw(pipe, recordings, lines[0], on_step))
    for line, labels in zip(lines, heard, strict=True):
        for picture in line["pictures"]:
            _make_folder((drawn.output / picture).parent)
            write_image(next(images), drawn.output / picture)
        _remember(drawn.output / MANIFEST, line | {"heard": [[label, round(score, 4)] for label, score in labels]})
        drawn.made.append(line["clip"])


def _draw(pipe: "AudioTokenPipeline", recordings: list[Any], asked: Line, on_step: Any) -> list[Any]:
    """`count` pictures of each recording, one recording after the other."""
    return pipe(
        recordings,
        asked["prompt"] or TEMPLATE,
        rate=pipe.audio_encoder.rate,
        negative_prompt=asked["negative_prompt"],
        seed=asked["seed"],
        num_images_per_prompt=asked["count"],
        num_inference_steps=asked["steps"],
        guidance_scale=asked["guidance"],
        callback_on_step_end=on_step,
        token=asked["token"],
    ).images


def _steps(on_progress: Callable[[float, int], None] | None, before: int, clips: int, total: int) -> Any:
    """After each step: how many clips are done, this batch's in part."""
    if on_progress is None:
        return None

    def callback(pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        on_progress(before + clips * (step + 1) / pipe.num_timesteps, total)
        return tensors

    return callback


def _summarise(drawn: Drawn, clips: list[str]) -> None:
    """The table and the sheet of all that is there, drawn now or before."""
    manifest = read_manifest(drawn.output / MANIFEST)
    lines = [manifest[clip] for clip in clips if clip in {*drawn.made, *drawn.kept}]
    write_bytes(format_label_table(lines, drawn.broken).encode(), drawn.output / TABLE)
    if lines:
        write_image(gallery(lines, drawn.output), drawn.output / GALLERY)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from None


def _remember(file: Path, line: Line) -> None:
    try:
        append_line(file, line)
    except OSError as error:
        raise cannot_write(file, error) from None


def _clips(names: Any) -> str:
    return "1 clip" if len(names) == 1 else f"{len(names)} clips"
