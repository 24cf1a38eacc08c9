"""Engines, vehicles and a clock."""

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
    pulse_train,
    silence,
    strike,
    to_frames,
    wander,
)


def clock(rng: Random, rate: int, seconds: float) -> Signal:
    """Ticking: an escapement's two or three clicks in quick succession ring the case; tick and tock differ."""
    period, out = (
        float(rng.choice([0.2, 0.25, 0.333, 0.5, 0.5, 1.0, 1.0])) * rng.uniform(0.96, 1.04),
        silence(seconds, rate),
    )
    case = [(rng.uniform(350, 1400), rng.uniform(0.006, 0.03), rng.uniform(0.1, 0.7)) for _ in range(3)]
    steel = [(rng.uniform(1800, 7000), rng.uniform(0.0015, 0.009), rng.uniform(0.3, 1.0)) for _ in range(5)]
    gaps = [0.0, *np.cumsum(rng.uniform(0.004, 0.022, rng.integers(1, 3)))]
    weights = [1.0, *rng.uniform(0.2, 0.9, len(gaps) - 1)]
    uneven, tock, n = rng.uniform(-0.06, 0.06), rng.uniform(0.8, 1.0), to_frames(0.12, rate)
    clicks = [modes(n, rate, [(f * s, d, a) for f, d, a in steel + case], rng) for s in (1.0, tock)]
    clicks = [c + 0.4 * coloured_noise(rng, n) * strike(n, rate, 0, 0.0015) for c in clicks]
    at, turn = rng.uniform(0, min(period, 0.5 * seconds)), 0
    while at < seconds:
        for gap, weight in zip(gaps, weights, strict=True):
            mix_at(out, clicks[turn % 2], at + gap, rate, weight * rng.uniform(0.9, 1.1))
        at, turn = at + period * (1 + (uneven if turn % 2 else -uneven)), turn + 1
    return out


def helicopter(rng: Random, rate: int, seconds: float) -> Signal:
    """Blades slapping the air 10 to 24 times a second: thumps and noise swelling with each, a turbine's whine above."""
    n = to_frames(seconds, rate)
    beat = np.cumsum(rng.uniform(10, 24) * (1 + 0.01 * wander(rng, n, rate, 0.5))) / rate
    swell = np.exp(-(((beat % 1) - 0.15) ** 2) / (2 * rng.uniform(0.035, 0.09) ** 2))
    thump = bandpass(swell * coloured_noise(rng, n, 1.5), rate, 30, rng.uniform(250, 700))
    chop = bandpass(swell * coloured_noise(rng, n, 0.8), rate, 300, rng.uniform(1500, 4500))
    thud = bandpass(np.diff(np.floor(beat), prepend=0.0), rate, 40, rng.uniform(120, 300))
    tail = harmonics(np.full(n, rng.uniform(50, 120)), rate, 1.0, 10)
    whine = np.sin(2 * np.pi * np.cumsum(rng.uniform(900, 4000) * (1 + 0.002 * wander(rng, n, rate, 1))) / rate)
    out = normalise(thump) + rng.uniform(0.25, 0.9) * normalise(chop) + rng.uniform(0.2, 0.8) * normalise(thud)
    out += rng.uniform(0, 0.12) * normalise(tail) + rng.uniform(0, 0.03) * whine
    out += rng.uniform(0.005, 0.04) * bandpass(coloured_noise(rng, n, 1), rate, 200, 6000)
    return out * curve(n, *10 ** (rng.uniform(-8, 0, 4) / 20))


