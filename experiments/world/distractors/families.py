"""Whole families of sounds, of no source in particular."""

import numpy as np

from audiotoken.mini.synthesis import (
    Random,
    Signal,
    bandpass,
    coloured_noise,
    curve,
    formants,
    harmonics,
    hold,
    mix_at,
    modes,
    normalise,
    onsets,
    pulse_train,
    silence,
    strike,
    to_frames,
    wander,
)


def scraps(rng: Random, rate: int, seconds: float) -> Signal:
    """Grains without a source: random modes, glides, noise bursts and pulse trains at random times."""
    out, kinds = silence(seconds, rate), rng.permutation(4)[: rng.integers(1, 3)]
    centre, length = 10 ** rng.uniform(2, 3.7), 10 ** rng.uniform(-1.7, 0.2)
    for at in onsets(rng, seconds, 0.4 * length + 0.02, 3 * length + 0.2, rng.uniform(0, 0.6)):
        n, kind = to_frames(length * rng.uniform(0.6, 1.5), rate), kinds[rng.integers(len(kinds))]
        f = np.minimum(centre * curve(n, *2 ** rng.normal(0, 0.35, 3)), 0.45 * rate)
        if kind == 0:
            grain = modes(
                n, rate, [(centre * r, rng.uniform(0.1, 0.6) * length, 1.0) for r in rng.uniform(0.5, 5, 5)], rng
            )
        elif kind == 1:
            grain = harmonics(f, rate, rng.uniform(0.3, 2), int(rng.integers(1, 20)))
        elif kind == 2:
            grain = bandpass(coloured_noise(rng, n, rng.uniform(0, 2)), rate, 0.6 * centre, 1.8 * centre)
        else:
            grain = formants(
                pulse_train(np.minimum(f / 8, 400), rate, rng, 0.3),
                rate,
                [(g, 0.2 * g, 1) for g in rng.uniform(300, 4000, 3)],
            )
        shape = (
            hold(n, rate, 0.1 * length, 0.3 * length) if rng.random() < 0.5 else strike(n, rate, 0.003, 0.3 * length)
        )
        mix_at(out, normalise(grain) * shape, at, rate, rng.uniform(0.3, 1))
    return out


def creature(rng: Random, rate: int, seconds: float) -> Signal:
    """The voice of no particular animal: random pitch, contour, tremor, throat, hoarseness and rhythm."""
    out, pitch, length = silence(seconds, rate), 10 ** rng.uniform(1.8, 3.2), rng.uniform(0.12, 1.6)
    contour, tilt, hoarse = 2 ** rng.normal(0, 0.25, 4), rng.uniform(0.2, 1.6), rng.uniform(0, 1.5)
    speed, depth, shake = rng.uniform(3, 30), rng.uniform(0, 0.08), rng.uniform(0, 0.8) * (rng.random() < 0.5)
    throat = [(f, rng.uniform(0.1, 0.3) * f, rng.uniform(0.3, 1)) for f in np.sort(10 ** rng.uniform(2.3, 3.7, 3))]
    for at in onsets(rng, seconds, length + 0.05, length + 1.5, rng.uniform(0, 0.4)):
        n = to_frames(length * rng.uniform(0.8, 1.2), rate)
        tremor = np.sin(2 * np.pi * speed * np.arange(n) / rate)
        f0 = pitch * curve(n, *contour) * (1 + depth * tremor + 0.01 * wander(rng, n, rate, 40))
        voice = (harmonics(f0, rate, tilt) + hoarse * coloured_noise(rng, n)) * (1 + shake * tremor)
        shape = hold(n, rate, rng.uniform(0.02, 0.4) * length, rng.uniform(0.1, 0.5) * length)
        mix_at(out, normalise(formants(voice, rate, throat) + 0.05 * voice) * shape, at, rate, rng.uniform(0.5, 1))
    return out


def machine(rng: Random, rate: int, seconds: float) -> Signal:
    """A motor of no particular kind: partials at a speed that drifts or starts, gears, a load, rushing air."""
    n = to_frames(seconds, rate)
    speed = np.clip(1 + rng.uniform(0, 0.4) * wander(rng, n, rate, rng.uniform(0.2, 2)), 0.2, 2)
    out = np.zeros(n)
    for _ in range(rng.integers(1, 4)):
        out += rng.uniform(0.2, 1) * normalise(
            harmonics(10 ** rng.uniform(1.7, 3.2) * speed, rate, rng.uniform(0.3, 1.8), 24)
        )
    load = 1 + rng.uniform(0, 0.9) * np.sin(2 * np.pi * np.cumsum(rng.uniform(1, 40) * speed) / rate)
    air = normalise(
        bandpass(coloured_noise(rng, n, rng.uniform(0, 1.5)), rate, rng.uniform(80, 1500), rng.uniform(2500, 7500), 1)
    )
    return (out + rng.uniform(0, 1.5) * air) * load * speed ** rng.uniform(0, 2)


def strokes(rng: Random, rate: int, seconds: float) -> Signal:
    """Rubbing, brushing, breathing, sweeping: rhythmic strokes of noise that differ to and fro."""
    out, length = silence(seconds, rate), 10 ** rng.uniform(-1.0, 0.3)
    bands = [np.sort(10 ** rng.uniform(2.2, 3.9, 2)) for _ in range(2)]
    grain, depth = rng.uniform(15, 200), rng.uniform(0, 1)
    for k, at in enumerate(onsets(rng, seconds, 1.05 * length, 2.5 * length, rng.uniform(0, 0.2))):
        n = to_frames(length, rate)
        low, high = bands[k % 2]
        rub = bandpass(coloured_noise(rng, n, rng.uniform(0, 1)), rate, low, max(high, 1.5 * low))
        rub = rub * (1 + depth * np.sin(2 * np.pi * np.cumsum(grain * curve(n, 0.6, 1.2, 0.6)) / rate))
        shape = hold(n, rate, rng.uniform(0.1, 0.6) * length, rng.uniform(0.1, 0.6) * length)
        mix_at(out, normalise(rub) * shape, at, rate, rng.uniform(0.5, 1))
    return out


def buzz(rng: Random, rate: int, seconds: float) -> Signal:
    """Insects and electric devices: a long flickering tone or rasp of any pitch."""
    n = to_frames(seconds, rate)
    flicker = rng.uniform(3, 80) * (1 + 0.1 * wander(rng, n, rate, 2))
    gate = np.clip(rng.uniform(1, 4) * (np.sin(2 * np.pi * np.cumsum(flicker) / rate) + rng.uniform(-0.5, 1)), 0, 1)
    pitch = 10 ** rng.uniform(2.1, 3.85) * (1 + 0.02 * wander(rng, n, rate, 3))
    tone = harmonics(np.minimum(pitch, 0.45 * rate), rate, rng.uniform(0.3, 1.5), int(rng.integers(1, 15)))
    return (
        (normalise(tone) + rng.uniform(0, 0.5) * normalise(coloured_noise(rng, n)))
        * gate
        * np.exp(0.4 * wander(rng, n, rate, 1))
    )
