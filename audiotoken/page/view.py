"""The values that the page's scripts draw. Scripts insert texts as text, never as HTML."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from audiotoken.page.background import Progress
from audiotoken.page.edits import AUTO, Placement, clean_name, compute_boxes
from audiotoken.report import media
from audiotoken.report.listening_figure import css_colour
from audiotoken.report.listening_text import format_azimuth, format_path, format_setup, format_spans
from audiotoken.stereo.generation import Result
from audiotoken.stereo.labelled_scene import compute_outline
from audiotoken.stereo.planning import Plan
from spatial.camera import SIZES

Values = dict[str, Any]  # plain values: str, float, bool, None, lists and dictionaries of them

COLUMNS = 360  # of the waveform
SMALL_VOCABULARY = 5000  # tokens; published text encoders have 30,000 and more
END = "</w>"  # of a word, in CLIP's tokenizer
LABELS = 3  # shown for each source, best first
PLAYER_BUDGET, FILM_BUDGET = 3_000_000, 20_000_000  # characters
EMPTY: Values = {"kind": "empty"}


def waveform_state(planned: Plan) -> Values:
    """Both channels as SVG paths, scaled to a peak of 1, and the times when each source is active."""
    recording = planned.recording[:2]
    shape = compute_outline(recording, COLUMNS)
    peak = max(float(np.abs(shape).max(initial=0)), 1e-9)
    spans = [
        {"colour": css_colour(i), "spans": [list(span) for span in source.active]}
        for i, source in enumerate(planned.scene.sources)
    ]
    return {
        "seconds": recording.shape[1] / planned.rate,
        "channels": [_svg_outline(channel / peak) for channel in shape],
        "names": ["left", "right"] if len(shape) == 2 else ["mono"],
        "sources": spans,
    }


def _svg_outline(channel: NDArray[np.float32]) -> str:
    """The closed outline of (columns, 2) lowest and highest values; x is the column, y points down."""
    upper = [f"{i},{-high:.3f}" for i, (_, high) in enumerate(channel)]
    lower = [f"{i},{-low:.3f}" for i, (low, _) in reversed(list(enumerate(channel)))]
    return f"M{' '.join([*upper, *lower])}Z"


def scene_state(
    planned: Plan,
    placements: Sequence[Placement],
    fov: float,
    players: Sequence[str] = (),
    vocabulary: Sequence[str] | None = None,
) -> Values:
    """The second step: each source as heard and as placed. vocabulary: of `list_vocabulary`."""
    return {
        "kind": "scene",
        "stamp": uuid4().hex,
        "summary": summarise_scene(planned),
        "fov": fov,
        "limit": 90,
        "slider": {"title": "Size", "low": SIZES[0], "high": SIZES[1], "factor": 100, "unit": "%"},
        "vocabulary": vocabulary,
        "words": [word.text for word in planned.words],
        "sources": [_source_value(planned, i, placement, players) for i, placement in enumerate(placements)],
        "notes": list(planned.scene.notes),
    }


def summarise_scene(planned: Plan) -> str:
    """How many sources were found, in one sentence."""
    number = len(planned.scene.sources)
    found = {0: "No sounds were found", 1: "One sound was found"}.get(number, f"{number} sounds were found")
    if planned.scene.setup == "mono":
        return f"{found} in one channel; you can place it by hand."
    return f"{found}; recorded as {format_setup(planned.scene)}."


def _source_value(planned: Plan, i: int, placement: Placement, players: Sequence[str]) -> Values:
    source = planned.scene.sources[i]
    automatic = {pair.source: pair.token for pair in planned.matches}.get(i)
    return {
        "number": i + 1,
        "colour": css_colour(i),
        "name": placement.name or planned.subjects[i],
        "given": placement.name,
        "subject": planned.subjects[i],
        "known": planned.known[i],
        "labels": [[name, score] for name, score in planned.heard[i][:LABELS]],
        "details": describe_source(planned, i),
        "heard": source.direction.azimuth,
        "path": [azimuth for _, azimuth in source.path],
        "spread": source.direction.spread if planned.scene.setup != "mono" else 0.0,
        "azimuth": placement.azimuth,
        "size": placement.size,
        "mode": placement.mode,
        "word": placement.word,
        "auto": planned.words[automatic].text if automatic is not None else None,
        "player": players[i] if i < len(players) else None,
    }


def describe_source(planned: Plan, i: int) -> str:
    """Direction, spread, confidence and times of a source, as far as they are known."""
    source = planned.scene.sources[i]
    where = [format_azimuth(source.direction.azimuth)] if planned.scene.setup != "mono" else []
    where = [format_path(source).replace("->", "→")] if source.moves else where
    spread = [f"±{source.direction.spread:.0f}°"] if where and source.direction.spread >= 1 else []
    confidence = [f"confidence {source.direction.confidence:.2f}"] if where else []
    return " · ".join([*where, *spread, *confidence, *([format_spans(source.active)] if source.active else [])])


def encode_players(planned: Plan) -> list[str]:
    """The signal of each source as a data URI."""
    return media.encode_sounds([source.signal for source in planned.scene.sources], planned.rate, PLAYER_BUDGET)[0]


def list_vocabulary(pipe: Any) -> list[str] | None:
    """The words that a model has read, of a small one with a vocabulary of its own; None for those that read all."""
    tokenizer = getattr(pipe, "tokenizer", None)
    if tokenizer is None or len(tokenizer) > SMALL_VOCABULARY:
        return None
    return [token.removesuffix(END) for token in tokenizer.get_vocab() if token.endswith(END)]


def read_placements(value: Any, planned: Plan, before: Sequence[Placement]) -> list[Placement]:
    """The placements that the page sent; `before` if they do not belong to this recording.

    Raises OptionError for values out of range.
    """
    sent = value.get("sources") if isinstance(value, dict) else None
    if not isinstance(sent, list) or len(sent) != len(before):
        return list(before)
    return [_read_placement(each, placement) for each, placement in zip(sent, before, strict=True)]


def _read_placement(sent: Any, before: Placement) -> Placement:
    """One placement; numbers that did not change keep all their digits."""
    try:
        azimuth, size = float(sent["azimuth"]), float(sent["size"])
        azimuth = before.azimuth if abs(azimuth - before.azimuth) < 1e-6 else azimuth
        size = before.size if abs(size - before.size) < 1e-6 else size
        name = clean_name(str(sent.get("given", "")))
        return Placement(azimuth, size, str(sent["mode"]), str(sent.get("word", AUTO)), name)
    except (TypeError, KeyError):
        return before


def sketch_state(planned: Plan, placements: Sequence[Placement], fov: float) -> Values:
    """The canvas before generation: the boxes."""
    boxes = compute_boxes(planned, placements, fov)
    names = [each.name or subject for each, subject in zip(placements, planned.subjects, strict=True)]
    return {"kind": "sketch", "boxes": [_box_value(i, names[i], box) for i, box in boxes.items()]}


def region_boxes(planned: Plan) -> list[Values]:
    """The boxes of a plan, as the canvas draws them."""
    return [_box_value(i, region.label, region.box) for i, region in planned.regions.items()]


def progress_state(progress: Progress, image: str | None, boxes: list[Values]) -> Values:
    """The canvas during generation."""
    return {
        "kind": "running",
        "boxes": boxes,
        "image": image,
        "done": progress.done,
        "steps": progress.steps,
        "left": progress.seconds_left,
    }


def result_state(result: Result, unguided: Image | None = None, film: str | None = None) -> Values:
    """The canvas with the picture; `unguided` is the picture to compare it with, `film` a data URI."""
    return {
        "kind": "done",
        "boxes": region_boxes(result),
        "image": encode_image(result.images[0]),
        "unguided": None if unguided is None else encode_image(unguided),
        "film": film,
        "prompt": result.prompt.text,
        "seconds": result.seconds.get("sample", 0.0),
        "seed": result.seed,
        "notes": [note for note in result.notes if not note.startswith("By hand")],
    }


def encode_image(image: Image) -> str:
    """A data URI."""
    return media.encode_pictures([image])[0]


def encode_film(path: Path) -> str | None:
    """A data URI of a GIF; None if it is too large to be shown."""
    encoded = media.encode_film(path, FILM_BUDGET)
    return encoded[0] if encoded else None


def _box_value(i: int, label: str, box: Sequence[float]) -> Values:
    return {"number": i + 1, "label": label, "colour": css_colour(i), "box": [float(edge) for edge in box]}
