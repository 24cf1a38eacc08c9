"""A stereo recording -> a Scene: its sources, their directions and signals.

mend faults, gather evidence, recognise the setup (all by `spatial.analysis`) -> localise fixed sources -> track moving
ones -> separate: each stage is a module of that name.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypedDict

import numpy as np
from jaxtyping import Float

from spatial.activity import compute_power_shares, find_active_spans
from spatial.ambience import widen_ambience
from spatial.analysis import Analysis, analyse
from spatial.errors import SpatialError
from spatial.localisation import estimate_directions, refine_by_level, refine_direction
from spatial.scene import MONO_DIRECTION, Direction, Scene, Source, check_source_count
from spatial.separation import pick_louder_channels, separate
from spatial.setups import Setup, make_setup
from spatial.track import Trajectory, track_sources

SILENCE_PEAK = 1e-4  # of full scale: peak of a silent recording
MAX_SAMPLE = 1e10  # more than whole numbers of 32 bits; fourth powers of larger samples overflow
DEAD_CHANNEL_RATIO = 1e-3  # amplitude of a silent channel relative to the other
IDENTICAL_TOLERANCE = 1e-4  # difference of two equal channels, relative to the peak
CLIPPED = 0.001  # share of samples at full scale
FAINT = 35.0  # dB below the loudest source: what is there is the noise of few bits, or what separation left over
# Seconds that tell no more than one source, and how sure it can be. The number was right in 11 of 20 excerpts of 0.1 s,
# half of them of two sources, in 12 of 0.15 s and 17 of 1 s; the first direction was within 10 degrees in 19 of all.
BRIEF, BRIEF_CONFIDENCE = 0.15, 0.3
BRIEF_NOTE = "The recording is too short to tell how many sources there are, and how it was made."

Recording = Float[np.ndarray, "channels frames"]
Points = tuple[tuple[float, float], ...]  # (seconds, azimuth)


class ListenOptions(TypedDict, total=False):
    """What may be told about a recording: keywords of `listen`."""

    setup: str | Setup
    spacing: float | None
    max_sources: int
    count: int | None


def listen(
    recording: Float[np.ndarray, "*channels frames"],
    rate: int,
    *,
    setup: str | Setup = "auto",
    spacing: float | None = None,
    max_sources: int = 4,
    count: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Scene:
    """Locate and separate the sources of a (1 or 2, frames) recording.

    `setup`: one of `setups.NAMES`, or "auto" to recognise it; `spacing`: metres between spaced microphones; `count`:
    the number of sources, where it is known; `progress` is called with the share done, 0 to 1. A mono recording is one
    source ahead. The scene's notes say what is unusual about a recording. Raises SpatialError for invalid input.
    """
    report_progress = progress or (lambda share: None)
    mixture, notes = _validate(recording, rate, setup, spacing, max_sources, count)
    if not mixture.size or np.ptp(mixture, axis=1).max() < 2 * SILENCE_PEAK:
        report_progress(1.0)
        return Scene((), rate, _setup_name(setup), 0.0, 0.0, (*notes, "The recording is silent."))
    mono = detect_mono(mixture)
    if mono is not None:
        report_progress(1.0)
        return _mono_scene(mono[0], rate, (*notes, *mono[1]))
    analysis = analyse(mixture, rate, setup, spacing, notes)
    report_progress(0.4)
    brief = mixture.shape[1] < BRIEF * rate
    if brief:
        analysis = analysis.doubt(BRIEF_CONFIDENCE, BRIEF_NOTE)
    directions, paths = _estimate_directions(analysis, rate, max_sources, 1 if brief else count)
    directions = [replace(one, confidence=min(one.confidence, analysis.certainty)) for one in directions]
    report_progress(0.6)
    sources = separate_sources(analysis.recording, rate, analysis.setup, directions, paths) if directions else []
    sources = [one for one in sources if np.abs(one.signal).max() > SILENCE_PEAK]  # others took all of the rest
    if count is None:
        loudest = max((one.level for one in sources), default=0.0)
        sources = [one for one in sources if one.level > loudest - FAINT]
    notes = analysis.notes if sources else (*analysis.notes, "No source has a direction.")
    report_progress(1.0)
    ranked = tuple(sorted(sources, key=lambda one: -one.level))
    return Scene(ranked, rate, analysis.setup.name, analysis.setup.spacing, analysis.confidence, notes)


def _estimate_directions(
    analysis: Analysis, rate: int, most: int, count: int | None
) -> tuple[list[Direction], list[Points]]:
    """Directions and their paths, empty for fixed sources; moving sources come first."""
    evidence, setup = analysis.evidence, analysis.setup
    if analysis.directions:
        told = list(analysis.directions[: count or most])
        return told, [() for _ in told]
    fixed = estimate_directions(evidence, setup, max_sources=most, count=count, answer=analysis.answer)
    moving, still = track_sources(
        evidence,
        setup,
        count or len(fixed),
        certain=count is not None,
        azimuths=[one.azimuth for one in fixed],
    )
    if moving:
        fixed = [refine_direction(evidence, setup, azimuth, _to_confidence(share)) for azimuth, share in still]
    else:
        fixed = refine_by_level(fixed, evidence, analysis.recording, rate, setup)
        fixed = widen_ambience(fixed, evidence, setup)
    directions = [_mean_direction(one) for one in moving]
    return [*directions, *fixed], [_to_points(one) for one in moving] + [() for _ in fixed]


def _mean_direction(trajectory: Trajectory) -> Direction:
    return Direction(float(np.median(trajectory.azimuths)), confidence=_to_confidence(trajectory.share))


def _to_confidence(share: float) -> float:
    """A source is certain from a fifth of the evidence on; below, its confidence is proportional to its share."""
    return min(1.0, 5 * share)


def _to_points(trajectory: Trajectory) -> Points:
    pairs = zip(trajectory.times, trajectory.azimuths, strict=True)
    return tuple((round(float(t), 3), round(float(a), 2)) for t, a in pairs)


def separate_sources(
    recording: Float[np.ndarray, "2 frames"],
    rate: int,
    setup: Setup,
    directions: Sequence[Direction],
    paths: Sequence[Points],
) -> list[Source]:
    """Sources at those directions, in this order; `paths` are empty for fixed ones."""
    images = separate(recording, rate, directions, setup=setup, paths=[path or None for path in paths])
    parts = zip(
        images, pick_louder_channels(images), compute_power_shares(images, rate), directions, paths, strict=True
    )
    sources = []
    for image, signal, share, direction, path in parts:
        active = find_active_spans(signal, rate, share)
        sources.append(Source(signal, direction, _measure_level(image, rate, active), path, active, image))
    return sources


def _measure_level(image: Recording, rate: int, active: Sequence[tuple[float, float]]) -> float:
    """dB of full scale: the root mean square of an image in the spans in which it is active."""
    spans = [image[:, round(a * rate) : round(b * rate)] for a, b in active]
    return 10 * np.log10(float(np.mean(np.square(np.hstack(spans or [image]), dtype=float))) + 1e-12)


def detect_mono(mixture: Recording) -> tuple[Float[np.ndarray, " frames"], tuple[str, ...]] | None:
    """(signal, notes) of a recording whose channels hold no directions, else None."""
    if len(mixture) == 1:
        return mixture[0], ("The recording has one channel: directions cannot be estimated.",)
    centred = mixture - mixture.mean(axis=1, keepdims=True)  # an offset is no sound
    power = np.abs(centred).max(axis=1)
    if power.min() < DEAD_CHANNEL_RATIO * power.max():
        dead = ("left", "right")[int(power.argmin())]
        return mixture[int(power.argmax())], (f"The {dead} channel is silent: directions cannot be estimated.",)
    if np.abs(centred[0] - centred[1]).max() < IDENTICAL_TOLERANCE * power.max():
        return mixture[0], ("Both channels are the same: directions cannot be estimated.",)
    if np.abs(centred[0] + centred[1]).max() < IDENTICAL_TOLERANCE * power.max():
        return mixture[0], ("Both channels are the same, one with inverted polarity: directions cannot be estimated.",)
    return None


def _mono_scene(signal: Float[np.ndarray, " frames"], rate: int, notes: tuple[str, ...]) -> Scene:
    active, image = find_active_spans(signal, rate), np.stack([signal, signal])
    source = Source(signal, MONO_DIRECTION, _measure_level(image, rate, active), (), active, image)
    return Scene((source,), rate, "mono", 0.0, 1.0, notes)


def _setup_name(setup: str | Setup) -> str:
    return "mono" if setup == "auto" else make_setup(setup).name


def _validate(
    recording: Float[np.ndarray, "*channels frames"],
    rate: int,
    setup: str | Setup,
    spacing: float | None,
    most: int,
    count: int | None,
) -> tuple[Recording, tuple[str, ...]]:
    """(recording as float32 without infinities, notes); SpatialError for invalid input."""
    mixture = np.atleast_2d(np.asarray(recording, np.float32))
    if mixture.ndim != 2 or mixture.shape[0] not in (1, 2):
        raise SpatialError(f"Got a recording of shape {mixture.shape}, expected (1 or 2, frames); mix it down first.")
    if setup == "auto" and spacing is not None:
        raise SpatialError(f'Got spacing={spacing:g} alone, expected it with setup="spaced"; pass both.')
    if not 1000 <= rate <= 400_000:
        raise SpatialError(
            f"Got rate={rate:g}, expected 1000 to 400000 Hz; resample the recording, or pass its own sampling rate."
        )
    check_source_count(most, count)
    notes = []
    if not np.isfinite(mixture).all():
        mixture = np.nan_to_num(mixture, nan=0.0, posinf=0.0, neginf=0.0)
        notes.append("Some samples were not finite numbers; they were set to zero.")
    peak = np.abs(mixture).max(initial=0)
    if peak > MAX_SAMPLE:
        raise SpatialError(f"Got samples up to {peak:g}, expected -1 to 1; divide them by their full scale.")
    if mixture.size and np.mean(np.abs(mixture) >= 0.999 * peak) > CLIPPED and peak > 0.9:
        notes.append("The recording is clipped: directions may be off, above all those that levels tell.")
    return mixture, tuple(notes)
