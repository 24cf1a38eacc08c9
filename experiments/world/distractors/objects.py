"""Things that are struck, plucked or played."""

import numpy as np
from scipy import signal as dsp

from audiotoken.mini.synthesis import (
    Random,
    Signal,
    bandpass,
    coloured_noise,
    harmonics,
    hold,
    mix_at,
    modes,
    normalise,
    onsets,
    silence,
    strike,
    to_frames,
)


def typing(rng: Random, rate: int, seconds: float) -> Signal:
    """Keystrokes at uneven times, down and up."""
    out, at, n = silence(seconds, rate), rng.uniform(0, 0.3), to_frames(0.06, rate)
    while at < seconds:
        key = modes(
            n, rate, [(rng.uniform(200, 4500), rng.uniform(0.002, 0.012), rng.uniform(0.3, 1)) for _ in range(5)], rng
        )
        key += bandpass(coloured_noise(rng, n), rate, 600, 6000) * strike(n, rate, 0, 0.004)
        mix_at(out, key, at, rate, rng.uniform(0.5, 1))
        mix_at(out, key[::2], at + rng.uniform(0.05, 0.1), rate, 0.3)
        at += rng.gamma(2.0, 0.09) + (0.5 if rng.random() < 0.06 else 0.04)
    return out


def footsteps(rng: Random, rate: int, seconds: float) -> Signal:
    """Heel and sole on a random floor."""
    out, n, soft = silence(seconds, rate), to_frames(0.2, rate), rng.uniform(0.01, 0.05)
    for at in onsets(rng, seconds, 0.35, 0.8, 0.06):
        heel = bandpass(coloured_noise(rng, n, 1), rate, 60, rng.uniform(500, 1500)) * strike(n, rate, 0.003, 0.02)
        sole = bandpass(coloured_noise(rng, n), rate, 800, 5000) * strike(n, rate, 0.02, soft)
        mix_at(out, normalise(heel) + rng.uniform(0.1, 0.6) * normalise(sole), at, rate, rng.uniform(0.7, 1))
    return out


def knocking(rng: Random, rate: int, seconds: float) -> Signal:
    """Knuckles on wood, in groups."""
    out, n, at = silence(seconds, rate), to_frames(0.15, rate), rng.uniform(0, 0.5)
    wood = [(rng.uniform(150, 1600), rng.uniform(0.006, 0.025), rng.uniform(0.3, 1)) for _ in range(5)]
    while at < seconds:
        for _ in range(rng.integers(2, 6)):
            mix_at(
                out,
                modes(n, rate, wood, rng) + 0.2 * coloured_noise(rng, n, 1) * strike(n, rate, 0, 0.003),
                at,
                rate,
                rng.uniform(0.7, 1),
            )
            at += rng.uniform(0.13, 0.3)
        at += rng.uniform(0.4, 1.6)
    return out


def glass(rng: Random, rate: int, seconds: float) -> Signal:
    """Clinking glass and cutlery: a few high modes, blows of very unequal strength."""
    out, n, at = silence(seconds, rate), to_frames(0.4, rate), rng.uniform(0, 0.5)
    while at < seconds:
        parts = [(rng.uniform(1800, 7500), rng.uniform(0.01, 0.12), rng.uniform(0.2, 1)) for _ in range(6)]
        mix_at(out, modes(n, rate, parts, rng), at, rate, rng.uniform(0.2, 1))
        at += rng.exponential(0.35) + 0.03
    return out


def plucked(rng: Random, rate: int, seconds: float) -> Signal:
    """Plucked strings, one after another or in chords (Karplus & Strong 1983)."""
    out, root = silence(seconds, rate), rng.uniform(80, 330)
    for at in onsets(rng, seconds, 0.15, 0.9, 0.1):
        for _ in range(rng.integers(1, 4)):
            pitch = root * 2 ** (rng.choice([0, 2, 4, 5, 7, 9, 12, 16]) / 12)
            period, n = max(4, round(rate / pitch)), to_frames(min(2.0, seconds), rate)
            burst = np.zeros(n)
            burst[:period] = rng.uniform(-1, 1, min(period, n))[:n]
            loop = np.zeros(period + 2)
            loop[0], loop[period], loop[period + 1] = 1, -0.497, -0.497
            mix_at(out, dsp.lfilter([1], loop, burst), at, rate, rng.uniform(0.4, 1))
    return out


def music(rng: Random, rate: int, seconds: float) -> Signal:
    """Notes of a scale on an instrument that decays (piano) or sustains (organ, strings)."""
    out, root, tilt = silence(seconds, rate), rng.uniform(110, 440), rng.uniform(0.8, 2.2)
    struck, voices = rng.random() < 0.5, rng.integers(1, 4)
    for at in onsets(rng, seconds, 0.2, 1.0, 0.03):
        for _ in range(voices):
            n = to_frames(rng.uniform(0.2, 1.2), rate)
            pitch = np.full(n, root * 2 ** (rng.choice([0, 2, 3, 5, 7, 8, 10, 12]) / 12))
            shape = strike(n, rate, 0.004, rng.uniform(0.15, 0.6)) if struck else hold(n, rate, 0.06, 0.12)
            mix_at(out, harmonics(pitch, rate, tilt, 16) * shape, at, rate)
    return out
