"""A folder of stereo clips -> for each the sources, their directions and labels, as JSON.

    audiotoken listen clips/ -o heard/ --report heard.html

Names, the manifest, several processes and stopped runs are those of `clip_folder`. Beside the files is `heard.csv`
with a row for each source.

Conventions: those of `spatial.scene`: degrees, positive to the right; seconds; dB of full scale.
"""

import os
from dataclasses import asdict

from audiotoken.errors import AudioError
from audiotoken.manifest import Line, fingerprint
from audiotoken.report.gallery import format_listening_table
from audiotoken.report.gallery_page import HeardSound
from audiotoken.report.listening_text import list_sources, name_source, to_json
from audiotoken.stereo.labelled_scene import Listening
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
from audiotoken.tasks.listen import Listener
from audiotoken.tasks.picture_files import check_report
from audiotoken.writing import list_model_paths
from spatial.errors import SpatialError

NOTHING = "no source was found"


def listen_to_folder(
    clips: str | os.PathLike,
    output: str | os.PathLike,
    listener: Listener,
    *,
    report: str | os.PathLike | None = None,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
    on_broken: OnBroken | None = None,
) -> FolderResult:
    """Listen to every clip below `clips`, and write NAME.json of each into `output`, as `audiotoken listen --json`.

    report: one HTML page of all clips. A clip that cannot be read or listened to is skipped and listed in the result;
    overwrite, on_progress, on_broken: as in `draw_folder`. A clip is listened to again when it, a model or an option
    has changed. Raises CheckpointError or OptionError.
    """
    if report is not None:
        check_report(report)
    models = [listener.model] * listener.labels + [listener.word_encoder] * bool(listener.words)
    models = [model.partition(":")[2] or model for model in models]  # ced:FOLDER
    folder = open_folder(
        clips,
        output,
        asdict(listener) | {"words": list(listener.words), "weights": [fingerprint(model) for model in models]},
        endings=[".json"],
        beside=[TABLE],
        outputs=[report],
        inputs=[path for model in models for path in list_model_paths(model)],
        overwrite=overwrite,
        verb="wrote",
    )

    def listen_to_one(model: Listener, clip: FoundClip, on_step: OnStep | None) -> Line:
        listening = model.listen(clip.sound, on_progress=on_step)
        write_clip_text(to_json(listening), clip, folder.result.output)
        return describe_listening(listening)

    folder.work(
        lambda: listener,
        one_by_one(listen_to_one, (AudioError, SpatialError), "listen to"),
        read=lambda clip: clip,
        on_progress=on_progress,
        on_broken=on_broken,
    )
    return write_overview(folder, format_listening_table, list_sounds, report, nothing=NOTHING)


def describe_listening(listening: Listening) -> Line:
    """What the manifest says about a clip: the setup, the sources, and notes; `path` says only whether it moves."""
    scene, sources = listening.scene, []
    for entry in list_sources(listening):
        label = entry.pop("label") or {"name": None, "score": None, "sure": None}
        sources.append({**label, **entry, "path": entry["path"][:: max(len(entry["path"]) - 1, 1)]})
    return {"recorded": scene.setup, "sources": sources, "notes": list(scene.notes)}


def list_sounds(line: Line) -> list[HeardSound]:
    """The sounds of a card of the gallery."""
    return [
        HeardSound(
            name_source(each["name"], each["sure"]),
            each["azimuth"],
            "" if each["score"] is None else f"{each['score']:.2f}",
        )
        for each in line.get("sources", ())
    ]
