"""Kinds that are never used in training: how far "none of these" reaches is measured on them."""

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
    pulse_train,
    silence,
    strike,
    to_frames,
    wander,
)


def applause(rng: Random, rate: int, seconds: float) -> Signal:
    """Many pairs of clapping hands."""
    out, m = silence(seconds, rate), to_frames(0.03, rate)
    for at in rng.uniform(0, seconds, int(seconds * rng.uniform(25, 130))):
        f = rng.uniform(700, 1900)
        mix_at(
            out,
            bandpass(coloured_noise(rng, m), rate, 0.6 * f, 1.6 * f) * strike(m, rate, 0.001, 0.006),
            at,
            rate,
            rng.uniform(0.2, 1),
        )
    return out


def cricket(rng: Random, rate: int, seconds: float) -> Signal:
    """Endless chirps of three to five pulses on one steady high tone."""
    out, pitch, m = silence(seconds, rate), rng.uniform(3800, 5200), to_frames(0.018, rate)
    count = rng.integers(3, 6)
    pulse = np.sin(2 * np.pi * pitch * np.arange(m) / rate) * hold(m, rate, 0.006, 0.008)
    for at in onsets(rng, seconds, 0.25, 0.6, 0.03):
        for k in range(count):
            mix_at(out, pulse, at + 0.025 * k, rate)
    return out


def snore(rng: Random, rate: int, seconds: float) -> Signal:
    """Breath drawn through a fluttering palate, then let out."""
    out = silence(seconds, rate)
    for at in onsets(rng, seconds, 2.2, 3.6, 0.05):
        n = to_frames(rng.uniform(0.9, 1.5), rate)
        flutter = pulse_train(rng.uniform(28, 70) * curve(n, 0.8, 1.1, 1.0), rate, rng, 0.4) + 0.02 * coloured_noise(
            rng, n
        )
        mix_at(
            out,
            normalise(formants(flutter, rate, [(280, 120, 1), (900, 300, 0.4), (2200, 600, 0.2)]))
            * hold(n, rate, 0.3, 0.2),
            at,
            rate,
        )
        breath = bandpass(coloured_noise(rng, n), rate, 400, 3000) * hold(n, rate, 0.3, 0.5)
        mix_at(out, normalise(breath), at + n / rate + 0.2, rate, 0.15)
    return out


def telephone(rng: Random, rate: int, seconds: float) -> Signal:
    """An electronic telephone: two tones that warble twenty times a second, on for two seconds, then off."""
    out, low = silence(seconds, rate), rng.uniform(600, 1400)
    n = to_frames(rng.uniform(0.8, 1.8), rate)
    flip = (np.arange(n) / rate * rng.uniform(12, 26)) % 1 < 0.5
    ring = harmonics(np.where(flip, low, low * rng.uniform(1.15, 1.4)), rate, 1.2, 6) * hold(n, rate, 0.01, 0.02)
    for at in onsets(rng, seconds, n / rate + 0.4, n / rate + 2, 0.0):
        mix_at(out, ring, at, rate)
    return out


def drill(rng: Random, rate: int, seconds: float) -> Signal:
    """An electric drill: the scream of a commutator that follows the trigger."""
    n = to_frames(seconds, rate)
    speed = np.clip(0.8 + 0.4 * wander(rng, n, rate, 0.7), 0.05, 1)
    return (
        harmonics(rng.uniform(300, 650) * speed, rate, 0.5, 20)
        + 0.6 * bandpass(coloured_noise(rng, n), rate, 1000, 7000)
    ) * speed


def laughter(rng: Random, rate: int, seconds: float) -> Signal:
    """Ha-ha-ha: five breathy syllables per second, falling in pitch and strength."""
    out, voice, at = silence(seconds, rate), rng.uniform(140, 340), rng.uniform(0, 0.4)
    while at < seconds:
        for k in range(rng.integers(4, 10)):
            n = to_frames(rng.uniform(0.09, 0.14), rate)
            source = harmonics(voice * (1.3 - 0.05 * k) * curve(n, 1.0, 1.1, 0.85), rate, 0.9) + 0.6 * coloured_noise(
                rng, n, 0.5
            )
            mix_at(
                out,
                normalise(formants(source, rate, [(850, 130, 1), (1350, 180, 0.6), (2800, 300, 0.3)]))
                * hold(n, rate, 0.03, 0.06),
                at,
                rate,
                0.93**k,
            )
            at += rng.uniform(0.18, 0.24)
        at += rng.uniform(0.3, 1.2)
    return out


def bleat(rng: Random, rate: int, seconds: float) -> Signal:
    """A sheep: a nasal voice shaken eight times a second."""
    out, base = silence(seconds, rate), rng.uniform(180, 420)
    for at in onsets(rng, seconds, 1.2, 2.5, 0.2):
        n = to_frames(rng.uniform(0.6, 1.2), rate)
        shake = np.sin(2 * np.pi * rng.uniform(6, 10) * np.arange(n) / rate)
        voice = harmonics(base * curve(n, 0.95, 1.0, 0.85) * (1 + 0.04 * shake), rate, 0.4) * (1 + 0.5 * shake)
        mix_at(
            out,
            normalise(formants(voice, rate, [(700, 150, 1), (1500, 200, 0.8), (2600, 300, 0.5)]))
            * hold(n, rate, 0.05, 0.2),
            at,
            rate,
        )
    return out


def handsaw(rng: Random, rate: int, seconds: float) -> Signal:
    """A handsaw in wood: strokes of noise to and fro, with audible teeth."""
    out = silence(seconds, rate)
    for k, at in enumerate(onsets(rng, seconds, 0.25, 0.55, 0.05)):
        n = to_frames(0.24, rate)
        teeth = 1 + 0.7 * np.sin(2 * np.pi * np.cumsum(rng.uniform(90, 160) * curve(n, 0.5, 1.2, 0.5)) / rate)
        mix_at(
            out,
            normalise(bandpass(coloured_noise(rng, n), rate, 700, 3000 if k % 2 else 4500) * teeth)
            * hold(n, rate, 0.08, 0.1),
            at,
            rate,
        )
    return out


def flute(rng: Random, rate: int, seconds: float) -> Signal:
    """A flute's melody with breath and vibrato."""
    out, root, at = silence(seconds, rate), rng.uniform(350, 800), rng.uniform(0, 0.3)
    while at < seconds:
        n = to_frames(rng.choice([0.2, 0.4, 0.8]) * rng.uniform(0.9, 1.1), rate)
        vibrato = 1 + 0.008 * np.sin(2 * np.pi * 5.2 * np.arange(n) / rate)
        note = harmonics(root * 2 ** (rng.choice([0, 2, 4, 5, 7, 9, 12]) / 12) * vibrato, rate, 1.8, 6)
        mix_at(
            out, (note + 0.1 * bandpass(coloured_noise(rng, n), rate, 800, 5000)) * hold(n, rate, 0.04, 0.05), at, rate
        )
        at += n / rate + rng.choice([0.0, 0.0, 0.3])
    return out
