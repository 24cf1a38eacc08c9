"""What the page is told, as plain values for its scripts: texts are put in as texts there, never as HTML."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from audiotoken.page.edits import AUTO, Place, boxes
from audiotoken.report.listening_figure import COLOURS
from audiotoken.report.listening_text import say_azimuth, say_kind, say_path, say_spans
from audiotoken.report.media import film as embedded
from audiotoken.report.media import pictures, sounds
from audiotoken.stereo.generation import Result
from audiotoken.stereo.labelled_scene import compute_outline
from audiotoken.stereo.planning import Plan
from spatial.camera import SIZES

COLUMNS = 360  # of the waveform
LABELS = 3  # of a source, the best
NOTHING = {"kind": "empty"}


def waveform(planned: Plan) -> dict[str, Any]:
    """Both channels as SVG paths, heights in [-1, 1] of the loudest; when each source sounds."""
    recording = planned.recording[:2]
    shape = compute_outline(recording, COLUMNS)
    peak = max(float(np.abs(shape).max(initial=0)), 1e-9)
    spans = [
        {"colour": colour_of(i), "spans": [list(span) for span in source.active]}
        for i, source in enumerate(planned.scene.sources)
    ]
    return {
        "seconds": recording.shape[1] / planned.rate,
        "channels": [_path(channel / peak) for channel in shape],
        "names": ["left", "right"] if len(shape) == 2 else ["mono"],
        "sources": spans,
    }


def _path(channel: NDArray[np.float32]) -> str:
    """(columns, 2) lowest and highest -> the outline, closed; x is the column, y downwards."""
    upper = [f"{i},{-high:.3f}" for i, (_, high) in enumerate(channel)]
    lower = [f"{i},{-low:.3f}" for i, (low, _) in reversed(list(enumerate(channel)))]
    return f"M{' '.join([*upper, *lower])}Z"


def scene(planned: Plan, places: Sequence[Place], fov: float, players: Sequence[str] = ()) -> dict[str, Any]:
    """All of step two: what was heard, and what was decided about it."""
    return {
        "kind": "scene",
        "stamp": uuid4().hex,
        "heard": heard(planned),
        "fov": fov,
        "limit": 90,
        "slider": {"title": "Size", "low": SIZES[0], "high": SIZES[1], "factor": 100, "unit": "%"},
        "words": [word.text for word in planned.words],
        "sources": [_source(planned, i, place, players) for i, place in enumerate(places)],
        "notes": list(planned.scene.notes),
    }


def heard(planned: Plan) -> str:
    """In one sentence."""
    count = len(planned.scene.sources)
    said = {0: "Nothing was heard", 1: "One sound was heard"}.get(count, f"{count} sounds were heard")
    if planned.scene.setup == "mono":
        return f"{said} in one channel; you may put it somewhere by hand."
    return f"{said}; recorded as {say_kind(planned.scene)}."


def _source(planned: Plan, i: int, place: Place, players: Sequence[str]) -> dict[str, Any]:
    source = planned.scene.sources[i]
    automatic = {pair.source: pair.token for pair in planned.matches}.get(i)
    return {
        "number": i + 1,
        "colour": colour_of(i),
        "name": planned.subjects[i],
        "known": planned.known[i],
        "labels": [[name, score] for name, score in planned.heard[i][:LABELS]],
        "facts": facts(planned, i),
        "heard": source.direction.azimuth,
        "path": [azimuth for _, azimuth in source.path],
        "spread": source.direction.spread if planned.scene.setup != "mono" else 0.0,
        "azimuth": place.azimuth,
        "size": place.size,
        "mode": place.mode,
        "word": place.word,
        "auto": planned.words[automatic].text if automatic is not None else None,
        "player": players[i] if i < len(players) else None,
    }


def facts(planned: Plan, i: int) -> str:
    source = planned.scene.sources[i]
    where = [say_azimuth(source.direction.azimuth)] if planned.scene.setup != "mono" else []
    where = [say_path(source).replace("->", "→")] if source.moves else where
    wide = [f"±{source.direction.spread:.0f}°"] if where and source.direction.spread >= 1 else []
    sure = [f"sure {source.direction.confidence:.2f}"] if where else []
    return " · ".join([*where, *wide, *sure, *([say_spans(source.active)] if source.active else [])])


def players(planned: Plan) -> list[str]:
    """Each source alone, as data URIs."""
    return sounds([source.signal for source in planned.scene.sources], planned.rate, budget=3_000_000)[0]


def read_places(value: Any, planned: Plan, before: Sequence[Place]) -> list[Place]:
    """What came back from the page, or as it was before where that is not about this recording.

    Raises OptionError for what is out of range.
    """
    sent = value.get("sources") if isinstance(value, dict) else None
    if not isinstance(sent, list) or len(sent) != len(before):
        return list(before)
    return [_sent(each, place) for each, place in zip(sent, before, strict=True)]


def _sent(each: Any, before: Place) -> Place:
    """Numbers that were not moved are kept to the last digit."""
    try:
        azimuth, size = float(each["azimuth"]), float(each["size"])
        azimuth = before.azimuth if abs(azimuth - before.azimuth) < 1e-6 else azimuth
        size = before.size if abs(size - before.size) < 1e-6 else size
        return Place(azimuth, size, str(each["mode"]), str(each.get("word", AUTO)))
    except (TypeError, KeyError):
        return before


def sketch(planned: Plan, places: Sequence[Place], fov: float) -> dict[str, Any]:
    """The picture before it is painted: where things will be."""
    shown = [_box(i, planned.subjects[i], box) for i, box in boxes(planned, places, fov).items()]
    return {"kind": "sketch", "boxes": shown}


def boxes_of(planned: Plan) -> list[dict[str, Any]]:
    return [_box(i, region.label, region.box) for i, region in planned.regions.items()]


def canvas(step: Any, image: str | None, boxes: list[Any]) -> dict[str, Any]:
    """While it is painted."""
    return {
        "kind": "painting",
        "boxes": boxes,
        "image": image,
        "done": step.done,
        "steps": step.steps,
        "left": step.left,
    }


def picture(result: Result, plain: Any = None, film: str | None = None) -> dict[str, Any]:
    """What was painted; `plain`: the same without places, `film` a data URI."""
    return {
        "kind": "done",
        "boxes": boxes_of(result),
        "image": encoded(result.images[0]),
        "plain": None if plain is None else encoded(plain),
        "film": film,
        "prompt": result.prompt.text,
        "seconds": result.seconds.get("sample", 0.0),
        "seed": result.seed,
        "notes": [note for note in result.notes if not note.startswith("By hand")],
    }


def encoded(image: Any) -> str:
    """A data URI."""
    return pictures([image])[0]


def film(path: Path) -> str | None:
    """A data URI of a GIF; None for one that is too large to be shown."""
    found = embedded(path, 20_000_000)
    return found[0] if found else None


def colour_of(source: int) -> str:
    """As CSS says it; style.css has them by day and by night."""
    return f"var(--c{source % len(COLOURS)})"


def _box(i: int, label: str, box: Sequence[float]) -> dict[str, Any]:
    return {"number": i + 1, "label": label, "colour": colour_of(i), "box": [float(edge) for edge in box]}
