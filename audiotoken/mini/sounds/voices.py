"""Voices of animals and people."""

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
    normalise,
    onsets,
    silence,
    strike,
    to_frames,
    wander,
)


def dog(rng: Random, rate: int, seconds: float) -> Signal:
    """Barks: a hoarse voice whose pitch jumps up and falls within a fifth of a second, in ones to threes."""
    size, hoarse = rng.uniform(0.6, 1.6), rng.uniform(0.2, 1.0)
    pitch, length = rng.uniform(280, 620) / size, rng.uniform(0.1, 0.24) * size**0.5
    out, at, gap = silence(seconds, rate), rng.uniform(0, 0.4), rng.uniform(0.05, 0.35)
    while at < seconds:
        for _ in range(rng.integers(1, 4)):
            n = to_frames(length * rng.uniform(0.85, 1.15), rate)
            f0 = (
                pitch * rng.uniform(0.92, 1.08) * curve(n, 0.7, 1.35, 1.2, 0.75) * (1 + 0.03 * wander(rng, n, rate, 80))
            )
            voice = harmonics(f0, rate, 0.5) + hoarse * 3 * coloured_noise(rng, n, 0.5)
            peaks = [(750 / size**0.5, 220, 1.0), (1500 / size**0.5, 300, 0.8), (2700 / size**0.5, 500, 0.35)]
            bark = formants(voice, rate, peaks) * hold(n, rate, 0.012, 0.6 * n / rate)
            mix_at(out, normalise(bark), at, rate, rng.uniform(0.6, 1.0))
            at += n / rate + gap * rng.uniform(0.8, 1.3)
        at += rng.exponential(0.7)
    return out


def rooster(rng: Random, rate: int, seconds: float) -> Signal:
    """Cock-a-doodle-doo: two short notes, a rising one and a long bright one that sinks at the end."""
    base, stretch, out = rng.uniform(420, 620), rng.uniform(0.85, 1.25), silence(seconds, rate)
    at = rng.uniform(0, max(0.05, min(1.2, seconds - 2.2)))
    while at < seconds:
        notes = [((0.9, 1.2, 1.0), 0.2), ((1.1, 1.45, 1.25), 0.17), ((1.2, 1.6, 1.6, 1.5), 0.36)]
        notes.append(((1.4, rng.uniform(1.75, 2.1), 1.75, 1.6, rng.uniform(0.8, 1.2)), rng.uniform(0.7, 1.2)))
        for shape, length in notes:
            n = to_frames(length * stretch, rate)
            f0 = base * curve(n, *shape) * (1 + 0.012 * wander(rng, n, rate, 60))
            rough = 1 + rng.uniform(0.1, 0.5) * np.sin(2 * np.pi * rng.uniform(45, 90) * np.arange(n) / rate)
            voice = harmonics(f0, rate, 0.3) * rough + 0.4 * coloured_noise(rng, n)
            crow = formants(voice, rate, [(1250, 350, 1.0), (2500, 400, 0.9), (3700, 600, 0.5)])
            mix_at(out, normalise(crow) * hold(n, rate, 0.03, 0.09), at, rate, 0.65 if length < 0.3 else 1.0)
            at += n / rate + rng.uniform(0.01, 0.07)
        at += rng.uniform(0.9, 3.0)
    return out


def baby(rng: Random, rate: int, seconds: float) -> Signal:
    """Crying: a voice arched around 450 Hz for about a second, a gasp, again; sometimes it breaks into a shriek."""
    base, shake, out, at = rng.uniform(360, 560), rng.uniform(4, 8), silence(seconds, rate), rng.uniform(-0.6, 0.4)
    while at < seconds:
        n = to_frames(rng.uniform(0.45, 1.4), rate)
        t = np.arange(n) / rate
        f0 = base * rng.uniform(0.95, 1.1) * curve(n, 0.8, 1.12, 1.08, 1.0, 0.72)
        f0 = f0 * (1 + 0.02 * np.sin(2 * np.pi * shake * t) + 0.012 * wander(rng, n, rate, 30))
        harsh = rng.uniform(0, 0.8) * np.maximum(wander(rng, n, rate, 3), 0)
        voice = harmonics(f0, rate, 0.6) * (1 + harsh * np.sin(np.pi * np.cumsum(f0) / rate)) + harsh * coloured_noise(
            rng, n
        )
        cry = formants(voice, rate, [(1150, 260, 1.0), (1900, 400, 0.4), (3300, 500, 0.7), (4800, 700, 0.3)])
        mix_at(out, normalise(cry) * hold(n, rate, 0.08, 0.16), at, rate, rng.uniform(0.7, 1.0))
        m = to_frames(rng.uniform(0.14, 0.3), rate)
        gasp = bandpass(coloured_noise(rng, m), rate, 900, 4500) * hold(m, rate, 0.1, 0.04)
        mix_at(out, normalise(gasp), at + n / rate + 0.07, rate, rng.uniform(0.05, 0.25))
        at += (n + m) / rate + rng.uniform(0.12, 0.4)
    return out


