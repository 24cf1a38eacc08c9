"""A folder of stereo clips -> for each what generators that read boxes are told, in one of their forms.

    audiotoken layout clips/ --for flux3 -o layouts/

Names, the manifest, several processes and stopped runs are those of `clip_folder`. Beside the files is `heard.csv`
with a row for each source.

Conventions: azimuths in degrees, positive right; boxes (x0, y0, x1, y1) in [0, 1], origin top left.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from audiotoken.errors import AudioError, OptionError, PromptError
from audiotoken.folder_lock import make_folder
from audiotoken.manifest import Line, fingerprint
from audiotoken.report.gallery import format_source_table
from audiotoken.tasks.clip_folder import (
    TABLE,
    FolderResult,
    FoundClip,
    OnBroken,
    OnProgress,
    OnStep,
    open_folder,
)
from audiotoken.tasks.folder_files import write_report, write_table
from audiotoken.tasks.layout import Sketch, Sketcher, write_layout
from audiotoken.tasks.listen_folder import NOTHING
from audiotoken.tasks.picture_files import check_report
from audiotoken.tasks.place_folder import describe_source, list_sounds
from audiotoken.writing import list_model_paths
from guidance.forms import FORMS
from spatial.errors import SpatialError


def sketch_folder(
    clips: str | os.PathLike,
    output: str | os.PathLike,
    sketcher: Sketcher,
    form: str,
    *,
    report: str | os.PathLike | None = None,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
    on_broken: OnBroken | None = None,
) -> FolderResult:
    """Write the layout of every clip below `clips` into `output`, in one of `FORMS`.

    report: one HTML page of all clips. A clip that cannot be read, or to which the words or the prompt do not fit, is
    skipped and listed in the result; overwrite, on_progress, on_broken: as in `draw_folder`. Raises CheckpointError or
    OptionError.
    """
    if form not in FORMS:
        raise OptionError(f"Got form={form}, expected one of {', '.join(FORMS)}; choose one of these.")
    if report is not None:
        check_report(report)
    folder = open_folder(
        clips,
        output,
        {**_describe_options(sketcher), "form": form},
        endings=[FORMS[form].suffix],
        beside=[TABLE],
        outputs=[report],
        inputs=list_model_paths(sketcher.model),
        overwrite=overwrite,
        verb="wrote",
    )

    def sketch_one(model: Sketcher, group: Sequence[FoundClip], on_step: OnStep | None) -> Iterator[Line | str]:
        (clip,) = group
        try:
            sketch = model.sketch(clip.sound, on_step)
        except (AudioError, PromptError, SpatialError, OptionError) as error:  # the last: not as many words as sounds
            yield f"Cannot use {clip.name}: {error}"
            return
        path = folder.result.output / clip.line["files"][0]
        make_folder(path.parent)
        write_layout(sketch, form, path)
        yield describe_sketch(sketch)

    folder.work(lambda: sketcher, sketch_one, read=lambda clip: clip, on_progress=on_progress, on_broken=on_broken)
    lines = folder.read_lines()
    write_table(folder, lines, format_source_table)
    if report is not None:
        write_report(folder, lines, Path(report), list_sounds, NOTHING)
    return folder.result


def _describe_options(sketcher: Sketcher) -> Line:
    """All options that the layouts depend on, as the manifest has them."""
    named = {"words": list(sketcher.words), "canvas": list(sketcher.canvas), "setting": sketcher.setting}
    return asdict(sketcher.options) | named | {"model": fingerprint(sketcher.model)}


def describe_sketch(sketch: Sketch) -> Line:
    """What the manifest says about a layout: the caption, notes, and the sources that have a name."""
    about = {"text": sketch.layout.caption, "notes": list(sketch.notes)}
    if sketch.listening is None:
        return {"sources": [], **about}
    scene, labels = sketch.listening.scene, sketch.listening.labels
    sources = [
        describe_source(name, None if label is None else label.score, source, sketch.boxes.get(i))
        for i, (name, label, source) in enumerate(zip(sketch.names, labels, scene.sources, strict=True))
        if name
    ]
    return {"recorded": scene.setup, "sources": sources, **about}
