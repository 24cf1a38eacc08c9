"""`audiotoken layout`: a stereo file -> what generators that read boxes are told, in their forms."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from audiotoken import report as reports
from audiotoken import stereo
from audiotoken.audio import load_beginning
from audiotoken.encoders.audioset import find_subject
from audiotoken.errors import printable
from audiotoken.model import load_pipeline
from audiotoken.stereo.labelled_scene import Label, Listening
from audiotoken.stereo.layouts import check_word_count, make_layout, note_ambient, place_boxes
from audiotoken.stereo.options import PlanOptions
from audiotoken.tasks.checks import STDOUT, check_words
from audiotoken.tasks.listen import listen_to
from audiotoken.tasks.place import PLACE_SECONDS
from audiotoken.writing import encode_text, write_bytes
from guidance.boxes import Box
from guidance.forms import FORMS
from guidance.layout import CANVAS, Layout
from spatial.scene import Scene


@dataclass(frozen=True)
class Sketch:
    """A layout, and sentences about what is not in it and why."""

    layout: Layout
    notes: tuple[str, ...] = ()
    listening: Listening | None = None  # what it was made of


@dataclass(frozen=True, eq=False)
class NamedScene:
    """A scene, the word of each source or None for those that are left out, boxes by source, and notes."""

    scene: Scene
    names: tuple[str | None, ...]
    boxes: dict[int, Box]
    notes: tuple[str, ...]
    listening: Listening


def sketch_layout(
    clip: str | os.PathLike,
    options: PlanOptions,
    *,
    words: Sequence[str] = (),
    canvas: tuple[int, int] = CANVAS,
    setting: str = "",
    model: str = "mini",
    on_progress: Callable[[float, int], None] | None = None,
) -> Sketch:
    """Listen to `clip` and say where each sound belongs in a picture of `canvas` pixels, width and height.

    Names: `words`, from left to right, need no model; with a prompt, its words are matched with the sounds by the whole
    `model`, and it becomes the caption; otherwise the audio encoder of the model names the sounds, and a caption is
    written, in a `setting` such as "in a meadow". With a prompt the first minute of a longer file is listened to.
    Raises AudioError, CheckpointError, PromptError, SpatialError, GuidanceError or OptionError.
    """
    check_words(words, options.prompt)
    if options.prompt:
        return _sketch_with_prompt(clip, options, canvas, model)
    named = name_sounds(clip, options, words=words, model=model, on_progress=on_progress)
    layout = make_layout(named.scene, named.names, named.boxes, canvas=canvas, fov=options.fov, setting=setting)
    return Sketch(layout, named.notes, named.listening)


def name_sounds(
    clip: str | os.PathLike,
    options: PlanOptions,
    *,
    words: Sequence[str] = (),
    model: str = "mini",
    on_progress: Callable[[float, int], None] | None = None,
) -> NamedScene:
    """Listen to `clip` and name its sounds: by `words`, from left to right, or by the audio encoder of the `model`."""
    listening = listen_to(
        clip,
        setup=options.setup,
        spacing=options.spacing,
        max_sources=options.max_sources,
        count=len(words) or None,
        labels=not words,
        model=model,
        on_progress=on_progress,
    )
    scene, notes = listening.scene, list(listening.scene.notes)
    if words:
        names, placeable = _deal_words(words, scene), list(range(len(words)))
    else:
        names, placeable, more = _choose_names(listening.labels, options.unknown)
        notes += more
    boxes = place_boxes(scene, [i for i in placeable if names[i]], names, options.fov)
    notes += note_ambient(scene, names)
    return NamedScene(scene, tuple(names), boxes, tuple(notes), _with_names(listening, names))


def _sketch_with_prompt(clip: str | os.PathLike, options: PlanOptions, canvas: tuple[int, int], model: str) -> Sketch:
    recording, rate, cut = load_beginning(clip, PLACE_SECONDS)
    plan = stereo.make_plan(recording, rate, load_pipeline(model), replace(options, token="label"))
    layout = plan.layout(canvas, fov=options.fov, caption=plan.prompt.text)
    return Sketch(layout, (*plan.notes, *cut), plan.outline(str(clip)))


def _with_names(listening: Listening, names: Sequence[str | None]) -> Listening:
    """Words that were given as the labels."""
    pairs = zip(listening.labels, names, strict=True)
    labels = (Label(name, 1.0, True) if label is None and name else label for label, name in pairs)
    return replace(listening, labels=tuple(labels))


def _deal_words(words: Sequence[str], scene: Scene) -> list[str | None]:
    """The words in the order of the sources; they were given from left to right."""
    check_word_count(words, len(scene.sources), "look with `audiotoken listen`, and give as many")
    names: list[str | None] = [None] * len(words)
    for word, i in zip(words, sorted(range(len(words)), key=lambda i: scene.azimuths[i]), strict=True):
        names[i] = word
    return names


def _choose_names(labels: Sequence[Label | None], unknown: str) -> tuple[list[str | None], list[int], list[str]]:
    """(the word of each source or None, the numbers of those that may have a box, notes about the others)."""
    names: list[str | None] = []
    notes = []
    for number, label in enumerate(labels, 1):
        word = None if label is None else find_subject(label.name)
        if label is None or word is None:
            heard = "has no label" if label is None else f"is {label.name}, which cannot be drawn"
            notes.append(f"Sound {number} {heard}; it is left out.")
        elif not label.sure and unknown != "guess":
            fate = "left out" if unknown == "omit" else "in the caption only"
            notes.append(f"Sound {number} is not one that the encoder knows (nearest: {word}); it is {fate}.")
            word = None if unknown == "omit" else word
        names.append(word)
    placeable = [i for i, label in enumerate(labels) if label and (label.sure or unknown == "guess")]
    return names, placeable, notes


def write_layout(
    sketch: Sketch, form: str, output: Path | None = None, report: Path | None = None, notes: bool = True
) -> str:
    """Write the layout in one of `FORMS` -> the text to print: the form itself where there is no file, or a summary.

    report: an HTML page of the layout and of what was heard.
    """
    if report is not None and sketch.listening is not None:
        reports.listening_page.write_listening_page(
            sketch.listening, report, layout=sketch.layout, notes=(sketch.layout.caption, *sketch.notes)
        )
    text = FORMS[form].write(sketch.layout)
    if output in (None, STDOUT):
        return text.rstrip()
    write_bytes(encode_text(f"{text.rstrip()}\n"), Path(str(output)))
    lines = [
        f"{number}  {entry.word}  box {', '.join(f'{edge:.2f}' for edge in entry.box)}"
        for number, entry in enumerate(sketch.layout.entries, 1)
    ]
    lines += [f"caption  {sketch.layout.caption}", *(f"note  {each}" for each in sketch.notes if notes)]
    return "\n".join(
        map(printable, [*lines, f"wrote  {', '.join(str(each) for each in (output, report) if each is not None)}"])
    )
