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
    measure_balance,
    measure_polarity,
)
from spatial.learned import Answer, predict_heatmap
from spatial.maps import compute_maps
from spatial.recognise import Recognition, recognise
from spatial.scene import Direction
from spatial.setups import SPEED_OF_SOUND, Setup, make_setup

# A channel is inverted if the polarity is below this. Up to 0 it may be: then, and if it may be mid-side, whose
# channels can be in opposition, the recording counts that looks more like sources. Of 203 faultless recordings of other
# setups, in rooms and dry, with and without noise, all were above 0, and 2 of them below 0.05.
OPPOSED = -0.05
FAR = 12.0  # decibels between the channels from which one may be too quiet; microphones get there beyond 70 degrees
HARD = 18.0  # the same at a mixing desk, where a source at 38 degrees gets there
CLOSE = 1.5  # logits of validity by which microphones whose quiet channel was raised may fall short of a mixing desk
ROUGH = {"time": 0.3, "level": 0.6}  # highest confidence once channels were mended, where delays count, and where not
WIDE_ANGLE = 60.0  # degrees at which the source with the longest delay is assumed to be
# Highest confidence where two kinds of recordings are no different: microphones metres apart and panning by time,
# mid-side and an inverted channel.
DISPUTED = 0.5
INVERTED = "One channel has inverted polarity; it was inverted back."
MID_SIDE = "If it is a mid-side recording, tell the setup: that has channels of opposite polarity, too."

Recording = Float[np.ndarray, "2 frames"]


@dataclass(frozen=True, eq=False)
class Analysis:
    """The recording and its setup, before localisation."""

    recording: Recording
    setup: Setup
    confidence: float
    evidence: Evidence
    notes: tuple[str, ...]
    answer: Answer | None = None  # of the network that localises sources, as in `recognise.Recognition`
    directions: Sequence[Direction] = ()  # where the correlation of the channels tells them already
    certainty: float = 1.0  # the highest confidence that a direction can have

    def look(self) -> tuple["Analysis", float]:
        """(the same with the answer of the network, how valid it finds the setup: a logit)."""
        answer = self.answer or predict_heatmap(compute_maps(self.evidence, self.setup))
        return replace(self, answer=answer), answer.validity

    def doubt(self, most: float, note: str) -> "Analysis":
        """The same with a note, and with no more confidence than that."""
        confidence, certainty = min(self.confidence, most), min(self.certainty, most)
        return replace(self, confidence=confidence, certainty=certainty, notes=(*self.notes, note))


def analyse(
    mixture: Recording, rate: int, setup: str | Setup, spacing: float | None, notes: tuple[str, ...]
) -> Analysis:
    """Analyse a recording; `setup` and `spacing` as in `listening.listen`, `notes` are extended."""
    given = None if setup == "auto" else make_setup(setup, spacing=spacing)
    mended, correlation, late = _align(mixture, rate, given)
    delays = [] if given else find_wide_delays(correlation)
    known = _explain_delays(delays) if delays else given
    found = _recognise(mended, rate, known, notes)
    found = _invert_back(found, rate, known, measure_polarity(correlation))
    if not delays:
        found = _raise_quiet_channel(found, rate, known)
    if late:
        found = found.doubt(_roughness(found.setup), late)
    return _place_by_delays(found, delays) if delays else found


def _recognise(recording: Recording, rate: int, given: Setup | None, notes: tuple[str, ...]) -> Analysis:
    """The analysis of a recording as it is."""
    evidence = gather(recording, rate)
    best = Recognition(given, 1.0) if given else recognise(evidence)
    return Analysis(recording, best.setup, best.confidence, evidence, notes, best.answer)


def _roughness(setup: Setup) -> float:
    return ROUGH["time" if "time" in setup.cues else "level"]


def _align(mixture: Recording, rate: int, given: Setup | None) -> tuple[Recording, Correlation, str]:
    """(the recording with a late channel aligned, the correlation of its channels, a note about it or "")."""
    correlation = correlate_channels(mixture, rate)
    delay = find_late_channel(correlation)
    if delay is None or (given and abs(delay) < given.max_delay):
        return mixture, correlation, ""
    aligned = align_channels(mixture, rate, delay)
    note = (
        f"The {'right' if delay > 0 else 'left'} channel is {1000 * abs(delay):.0f} ms late, more than any pair of "
        "microphones explains; it was aligned, so directions are rough."
    )
    return aligned, correlate_channels(aligned, rate), note


def _invert_back(found: Analysis, rate: int, given: Setup | None, polarity: float) -> Analysis:
    """The analysis, or that of the recording with one channel inverted if that is the true one."""
    if polarity >= 0 or (given and given.name == "ms"):
        return found
    inverted = found.recording * np.array([[1], [-1]], np.float32)
    turned = _recognise(inverted, rate, given, (*found.notes, INVERTED))
    rivals = [name == "ms" for name in (found.setup.name, turned.setup.name)]
    if not any(rivals) and polarity < OPPOSED:
        return turned
    (found, upright), (turned, inverse) = found.look(), turned.look()
    if rivals[1] or upright >= inverse:
        return found
    if not rivals[0]:
        return turned
    return turned.doubt(DISPUTED, MID_SIDE)


def _raise_quiet_channel(found: Analysis, rate: int, given: Setup | None) -> Analysis:
    """The analysis, or that of the recording with its quieter channel as loud as the other.

    Delays show that it was too quiet; without delays, nobody can tell.
    """
    balance = measure_balance(found.evidence)
    if abs(balance) < FAR or "ms" in (found.setup.name, given and given.name):  # a side channel is quiet
        return found
    quiet = f"The {'left' if balance > 0 else 'right'} channel is far quieter than the other"
    gains = 10 ** (np.maximum([balance, -balance], 0)[:, None] / 20)
    raised = _recognise((found.recording * gains).astype(np.float32), rate, given, found.notes)
    if "time" in raised.setup.cues:
        (found, as_is), (raised, level) = found.look(), raised.look()
        if level > as_is - (0 if "time" in found.setup.cues else CLOSE):
            return raised.doubt(_roughness(raised.setup), f"{quiet}; it was raised, so directions are rough.")
    at_desk = "time" not in found.setup.cues
    if at_desk and abs(balance) < HARD:
        return found
    return found.doubt(1.0 if at_desk or given else DISPUTED, f"{quiet}; if that is a fault, directions are wrong.")


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
    return replace(found.doubt(DISPUTED, note), directions=directions)
