"""Where the sounds of a scene are recorded: at a mixing desk, or in a room of the bank that `responses` makes.

Conventions: as in `spatial.scene`; a *position* is an index into the `azimuths` of a place.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve, resample_poly

from experiments.world.training import responses
from spatial.render import draw_reverb
from spatial.setups import make_setup, steering_vectors

SPREAD = 2.5  # dB, standard deviation of the level of a desk's reverberation

Signal = NDArray[np.floating]  # (frames,)
Stereo = NDArray[np.floating]  # (2, frames)


class MixingDesk:
    """A mixing desk: amplitude panning, with a stereo reverberation as a send for all sounds, or none."""

    azimuths = tuple(float(each) for each in np.linspace(-45, 45, 13))

    def __init__(self, rt60: float, rate: int, rng: np.random.Generator, law: str = "power"):
        self.setup, self.rt60 = make_setup("panned", law=law), rt60
        self._tails = draw_reverb(rate, rt60, rng) * 10 ** (rng.normal(0, SPREAD) / 20) if rt60 else None

    def pan(self, signal: Signal, azimuth: float) -> Stereo:
        """The direct sound of a signal at an azimuth."""
        return steering_vectors(self.setup, azimuth, 0.0)[0, 0].real[:, None] * signal

    def reverberate(self, signal: Signal) -> Stereo | float:
        """The reverberation of a signal, 0 for none."""
        return 0.0 if self._tails is None else fftconvolve(signal[None], self._tails, axes=1)[:, : len(signal)]

    def render(self, signal: Signal, position: int) -> Stereo:
        """The image of a signal."""
        return self.pan(signal, self.azimuths[position]) + self.reverberate(signal)


class Room:
    """A file of the bank: a room with microphones or a head in it, and responses to sounds at its positions."""

    def __init__(self, path: Path, rate: int = responses.RATE):
        with np.load(path) as file:
            self.facts = json.loads(str(file["facts"]))
            full, dry = (file[name].astype(np.float32) for name in ("full", "dry"))
        self._responses, self._rate = {False: full, True: dry}, rate
        name, spacing = self.facts["setup"], self.facts["spacing"]
        self.setup = make_setup(name, spacing=spacing if name == "spaced" else None)
        self.rt60: float = self.facts["rt60"]
        self.azimuths: Sequence[float] = self.facts["azimuths"]

    def render(self, signal: Signal, position: int, *, dry: bool = False) -> Stereo:
        """The image of a signal, or the direct part of that if `dry`."""
        response = self._responses[dry][position]
        if self._rate != responses.RATE:
            response = resample_poly(response, self._rate, responses.RATE, axis=1)
        early = round(responses.EARLY * self._rate)
        return fftconvolve(signal[None], response, axes=1)[:, early : early + len(signal)]


def choose_apart(azimuths: Sequence[float], count: int, rng: np.random.Generator, apart: float = 15.0) -> list[int]:
    """Positions at least `apart` degrees from each other, or as far as a few trials find."""
    places, best, widest = np.array(azimuths), list(range(count)), -1.0
    for _ in range(40):
        chosen = rng.permutation(len(places))[:count]
        gap = float(np.diff(np.sort(places[chosen])).min()) if count > 1 else 180.0
        if gap > widest:
            best, widest = [int(i) for i in chosen], gap
        if widest >= apart:
            break
    return best