def chainsaw(rng: Random, rate: int, seconds: float) -> Signal:
    """A two-stroke engine, idling near 50 Hz and screaming near 150: pulses through a small muffler, and rasp."""
    n = to_frames(seconds, rate)
    throttle = np.clip(0.5 + rng.uniform(-0.3, 0.6) + 0.6 * wander(rng, n, rate, rng.uniform(0.3, 1.2)), 0, 1)
    pitch = (rng.uniform(38, 60) + rng.uniform(60, 120) * throttle) * (1 + 0.015 * wander(rng, n, rate, 25))
    fire = pulse_train(pitch, rate, rng, 0.35) + 0.4 * pulse_train(pitch / 2, rate, rng, 0.3)
    puff = 1 + 1.5 * np.exp(-6 * ((np.cumsum(pitch) / rate) % 1))
    peaks = [
        (rng.uniform(*r), w, g)
        for r, w, g in (((250, 500), 150, 1.0), ((700, 1300), 250, 1.2), ((1800, 3200), 600, 1.0))
    ]
    engine = formants(fire + rng.uniform(0.01, 0.05) * puff * coloured_noise(rng, n), rate, [*peaks, (4800, 1200, 0.8)])
    chain = bandpass(puff * coloured_noise(rng, n), rate, rng.uniform(1500, 3000), 7500) * throttle
    body = bandpass(fire, rate, 40, 220)
    return (normalise(engine) + rng.uniform(0.05, 0.3) * normalise(chain) + rng.uniform(0.1, 0.5) * normalise(body)) * (
        0.4 + 0.6 * throttle
    )


def car(rng: Random, rate: int, seconds: float) -> Signal:
    """A car's horn: two reedy notes a third apart around 400 Hz, honked briefly or held; perhaps an engine idling."""
    low, interval = rng.uniform(310, 470), rng.uniform(1.17, 1.28)
    bright, out, at = rng.uniform(0.25, 0.8), silence(seconds, rate), rng.uniform(0, 0.5)
    peaks = [(rng.uniform(1300, 2600), 600, 1.0), (rng.uniform(2800, 4000), 900, 0.7), (low, 300, 0.5)]
    while at < seconds:
        for _ in range(rng.integers(1, 4)):
            n = to_frames(rng.choice([rng.uniform(0.12, 0.3), rng.uniform(0.4, 1.5)]), rate)
            start = 1 - 0.03 * np.exp(-np.arange(n) / rate / 0.02)
            reeds = harmonics(low * start, rate, bright) + harmonics(low * interval * start, rate, bright)
            mix_at(out, normalise(formants(reeds, rate, peaks) + 0.1 * reeds) * hold(n, rate, 0.015, 0.04), at, rate)
            at += n / rate + rng.uniform(0.06, 0.3)
        at += rng.uniform(0.4, 2.0)
    if rng.random() < 0.4:
        n = len(out)
        idle = bandpass(
            pulse_train(rng.uniform(22, 40) * (1 + 0.03 * wander(rng, n, rate, 3)), rate, rng, 0.3), rate, 40, 400
        )
        out += rng.uniform(0.02, 0.12) * normalise(idle)
    return out


def train(rng: Random, rate: int, seconds: float) -> Signal:
    """A steam whistle: a chord of three to five breathy pipes, swelling and drooping; sometimes steam below."""
    root, out = rng.uniform(230, 420), silence(seconds, rate)
    chord = rng.choice(np.array([1, 1.19, 1.33, 1.5, 1.68, 2.0]), rng.integers(3, 6), replace=False)
    if rng.random() < 0.6:
        n = len(out)
        steam = bandpass(coloured_noise(rng, n, 0.5), rate, 200, 4000) * np.exp(
            -4 * ((np.cumsum(rng.uniform(2, 7) * curve(n, 1, 1.1)) / rate) % 1)
        )
        out += rng.uniform(0.02, 0.25) * normalise(steam)
    at = rng.uniform(0, 0.5)
    while at < seconds:
        n = to_frames(rng.choice([rng.uniform(0.3, 0.6), rng.uniform(0.8, 2.6)]), rate)
        bend = curve(n, 0.93, 1.0, 1.0, 1.0, rng.uniform(0.9, 0.98)) * (1 + 0.002 * wander(rng, n, rate, 6))
        pipes = sum(
            harmonics(root * r * bend * rng.uniform(0.997, 1.003), rate, rng.uniform(1.0, 1.8), 12) for r in chord
        )
        breath = rng.uniform(0.1, 0.6) * bandpass(coloured_noise(rng, n), rate, root, 5000, 1)
        mix_at(out, normalise(pipes + breath) * hold(n, rate, rng.uniform(0.06, 0.2), rng.uniform(0.1, 0.3)), at, rate)
        at += n / rate + rng.choice([rng.uniform(0.1, 0.4), rng.uniform(0.6, 1.5)])
    return out
