"""A recording -> who is where, from left to right, with names where they are known."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module, util
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiotoken.errors import AudioError
from audiotoken.stereo.layouts import check_word_count, make_layout, note_ambient, place_boxes
from guidance.layout import CANVAS, Layout
from spatial.listening import SILENCE_PEAK, listen
from spatial.scene import MAX_SOURCES, MONO_DIRECTION, Scene, Source

UNNAMED = "thing"  # stands for a sound whose name nobody knows
NO_NAMES = (
    "The sounds have no names: write them into words, from left to right and with commas between, or install "
    "spatial-audiotoken beside ComfyUI."
)


@dataclass(frozen=True, eq=False)
class Heard:
    """The sources of a recording from left to right, a name of each, and the layout of those that have a place."""

    scene: Scene
    names: tuple[str, ...]  # one for each source
    boxes: dict[int, tuple[float, float, float, float]]  # by the number of the source; none in mono
    layout: Layout
    notes: tuple[str, ...] = ()

    @property
    def stems(self) -> list[NDArray[np.float32]]:
        """The sound of each source: (2, frames) as it is in the recording, or its signal (1, frames)."""
        return [np.atleast_2d(each.signal if each.image is None else each.image) for each in self.scene.sources]


def hear(
    recording: NDArray[np.float32],
    rate: int,
    *,
    words: Sequence[str] = (),
    model: str = "",
    setup: str = "auto",
    max_sources: int = MAX_SOURCES,
    canvas: tuple[int, int] = CANVAS,
    fov: float = 90.0,
    setting: str = "",
) -> Heard:
    """Find the sources of a (1 or 2, frames) recording and say where they stand in a picture of `canvas` pixels.

    Names: `words` from left to right, one for each sound; otherwise the audio encoder of `model`, if it is not empty
    and spatial-audiotoken is installed; otherwise a stand-in. fov: degrees across the picture. setting: "in a meadow".
    Raises SpatialError, GuidanceError, AudioError for silence, OptionError for words that are too many or too few.
    """
    if np.abs(np.nan_to_num(recording)).max(initial=0) < SILENCE_PEAK:
        raise AudioError("The recording is silent; choose another, or record it louder.")
    scene = listen(recording, rate, setup=setup, max_sources=max_sources, count=len(words) or None)
    if not scene.sources:  # noise from everywhere
        scene = replace(scene, sources=(Source(recording.mean(axis=0), MONO_DIRECTION, image=recording),))
    scene = replace(scene, sources=tuple(sorted(scene.sources, key=lambda each: each.direction.azimuth)))
    names, notes = _name_sources(scene, words, model)
    boxes = place_boxes(scene, range(len(names)), names, fov)
    notes += note_ambient(scene, names)
    layout = make_layout(scene, names, boxes, canvas=canvas, fov=fov, setting=setting)
    return Heard(scene, tuple(names), boxes, layout, (*scene.notes, *notes))


def can_name() -> bool:
    """Whether spatial-audiotoken with its encoders is installed."""
    try:
        return all(util.find_spec(each) is not None for each in ("torch", "audiotoken.stereo.naming"))
    except ModuleNotFoundError:
        return False


def _name_sources(scene: Scene, words: Sequence[str], model: str) -> tuple[list[str], list[str]]:
    """(a name of each source, notes about them)."""
    if words:
        check_word_count(words, len(scene.sources), "listen without words first, and write as many")
        return list(words), []
    if not model or not can_name():
        return [UNNAMED] * len(scene.sources), [NO_NAMES]
    return _ask_encoder(scene, model)


def _ask_encoder(scene: Scene, model: str) -> tuple[list[str], list[str]]:
    """Names by the audio encoder of a model, of the package that is installed."""
    labeller: Any = import_module("audiotoken.stereo.naming").make_scene_labeller(model)
    find_subject: Any = import_module("audiotoken.encoders.audioset").find_subject
    names, notes = [], []
    for number, label in enumerate(labeller(scene), 1):
        subject = None if label is None else find_subject(label.name)
        if label is None or subject is None or not label.sure:
            heard = "has no label" if label is None else f"is not certain (nearest: {label.name})"
            notes.append(f"Sound {number} from the left {heard}; write its name into words.")
        names.append(subject if subject and label.sure else UNNAMED)
    return names, notes