def person(rng: Random, rate: int, seconds: float) -> Signal:
    """A sneeze: one to three gasping "ah", then a burst of breath "tsh" with a voiced "oo" dying away in it."""
    voice, out = rng.uniform(130, 330), silence(seconds, rate)
    at = rng.uniform(0, max(0.05, min(1.5, seconds - 1.6)))
    while at < seconds:
        for _ in range(rng.integers(0, 3)):
            n = to_frames(rng.uniform(0.18, 0.5), rate)
            source = rng.uniform(0, 0.6) * harmonics(voice * curve(n, 0.8, 1.0, 1.3), rate, 1.0) + coloured_noise(
                rng, n, 0.5
            )
            ah = formants(source, rate, [(800, 150, 1.0), (1300, 200, 0.7), (2700, 300, 0.3)]) * hold(
                n, rate, 0.6 * n / rate, 0.05
            )
            mix_at(out, normalise(ah), at, rate, rng.uniform(0.08, 0.3))
            at += n / rate + rng.uniform(0.03, 0.25)
        n = to_frames(rng.uniform(0.25, 0.55), rate)
        tsh = bandpass(coloured_noise(rng, n), rate, rng.uniform(900, 2500), 7800) * strike(
            n, rate, rng.uniform(0.004, 0.02), rng.uniform(0.05, 0.13)
        )
        oo = harmonics(voice * rng.uniform(1.0, 1.7) * curve(n, 1.3, 1.1, 0.7), rate, 0.7) + coloured_noise(rng, n)
        oo = formants(oo, rate, [(450, 120, 1.0), (1100, 180, 0.7), (2500, 300, 0.4)]) * strike(n, rate, 0.03, 0.12)
        mix_at(out, normalise(tsh) + rng.uniform(0.2, 1.1) * normalise(oo), at, rate)
        at += n / rate + rng.uniform(0.8, 4.0)
    return out


def frog(rng: Random, rate: int, seconds: float) -> Signal:
    """Croaks: a train of short damped notes 20 to 60 a second, in one long rasp or two steps ("rib-bit")."""
    tone, speed, out = rng.uniform(500, 1700), rng.uniform(22, 60), silence(seconds, rate)
    ribbit, length = rng.random() < 0.5, rng.uniform(0.2, 0.7)
    for at in onsets(rng, seconds, length + 0.15, length + 1.0, 0.15):
        for part in range(2 if ribbit else 1):
            n = to_frames(length * (0.5 if ribbit else 1.0), rate)
            f = tone * (1.25 if part else 1.0) * curve(n, 0.85, 1.0, rng.uniform(0.95, 1.2))
            beat = (np.cumsum(speed * curve(n, 0.8, 1.1, 0.9)) / rate) % 1
            croak = np.sin(2 * np.pi * np.cumsum(f) / rate) + 0.5 * np.sin(2 * np.pi * np.cumsum(2.1 * f) / rate)
            croak = (
                (croak + 0.3 * bandpass(coloured_noise(rng, n), rate, 400, 3500))
                * np.exp(-5 * beat)
                * np.minimum(beat / 0.06, 1)
            )
            mix_at(out, croak * hold(n, rate, 0.04, 0.06), at + part * (n / rate + 0.05), rate, rng.uniform(0.7, 1.0))
    return out


def bird(rng: Random, rate: int, seconds: float) -> Signal:
    """Song: phrases of quick whistled syllables at 2 to 6.5 kHz, each a glide, an arch or a trill."""
    out, base = silence(seconds, rate), rng.uniform(2200, 5000)
    patterns = [
        (rng.uniform(0.75, 1.3, 3), rng.uniform(0.04, 0.2), rng.uniform(0, 0.12), rng.uniform(20, 70)) for _ in range(3)
    ]
    at = rng.uniform(0, 0.5)
    while at < seconds:
        shape, length, depth, flutter = patterns[rng.integers(3)]
        gap = rng.uniform(0.02, 0.12)
        for _ in range(rng.integers(1, 9)):
            n = to_frames(length, rate)
            f = base * curve(n, *shape) * (1 + depth * np.sin(2 * np.pi * flutter * np.arange(n) / rate))
            phase = 2 * np.pi * np.cumsum(np.minimum(f, 0.45 * rate)) / rate
            note = (np.sin(phase) + rng.uniform(0, 0.1) * np.sin(2 * phase) * (base < 3500)) * hold(
                n, rate, 0.4 * length, 0.5 * length
            )
            mix_at(out, note, at, rate, rng.uniform(0.5, 1.0))
            at += length + gap
        at += rng.exponential(0.45) + 0.08
    return out
