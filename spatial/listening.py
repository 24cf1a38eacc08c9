"""A stereo recording -> a Scene: who is where.

gather -> recognise -> follow what moves -> localise what stays -> separate: each stage is a module of that name.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spatial.activity import active, shares
from spatial.ambience import spread_out
from spatial.errors import SpatialError
from spatial.evidence import Evidence, gather
from spatial.localisation import by_level, directions, refined
from spatial.recognise import Recognised, recognise
from spatial.scene import Array, Direction, Scene, Source
from spatial.separation import separate, signals
from spatial.setups import Setup, make_setup
from spatial.track import Path, follow

SILENT = 1e-4  # of full scale: nothing is louder
LOUDEST = 1e10  # more than whole numbers of 32 bits; squares of squares of more are no numbers
DEAD = 1e-3  # of the other channel's amplitude
SAME = 1e-4  # of the sum's amplitude: the channels' difference
CLIPPED = 0.001  # share of samples at full scale
OPPOSED = -0.3  # correlation of the low frequencies below which a channel may be upside down
LOW = 2  # bands of `evidence.BANDS` that are low
BETTER = 0.2  # of confidence: head start of all but mid-side, which looks upside down by nature


@dataclass(frozen=True, eq=False)
class _Heard:
    """What was found before anything was separated."""

    recording: Array
    setup: Setup
    confidence: float
    evidence: Evidence
    notes: tuple[str, ...]


def listen(
    recording: Array,
    rate: int,
    *,
    setup: str | Setup = "auto",
    spacing: float | None = None,
    max_sources: int = 4,
    count: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Scene:
    """Every source of a (1 or 2, frames) recording: its direction or path, and what it sounds like alone.

    `setup`: one of `setups.NAMES`, or "auto" to find out; `spacing`: metres between spaced microphones; `count`: how
    many sources there are, where it is known; `progress` is told the share done, 0 to 1. A mono recording is one source
    ahead. What is odd about a recording is said in the scene's notes. Raises SpatialError for what is no recording.
    """
    told = progress or (lambda share: None)
    mixed, notes = _checked(recording, rate, setup, spacing, max_sources, count)
    if not len(mixed) or np.abs(mixed).max(initial=0) < SILENT:
        return Scene((), rate, _named(setup), 0.0, 0.0, (*notes, "Nothing is to be heard."))
    alone = _mono(mixed)
    if alone is not None:
        return _of_one(alone[0], rate, (*notes, *alone[1]))
    heard = _heard(mixed, rate, setup, spacing, notes)
    told(0.4)
    found, paths = _found(heard, rate, max_sources, count)
    told(0.6)
    if not found:
        said = (*heard.notes, "Nothing has a place.")
        return Scene((), rate, heard.setup.name, heard.setup.spacing, heard.confidence, said)
    sources = _sources(heard, rate, found, paths)
    told(1.0)
    ranked = tuple(sorted(sources, key=lambda one: -one.level))
    return Scene(ranked, rate, heard.setup.name, heard.setup.spacing, heard.confidence, heard.notes)


def _found(heard: _Heard, rate: int, most: int, count: int | None) -> tuple[list[Direction], list[tuple]]:
    """Directions and their paths, empty for what stays; what moves comes first."""
    fixed = directions(heard.evidence, heard.setup, max_sources=most, count=count)
    moving, still = follow(heard.evidence, heard.setup, count or len(fixed), certain=count is not None)
    if moving:
        fixed = [refined(heard.evidence, heard.setup, azimuth, min(1.0, 5 * share)) for azimuth, share in still]
    else:
        fixed = by_level(fixed, heard.evidence, heard.recording, rate, heard.setup)
        fixed = spread_out(fixed, heard.evidence, heard.setup)
    directed = [_direction(path) for path in moving]
    return [*directed, *fixed], [_points(path) for path in moving] + [() for _ in fixed]


def _direction(path: Path) -> Direction:
    return Direction(float(np.median(path.azimuths)), confidence=min(1.0, 5 * path.share))


def _points(path: Path) -> tuple[tuple[float, float], ...]:
    return tuple((round(float(t), 3), round(float(a), 2)) for t, a in zip(path.times, path.azimuths, strict=True))


def _sources(heard: _Heard, rate: int, found: list[Direction], paths: list[tuple]) -> list[Source]:
    images = separate(heard.recording, rate, found, setup=heard.setup, paths=[path or None for path in paths])
    out = []
    parts = zip(images, signals(images), shares(images, rate), found, paths, strict=True)
    for image, signal, share, direction, path in parts:
        sounds = active(signal, rate, share)
        spans = [image[:, round(a * rate) : round(b * rate)] for a, b in sounds]
        level = 10 * np.log10(float(np.mean(np.square(np.hstack(spans or [image]), dtype=float))) + 1e-12)
        out.append(Source(signal, direction, level, path, sounds, image))
    return out


def _heard(mixed: Array, rate: int, setup: str | Setup, spacing: float | None, notes: tuple[str, ...]) -> _Heard:
    """The setup, and the recording with a channel turned over where one was upside down."""
    evidence = gather(mixed, rate)
    if setup != "auto":
        return _Heard(mixed, make_setup(setup, spacing=spacing), 1.0, evidence, notes)
    best = recognise(evidence)
    if float(evidence.ringing[:LOW, 1].mean()) < OPPOSED:
        turned = mixed * np.array([[1], [-1]], np.float32)
        other = gather(turned, rate)
        again = recognise(other)
        if again.setup.name != "ms" and _rank(again) > _rank(best):
            said = "One channel is upside down (inverted polarity); it was turned over."
            return _Heard(turned, again.setup, again.confidence, other, (*notes, said))
    return _Heard(mixed, best.setup, best.confidence, evidence, notes)


def _rank(one: Recognised) -> float:
    return one.confidence + BETTER * (one.setup.name != "ms")


def _mono(mixed: Array) -> tuple[Array, tuple[str, ...]] | None:
    """(signal, notes) of a recording that has no two sides."""
    if len(mixed) == 1:
        return mixed[0], ("One channel: nothing can be said of directions.",)
    power = np.abs(mixed).max(axis=1)
    if power.min() < DEAD * power.max():
        dead = ("left", "right")[int(power.argmin())]
        return mixed[int(power.argmax())], (f"The {dead} channel is silent: nothing can be said of directions.",)
    if np.abs(mixed[0] - mixed[1]).max() < SAME * power.max():
        return mixed[0], ("Both channels are the same: nothing can be said of directions.",)
    return None


def _of_one(signal: Array, rate: int, notes: tuple[str, ...]) -> Scene:
    level = 10 * np.log10(float(np.mean(signal.astype(float) ** 2)) + 1e-12)
    source = Source(signal, Direction(0.0, 45.0, 0.0), level, (), active(signal, rate), np.stack([signal, signal]))
    return Scene((source,), rate, "mono", 0.0, 1.0, notes)


def _named(setup: str | Setup) -> str:
    return "mono" if setup == "auto" else make_setup(setup).name


def _checked(
    recording: Array, rate: int, setup: str | Setup, spacing: float | None, most: int, count: int | None
) -> tuple[Array, tuple[str, ...]]:
    mixed = np.atleast_2d(np.asarray(recording, np.float32))
    if mixed.ndim != 2 or mixed.shape[0] not in (1, 2):
        raise SpatialError(f"Got a recording of shape {mixed.shape}, want (1 or 2, frames); mix it down first.")
    if setup == "auto" and spacing is not None:
        raise SpatialError(f'Got spacing={spacing:g} alone, want it with setup="spaced"; say both.')
    if not 1000 <= rate <= 400_000:
        raise SpatialError(f"Got rate={rate:g}, want samples per second, 1000 to 400000; pass the recording's.")
    if not 1 <= most <= 4 or (count is not None and not 1 <= count <= 4):
        raise SpatialError(f"Got max_sources={most} and count={count}, want 1 to 4; change them.")
    notes = []
    if not np.isfinite(mixed).all():
        mixed = np.nan_to_num(mixed, nan=0.0, posinf=0.0, neginf=0.0)
        notes.append("Some samples were no numbers; they were taken to be silent.")
    if mixed.size and np.abs(mixed).max() > LOUDEST:
        raise SpatialError(f"Got samples up to {np.abs(mixed).max():g}, want -1 to 1; divide them by their full scale.")
    if mixed.size and np.mean(np.abs(mixed) >= 0.999 * np.abs(mixed).max()) > CLIPPED and np.abs(mixed).max() > 0.9:
        notes.append("The recording is clipped: directions may be off, by level most.")
    return mixed, tuple(notes)
