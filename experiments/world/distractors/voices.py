"""Voices of animals and people that are not in the painted world."""

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
    normalise,
    onsets,
    silence,
    to_frames,
)

VOWELS = (
    (730, 1090, 2440),
    (270, 2290, 3010),
    (300, 870, 2240),
    (530, 1840, 2480),
    (570, 840, 2410),
    (640, 1190, 2390),
)
"""First three formants of six vowels, Hz (Peterson & Barney 1952)."""


def babble(rng: Random, rate: int, seconds: float) -> Signal:
    """Speech without words: syllables of moving formants and fricatives, one to three voices."""
    out = silence(seconds, rate)
    for _ in range(rng.integers(1, 4)):
        voice, size, at = rng.uniform(85, 260), rng.uniform(0.9, 1.2), rng.uniform(0, 0.4)
        while at < seconds:
            n = to_frames(rng.uniform(0.09, 0.3), rate)
            source = harmonics(
                voice * rng.uniform(0.85, 1.2) * curve(n, 1.0, 1.05, 0.9), rate, 1.0
            ) + 0.1 * coloured_noise(rng, n)
            peaks = [(f * size, 80 + 30 * i, 1 / (i + 1)) for i, f in enumerate(VOWELS[rng.integers(6)])]
            mix_at(
                out, normalise(formants(source, rate, peaks)) * hold(n, rate, 0.03, 0.05), at, rate, rng.uniform(0.4, 1)
            )
            if rng.random() < 0.5:
                m = to_frames(rng.uniform(0.04, 0.12), rate)
                hiss = bandpass(coloured_noise(rng, m), rate, rng.uniform(1500, 4000), 7500) * hold(m, rate, 0.02, 0.02)
                mix_at(out, normalise(hiss), at - m / rate, rate, rng.uniform(0.05, 0.3))
            at += n / rate + (rng.uniform(0.2, 0.7) if rng.random() < 0.15 else rng.uniform(0, 0.1))
    return out


def meow(rng: Random, rate: int, seconds: float) -> Signal:
    """A cat: one gliding vowel from closed to open and back."""
    out, base = silence(seconds, rate), rng.uniform(450, 800)
    for at in onsets(rng, seconds, 1.0, 2.2, 0.2):
        n = to_frames(rng.uniform(0.45, 1.0), rate)
        voice = harmonics(base * curve(n, 0.8, 1.15, 1.0, 0.75), rate, 0.8)
        shut, wide = (
            formants(voice, rate, [(500, 150, 1), (2300, 300, 0.6)]),
            formants(voice, rate, [(1000, 250, 1), (1700, 300, 0.8)]),
        )
        mix = curve(n, 0.0, 1.0, 0.6, 0.0)
        mix_at(out, normalise(shut * (1 - mix) + wide * mix) * hold(n, rate, 0.08, 0.2), at, rate, rng.uniform(0.6, 1))
    return out


def moo(rng: Random, rate: int, seconds: float) -> Signal:
    """A cow: a long low voice."""
    out, base = silence(seconds, rate), rng.uniform(90, 190)
    for at in onsets(rng, seconds, 2.0, 3.5, 0.2):
        n = to_frames(rng.uniform(0.9, 1.9), rate)
        voice = harmonics(base * curve(n, 0.8, 1.0, 1.1, 0.8), rate, 0.6) + 0.3 * coloured_noise(rng, n, 1)
        mix_at(
            out,
            normalise(formants(voice, rate, [(350, 120, 1), (750, 180, 0.8), (1900, 400, 0.2)]))
            * hold(n, rate, 0.2, 0.3),
            at,
            rate,
        )
    return out
