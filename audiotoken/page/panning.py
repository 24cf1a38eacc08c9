"""Simulate two sounds at chosen azimuths as a stereo recording, and compare them with what is heard in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from audiotoken.audio import resample, to_mono
from audiotoken.page.examples import RATE, synthesise_sound
from audiotoken.page.uploads import read_upload
from audiotoken.report.listening_figure import css_colour
from audiotoken.stereo.planning import Plan
from spatial.setups import make_setup
from spatial.simulation import simulate

MAX_SECONDS = 15.0  # of a mix
ROOMS = {"none": None, "small, 0.2 s": 0.2, "living room, 0.4 s": 0.4, "hall, 0.8 s": 0.8}  # RT60 in seconds


@dataclass(frozen=True, eq=False)
class Voice:
    """One sound of the mix."""

    name: str
    signal: NDArray[np.float32]  # (frames,) at `RATE`
    azimuth: float = 0.0  # degrees, positive right
    level: float = 0.0  # dB


@dataclass(frozen=True, eq=False)
class Mix:
    """A simulated recording of the panner, with its truth."""

    recording: NDArray[np.float32]  # (2, frames) at `RATE`
    voices: Sequence[Voice]
    limit: float  # of azimuths, degrees to either side
    path: Path  # its WAV file


@dataclass(frozen=True)
class Comparison:
    """Where one voice was placed, and as what and where it was heard; None for both if it was not."""

    name: str
    placed_at: float  # degrees, positive right
    heard_as: str | None = None
    heard_at: float | None = None


def load_voice(path: str) -> Voice:
    """A file as one voice, its channels mixed down; AudioError."""
    recording, rate, _ = read_upload(path)
    signal = resample(to_mono(recording), rate, RATE)[: round(MAX_SECONDS * RATE)]
    gain = 0.1 / max(float(np.sqrt(np.mean(signal**2))), 1e-9)
    return Voice(Path(path).stem, (gain * signal).clip(-1, 1).astype(np.float32))


def synthesise_voice(word: str) -> Voice:
    """A synthesised sound of that word as a voice of the mix."""
    return Voice(word, synthesise_sound(word))


def azimuth_limit(setup: str) -> float:
    """The largest azimuth to either side, in degrees, that this recording setup can hold."""
    return make_setup(setup).limit


def mix_voices(voices: Sequence[Voice], setup: str, rt60: float | None = None) -> NDArray[np.float32]:
    """(2, frames) at `RATE`; azimuths beyond the limit of the setup are moved to it."""
    limit = azimuth_limit(setup)
    sources = [
        (10 ** (voice.level / 20) * voice.signal, float(np.clip(voice.azimuth, -limit, limit))) for voice in voices
    ]
    return simulate(sources, setup, rate=RATE, rt60=rt60)


def compare_directions(voices: Sequence[Voice], limit: float, planned: Plan) -> list[Comparison]:
    """Assign heard sources to voices, one to one, so that the sum of the angles between them is least."""
    placed = np.array([np.clip(voice.azimuth, -limit, limit) for voice in voices])
    heard = np.array([source.direction.azimuth for source in planned.scene.sources])
    rows, columns = linear_sum_assignment(np.abs(placed[:, None] - heard[None]))
    pairs = dict(zip(rows.tolist(), columns.tolist(), strict=True))
    return [
        Comparison(voice.name, float(placed[i]), planned.subjects[pairs[i]], float(heard[pairs[i]]))
        if i in pairs
        else Comparison(voice.name, float(placed[i]))
        for i, voice in enumerate(voices)
    ]


def panner_state(voices: Sequence[Voice], limit: float) -> dict[str, Any]:
    """The value of places.js: a dot and two sliders for each voice."""
    return {
        "kind": "scene",
        "stamp": uuid4().hex,
        "fov": 90.0,
        "limit": limit,
        "slider": {"title": "Level", "low": -20, "high": 0, "factor": 1, "unit": "dB"},
        "sources": [
            {
                "number": i + 1,
                "colour": css_colour(i),
                "name": voice.name,
                "azimuth": voice.azimuth,
                "heard": voice.azimuth,
                "size": voice.level,
                "spread": 0.0,
                "mode": "placed",
            }
            for i, voice in enumerate(voices)
        ],
    }
