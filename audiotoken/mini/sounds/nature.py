"""Fire and water."""

import numpy as np

from audiotoken.mini.synthesis import (
    Random,
    Signal,
    bandpass,
    coloured_noise,
    mix_at,
    modes,
    normalise,
    strike,
    to_frames,
    wander,
)


def fire(rng: Random, rate: int, seconds: float) -> Signal:
    """Crackling: heavy-tailed snaps a few milliseconds long, some in bursts, over a soft low roar."""
    n = to_frames(seconds, rate)
    roar = bandpass(coloured_noise(rng, n, 1.2), rate, 40, rng.uniform(400, 1500)) * (1 + 0.3 * wander(rng, n, rate, 3))
    hiss = bandpass(coloured_noise(rng, n), rate, 1500, 7000)
    out = rng.uniform(0.01, 0.09) * normalise(roar) + rng.uniform(0.002, 0.015) * hiss
    at, pace = 0.0, rng.uniform(8, 40)
    while at < seconds:
        m = to_frames(0.03, rate)
        centre = rng.uniform(700, 6000)
        snap = bandpass(coloured_noise(rng, m), rate, 0.6 * centre, 1.7 * centre) * strike(
            m, rate, 0.0004, rng.uniform(0.0008, 0.006)
        )
        mix_at(out, normalise(snap), at, rate, min(1.0, 0.06 * rng.pareto(1.3) + 0.02))
        at += rng.exponential(1 / pace) * (0.15 if rng.random() < 0.3 else 1.0)
    return out


def rain(rng: Random, rate: int, seconds: float) -> Signal:
    """Rain: a steady hiss of drops too many to tell apart, and hundreds of nearer ones that each click or ring."""
    n = to_frames(seconds, rate)
    hiss = bandpass(
        coloured_noise(rng, n, rng.uniform(0, 0.9)), rate, rng.uniform(150, 900), rng.uniform(5500, 7900), 1
    )
    out = hiss * (1 + 0.06 * wander(rng, n, rate, 2)) * rng.uniform(0.1, 0.5)
    m, tick = to_frames(0.02, rate), []
    for _ in range(24):  # two dozen drops, used again and again at other strengths
        drop = bandpass(coloured_noise(rng, m), rate, rng.uniform(800, 3000), 7600) * strike(
            m, rate, 0, rng.uniform(0.0006, 0.004)
        )
        ring = modes(m, rate, [(rng.uniform(1200, 6000), rng.uniform(0.001, 0.006), 1.0)], rng)
        tick.append(normalise(drop) + rng.uniform(0, 1) * ring)
    for at in rng.uniform(0, seconds, int(seconds * rng.uniform(60, 350))):
        mix_at(out, tick[rng.integers(24)], at, rate, min(2.0, 0.12 * rng.pareto(1.8)))
    return out


def wave(rng: Random, rate: int, seconds: float) -> Signal:
    """Surf: noise that swells for seconds, brightens as the wave breaks, and runs out in a long fizz."""
    n = to_frames(seconds, rate)
    t, low, high = np.arange(n) / rate, coloured_noise(rng, n, 1.6), coloured_noise(rng, n, 0.6)
    deep, mid, fizz = bandpass(low, rate, 30, 350), bandpass(high, rate, 300, 1800), bandpass(high, rate, 1500, 7000)
    out = rng.uniform(0.02, 0.12) * (mid + 0.5 * fizz + deep)
    at = rng.uniform(-5, 1.5)
    while at < seconds:
        rise, fall, size = rng.uniform(0.6, 2.0), rng.uniform(1.0, 3.0), rng.uniform(0.5, 1.0)
        past = t - at - rise
        body = np.where(past < 0, np.exp(-((past / (0.6 * rise)) ** 2)), np.exp(-np.maximum(past, 0) / fall))
        foam = np.where(
            past < 0.2,
            np.exp(-(((past - 0.2) / (0.35 * rise)) ** 2)),
            np.exp(-np.maximum(past - 0.2, 0) / (1.5 * fall)),
        )
        out = out + size * (body * (0.6 * deep + 0.8 * mid) + rng.uniform(0.3, 0.9) * foam * fizz)
        at += rng.uniform(2.5, 6.5)
    return out * (1 + 0.1 * wander(rng, n, rate, 4))
