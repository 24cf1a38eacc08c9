"""Example recordings, synthesised when they are chosen."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiotoken.mini.sounds import synthesise
from spatial.simulation import simulate

RATE = 22_050  # Hz
SECONDS = 4.0
SEED = 3


def street() -> NDArray[np.float32]:
    """A frog on the left and a bell on the right, recorded by a pair of microphones."""
    return _simulate_scene({"frog": -28.0, "bell": 28.0}, "ortf", rt60=0.2)


def yard() -> NDArray[np.float32]:
    """Three sources, panned at a mixing desk."""
    return _simulate_scene({"dog": -38.0, "clock": 4.0, "rooster": 33.0}, "panned")


def flyby() -> NDArray[np.float32]:
    """A helicopter that moves from left to right."""
    path = ((0.0, -36.0), (SECONDS, 36.0))
    return _simulate_scene({"helicopter": path}, "panned")


def single_dog() -> NDArray[np.float32]:
    """One channel, which holds no directions."""
    return synthesise_sound("dog")[None]


EXAMPLES: dict[str, Callable[[], NDArray[np.float32]]] = {
    "Frog and bell": street,
    "Dog, clock, rooster": yard,
    "Passing helicopter": flyby,
    "One dog, mono": single_dog,
}


def synthesise_sound(word: str, seed: int = SEED) -> NDArray[np.float32]:
    """(frames,) of one source, all at the same level."""
    signal = synthesise(word, RATE, SECONDS, seed)
    return (0.1 * signal / max(float(np.sqrt(np.mean(signal**2))), 1e-9)).clip(-1, 1).astype(np.float32)


@cache
def load_example(name: str) -> NDArray[np.float32]:
    """(channels, frames) at `RATE`."""
    return EXAMPLES[name]()


def write_sound(recording: NDArray[np.float32], rate: int, path: Path) -> Path:
    """16-bit WAV of (channels, frames) or (frames,)."""
    import soundfile

    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.atleast_2d(recording).T, rate, subtype="PCM_16")
    return path


def _simulate_scene(words: dict, setup: str, rt60: float | None = None) -> NDArray[np.float32]:
    sources = [(synthesise_sound(word), position) for word, position in words.items()]
    return simulate(sources, setup, rate=RATE, rt60=rt60, seed=SEED)
