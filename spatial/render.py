"""Render a signal as a setup records it: at a mixing desk or in a room, fixed or moving; and diffuse noise.

Conventions: as in `spatial.scene`; an `azimuth` here is (1,) of a fixed source or (frames,) of a moving one.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from scipy.signal import fftconvolve

from spatial.rooms import EARLY, Room, distance_factor, draw_room, impulse_response
from spatial.setups import Setup, diffuse_covariance, steering_vectors

Signal = Float[np.ndarray, " frames"]
Stereo = Float[np.ndarray, "2 frames"]
Azimuth = Float[np.ndarray, " points"]
Renderer = Callable[[Signal, Azimuth], tuple[Stereo, Stereo]]  # signal, azimuth -> image, its direct part

DISTANCES = (1.2, 1.8)  # metres: across a living room
STEP = 2.5  # degrees at most between the positions that a moving source is cross-faded through


def make_renderer(setup: Setup, rate: int, rt60: float | None, random: np.random.Generator) -> Renderer:
    """The function that renders a source; all sources of a scene share its room or reverb."""
    make = _make_desk_renderer if setup.name == "panned" else _make_room_renderer
    return make(setup, rate, rt60, random)


def _make_desk_renderer(setup: Setup, rate: int, rt60: float | None, random: np.random.Generator) -> Renderer:
    """Amplitude panning, with reverb as a send effect: the same for all sources, its channels uncorrelated."""
    tails = draw_reverb(rate, rt60, random) if rt60 else None

    def render(signal: Signal, azimuth: Azimuth) -> tuple[Stereo, Stereo]:
        direct = steering_vectors(setup, azimuth, 0.0)[:, 0].real.T.astype(float) * signal
        if tails is None:
            return direct, direct
        return direct + np.stack([fftconvolve(signal, tail)[: len(signal)] for tail in tails]), direct

    return render


def draw_reverb(rate: int, rt60: float, random: np.random.Generator) -> Float[np.ndarray, "2 taps"]:
    """Decaying noise, Moorer (1979), from 12 ms on; 10 dB below the direct sound at 0.3 s, 4 dB more per octave."""
    seconds = np.arange(int(1.1 * rt60 * rate)) / rate
    tail = random.standard_normal((2, len(seconds))) * 10 ** (-3 * seconds / rt60) * (seconds >= 0.012)
    below = 10.0 - 4.0 * np.log2(rt60 / 0.3)
    return tail / np.sqrt((tail**2).sum()) * 10 ** (-below / 20)


def _make_room_renderer(setup: Setup, rate: int, rt60: float | None, random: np.random.Generator) -> Renderer:
    """Microphones or a head in a room, with each source at its own distance."""
    room = draw_room(setup, rt60, random)

    def render(signal: Signal, azimuth: Azimuth) -> tuple[Stereo, Stereo]:
        distance = random.uniform(*DISTANCES) * distance_factor(setup)
        direct = _render_in_room(room, setup, signal, azimuth, distance, rate, 0)
        image = _render_in_room(room, setup, signal, azimuth, distance, rate, room.order) if room.order else direct
        scale = np.sqrt((signal**2).sum() / max((direct**2).sum(), 1e-30))
        return scale * image, scale * direct

    return render


def _render_in_room(
    room: Room, setup: Setup, signal: Signal, azimuth: Azimuth, distance: float, rate: int, order: int
) -> Stereo:
    """Cross-faded along the azimuths, from position to position, with windows that sum to one."""
    frames, early = len(signal), round(EARLY * rate)
    speed = np.abs(np.diff(azimuth)).max(initial=0.0)  # degrees a frame
    centres = np.linspace(0, frames - 1, 1 + int(np.ceil(speed * frames / STEP))) if speed else np.zeros(1)
    out = np.zeros((2, early + frames))
    for k, centre in enumerate(centres):
        first = int(centres[max(k - 1, 0)])
        last = int(centres[k + 1]) + 1 if k + 1 < len(centres) else frames
        window = np.interp(np.arange(first, last), centres, np.eye(len(centres))[k]) if len(centres) > 1 else 1.0
        taps = impulse_response(room, setup, float(azimuth[int(centre)]), distance, rate, order)
        piece = fftconvolve((signal[first:last] * window)[None], taps, axes=1)[:, : early + frames - first]
        out[:, first : first + piece.shape[1]] += piece
    return out[:, early:]


def draw_pink_noise(
    shape: tuple[int, int], rate: int, random: np.random.Generator
) -> Float[np.ndarray, "channels frames"]:
    """Noise whose power falls by 3 dB per octave, from 30 Hz up."""
    spectrum = np.fft.rfft(random.standard_normal(shape))
    return np.fft.irfft(spectrum / np.sqrt(np.maximum(np.fft.rfftfreq(shape[-1], 1 / rate), 30.0)), shape[-1])


def draw_diffuse_noise(setup: Setup, frames: int, rate: int, random: np.random.Generator) -> Stereo:
    """Pink noise from everywhere: its coherence is imposed by Cholesky factors, Habets et al. (2008)."""
    frequencies = np.fft.rfftfreq(frames, 1 / rate)
    coarse = np.linspace(0, rate / 2, 1025)
    left, _, cross, right = np.moveaxis(diffuse_covariance(setup, coarse).reshape(-1, 4), 1, 0)
    left, right = (np.sqrt(np.interp(frequencies, coarse, each.real)) for each in (left, right))
    cross = np.interp(frequencies, coarse, cross) / left
    one, two = np.fft.rfft(draw_pink_noise((2, frames), rate, random))
    rest = np.sqrt(np.maximum(right**2 - np.abs(cross) ** 2, 0.0))
    return np.fft.irfft(np.stack([left * one, cross * one + rest * two]), frames)
