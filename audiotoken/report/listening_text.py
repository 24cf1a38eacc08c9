"""A listening result as text and as JSON.

Conventions: as in `spatial.scene`: degrees, positive right; seconds; dB relative to full scale.
"""

import json
from typing import Any

from tabulate import tabulate

from audiotoken.errors import printable
from audiotoken.stereo.labelled_scene import HeardWord, Label, Listening
from spatial.scene import Scene, Source

WORD_COLUMNS = ("word", "score", "source", "azimuth", "active")
COLUMNS = ("", "azimuth", "spread", "confidence", "level", "active", "path", "label")
SETUPS = {
    "mono": "mono",
    "panned": "panned at a mixing desk",
    "spaced": "spaced microphones",
    "ortf": "ORTF",
    "nos": "NOS",
    "xy": "XY",
    "ms": "mid-side, not decoded",
    "binaural": "binaural",
}


def format_listening(listening: Listening) -> str:
    """The table that the command prints."""
    scene = listening.scene
    lines = [f"{printable(listening.file)}  {listening.seconds:.1f} s at {scene.rate / 1000:g} kHz"]
    lines += [f"setup  {format_setup(scene)} (confidence {scene.confidence:.2f})"]
    rows = [_row(number, *each) for number, each in enumerate(zip(scene.sources, listening.labels, strict=True), 1)]
    lines += _align_columns(COLUMNS, rows) if rows else ["No source was found."]
    if listening.words:
        lines += ["", *_align_columns(WORD_COLUMNS, [_word_row(word) for word in listening.words])]
    return "\n".join(lines + [f"note   {note}" for note in scene.notes])


def _row(number: int, source: Source, label: Label | None) -> tuple[str, ...]:
    direction = source.direction
    return (
        str(number),
        format_azimuth(direction.azimuth),
        f"±{direction.spread:.0f}°" if direction.spread else "",
        f"{direction.confidence:.2f}",
        f"{source.level:.0f} dB" if source.level else "",
        format_spans(source.active),
        format_path(source),
        str(label) if label else "",
    )


def _word_row(word: HeardWord) -> tuple[str, ...]:
    number = "" if word.source is None else str(word.source + 1)
    where = "" if word.azimuth is None else format_azimuth(word.azimuth)
    return word.word, f"{word.score:.2f}", number, where if word.heard else "not heard", format_spans(word.active)


def format_setup(scene: Scene) -> str:
    """The recording setup in words."""
    name = SETUPS.get(scene.setup, scene.setup)
    return f"{name}, {100 * scene.spacing:.0f} cm apart" if scene.setup == "spaced" else name


def format_azimuth(azimuth: float) -> str:
    """ "31° right", "ahead"."""
    degrees = round(abs(azimuth))
    return f"{degrees}° {'right' if azimuth > 0 else 'left'}" if degrees else "ahead"


def format_spans(spans: tuple[tuple[float, float], ...], most: int = 2) -> str:
    """ "0.2-1.4, 3.0-4.8 s", the first few."""
    if not spans:
        return ""
    text = ", ".join(f"{start:.1f}-{stop:.1f}" for start, stop in spans[:most])
    return f"{text} s" + (f" and {len(spans) - most} more" if len(spans) > most else "")


def format_path(source: Source) -> str:
    """ "60° left -> 60° right"; empty for a source that does not move."""
    if not source.moves:
        return ""
    return f"{format_azimuth(source.path[0][1])} -> {format_azimuth(source.path[-1][1])}"


def _align_columns(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """Lines of a table without its empty columns."""
    used = [column for column in range(len(columns)) if column == 0 or any(row[column] for row in rows)]
    cells = [[row[column] for column in used] for row in (columns, *rows)]
    return [line.rstrip() for line in tabulate(cells, tablefmt="plain", disable_numparse=True).splitlines()]


def to_json(listening: Listening) -> str:
    """The same for programs; numbers in the units of `spatial.scene`."""
    scene = listening.scene
    values: dict[str, Any] = {"file": listening.file, "seconds": round(listening.seconds, 3), "rate": scene.rate}
    values["setup"] = {"name": scene.setup, "spacing": scene.spacing, "confidence": _round(scene.confidence)}
    values["sources"] = list_sources(listening)
    if listening.words:
        values["words"] = [_to_word_entry(word) for word in listening.words]
    return json.dumps(values | {"notes": list(scene.notes)}, indent=1, ensure_ascii=False) + "\n"


def list_sources(listening: Listening) -> list[dict[str, Any]]:
    """The sources as JSON has them."""
    return [_to_entry(*each) for each in zip(listening.scene.sources, listening.labels, strict=True)]


def name_source(name: str | None, sure: bool | None) -> str:
    """The name of a source in a list; one that the encoder does not know has a question mark."""
    return "unnamed" if name is None else name if sure else f"{name}?"


def _to_entry(source: Source, label: Label | None) -> dict[str, Any]:
    direction = source.direction
    entry: dict[str, Any] = {"azimuth": _round(direction.azimuth), "spread": _round(direction.spread)}
    entry |= {"confidence": _round(direction.confidence), "level": _round(source.level)}
    entry |= {"active": [[_round(a), _round(b)] for a, b in source.active]}
    entry |= {"path": [[_round(t), _round(a)] for t, a in source.path]}
    name = {"name": label.name, "score": _round(label.score), "sure": label.sure} if label else None
    return entry | {"label": name}


def _to_word_entry(word: HeardWord) -> dict[str, Any]:
    entry: dict[str, Any] = {"word": word.word, "score": _round(word.score), "heard": word.heard}
    entry |= {"source": word.source, "azimuth": None if word.azimuth is None else _round(word.azimuth)}
    return entry | {"active": [[_round(a), _round(b)] for a, b in word.active]}


def _round(number: float) -> float:
    return round(float(number), 3)
