"""`audiotoken place` and `animate`: a stereo file in, a picture with everything where it is heard out."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

import guidance
from audiotoken import report as reports
from audiotoken import stereo
from audiotoken.audio import load_beginning
from audiotoken.errors import OptionError, printable
from audiotoken.model import load_pipeline
from audiotoken.options import check_options
from audiotoken.writing import check_output, write_image

if TYPE_CHECKING:  # what takes seconds to import is imported when it is needed
    from audiotoken.stereo import Result

CHOICES = {"unmatched": ("add", "drop"), "unknown": ("guess", "unplaced"), "motion": ("middle", "trail")}
FILMS = (".gif", ".mp4")
PAGES = (".html", ".htm")
LONGEST = 30.0  # seconds that are listened to
TRAIL = 3  # pictures of a thing on its way


def place_file(
    clip: str | os.PathLike,
    output: str | os.PathLike = "placed.png",
    *,
    motion: str = "middle",
    boxes: bool = False,
    report: str | os.PathLike | None = None,
    control_layout: str | os.PathLike | None = None,
    on_step: Callable[[int, int], None] | None = None,
    **options: Any,
) -> "Result":
    """Listen to `clip`, draw it, write the picture; with `boxes` also OUTPUT-boxes.png: where things belong.

    A file longer than half a minute is listened to at its beginning, and the notes say so. motion: what moves is drawn
    in the "middle" of its way, or as a "trail" of several, the last the clearest. report: a page of how it came about.
    control_layout: a ControlNet for segmentation, folder or hub id, that is shown where things belong; with `boxes`
    what it was shown is OUTPUT-control.png. `options` are `model`, `device`, `steps` and `guidance` (scale), and those
    of `stereo.sound_to_image`. Raises AudioError, CheckpointError, PromptError, SpatialError, GuidanceError or
    OptionError.
    """
    if control_layout is not None and motion == "trail":
        raise OptionError("A ControlNet is shown one picture, and a trail is several; leave out one of the two.")
    recording, rate, cut = _loaded(clip, options | {"motion": motion})
    check_output(output)  # before the long work
    if report is not None:
        check_output(report, PAGES)

    pipe, drawing = _pipe_and_options(options | {"keep_maps": report is not None})
    if control_layout is not None:
        drawing["control"] = guidance.load_control(control_layout, pipe)
    if motion == "trail":
        result = stereo.sound_to_film(recording, rate, pipe, frames=TRAIL, trail=True, on_step=on_step, **drawing)
    else:
        result = stereo.sound_to_image(recording, rate, pipe, on_step=on_step, **drawing)
    result = replace(result, notes=[*result.notes, *cut])
    picture = stereo.draw_trail(result.images, result.frames) if motion == "trail" else result.images[0]
    write_image(picture, Path(output))
    if boxes:
        write_image(with_boxes(result, picture), boxes_path(output))
        if result.control is not None:
            write_image(result.control, boxes_path(output, "control"))
    if report is not None:
        shown = options if control_layout is None else options | {"control_layout": control_layout}
        reports.result_page.write_page(
            result, Path(report), options=shown, picture=picture if motion == "trail" else None
        )
    return result


def animate_file(
    clip: str | os.PathLike,
    output: str | os.PathLike = "placed.gif",
    *,
    frames: int = 12,
    report: str | os.PathLike | None = None,
    on_step: Callable[[int, int], None] | None = None,
    **options: Any,
) -> "Result":
    """Listen to `clip`, draw `frames` pictures of it, write them as a film that is as long as what was listened to.

    A GIF, or an MP4 that has the sound in it. report: as in `place_file`.
    """
    if not 2 <= frames <= 200:
        raise OptionError(f"Got frames={frames}, want 2 to 200; change it.")
    recording, rate, cut = _loaded(clip, options)
    check_output(output, FILMS)
    if report is not None:
        check_output(report, PAGES)

    pipe, drawing = _pipe_and_options(options | {"keep_maps": report is not None})
    result = stereo.sound_to_film(recording, rate, pipe, frames=frames, on_step=on_step, **drawing)
    result = replace(result, notes=[*result.notes, *cut])
    stereo.write_film(result.images, recording, rate, Path(output))
    if report is not None:
        reports.result_page.write_page(result, Path(report), options=options, film=Path(output))
    return result


def _loaded(clip: str | os.PathLike, options: dict[str, Any]) -> tuple[NDArray, int, list[str]]:
    """(recording, rate, notes) of at most `LONGEST`, after a look at the options."""
    numbers = {name: options.get(name) for name in ("seed", "steps", "guidance")}
    check_options(dtype="float32", token=options.get("token"), **numbers)
    for name, known in CHOICES.items():
        if options.get(name, known[0]) not in known:
            raise OptionError(f'Got {name}="{options[name]}", want one of {", ".join(known)}; change it.')
    return load_beginning(clip, LONGEST)


def _pipe_and_options(options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The pipeline, and the options that are left for drawing, by the names they have there."""
    left = dict(options)
    pipe = load_pipeline(left.pop("model", "mini"), left.pop("device", None))
    left |= {"num_inference_steps": left.pop("steps", None), "guidance_scale": left.pop("guidance", None)}
    return pipe, left


def said(result: "Result", output: str | os.PathLike, boxes: bool = False, report: Any = None) -> str:
    """What the command prints."""
    lines = [f"setup  {result.scene.setup}"]
    for i, source in enumerate(result.scene.sources):
        region = result.regions.get(i)
        where = "without a place" if region is None else f"box {', '.join(f'{edge:.2f}' for edge in region.box)}"
        lines.append(
            f"{i + 1}  {result.subjects[i]}  {reports.listening_text.format_azimuth(source.direction.azimuth)}  {where}"
        )
    lines += result.notes
    beside = ["boxes"] * boxes + ["control"] * (boxes and result.control is not None)
    files = [output, *(boxes_path(output, name) for name in beside), *([report] if report else [])]
    lines += [f"prompt  {result.prompt.text}", f"wrote  {', '.join(map(str, files))}"]
    return "\n".join(map(printable, lines))


def with_boxes(result: "Result", picture: Any = None, size: int = 512) -> Any:
    """A picture, the first by default, with the box of each source and what it is."""
    from PIL import Image, ImageDraw

    drawn = (picture or result.images[0]).convert("RGB").resize((size, size), Image.Resampling.LANCZOS)
    colours = reports.listening_figure.COLOURS
    pen = ImageDraw.Draw(drawn)
    for i, region in result.regions.items():
        x0, y0, x1, y1 = (edge * (size - 1) for edge in region.box)
        pen.rectangle((x0, y0, x1, y1), outline=colours[i % len(colours)], width=3)
        pen.text((x0 + 6, y0 + 4), region.label, fill=colours[i % len(colours)], font_size=18)
    return drawn


def boxes_path(output: str | os.PathLike, name: str = "boxes") -> Path:
    """street.png -> street-boxes.png."""
    path = Path(output)
    return path.with_name(f"{path.stem}-{name}{path.suffix}")
