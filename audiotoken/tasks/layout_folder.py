"""A folder of stereo clips -> for each what generators that read boxes are told, in one of their forms.

    audiotoken layout clips/ --for flux3 -o layouts/

Names, the manifest, several processes and stopped runs are those of `clip_folder`. Beside the files is `heard.csv`
with a row for each source.

Conventions: azimuths in degrees, positive right; boxes (x0, y0, x1, y1) in [0, 1], origin top left.
"""

import os
from dataclasses import asdict

from audiotoken.errors import AudioError, OptionError, PromptError
from audiotoken.manifest import Line, fingerprint
from audiotoken.report.gallery import format_source_table
from audiotoken.tasks.clip_folder import (
    TABLE,
    FolderResult,
    FoundClip,
    OnBroken,
    OnProgress,
    OnStep,
    one_by_one,
    open_folder,
)
from audiotoken.tasks.folder_files import write_clip_text, write_overview
from audiotoken.tasks.layout import Sketch, Sketcher, format_layout
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

    def sketch_one(model: Sketcher, clip: FoundClip, on_step: OnStep | None) -> Line:
        sketch = model.sketch(clip.sound, on_step)
        write_clip_text(format_layout(sketch.layout, form), clip, folder.result.output)
        return describe_sketch(sketch)

    errors = AudioError, PromptError, SpatialError, OptionError  # the last: not as many words as sounds
    folder.work(
        lambda: sketcher,
        one_by_one(sketch_one, errors, "use"),
        read=lambda clip: clip,
        on_progress=on_progress,
        on_broken=on_broken,
    )
    return write_overview(folder, format_source_table, list_sounds, report, nothing=NOTHING)


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
