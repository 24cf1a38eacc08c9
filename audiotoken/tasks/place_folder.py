"""A folder of stereo clips -> a folder of pictures with every source where it is heard.

    audiotoken place clips/ -o placed/ --boxes --report placed.html

Names, the manifest, several processes and stopped runs are those of `clip_folder`. Beside the pictures are `heard.csv`
with a row for each source and `gallery.png`.

Conventions: azimuths in degrees, positive right; boxes (x0, y0, x1, y1) in [0, 1], origin top left.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiotoken.errors import AudioError, PromptError
from audiotoken.manifest import Line, fingerprint, number_endings
from audiotoken.model import load_pipeline
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
    make_folder,
    open_folder,
)
from audiotoken.tasks.folder_files import write_overview, write_report
from audiotoken.tasks.picture_files import check_report
from audiotoken.tasks.place import (
    PLACE_SECONDS,
    check_placing,
    list_options,
    load_control,
    place_recording,
    with_boxes,
)
from audiotoken.writing import list_model_paths, write_image
from spatial.errors import SpatialError

if TYPE_CHECKING:  # takes seconds to import
    from audiotoken.stereo import DrawOptions, PlanOptions, Result

BOXES = "-boxes.png"


def place_folder(
    clips: str | os.PathLike,
    output: str | os.PathLike,
    planning: "PlanOptions",
    drawing: "DrawOptions",
    *,
    model: str = "mini",
    device: str | None = None,
    dtype: str | None = None,
    offload: str = "none",
    motion: str = "middle",
    boxes: bool = False,
    report: str | os.PathLike | None = None,
    control_layout: str | os.PathLike | None = None,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
    on_broken: OnBroken | None = None,
) -> FolderResult:
    """Draw every clip below `clips` into `output`; the options are those of `place_file`, all others of `draw_folder`.

    boxes: also NAME-boxes.png of each clip. report: one HTML page of all clips. A clip that cannot be read or placed is
    skipped and listed in the result. Raises the same errors as `place_file`.
    """
    check_placing(drawing, motion, control_layout, dtype, offload)
    if report is not None:
        check_report(report)
    options = list_options(planning, drawing, motion=motion, dtype=dtype, model=fingerprint(model))
    options |= {
        "energy": drawing.energy_name,
        "control": None if control_layout is None else fingerprint(str(control_layout)),
    }
    folder = open_folder(
        clips,
        output,
        options,
        endings=[*number_endings(drawing.count), *([BOXES] if boxes else [])],
        beside=(TABLE, GALLERY),
        outputs=[report],
        inputs=(*list_model_paths(model), *list_model_paths(control_layout)),
        overwrite=overwrite,
    )

    def load() -> tuple[Any, Any]:
        pipe = load_pipeline(model, device, dtype, offload)
        return pipe, load_control(control_layout, pipe)

    def place_one(loaded: tuple[Any, Any], group: Sequence[LoadedClip], on_step: OnStep | None) -> Iterator[Line | str]:
        pipe, control = loaded
        (clip,) = group
        try:
            result, images = place_recording(
                clip.recording, clip.rate, pipe, planning, drawing, motion, control, on_step
            )
        except (AudioError, PromptError, SpatialError) as error:
            yield f"Cannot draw {clip.name}: {error}"
            return
        pictures = [*images, *([with_boxes(result, images[0])] if boxes else [])]
        for picture, name in zip(pictures, clip.line["files"], strict=True):
            make_folder((folder.result.output / name).parent)
            write_image(picture, folder.result.output / name)
        yield describe_result(result, clip.notes)

    folder.work(load, place_one, seconds=PLACE_SECONDS, on_progress=on_progress, on_broken=on_broken)
    lines = folder.read_lines()
    write_overview(folder, lines, format_source_table)
    if report is not None:
        write_report(folder, lines, Path(report), list_sounds)
    return folder.result


def describe_result(result: "Result", notes: Sequence[str] = ()) -> Line:
    """What the manifest says about a picture: the prompt, notes, and the sources in the order of the scene."""
    sources = []
    for i, source in enumerate(result.scene.sources):
        region = result.regions.get(i)
        sources.append(
            {
                "name": result.subjects[i],
                "score": round(float(result.heard[i][0][1]), 4) if result.heard[i] else None,
                "azimuth": round(float(source.direction.azimuth), 2),
                "box": None if region is None else [round(float(edge), 4) for edge in region.box],
            }
        )
    heard = [[each["name"], each["score"] or 0.0] for each in sources]
    about = {"recorded": result.scene.setup, "text": result.prompt.text, "notes": [*result.notes, *notes]}
    return {"heard": heard, "sources": sources, **about}


def list_sounds(line: Line) -> list[HeardSound]:
    """The sounds of a card of the gallery."""
    sounds = []
    for each in line.get("sources", ()):
        box = each["box"]
        middle = None if box is None else (box[0] + box[2]) / 2
        details = "" if each["score"] is None else f"{each['score']:.2f}"
        sounds.append(HeardSound(each["name"], each["azimuth"], details, at=middle))
    return sounds
