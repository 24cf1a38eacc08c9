"""`audiotoken layout`: a stereo file -> what generators that read boxes are told, in their forms."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from audiotoken import report as reports
from audiotoken import stereo
from audiotoken.data.shard_clips import Member, read_beginning
from audiotoken.encoders.audioset import find_subject
from audiotoken.errors import printable
from audiotoken.model import load_pipeline
from audiotoken.stereo.labelled_scene import Label, Listening
from audiotoken.stereo.layouts import check_word_count, make_layout, note_ambient, place_boxes
from audiotoken.stereo.options import PlanOptions
from audiotoken.tasks.checks import STDOUT, check_words
from audiotoken.tasks.listen import Listener, OnProgress
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
    names: tuple[str | None, ...] = ()  # of the sources that were heard; None for those that are left out
    boxes: Mapping[int, Box] = field(default_factory=dict)  # by source


@dataclass(frozen=True, eq=False)
class NamedScene:
    """A scene, the word of each source or None for those that are left out, boxes by source, and notes."""

    scene: Scene
    names: tuple[str | None, ...]
    boxes: dict[int, Box]
    notes: tuple[str, ...]
    listening: Listening


@dataclass(frozen=True)
class Sketcher:
    """How layouts are made of clips, for pictures of `canvas` pixels, width and height.

    Names: `words`, from left to right, need no model; with a prompt, its words are matched with the sounds by the whole
    `model`, and it becomes the caption; otherwise the audio encoder of the model names the sounds, and a caption is
    written, in a `setting` such as "in a meadow". With a prompt the first minute of a longer file is listened to.
    Models are loaded when the first clip needs them, and only once. Raises OptionError or SpatialError.
    """

    options: PlanOptions
    words: Sequence[str] = ()
    canvas: tuple[int, int] = CANVAS
    setting: str = ""
    model: str = "mini"

    def __post_init__(self) -> None:
        check_words(self.words, self.options.prompt, self.options.max_sources)
        _ = self.namer  # checks the other options

    @cached_property
    def namer(self) -> "SoundNamer":
        return SoundNamer(self.options, self.words, self.model)

    @cached_property
    def pipe(self) -> Any:
        return load_pipeline(self.model)

    def sketch(self, clip: str | os.PathLike | Member, on_progress: OnProgress | None = None) -> Sketch:
        """Listen to a file, or to a member of a shard, and say where each sound belongs in a picture.

        Raises AudioError, CheckpointError, PromptError, SpatialError, GuidanceError, or OptionError if the number of
        words is not that of the sounds.
        """
        if self.options.prompt:
            return self._sketch_with_prompt(clip)
        named, fov = self.namer.name_sounds(clip, on_progress), self.options.fov
        layout = make_layout(named.scene, named.names, named.boxes, canvas=self.canvas, fov=fov, setting=self.setting)
        return Sketch(layout, named.notes, named.listening, named.names, named.boxes)

    def _sketch_with_prompt(self, clip: str | os.PathLike | Member) -> Sketch:
        recording, rate, cut = read_beginning(clip, PLACE_SECONDS)
        plan = stereo.make_plan(recording, rate, self.pipe, replace(self.options, token="label"))
        layout = plan.layout(self.canvas, fov=self.options.fov, caption=plan.prompt.text)
        boxes = {i: region.box for i, region in plan.regions.items()}
        return Sketch(layout, (*plan.notes, *cut), plan.outline(str(clip)), tuple(plan.subjects), boxes)


def sketch_layout(
    clip: str | os.PathLike, options: PlanOptions, *, on_progress: OnProgress | None = None, **more: Any
) -> Sketch:
    """`Sketcher.sketch` for one clip; more: the other fields of `Sketcher`."""
    return Sketcher(options, **more).sketch(clip, on_progress)


class SoundNamer:
    """Names the sounds of clips by `words`, from left to right, or by the audio encoder of the `model`."""

    def __init__(self, options: PlanOptions, words: Sequence[str] = (), model: str = "mini"):
        self.options, self.words = options, words
        self.listener = Listener(
            setup=options.setup,
            spacing=options.spacing,
            max_sources=options.max_sources,
            count=len(words) or None,
            labels=not words,
            model=model,
        )

    def name_sounds(self, clip: str | os.PathLike | Member, on_progress: OnProgress | None = None) -> NamedScene:
        """Listen to a clip and name its sounds; the errors are those of `Sketcher.sketch`."""
        listening = self.listener.listen(clip, on_progress=on_progress)
        scene, notes = listening.scene, list(listening.scene.notes)
        if self.words:
            names, placeable = _deal_words(self.words, scene), list(range(len(self.words)))
        else:
            names, placeable, more = _choose_names(listening.labels, self.options.unknown)
            notes += more
        boxes = place_boxes(scene, [i for i in placeable if names[i]], names, self.options.fov)
        notes += note_ambient(scene, names)
        return NamedScene(scene, tuple(names), boxes, tuple(notes), _with_names(listening, names))


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


def format_layout(layout: Layout, form: str) -> str:
    """The layout in one of `FORMS`, as a file has it."""
    return f"{FORMS[form].write(layout).rstrip()}\n"


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
    text = format_layout(sketch.layout, form)
    if output in (None, STDOUT):
        return text.rstrip()
    write_bytes(encode_text(text), Path(str(output)))
    lines = [
        f"{number}  {entry.word}  box {', '.join(f'{edge:.2f}' for edge in entry.box)}"
        for number, entry in enumerate(sketch.layout.entries, 1)
    ]
    lines += [f"caption  {sketch.layout.caption}", *(f"note  {each}" for each in sketch.notes if notes)]
    return "\n".join(
        map(printable, [*lines, f"wrote  {', '.join(str(each) for each in (output, report) if each is not None)}"])
    )
