"""Two sounds put somewhere -> a stereo recording, and where they were heard in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from audiotoken.audio import resample, to_mono
from audiotoken.page.examples import RATE, sound
from audiotoken.page.uploads import read_upload
from audiotoken.page.view import colour_of
from audiotoken.stereo.planning import Plan
from spatial.setups import make_setup
from spatial.simulation import simulate

LONGEST = 15.0  # seconds of a mix
ROOMS = {"none": None, "small, 0.2 s": 0.2, "living room, 0.4 s": 0.4, "hall, 0.8 s": 0.8}  # seconds of reverberation


@dataclass(frozen=True, eq=False)
class Voice:
    """One sound of the mix."""

    name: str
    signal: NDArray[np.float32]  # (frames,) at `RATE`
    azimuth: float = 0.0  # degrees, positive right
    level: float = 0.0  # dB


def own_voice(path: str) -> Voice:
    """Of a file, its channels mixed down; AudioError."""
    from pathlib import Path

    recording, rate, _ = read_upload(path)
    signal = resample(to_mono(recording), rate, RATE)[: round(LONGEST * RATE)]
    loud = 0.1 / max(float(np.sqrt(np.mean(signal**2))), 1e-9)
    return Voice(Path(path).stem, (loud * signal).clip(-1, 1).astype(np.float32))


def known_voice(word: str) -> Voice:
    return Voice(word, sound(word))


def limit(setup: str) -> float:
    """Degrees to either side, beyond which this kind of recording has nothing."""
    return make_setup(setup).limit


def mix(voices: Sequence[Voice], setup: str, rt60: float | None = None) -> NDArray[np.float32]:
    """(2, frames) at `RATE`; what is further out than the setup reaches is at its edge."""
    edge = limit(setup)
    placed = [(10 ** (voice.level / 20) * voice.signal, float(np.clip(voice.azimuth, -edge, edge))) for voice in voices]
    return simulate(placed, setup, rate=RATE, rt60=rt60)


def compared(voices: Sequence[Voice], edge: float, heard: Plan) -> list[tuple[str, float, str | None, float | None]]:
    """Of each voice: name, where it was put, as what and where it was heard; the nearest go together, one to one."""
    put = np.array([np.clip(voice.azimuth, -edge, edge) for voice in voices])
    found = np.array([source.direction.azimuth for source in heard.scene.sources])
    rows, columns = linear_sum_assignment(np.abs(put[:, None] - found[None]))
    pair = dict(zip(rows.tolist(), columns.tolist(), strict=True))
    return [
        (voice.name, float(put[i]), heard.subjects[pair[i]], float(found[pair[i]]))
        if i in pair
        else (voice.name, float(put[i]), None, None)
        for i, voice in enumerate(voices)
    ]


def scene(voices: Sequence[Voice], edge: float) -> dict[str, Any]:
    """For places.js: dots and two sliders each."""
    from uuid import uuid4

    return {
        "kind": "scene",
        "stamp": uuid4().hex,
        "fov": 90.0,
        "limit": edge,
        "slider": {"title": "Loudness", "low": -20, "high": 0, "factor": 1, "unit": "dB"},
        "sources": [
            {
                "number": i + 1,
                "colour": colour_of(i),
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
