"""What was heard, in words and as JSON.

Conventions: those of `spatial.scene`: degrees, positive to the right; seconds; dB of full scale.
"""

import json
from typing import Any

from audiotoken.errors import printable
from audiotoken.stereo.labelled_scene import Label, Listening
from spatial.scene import Scene, Source

HEAD = ("", "where", "spread", "sure", "level", "sounds", "moves", "what")
KINDS = {
    "mono": "mono",
    "panned": "panned at a mixing desk",
    "spaced": "spaced microphones",
    "ortf": "ORTF",
    "nos": "NOS",
    "xy": "XY",
    "ms": "mid-side, not decoded",
    "binaural": "binaural",
}


def say_listening(heard: Listening) -> str:
    """The table that the command prints."""
    scene = heard.scene
    lines = [f"{printable(heard.file)}  {heard.seconds:.1f} s at {scene.rate / 1000:g} kHz"]
    lines += [f"setup  {say_kind(scene)} (sure {scene.confidence:.2f})"]
    rows = [_row(number, *each) for number, each in enumerate(zip(scene.sources, heard.labels, strict=True), 1)]
    lines += _aligned([HEAD, *rows]) if rows else ["no source was found"]
    return "\n".join(lines + [f"note   {note}" for note in scene.notes])


def _row(number: int, source: Source, label: Label | None) -> tuple[str, ...]:
    direction = source.direction
    return (
        str(number),
        say_azimuth(direction.azimuth),
        f"±{direction.spread:.0f}°" if direction.spread else "",
        f"{direction.confidence:.2f}",
        f"{source.level:.0f} dB" if source.level else "",
        say_spans(source.active),
        say_path(source),
        str(label) if label else "",
    )


def say_kind(scene: Scene) -> str:
    """The kind of stereo in words."""
    kind = KINDS.get(scene.setup, scene.setup)
    return f"{kind}, {100 * scene.spacing:.0f} cm apart" if scene.setup == "spaced" else kind


def say_azimuth(azimuth: float) -> str:
    """ "31° right", "ahead"."""
    degrees = round(abs(azimuth))
    return f"{degrees}° {'right' if azimuth > 0 else 'left'}" if degrees else "ahead"


def say_spans(spans: tuple[tuple[float, float], ...], most: int = 2) -> str:
    """ "0.2-1.4, 3.0-4.8 s", the first few."""
    if not spans:
        return ""
    said = ", ".join(f"{start:.1f}-{stop:.1f}" for start, stop in spans[:most])
    return f"{said} s" + (f" and {len(spans) - most} more" if len(spans) > most else "")


def say_path(source: Source) -> str:
    """ "60° left -> 60° right", or nothing for what stays."""
    if not source.moves:
        return ""
    return f"{say_azimuth(source.path[0][1])} -> {say_azimuth(source.path[-1][1])}"


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Columns as wide as they need to be; those that say nothing are left out."""
    kept = [column for column in range(len(rows[0])) if column == 0 or any(row[column] for row in rows[1:])]
    widths = {column: max(len(row[column]) for row in rows) for column in kept}
    return ["  ".join(row[column].ljust(widths[column]) for column in kept).rstrip() for row in rows]


def as_json(heard: Listening) -> str:
    """The same for programs; numbers in the units of `spatial.scene`."""
    scene = heard.scene
    found: dict[str, Any] = {"file": heard.file, "seconds": round(heard.seconds, 3), "rate": scene.rate}
    found["setup"] = {"name": scene.setup, "spacing": scene.spacing, "confidence": _short(scene.confidence)}
    found["sources"] = [_entry(*each) for each in zip(scene.sources, heard.labels, strict=True)]
    return json.dumps(found | {"notes": list(scene.notes)}, indent=1, ensure_ascii=False) + "\n"


def _entry(source: Source, label: Label | None) -> dict[str, Any]:
    direction = source.direction
    entry: dict[str, Any] = {"azimuth": _short(direction.azimuth), "spread": _short(direction.spread)}
    entry |= {"confidence": _short(direction.confidence), "level": _short(source.level)}
    entry |= {"active": [[_short(a), _short(b)] for a, b in source.active]}
    entry |= {"path": [[_short(t), _short(a)] for t, a in source.path]}
    named = {"name": label.name, "score": _short(label.score), "sure": label.sure} if label else None
    return entry | {"label": named}


def _short(number: float) -> float:
    return round(float(number), 3)
