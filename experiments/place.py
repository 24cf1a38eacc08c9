"""`audiotoken place`: a stereo file in, a picture with everything where it is heard out."""

import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from experiments.generate import OptionError, check_options, check_output, load_parts, write_bytes, write_image

if TYPE_CHECKING:
    from experiments.placing import Placed

UNMATCHED = ("add", "drop")
LONGEST = 30.0  # seconds that are listened to


def place_file(
    clip: str | os.PathLike,
    output: str | os.PathLike = "placed.png",
    *,
    unmatched: str = "add",
    boxes: bool = False,
    on_step: Callable[[int, int], None] | None = None,
    **options: Any,
) -> "Placed":
    """Listen to `clip`, draw it, write the picture; with `boxes` also OUTPUT-boxes.png: where things belong.

    A file longer than half a minute is listened to at its beginning, and the notes say so. `options` are `model` and
    `device`, `steps` and `guidance` (scale), and those of `placing.place`. Raises AudioError, CheckpointError,
    PromptError, SpatialError, GuidanceError or OptionError.
    """
    if unmatched not in UNMATCHED:
        raise OptionError(f'Got unmatched="{unmatched}", want one of {", ".join(UNMATCHED)}; change it.')
    recording, rate, cut = _loaded(clip, options)
    check_output(output)  # before the long work

    from experiments.placing import place  # takes seconds; the lines above answer at once

    parts, sampling = _parts(options)
    steps = sampling["steps"] or parts.config.get("default_steps", 50)
    told = (lambda step: on_step(step + 1, steps)) if on_step else None
    placed = place(recording, rate, parts, unmatched=unmatched, on_step=told, **sampling)
    placed.notes.extend(cut)
    write_image(placed.images[0], Path(output))
    if boxes:
        write_image(with_boxes(placed), boxes_path(output))
    return placed


def animate_file(
    clip: str | os.PathLike,
    output: str | os.PathLike = "placed.gif",
    *,
    frames: int = 12,
    on_step: Callable[[int, int], None] | None = None,
    **options: Any,
) -> "Placed":
    """Listen to `clip`, draw `frames` pictures of it, write them as a GIF that is as long as what was listened to."""
    if not 2 <= frames <= 200:
        raise OptionError(f"Got frames={frames}, want 2 to 200; change it.")
    recording, rate, cut = _loaded(clip, options)
    check_output(output, (".gif",))

    from experiments.placing import animate

    parts, sampling = _parts(options)
    placed = animate(recording, rate, parts, frames=frames, on_step=on_step, **sampling)
    placed.notes.extend(cut)
    content = BytesIO()
    first, *others = (image.convert("RGB") for image in placed.images)
    pace = round(1000 * recording.shape[-1] / rate / frames)
    first.save(content, "GIF", save_all=True, append_images=others, duration=pace, loop=0)
    write_bytes(content.getvalue(), Path(output))
    return placed


def _loaded(clip: str | os.PathLike, options: dict[str, Any]) -> tuple[NDArray, int, list[str]]:
    """(recording, rate, notes) of at most `LONGEST`, after a look at the options."""
    from audiotoken.audio import load_audio

    numbers = {name: options.get(name) for name in ("seed", "steps", "guidance")}
    check_options(dtype="float32", token=options.get("token"), **numbers)
    recording, rate = load_audio(clip)
    frames = round(LONGEST * rate)
    cut = [f"The first {LONGEST:g} seconds were listened to; cut the file to hear others."]
    return recording[:, :frames], rate, cut if recording.shape[1] > frames else []


def _parts(options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The pipeline, and the options that are left for drawing, by the names they have there."""
    left = dict(options)
    parts = load_parts(left.pop("model", "mini"), left.pop("device", None))
    scale, steps = left.pop("guidance", None), left.pop("steps", None)
    return parts, {**left, "guidance_scale": scale, "steps": steps}


def said(placed: "Placed", output: str | os.PathLike, boxes: bool) -> str:
    """What the command prints."""
    from experiments.listening_text import say_azimuth

    lines = [f"setup  {placed.scene.setup}"]
    for i, source in enumerate(placed.scene.sources):
        region = placed.regions.get(i)
        where = "without a place" if region is None else f"box {', '.join(f'{edge:.2f}' for edge in region.box)}"
        lines.append(f"{i + 1}  {placed.subjects[i]}  {say_azimuth(source.direction.azimuth)}  {where}")
    lines += placed.notes
    files = [str(output), *([str(boxes_path(output))] if boxes else [])]
    return "\n".join([*lines, f"prompt  {placed.text}", f"wrote  {', '.join(files)}"])


def with_boxes(placed: "Placed", size: int = 512) -> Any:
    """The picture with the box of each source and what it is."""
    from PIL import Image, ImageDraw

    from experiments.plots import COLOURS

    picture = placed.images[0].convert("RGB").resize((size, size), Image.Resampling.LANCZOS)
    pen = ImageDraw.Draw(picture)
    for i, region in placed.regions.items():
        x0, y0, x1, y1 = (edge * (size - 1) for edge in region.box)
        pen.rectangle((x0, y0, x1, y1), outline=COLOURS[i % len(COLOURS)], width=3)
        pen.text((x0 + 6, y0 + 4), region.label, fill=COLOURS[i % len(COLOURS)], font_size=18)
    return picture


def boxes_path(output: str | os.PathLike) -> Path:
    """street.png -> street-boxes.png."""
    path = Path(output)
    return path.with_name(f"{path.stem}-boxes{path.suffix}")
