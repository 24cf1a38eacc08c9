"""Weather, water and plain noise."""

import numpy as np

from audiotoken.mini.synthesis import (
    Random,
    Signal,
    bandpass,
    coloured_noise,
    curve,
    mix_at,
    normalise,
    onsets,
    silence,
    strike,
    to_frames,
    wander,
)


def noise(rng: Random, rate: int, seconds: float) -> Signal:
    """Steady noise of any colour."""
    n = to_frames(seconds, rate)
    out = coloured_noise(rng, n, rng.uniform(-0.5, 2.5))
    low, high = sorted(rng.uniform(50, 7500, 2))
    return bandpass(out, rate, low, high, 1) if rng.random() < 0.4 else out


def wind(rng: Random, rate: int, seconds: float) -> Signal:
    """Gusts: low noise, with a whistle whose resonance moves with the gust."""
    n = to_frames(seconds, rate)
    gust = np.exp(0.8 * wander(rng, n, rate, 0.6))
    tone = np.cos(2 * np.pi * np.cumsum(rng.uniform(300, 900) * gust**0.3) / rate) * bandpass(
        coloured_noise(rng, n), rate, None, 40
    )
    return normalise(bandpass(coloured_noise(rng, n, 2), rate, 20, 600) * gust) + rng.uniform(0, 0.5) * normalise(
        tone * gust
    )


def thunder(rng: Random, rate: int, seconds: float) -> Signal:
    """A crack followed by a long roll."""
    out = silence(seconds, rate)
    for at in onsets(rng, seconds, 1.5, 4.0, 0.4):
        n = to_frames(rng.uniform(1.5, 4.0), rate)
        roll = bandpass(coloured_noise(rng, n, 2), rate, 20, rng.uniform(150, 700)) * np.exp(
            0.7 * wander(rng, n, rate, 5)
        )
        mix_at(
            out,
            normalise(roll * strike(n, rate, rng.uniform(0.01, 0.3), rng.uniform(0.4, 1.2))),
            at,
            rate,
            rng.uniform(0.4, 1),
        )
    return out


def pouring(rng: Random, rate: int, seconds: float) -> Signal:
    """Pouring water: bubbles, each a short rising note (Minnaert 1933), over a trickle."""
    n, m = to_frames(seconds, rate), to_frames(0.06, rate)
    out = rng.uniform(0.01, 0.08) * bandpass(coloured_noise(rng, n), rate, 500, 5000)
    centre = rng.uniform(500, 1600)
    for at in rng.uniform(0, seconds, int(seconds * rng.uniform(15, 90))):
        f = centre * 2 ** rng.normal(0, 0.5) * curve(m, 1.0, rng.uniform(1.05, 1.5))
        mix_at(
            out,
            np.sin(2 * np.pi * np.cumsum(f) / rate) * strike(m, rate, 0.002, rng.uniform(0.004, 0.02)),
            at,
            rate,
            rng.uniform(0.1, 1),
        )
    return out
