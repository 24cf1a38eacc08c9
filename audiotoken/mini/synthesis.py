"""Building blocks of the sound synthesiser: sources, resonators, envelopes, placing, a room.

Conventions: a signal is `(frames,)` float64 until it is finished; `rate` in Hz; times in seconds; frequencies in
Hz; `rng` is the only source of randomness, so the same generator state gives the same sound.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import signal as dsp

Signal = NDArray[np.float64]
Random = np.random.Generator
Synthesiser = Callable[[Random, int, float], Signal]  # (source of randomness, rate, seconds) -> signal


def to_frames(seconds: float, rate: int) -> int:
    """Number of frames in `seconds`, at least one."""
    return max(1, round(seconds * rate))


def silence(seconds: float, rate: int) -> Signal:
    return np.zeros(to_frames(seconds, rate))


def coloured_noise(rng: Random, frames: int, slope: float = 0.0) -> Signal:
    """Gaussian noise of unit RMS whose power falls as f**-slope: 0 white, 1 pink, 2 brown."""
    spectrum = rng.standard_normal(frames // 2 + 1) + 1j * rng.standard_normal(frames // 2 + 1)
    spectrum *= np.maximum(np.arange(len(spectrum)), 1.0) ** (-slope / 2)
    spectrum[0] = 0
    noise = np.fft.irfft(spectrum, frames)
    return noise / (np.sqrt(np.mean(noise**2)) + 1e-12)


def bandpass(signal: Signal, rate: int, low: float | None, high: float | None, order: int = 2) -> Signal:
    """Butterworth filter that keeps `low` to `high` Hz; None leaves that side open; edges stay below Nyquist."""
    top = 0.48 * rate
    edges = [None if e is None else min(e, top) for e in (low, high)]
    if edges[0] is not None and edges[1] is not None:
        lo, hi = min(edges[0], 0.9 * edges[1]), edges[1]
        sos = dsp.butter(order, [lo, hi], "bandpass", fs=rate, output="sos")
    elif edges[0] is not None:
        sos = dsp.butter(order, edges[0], "highpass", fs=rate, output="sos")
    else:
        sos = dsp.butter(order, edges[1], "lowpass", fs=rate, output="sos")
    return dsp.sosfilt(sos, signal)


def formants(source: Signal, rate: int, peaks: Sequence[tuple[float, float, float]]) -> Signal:
    """Parallel two-pole resonators, `peaks` of (Hz, bandwidth Hz, gain), each of unit gain at its peak (Klatt 1980)."""
    out = np.zeros_like(source)
    for hertz, width, gain in peaks:
        if hertz > 0.46 * rate:
            continue
        r = np.exp(-np.pi * width / rate)
        theta = 2 * np.pi * hertz / rate
        a = [1.0, -2 * r * np.cos(theta), r * r]
        scale = (1 - r) * np.sqrt(1 - 2 * r * np.cos(2 * theta) + r * r)
        out += dsp.lfilter([gain * scale], a, source)
    return out


def harmonics(pitch: Signal, rate: int, tilt: float = 1.0, most: int = 40, odd_only: bool = False) -> Signal:
    """Sum of partials k of a moving `pitch` (frames,) Hz with amplitude k**-tilt, none above Nyquist."""
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    top, out = float(np.max(pitch)), np.zeros_like(pitch)
    for k in range(1, most + 1, 2 if odd_only else 1):
        if k * top > 0.47 * rate:
            break
        out += np.sin(k * phase + 0.7 * k * k) * k**-tilt
    return out


def pulse_train(pitch: Signal, rate: int, rng: Random, jitter: float = 0.0) -> Signal:
    """One impulse per period of a moving `pitch` (frames,) Hz; `jitter` is the relative spread of strength."""
    wraps = np.diff(np.floor(np.cumsum(pitch) / rate), prepend=0.0) > 0
    return wraps * (1 + jitter * rng.standard_normal(len(pitch)))


def wander(rng: Random, frames: int, rate: int, hertz: float) -> Signal:
    """A smooth random curve of about unit spread that changes about `hertz` times a second."""
    points = max(4, int(frames / rate * hertz) + 4)
    knots = rng.standard_normal(points)
    start = rng.random()
    at = start + np.arange(frames) * (points - 3) / frames
    i = at.astype(int)
    f = (1 - np.cos(np.pi * (at - i))) / 2
    return knots[i] * (1 - f) + knots[i + 1] * f


def curve(frames: int, *values: float) -> Signal:
    """A smooth curve through equally spaced `values`, `(frames,)`."""
    at = np.linspace(0, len(values) - 1, frames)
    i = np.minimum(at.astype(int), len(values) - 2)
    f = (1 - np.cos(np.pi * (at - i))) / 2
    v = np.asarray(values)
    return v[i] * (1 - f) + v[i + 1] * f


def strike(frames: int, rate: int, attack: float, decay: float) -> Signal:
    """Envelope of something struck: linear rise over `attack`, then exponential fall with time constant `decay`."""
    t = np.arange(frames) / rate
    return np.minimum(t / max(attack, 1 / rate), 1.0) * np.exp(-np.maximum(t - attack, 0) / decay)


def hold(frames: int, rate: int, attack: float, release: float) -> Signal:
    """Envelope of something sustained: rises over `attack`, stays at one, falls over `release`."""
    t = np.arange(frames) / rate
    left = np.clip(t / attack, 0, 1)
    right = np.clip((frames / rate - t) / release, 0, 1)
    return np.sin(np.pi / 2 * left) * np.sin(np.pi / 2 * right)


def modes(frames: int, rate: int, parts: Sequence[tuple[float, float, float]], rng: Random) -> Signal:
    """Free vibration after one blow: `parts` of (Hz, decay time constant s, amplitude), random phases."""
    t = np.arange(frames) / rate
    out = np.zeros(frames)
    for hertz, decay, amplitude in parts:
        if hertz < 0.47 * rate:
            length = min(frames, to_frames(7 * decay, rate))
            s = t[:length]
            out[:length] += amplitude * np.exp(-s / decay) * np.sin(2 * np.pi * hertz * s + rng.uniform(0, 6.28))
    return out


def mix_at(out: Signal, grain: Signal, at: float, rate: int, gain: float = 1.0) -> None:
    """Add `grain` into `out` at `at` seconds (may be negative); what reaches beyond either end is cut."""
    start = round(at * rate)
    if start < 0:
        grain, start = grain[-start:], 0
    end = min(len(out), start + len(grain))
    if end > start:
        out[start:end] += gain * grain[: end - start]


def onsets(rng: Random, seconds: float, low: float, high: float, spread: float = 0.1) -> list[float]:
    """Regular onsets: one period drawn between `low` and `high` seconds, each gap varied by `spread` of it."""
    period = rng.uniform(low, high)
    at, out = rng.uniform(0, min(period, seconds / 2)), []
    while at < seconds:
        out.append(at)
        at += period * max(0.3, 1 + spread * rng.standard_normal())
    return out


def normalise(signal: Signal) -> Signal:
    """The signal scaled to a peak of one (silence stays silence)."""
    return signal / (np.max(np.abs(signal)) + 1e-12)


def simulate_recorder(signal: Signal, rate: int, rng: Random) -> NDArray[np.float32]:
    """Simulate a recording from some distance: room, spectral tilt, noise floor, level. (frames,) float32."""
    signal = normalise(signal)
    if rng.random() < 0.7:  # exponentially decaying noise as the room's late response (Moorer 1979)
        decay = rng.uniform(0.03, 0.25)
        tail = coloured_noise(rng, to_frames(5 * decay, rate), 0.5) * strike(to_frames(5 * decay, rate), rate, 0, decay)
        wet = dsp.fftconvolve(signal, tail / np.sqrt(np.sum(tail**2)))[: len(signal)]
        signal = signal + rng.uniform(0.05, 0.6) * wet
    spectrum = np.fft.rfft(signal)
    octaves = np.log2(np.maximum(np.fft.rfftfreq(len(signal), 1 / rate), 20) / 1000)
    spectrum *= 10 ** (rng.normal(0, 1.2) * np.clip(octaves, -4, 3) / 20)  # a tilt of a decibel or so per octave
    signal = normalise(np.fft.irfft(spectrum, len(signal)))
    floor = 10 ** (rng.uniform(-75, -38) / 20)
    signal = signal + floor * coloured_noise(rng, len(signal), rng.uniform(0, 1.5))
    return (normalise(signal) * rng.uniform(0.25, 0.95)).astype(np.float32)
