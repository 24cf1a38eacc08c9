"""A folder of stereo clips -> a folder of pictures with every source where it is heard.

    audiotoken place clips/ -o placed/ --boxes --report placed.html

Names, the manifest, several processes and stopped runs are those of `clip_folder`. Beside the pictures are `heard.csv`
with a row for each source and `gallery.png`.

Conventions: azimuths in degrees, positive right; boxes (x0, y0, x1, y1) in [0, 1], origin top left.
"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from audiotoken.errors import AudioError, PromptError
from audiotoken.manifest import Line, fingerprint, number_endings
from audiotoken.report.gallery import format_source_table
from audiotoken.report.gallery_page import HeardSound
from audiotoken.tasks.clip_folder import (
    GALLERY,
    TABLE,
    FolderResult,
    LoadedClip,
    OnBroken,
    OnProgress,
    OnStep,
    one_by_one,
    open_folder,
    read_clip,
)
from audiotoken.tasks.folder_files import write_clip_pictures, write_overview
from audiotoken.tasks.picture_files import check_report
from audiotoken.tasks.place import (
    PLACE_SECONDS,
    Models,
    PlaceOptions,
    list_options,
    load_models,
    place_recording,
    with_boxes,
)
from spatial.errors import SpatialError

if TYPE_CHECKING:  # takes seconds to import
    from audiotoken.stereo import DrawOptions, PlanOptions, Result
    from guidance.boxes import Box
    from spatial.scene import Source

BOXES = "-boxes.png"


def place_folder(
    clips: str | os.PathLike,
    output: str | os.PathLike,
    planning: "PlanOptions",
    drawing: "DrawOptions",
    *,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
    on_broken: OnBroken | None = None,
    **more: Any,
) -> FolderResult:
    """Draw every clip below `clips` into `output`; more: the fields of `PlaceOptions`.

    boxes: also NAME-boxes.png of each clip. report: one HTML page of all clips. A clip that cannot be read or placed is
    skipped and listed in the result; overwrite, on_progress, on_broken: as in `draw_folder`. Raises the same errors as
    `place_file`.
    """
    options = PlaceOptions(**more)
    options.check(drawing)
    if options.report is not None:
        check_report(options.report)
    folder = open_folder(
        clips,
        output,
        _describe_options(planning, drawing, options),
        endings=[*number_endings(drawing.count), *([BOXES] if options.boxes else [])],
        beside=(TABLE, GALLERY),
        outputs=[options.report],
        inputs=options.list_inputs(),
        overwrite=overwrite,
    )

    def place_one(models: Models, clip: LoadedClip, on_step: OnStep | None) -> Line:
        result, images = place_recording(clip.recording, clip.rate, models, planning, drawing, options.motion, on_step)
        pictures = [*images, *([with_boxes(result, images[0])] if options.boxes else [])]
        write_clip_pictures(pictures, clip, folder.result.output)
        return describe_result(result, clip.notes)

    folder.work(
        lambda: load_models(options),
        one_by_one(place_one, (AudioError, PromptError, SpatialError), "draw"),
        read=lambda clip: read_clip(clip, PLACE_SECONDS),
        on_progress=on_progress,
        on_broken=on_broken,
    )
    return write_overview(folder, format_source_table, list_sounds, options.report)


def _describe_options(planning: "PlanOptions", drawing: "DrawOptions", options: PlaceOptions) -> Line:
    """All options that the pictures depend on, as the manifest has them."""
    model, control = fingerprint(options.model), options.control_layout
    return list_options(planning, drawing, motion=options.motion, dtype=options.dtype, model=model) | {
        "energy": drawing.energy_name,
        "control": None if control is None else fingerprint(str(control)),
    }


def describe_result(result: "Result", notes: Sequence[str] = ()) -> Line:
    """What the manifest says about a picture: the prompt, notes, and the sources in the order of the scene."""
    sources = []
    for i, source in enumerate(result.scene.sources):
        region, labels = result.regions.get(i), result.heard[i]
        score, box = labels[0][1] if labels else None, None if region is None else region.box
        sources.append(describe_source(result.subjects[i], score, source, box))
    heard = [[each["name"], each["score"] or 0.0] for each in sources]
    about = {"recorded": result.scene.setup, "text": result.prompt.text, "notes": [*result.notes, *notes]}
    return {"heard": heard, "sources": sources, **about}


def describe_source(name: str, score: float | None, source: "Source", box: "Box | None") -> Line:
    """What the manifest says about a source."""
    return {
        "name": name,
        "score": None if score is None else round(float(score), 4),
        "azimuth": round(float(source.direction.azimuth), 2),
        "box": None if box is None else [round(float(edge), 4) for edge in box],
    }


def list_sounds(line: Line) -> list[HeardSound]:
    """The sounds of a card of the gallery."""
    sounds = []
    for each in line.get("sources", ()):
        box = each["box"]
        middle = None if box is None else (box[0] + box[2]) / 2
        details = "" if each["score"] is None else f"{each['score']:.2f}"
        sounds.append(HeardSound(each["name"], each["azimuth"], details, at=middle))
    return sounds
