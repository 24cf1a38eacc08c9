"""`audiotoken place` and `animate`: a stereo file -> a picture or film with every source where it is heard."""

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import guidance
from audiotoken import report as reports
from audiotoken import stereo
from audiotoken.audio import load_beginning
from audiotoken.errors import OptionError, printable
from audiotoken.hub_access import use_hub_if_reachable
from audiotoken.model import load_pipeline
from audiotoken.options import check_options
from audiotoken.tasks.picture_files import EXTRA, FILMS, check_outputs, path_beside, write_pictures
from audiotoken.writing import list_model_paths, write_image

if TYPE_CHECKING:  # takes seconds to import
    from PIL.Image import Image

    from audiotoken.audio import Recording
    from audiotoken.protocols import SoundPipeline
    from audiotoken.stereo import DrawOptions, PlanOptions, Result

    OnStep = Callable[[int, int], None]

MOTIONS = ("middle", "trail")
PLACE_SECONDS = 60.0  # seconds that are listened to, as on the page
TRAIL = 3  # pictures of a moving source
FRAMES = (2, 200)  # of a film: fewest and most


@dataclass(frozen=True)
class PlaceOptions:
    """How clips are placed, beside what is planned and drawn.

    motion: a moving source is drawn in the "middle" of its path, or as a "trail" of several pictures of which the last
    is the clearest. boxes: also write the first picture with the box of each source. report: an HTML page that explains
    the result. control_layout: a ControlNet for segmentation, folder or hub id, that is given the boxes as a
    segmentation map.
    """

    model: str = "mini"
    device: str | None = None
    dtype: str | None = None
    offload: str = "none"
    motion: str = "middle"  # one of MOTIONS
    boxes: bool = False
    report: str | os.PathLike | None = None
    control_layout: str | os.PathLike | None = None

    def check(self, drawing: "DrawOptions") -> None:
        """OptionError for options that do not fit together; the command line allows less than the library does."""
        if self.motion not in MOTIONS:
            raise OptionError(f'Got motion="{self.motion}", expected one of {", ".join(MOTIONS)}; change it.')
        if self.motion == "trail" and self.control_layout is not None:
            raise OptionError(
                "A ControlNet draws one picture, but a trail is made of several; leave out one of the two."
            )
        if self.motion == "trail" and drawing.count > 1:
            raise OptionError(f"Got count={drawing.count} with a trail, expected 1; leave out one of the two.")
        _check_drawing(drawing, self.dtype, self.offload)

    def list_inputs(self) -> list[Path]:
        """The files of the models, which no output may replace."""
        return [*list_model_paths(self.model), *list_model_paths(self.control_layout)]


def place_file(
    clip: str | os.PathLike,
    output: str | os.PathLike,
    planning: "PlanOptions",
    drawing: "DrawOptions",
    *,
    on_step: "OnStep | None" = None,
    **more: Any,
) -> "Result":
    """Listen to `clip`, draw it and write the picture, or several (names: see `picture_files`).

    more: the fields of `PlaceOptions`. Only the first minute of a longer file is listened to; the notes say so.
    `boxes` is written to OUTPUT-boxes.png, and the map of a ControlNet then to OUTPUT-control.png. Raises AudioError,
    CheckpointError, PromptError, SpatialError, GuidanceError or OptionError.
    """
    options = PlaceOptions(**more)
    options.check(drawing)
    recording, rate, cut = load_beginning(clip, PLACE_SECONDS)
    boxes, report = options.boxes, options.report
    inputs = (clip, *options.list_inputs())
    check_outputs(output, report, inputs=inputs, count=drawing.count, beside=EXTRA if boxes else ())

    models = load_models(options)
    drawing = replace(drawing, keep_maps=report is not None)
    result, images = place_recording(recording, rate, models, planning, drawing, options.motion, on_step)
    result = replace(result, notes=[*result.notes, *cut])
    write_pictures(images, output)
    if boxes:
        write_image(with_boxes(result, images[0]), path_beside(output, "boxes"))
        if result.control is not None:
            write_image(result.control, path_beside(output, "control"))
    if report is not None:
        named = {"model": options.model, "device": options.device, "dtype": options.dtype}
        listed = list_options(planning, drawing, **named, control_layout=options.control_layout)
        picture = images[0] if options.motion == "trail" else None
        reports.result_page.write_page(result, Path(report), options=listed, picture=picture)
    return result


class Models(NamedTuple):
    """What places a recording."""

    pipe: "SoundPipeline"
    control: Any = None  # a ControlNet


def load_models(options: PlaceOptions) -> Models:
    """The pipeline, and the ControlNet of a folder or hub id for it. Raises CheckpointError or OptionError."""
    pipe = load_pipeline(options.model, options.device, options.dtype, options.offload)
    if options.control_layout is None:
        return Models(pipe)
    use_hub_if_reachable(options.control_layout)
    return Models(pipe, guidance.load_controlnet(options.control_layout, pipe))


