"""Sounds that are heard throughout a scene: long silences are shortened, and what is too short is repeated.

Conventions: a *signal* is (frames,), mono; an *event* is a part of it between silences longer than `PAUSE`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

Signal = NDArray[Any]  # of any floating type, which stays

SHORT = 0.02  # seconds over which the level is averaged
ACTIVE = 0.04  # of the loudest moment's level: quieter moments are silence
PAUSE = 1.0  # seconds: shorter silences stay as they are
GAP = 0.1, 0.45  # seconds of silence that replace longer ones
MARGIN, FADE = 0.03, 0.005  # seconds kept around an event; of its fades


def find_events(signal: Signal, rate: int) -> tuple[Signal, ...]:
    """The events of a signal, faded at their ends; none if it is silent."""
    active = np.flatnonzero(find_active(signal, rate))
    if not len(active):
        return ()
    breaks = np.flatnonzero(np.diff(active) > PAUSE * rate)
    starts, stops = active[np.append(0, breaks + 1)], active[np.append(breaks, len(active) - 1)]
    margin, ramp = round(MARGIN * rate), np.sin(np.linspace(0, np.pi / 2, round(FADE * rate))) ** 2
    events = []
    for start, stop in zip(starts, stops, strict=True):
        event = signal[max(0, start - margin) : stop + margin].copy()
        event[: len(ramp)] *= ramp
        event[-len(ramp) :] *= ramp[::-1]
        events.append(event)
    return tuple(events)


def repeat_events(events: Sequence[Signal], frames: int, rate: int, random: np.random.Generator) -> Signal:
    """(frames,): the events in turn, with short silences between them."""
    pieces: list[Signal] = []
    while sum(map(len, pieces)) < frames:
        for event in events:
            pieces += [event, np.zeros(int(random.uniform(*GAP) * rate), event.dtype)]
    return np.concatenate(pieces)[:frames]


def find_active(signal: Signal, rate: int) -> NDArray[np.bool_]:
    """(frames,): where the level is not far below that of the loudest moment."""
    level = np.sqrt(np.maximum(uniform_filter1d(signal**2, round(SHORT * rate), mode="constant"), 0))
    return level > ACTIVE * level.max()
