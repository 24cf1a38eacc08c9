"""What is struck: a bell and a drum."""

import numpy as np

from audiotoken.mini.synthesis import (
    Random,
    Signal,
    bandpass,
    coloured_noise,
    mix_at,
    modes,
    onsets,
    silence,
    strike,
    to_frames,
)


def bell(rng: Random, rate: int, seconds: float) -> Signal:
    """A church bell (hum, prime, minor third, fifth, nominal and above; Rossing 2000) or a small hand bell, struck."""
    church = rng.random() < 0.65
    base = rng.uniform(180, 620) if church else rng.uniform(900, 2300)
    ratios = (0.5, 1, 1.19, 1.5, 2, 2.51, 2.66, 3.01, 4.17, 5.43) if church else (1, 2.0, 2.76, 3.9, 5.4)
    ring = rng.uniform(0.6, 2.2) if church else rng.uniform(0.25, 1.2)
    parts = [
        (base * r * rng.uniform(0.995, 1.005), ring * (1 / r) ** 0.7, rng.uniform(0.3, 1.0) / r**0.4) for r in ratios
    ]
    parts += [(f * rng.uniform(1.001, 1.004), d, 0.5 * a) for f, d, a in parts]  # doublets: every bell beats
    out = silence(seconds, rate)
    for at in onsets(rng, seconds, 0.8 if church else 0.25, 2.6 if church else 1.4, 0.05):
        n = to_frames(min(seconds - at, 6 * ring), rate)
        blow = 0.3 * bandpass(coloured_noise(rng, n), rate, base, 8 * base, 1) * strike(n, rate, 0, 0.008)
        mix_at(out, modes(n, rate, parts, rng) + blow, at, rate, rng.uniform(0.7, 1.0))
    return out


def drum(rng: Random, rate: int, seconds: float) -> Signal:
    """A struck membrane: modes at the zeros of Bessel functions above 60 to 220 Hz, the stick's click, in a rhythm."""
    base, beat, out = rng.uniform(60, 220), 60 / rng.uniform(80, 170), silence(seconds, rate)
    ring, snare = rng.uniform(0.08, 0.35), rng.random() < 0.35
    pattern = rng.random(8) < 0.6
    pattern[0] = True
    at, step, n = rng.uniform(0, min(0.3, seconds / 3)), 0, to_frames(0.8, rate)
    while at < seconds:
        if pattern[step % 8]:
            f = base * (1.5 if rng.random() < 0.15 else 1.0)
            ratios = (1, 1.593, 2.136, 2.296, 2.653, 2.918, 3.156, 3.6)
            skin = modes(n, rate, [(f * r, ring / r, rng.uniform(0.4, 1.0) / r) for r in ratios], rng)
            glide = np.sin(2 * np.pi * np.cumsum(f * (1 + 0.5 * strike(n, rate, 0, 0.02))) / rate) * strike(
                n, rate, 0.001, ring
            )
            stick = bandpass(coloured_noise(rng, n), rate, 800, 6000) * strike(n, rate, 0, 0.004)
            rattle = 0.5 * snare * bandpass(coloured_noise(rng, n), rate, 1500, 7500) * strike(n, rate, 0, 0.07)
            mix_at(
                out,
                skin + glide + rng.uniform(0.2, 0.8) * stick + rattle,
                at,
                rate,
                rng.uniform(0.75, 1.0) if step % 4 else 1.0,
            )
        at, step = at + beat / 2 * rng.uniform(0.97, 1.03), step + 1
    return out