def place_recording(
    recording: "Recording",
    rate: int,
    models: Models,
    planning: "PlanOptions",
    drawing: "DrawOptions",
    motion: str = "middle",
    on_step: "OnStep | None" = None,
) -> "tuple[Result, list[Image]]":
    """Draw a recording, (channels, frames) at `rate` Hz: (result, its pictures, or the one of a trail)."""
    pipe, control = models
    plan = stereo.make_plan(recording, rate, pipe, planning)
    if motion == "trail":
        result = stereo.film_plan(plan, pipe, drawing, frames=TRAIL, trail=True, fov=planning.fov, on_step=on_step)
        return result, [stereo.draw_trail(result.images, result.frames)]
    result = stereo.draw_plan(plan, pipe, drawing, control=control, on_step=on_step)
    return result, result.images


def animate_file(
    clip: str | os.PathLike,
    output: str | os.PathLike,
    planning: "PlanOptions",
    drawing: "DrawOptions",
    *,
    model: str = "mini",
    device: str | None = None,
    dtype: str | None = None,
    offload: str = "none",
    frames: int = 12,
    report: str | os.PathLike | None = None,
    on_step: "OnStep | None" = None,
) -> "Result":
    """Listen to `clip`, draw `frames` pictures of it and write them as a film of the same length.

    The film is a GIF, or an MP4 with the sound in it. report: as in `PlaceOptions`.
    """
    if not FRAMES[0] <= frames <= FRAMES[1]:
        raise OptionError(f"Got frames={frames}, expected {FRAMES[0]} to {FRAMES[1]}; change it.")
    _check_drawing(drawing, dtype, offload)
    recording, rate, cut = load_beginning(clip, PLACE_SECONDS)
    check_outputs(output, report, FILMS, inputs=(clip, *list_model_paths(model)))

    pipe = load_pipeline(model, device, dtype, offload)
    drawing = replace(drawing, keep_maps=report is not None)
    plan = stereo.make_plan(recording, rate, pipe, planning)
    result = stereo.film_plan(plan, pipe, drawing, frames=frames, fov=planning.fov, on_step=on_step)
    result = replace(result, notes=[*result.notes, *cut])
    stereo.write_film(result.images, recording, rate, Path(output))
    if report is not None:
        options = list_options(planning, drawing, model=model, device=device, dtype=dtype)
        reports.result_page.write_page(result, Path(report), options=options, film=Path(output))
    return result


def _check_drawing(drawing: "DrawOptions", dtype: str | None, offload: str) -> None:
    numbers = {name: getattr(drawing, name) for name in ("seed", "count", "guidance_scale", "width", "height")}
    check_options(dtype=dtype, offload=offload, steps=drawing.num_inference_steps, **numbers)


def list_options(planning: "PlanOptions", drawing: "DrawOptions", **others: Any) -> dict[str, Any]:
    """All options by name, for the report's list of settings."""
    options = asdict(planning) | asdict(drawing) | others
    return {name: value for name, value in options.items() if name not in ("keep_maps", "output_type")}


def format_summary(
    result: "Result",
    output: str | os.PathLike,
    boxes: bool = False,
    report: str | os.PathLike | None = None,
    notes: bool = True,
) -> str:
    """What the commands print at the end: the setup, each source with its box, notes, the prompt and the files."""
    lines = [f"setup  {result.scene.setup}"]
    for i, source in enumerate(result.scene.sources):
        region = result.regions.get(i)
        box = "without a box" if region is None else f"box {', '.join(f'{edge:.2f}' for edge in region.box)}"
        text = reports.listening_text
        azimuth = text.format_path(source) or text.format_azimuth(source.direction.azimuth)
        lines.append(f"{i + 1}  {result.subjects[i]}  {azimuth}  {box}")
    lines += result.notes if notes else []
    extra = ["boxes"] * boxes + ["control"] * (boxes and result.control is not None)
    files = [output, *(path_beside(output, name) for name in extra), *([report] if report is not None else [])]
    lines += [f"prompt  {result.prompt.text}", f"wrote  {', '.join(map(str, files))}"]
    return "\n".join(map(printable, lines))


def with_boxes(result: "Result", picture: "Image | None" = None, size: int = 512) -> "Image":
    """The picture, by default the first, with the labelled box of each source."""
    # a third-party import inside a function: Pillow waits until there are pictures
    from PIL import Image, ImageDraw

    sheet = (picture or result.images[0]).convert("RGB").resize((size, size), Image.Resampling.LANCZOS)
    colours = reports.listening_figure.COLOURS
    pen = ImageDraw.Draw(sheet)
    for i, region in result.regions.items():
        x0, y0, x1, y1 = (edge * (size - 1) for edge in region.box)
        pen.rectangle((x0, y0, x1, y1), outline=colours[i % len(colours)], width=3)
        pen.text((x0 + 6, y0 + 4), region.label, fill=colours[i % len(colours)], font_size=18)
    return sheet
