"""What is known of a recording before its sources are located: its setup, and the evidence without its faults.

A late channel is aligned and an inverted one inverted back; where the channels differ by more than microphones a metre
apart explain, their correlation tells the directions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from spatial.evidence import Evidence, gather
from spatial.faults import (
    Correlation,
    align_channels,
    correlate_channels,
    find_late_channel,
    find_wide_delays,
    measure_polarity,
)
from spatial.recognise import Recognition, recognise
from spatial.scene import Direction
from spatial.setups import SPEED_OF_SOUND, Setup, make_setup

OPPOSED = 0.0, -0.3  # polarity below which a channel may be inverted, and below which it is, whatever the setup
ROUGH = {"time": 0.3, "level": 0.6}  # highest confidence once channels were aligned, where delays count, and where not
WIDE_ANGLE = 60.0  # degrees at which the source with the longest delay is assumed to be
DISPUTED = 0.5  # confidence where microphones stand metres apart: panning by time is no different

Recording = Float[np.ndarray, "2 frames"]


@dataclass(frozen=True, eq=False)
class Analysis:
    """The recording and its setup, before localisation."""

    recording: Recording
    setup: Setup
    confidence: float
    evidence: Evidence
    notes: tuple[str, ...]
    directions: Sequence[Direction] = ()  # where the correlation of the channels tells them already


def analyse(
    mixture: Recording, rate: int, setup: str | Setup, spacing: float | None, notes: tuple[str, ...]
) -> Analysis:
    """Analyse a recording; `setup` and `spacing` as in `listening.listen`, `notes` are extended."""
    given = None if setup == "auto" else make_setup(setup, spacing=spacing)
    mended, correlation, late = _align(mixture, rate, given)
    delays = [] if given else find_wide_delays(correlation)
    known = _explain_delays(delays) if delays else given
    evidence = gather(mended, rate)
    best = Recognition(known, 1.0) if known else recognise(evidence)
    found = Analysis(mended, best.setup, best.confidence, evidence, (*notes, *late))
    found = _invert_back(found, rate, known, measure_polarity(correlation))
    if late:
        most = ROUGH["time" if "time" in found.setup.cues else "level"]
        found = replace(found, confidence=min(found.confidence, most))
    return _place_by_delays(found, delays) if delays else found


def _align(mixture: Recording, rate: int, given: Setup | None) -> tuple[Recording, Correlation, tuple[str, ...]]:
    """(the recording with a late channel aligned, the correlation of its channels, notes)."""
    correlation = correlate_channels(mixture, rate)
    delay = find_late_channel(correlation)
    if delay is None or (given and abs(delay) < given.max_delay):
        return mixture, correlation, ()
    aligned = align_channels(mixture, rate, delay)
    note = (
        f"The {'right' if delay > 0 else 'left'} channel is {1000 * abs(delay):.0f} ms late, more than any pair of "
        "microphones explains; it was aligned, so directions are rough."
    )
    return aligned, correlate_channels(aligned, rate), (note,)


def _invert_back(found: Analysis, rate: int, given: Setup | None, polarity: float) -> Analysis:
    """The analysis, or that of the recording with one channel inverted if that is the true one."""
    if polarity >= OPPOSED[given is not None] or (given and given.name == "ms"):
        return found
    inverted = found.recording * np.array([[1], [-1]], np.float32)
    evidence = gather(inverted, rate)
    again = Recognition(given, 1.0) if given else recognise(evidence)
    likelier = again.confidence > found.confidence
    if "ms" in (found.setup.name, again.setup.name):  # mid-side has channels in opposition
        turned = again.setup.name != "ms" and likelier
    else:
        turned = polarity < OPPOSED[1] or likelier
    if not turned:
        return found
    note = "One channel has inverted polarity; it was inverted back."
    return Analysis(inverted, again.setup, again.confidence, evidence, (*found.notes, note))


def _explain_delays(delays: list[tuple[float, float]]) -> Setup:
    """Microphones so far apart that the longest of the delays is that of a source at `WIDE_ANGLE`."""
    longest = max(abs(delay) for delay, _ in delays)
    return make_setup("spaced", spacing=float(SPEED_OF_SOUND * longest / np.sin(np.deg2rad(WIDE_ANGLE))))


def _place_by_delays(found: Analysis, delays: list[tuple[float, float]]) -> Analysis:
    """The analysis with the directions of those delays; panning by time and distant microphones are alike."""
    angles = [-np.rad2deg(np.arcsin(delay * SPEED_OF_SOUND / found.setup.spacing)) for delay, _ in delays]
    directions = [
        Direction(float(angle), confidence=DISPUTED * height) for angle, (_, height) in zip(angles, delays, strict=True)
    ]
    longest = 1000 * max(abs(delay) for delay, _ in delays)
    note = (
        f"Sounds reach the channels up to {longest:.0f} ms apart: the microphones stand metres apart, or it was panned "
        "by time. Sides can be trusted, angles cannot."
    )
    confidence = min(found.confidence, DISPUTED)
    return replace(found, confidence=confidence, notes=(*found.notes, note), directions=directions)
