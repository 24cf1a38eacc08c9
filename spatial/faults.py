"""Faults of recordings that no pair of microphones causes: a late channel, an inverted one, and one that is too quiet.

A late or inverted channel shows in the cross-correlation of the channels, whitened so that every frequency counts alike
(GCC-PHAT, Knapp and Carter 1976). Any setup puts its highest peaks within `USUAL_DELAY`, or within `WIDEST_DELAY` if
the microphones stand metres apart or sounds are panned by time, and its peaks are positive.

Conventions: a *delay* is in seconds, that of the right channel behind the left one.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.fft import irfft, next_fast_len, rfft

from spatial.evidence import Evidence

WINDOW, LONGEST = 0.37, 0.06  # seconds: of a spectrum, and the longest delay that is looked for
LOW, HIGH = 100.0, 8000.0  # Hz
USUAL_DELAY = 0.0032  # seconds: microphones up to 1.1 metres apart
WIDEST_DELAY = 0.016  # microphones 5 metres apart; panning by time ends at 15 milliseconds
ABOVE = 1.3  # how much higher the peak of a late channel is than all peaks of smaller delays
FARTHER = 1.25  # the same for a sound between widely spaced microphones
ALSO, DISTINCT = 0.35, 0.0015  # share of the highest peak from which another is a source; seconds between the two
CLEAR = 8.0  # the same over the root mean square of the correlation
AUDIBLE = 5.0  # the same where only its sign is asked for; noise stays below 4.3, recordings of sources are above 6.3


@dataclass(frozen=True, eq=False)
class Correlation:
    """The whitened cross-correlation of the two channels, -1 to 1."""

    delays: Float[np.ndarray, " delays"]  # seconds, evenly from -LONGEST to LONGEST
    values: Float[np.ndarray, " delays"]

    def find_peak(self, shortest: float, longest: float) -> tuple[float, float]:
        """(delay, height of either sign) of the highest peak whose delay is between the two, either channel first."""
        size = np.abs(self.delays)
        height = np.where((size >= shortest) & (size <= longest), np.abs(self.values), -1)
        top = int(height.argmax())
        return float(self.delays[top]), float(height[top])

    def is_clear(self, height: float) -> bool:
        """Whether a peak of that height stands out from the noise of the correlation."""
        return height > min(CLEAR * float(np.sqrt(np.mean(self.values**2))), 0.5)


def correlate_channels(recording: Float[np.ndarray, "2 frames"], rate: int) -> Correlation:
    """Correlation of a recording: the mean of its windows, in which louder ones count more."""
    length = next_fast_len(round(WINDOW * rate), real=True)
    padded = np.pad(recording, ((0, 0), (0, max(0, length - recording.shape[1]))))
    taper = np.hanning(length).astype(np.float32)
    most = round(LONGEST * rate)
    total, loudness = np.zeros(2 * most + 1), 1e-20
    frequencies = np.fft.rfftfreq(2 * length, 1 / rate)
    band = (frequencies >= LOW) & (frequencies <= HIGH)
    for start in range(0, padded.shape[1] - length + 1, length // 2):
        left, right = rfft(padded[:, start : start + length] * taper, 2 * length, axis=1)
        cross = np.where(band, np.conj(left) * right, 0)
        size = np.abs(cross)
        white = cross / (size + 1e-3 * size.max() + 1e-30)
        power = np.sqrt(size.sum())
        loudness += power
        total += power * np.roll(irfft(white), most)[: 2 * most + 1] * length / max(int(band.sum()), 1)
    return Correlation(np.arange(-most, most + 1) / rate, total / loudness)


def find_late_channel(correlation: Correlation) -> float | None:
    """The delay of a channel that is later than any setup explains, None otherwise."""
    delay, height = correlation.find_peak(WIDEST_DELAY, LONGEST)
    usual = correlation.find_peak(0, WIDEST_DELAY)[1]
    return delay if height > ABOVE * usual and correlation.is_clear(height) else None


def find_wide_delays(correlation: Correlation) -> list[tuple[float, float]]:
    """(delay, height relative to the highest) of the sounds in a recording whose channels lie far apart, else [].

    That is where a sound is delayed by more than `USUAL_DELAY`, and none that is less delayed stands out more.
    """
    height = correlation.find_peak(USUAL_DELAY, WIDEST_DELAY)[1]
    if height < FARTHER * correlation.find_peak(0, USUAL_DELAY)[1] or not correlation.is_clear(height):
        return []
    values = np.where(np.abs(correlation.delays) <= WIDEST_DELAY, np.abs(correlation.values), 0)
    found: list[tuple[float, float]] = []
    while values.max() > ALSO * height and correlation.is_clear(float(values.max())):
        delay = float(correlation.delays[values.argmax()])
        found.append((delay, float(values.max()) / height))
        values = np.where(np.abs(correlation.delays - delay) < DISTINCT, 0, values)
    return found


def align_channels(recording: Float[np.ndarray, "2 frames"], rate: int, delay: float) -> Float[np.ndarray, "2 frames"]:
    """The recording with its later channel moved forward by that delay, and silence at its end."""
    shift, late = round(abs(delay) * rate), int(delay > 0)
    out = recording.copy()
    out[late] = np.append(recording[late, shift:], np.zeros(min(shift, recording.shape[1]), np.float32))
    return out


def measure_polarity(correlation: Correlation) -> float:
    """1 where all peaks are positive, -1 where all are negative, as those of an inverted channel are; 0 for noise."""
    near = correlation.values[np.abs(correlation.delays) <= WIDEST_DELAY]
    highest, lowest = max(float(near.max()), 0.0), max(float(-near.min()), 0.0)
    if max(highest, lowest) < AUDIBLE * np.sqrt(np.mean(correlation.values**2)):
        return 0.0
    return (highest - lowest) / (highest + lowest + 1e-20)


def measure_balance(evidence: Evidence) -> float:
    """Decibels by which the right channel is louder than the left one; loud sounds count little more than others."""
    share = float(evidence.weight @ evidence.stokes[:, 0]) / max(float(evidence.weight.sum()), 1e-20)
    return float(10 * np.log10((1 - share + 1e-6) / (1 + share + 1e-6)))
