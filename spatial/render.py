"""How a setup hears a signal: mixing desk or room, still or moving, and noise from everywhere.

Conventions: as in `spatial.scene`; an `azimuth` here is (1,) of what stays or (frames,) of what moves.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from spatial.rooms import EARLY, Room, response, some_room, widening
from spatial.setups import Setup, diffuse, steering

Signal = NDArray[np.float64]
Renderer = Callable[[Signal, Signal], tuple[Signal, Signal]]  # (frames,), azimuth -> image, direct: (2, frames) each

DISTANCES = (1.2, 1.8)  # metres: across a living room
STEP = 2.5  # degrees at most between the places that a moving source is cross-faded through


def renderer(setup: Setup, rate: int, rt60: float | None, random: np.random.Generator) -> Renderer:
    """What makes a source's image and its direct part; all sources of a scene share the room or the reverb."""
    return _desk(setup, rate, rt60, random) if setup.name == "panned" else _field(setup, rate, rt60, random)


def _desk(setup: Setup, rate: int, rt60: float | None, random: np.random.Generator) -> Renderer:
    """Amplitude panning, and reverb as a send effect: the same for all, left and right unrelated."""
    tails = reverb(rate, rt60, random) if rt60 else None

    def render(signal: Signal, azimuth: Signal) -> tuple[Signal, Signal]:
        direct = steering(setup, azimuth, 0.0)[:, 0].real.T.astype(float) * signal
        if tails is None:
            return direct, direct
        return direct + np.stack([fftconvolve(signal, tail)[: len(signal)] for tail in tails]), direct

    return render


def reverb(rate: int, rt60: float, random: np.random.Generator) -> NDArray[np.float64]:
    """(2, taps) of decaying noise, Moorer (1979), from 12 ms on; 10 dB below the direct at 0.3 s, 4 more an octave."""
    seconds = np.arange(int(1.1 * rt60 * rate)) / rate
    tail = random.standard_normal((2, len(seconds))) * 10 ** (-3 * seconds / rt60) * (seconds >= 0.012)
    below = 10.0 - 4.0 * np.log2(rt60 / 0.3)
    return tail / np.sqrt((tail**2).sum()) * 10 ** (-below / 20)


def _field(setup: Setup, rate: int, rt60: float | None, random: np.random.Generator) -> Renderer:
    """Microphones or a head in a room, each source at its own distance."""
    room = some_room(setup, rt60, random)

    def render(signal: Signal, azimuth: Signal) -> tuple[Signal, Signal]:
        distance = random.uniform(*DISTANCES) * widening(setup)
        direct = _received(room, setup, signal, azimuth, distance, rate, 0)
        image = _received(room, setup, signal, azimuth, distance, rate, room.order) if room.order else direct
        scale = np.sqrt((signal**2).sum() / max((direct**2).sum(), 1e-30))
        return scale * image, scale * direct

    return render


def _received(
    room: Room, setup: Setup, signal: Signal, azimuth: Signal, distance: float, rate: int, order: int
) -> Signal:
    """(2, frames): cross-faded from place to place, windows that sum to one, along the azimuths."""
    frames, early = len(signal), round(EARLY * rate)
    speed = np.abs(np.diff(azimuth)).max(initial=0.0)  # degrees a frame
    places = np.linspace(0, frames - 1, 1 + int(np.ceil(speed * frames / STEP))) if speed else np.zeros(1)
    out = np.zeros((2, early + frames))
    for k, place in enumerate(places):
        first = int(places[max(k - 1, 0)])
        last = int(places[k + 1]) + 1 if k + 1 < len(places) else frames
        window = np.interp(np.arange(first, last), places, np.eye(len(places))[k]) if len(places) > 1 else 1.0
        taps = response(room, setup, float(azimuth[int(place)]), distance, rate, order)
        piece = fftconvolve((signal[first:last] * window)[None], taps, axes=1)[:, : early + frames - first]
        out[:, first : first + piece.shape[1]] += piece
    return out[:, early:]


def pink(shape: tuple[int, ...], rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Noise whose power falls by 3 dB an octave, from 30 Hz up."""
    spectrum = np.fft.rfft(random.standard_normal(shape))
    return np.fft.irfft(spectrum / np.sqrt(np.maximum(np.fft.rfftfreq(shape[-1], 1 / rate), 30.0)), shape[-1])


def diffuse_noise(setup: Setup, frames: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    """(2, frames) of pink noise from everywhere: its coherence imposed by Cholesky factors, Habets et al. (2008)."""
    frequencies = np.fft.rfftfreq(frames, 1 / rate)
    coarse = np.linspace(0, rate / 2, 1025)
    left, _, cross, right = np.moveaxis(diffuse(setup, coarse).reshape(-1, 4), 1, 0)
    left, right = (np.sqrt(np.interp(frequencies, coarse, each.real)) for each in (left, right))
    cross = np.interp(frequencies, coarse, cross) / left
    one, two = np.fft.rfft(pink((2, frames), rate, random))
    rest = np.sqrt(np.maximum(right**2 - np.abs(cross) ** 2, 0.0))
    return np.fft.irfft(np.stack([left * one, cross * one + rest * two]), frames)
