"""Sounds of things outside the painted world, to train and test the answer "none of these".

`distractor(rate, seconds, seed)` synthesises one of the training KINDS; with `held_out=True` one of HELD_OUT, kinds
that are never used in training. Conventions are those of `synthesis`.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import signal as dsp

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
    simulate_recorder,
    strike,
    to_frames,
    wander,
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


def noise(rng: Random, rate: int, seconds: float) -> Signal:
    """Steady noise of any colour."""
    n = to_frames(seconds, rate)
    out = coloured_noise(rng, n, rng.uniform(-0.5, 2.5))
    low, high = sorted(rng.uniform(50, 7500, 2))
    return bandpass(out, rate, low, high, 1) if rng.random() < 0.4 else out


def hum(rng: Random, rate: int, seconds: float) -> Signal:
    """Mains hum with the air noise of a fan."""
    n = to_frames(seconds, rate)
    out = harmonics(np.full(n, rng.choice([50.0, 60.0, 100.0, 120.0])), rate, rng.uniform(0.6, 2), 30)
    return normalise(out) + rng.uniform(0.01, 0.5) * normalise(coloured_noise(rng, n, 1))


def babble(rng: Random, rate: int, seconds: float) -> Signal:
    """Speech without words: syllables of moving formants and fricatives, one to three voices."""
    out = np.zeros(to_frames(seconds, rate))
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


def siren(rng: Random, rate: int, seconds: float) -> Signal:
    """A wailing siren that sweeps slowly or yelps quickly."""
    n = to_frames(seconds, rate)
    sweep = np.sin(
        2 * np.pi * rng.choice([rng.uniform(0.1, 0.5), rng.uniform(2, 5)]) * np.arange(n) / rate + rng.uniform(0, 6)
    )
    return harmonics(rng.uniform(600, 1100) * 2 ** (rng.uniform(0.2, 0.6) * sweep), rate, rng.uniform(0.5, 1.5), 12)


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


def typing(rng: Random, rate: int, seconds: float) -> Signal:
    """Keystrokes at uneven times, down and up."""
    out, at, n = np.zeros(to_frames(seconds, rate)), rng.uniform(0, 0.3), to_frames(0.06, rate)
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
    out, n, soft = np.zeros(to_frames(seconds, rate)), to_frames(0.2, rate), rng.uniform(0.01, 0.05)
    for at in onsets(rng, seconds, 0.35, 0.8, 0.06):
        heel = bandpass(coloured_noise(rng, n, 1), rate, 60, rng.uniform(500, 1500)) * strike(n, rate, 0.003, 0.02)
        sole = bandpass(coloured_noise(rng, n), rate, 800, 5000) * strike(n, rate, 0.02, soft)
        mix_at(out, normalise(heel) + rng.uniform(0.1, 0.6) * normalise(sole), at, rate, rng.uniform(0.7, 1))
    return out


def plucked(rng: Random, rate: int, seconds: float) -> Signal:
    """Plucked strings, one after another or in chords (Karplus & Strong 1983)."""
    out, root = np.zeros(to_frames(seconds, rate)), rng.uniform(80, 330)
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
    out, root, tilt = np.zeros(to_frames(seconds, rate)), rng.uniform(110, 440), rng.uniform(0.8, 2.2)
    struck, voices = rng.random() < 0.5, rng.integers(1, 4)
    for at in onsets(rng, seconds, 0.2, 1.0, 0.03):
        for _ in range(voices):
            n = to_frames(rng.uniform(0.2, 1.2), rate)
            pitch = np.full(n, root * 2 ** (rng.choice([0, 2, 3, 5, 7, 8, 10, 12]) / 12))
            shape = strike(n, rate, 0.004, rng.uniform(0.15, 0.6)) if struck else hold(n, rate, 0.06, 0.12)
            mix_at(out, harmonics(pitch, rate, tilt, 16) * shape, at, rate)
    return out


def vacuum(rng: Random, rate: int, seconds: float) -> Signal:
    """A household motor: rushing air and a steady whine with its overtones."""
    n = to_frames(seconds, rate)
    whine = harmonics(rng.uniform(180, 700) * (1 + 0.004 * wander(rng, n, rate, 1)), rate, rng.uniform(0.7, 1.5), 16)
    return bandpass(coloured_noise(rng, n, 0.7), rate, 150, 6000, 1) + rng.uniform(0.05, 0.8) * whine


def jet(rng: Random, rate: int, seconds: float) -> Signal:
    """A passing airliner: a roar that swells and darkens, and a falling fan tone."""
    n = to_frames(seconds, rate)
    swell = curve(n, *rng.uniform(0.15, 1, 4))
    roar = normalise(bandpass(coloured_noise(rng, n, 1.0), rate, 60, 3500, 1)) + 0.4 * normalise(
        bandpass(coloured_noise(rng, n, 2), rate, 20, 200)
    )
    fan = harmonics(rng.uniform(700, 2500) * curve(n, 1.05, 1.0, rng.uniform(0.8, 0.95)), rate, 1.0, 3)
    return (roar + rng.uniform(0, 0.08) * fan) * swell


def beeps(rng: Random, rate: int, seconds: float) -> Signal:
    """Electronic beeps, square or pure, on and off."""
    out, pitch, odd = np.zeros(to_frames(seconds, rate)), rng.uniform(400, 3500), rng.random() < 0.5
    n = to_frames(rng.uniform(0.05, 0.5), rate)
    for at in onsets(rng, seconds, n / rate + 0.05, n / rate + 0.8, 0.0):
        mix_at(
            out, harmonics(np.full(n, pitch), rate, 1.0, 9 if odd else 1, odd) * hold(n, rate, 0.005, 0.005), at, rate
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


def diesel(rng: Random, rate: int, seconds: float) -> Signal:
    """An idling lorry or tractor: slow knocking pulses and a rumble."""
    n = to_frames(seconds, rate)
    pitch = (
        rng.uniform(16, 45)
        * (1 + 0.02 * wander(rng, n, rate, 2))
        * curve(n, 1, rng.uniform(0.8, 1.6), rng.uniform(0.8, 1.6))
    )
    knock = formants(
        pulse_train(pitch, rate, rng, 0.4), rate, [(90, 60, 1.0), (260, 120, 0.8), (rng.uniform(700, 1800), 400, 0.5)]
    )
    return normalise(knock) + 0.15 * normalise(bandpass(coloured_noise(rng, n, 1), rate, 50, 3000))


def meow(rng: Random, rate: int, seconds: float) -> Signal:
    """A cat: one gliding vowel from closed to open and back."""
    out, base = np.zeros(to_frames(seconds, rate)), rng.uniform(450, 800)
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
    out, base = np.zeros(to_frames(seconds, rate)), rng.uniform(90, 190)
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


def thunder(rng: Random, rate: int, seconds: float) -> Signal:
    """A crack followed by a long roll."""
    out = np.zeros(to_frames(seconds, rate))
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


def knocking(rng: Random, rate: int, seconds: float) -> Signal:
    """Knuckles on wood, in groups."""
    out, n, at = np.zeros(to_frames(seconds, rate)), to_frames(0.15, rate), rng.uniform(0, 0.5)
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
    out, n, at = np.zeros(to_frames(seconds, rate)), to_frames(0.4, rate), rng.uniform(0, 0.5)
    while at < seconds:
        parts = [(rng.uniform(1800, 7500), rng.uniform(0.01, 0.12), rng.uniform(0.2, 1)) for _ in range(6)]
        mix_at(out, modes(n, rate, parts, rng), at, rate, rng.uniform(0.2, 1))
        at += rng.exponential(0.35) + 0.03
    return out


def scraps(rng: Random, rate: int, seconds: float) -> Signal:
    """Grains without a source: random modes, glides, noise bursts and pulse trains at random times."""
    out, kinds = np.zeros(to_frames(seconds, rate)), rng.permutation(4)[: rng.integers(1, 3)]
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
    out, pitch, length = np.zeros(to_frames(seconds, rate)), 10 ** rng.uniform(1.8, 3.2), rng.uniform(0.12, 1.6)
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
    out, length = np.zeros(to_frames(seconds, rate)), 10 ** rng.uniform(-1.0, 0.3)
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


def applause(rng: Random, rate: int, seconds: float) -> Signal:
    """Many pairs of clapping hands."""
    out, m = np.zeros(to_frames(seconds, rate)), to_frames(0.03, rate)
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
    out, pitch, m = np.zeros(to_frames(seconds, rate)), rng.uniform(3800, 5200), to_frames(0.018, rate)
    count = rng.integers(3, 6)
    pulse = np.sin(2 * np.pi * pitch * np.arange(m) / rate) * hold(m, rate, 0.006, 0.008)
    for at in onsets(rng, seconds, 0.25, 0.6, 0.03):
        for k in range(count):
            mix_at(out, pulse, at + 0.025 * k, rate)
    return out


def snore(rng: Random, rate: int, seconds: float) -> Signal:
    """Breath drawn through a fluttering palate, then let out."""
    out = np.zeros(to_frames(seconds, rate))
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
    out, low = np.zeros(to_frames(seconds, rate)), rng.uniform(600, 1400)
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
    out, voice, at = np.zeros(to_frames(seconds, rate)), rng.uniform(140, 340), rng.uniform(0, 0.4)
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
    out, base = np.zeros(to_frames(seconds, rate)), rng.uniform(180, 420)
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
    out = np.zeros(to_frames(seconds, rate))
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
    out, root, at = np.zeros(to_frames(seconds, rate)), rng.uniform(350, 800), rng.uniform(0, 0.3)
    while at < seconds:
        n = to_frames(rng.choice([0.2, 0.4, 0.8]) * rng.uniform(0.9, 1.1), rate)
        vibrato = 1 + 0.008 * np.sin(2 * np.pi * 5.2 * np.arange(n) / rate)
        note = harmonics(root * 2 ** (rng.choice([0, 2, 4, 5, 7, 9, 12]) / 12) * vibrato, rate, 1.8, 6)
        mix_at(
            out, (note + 0.1 * bandpass(coloured_noise(rng, n), rate, 800, 5000)) * hold(n, rate, 0.04, 0.05), at, rate
        )
        at += n / rate + rng.choice([0.0, 0.0, 0.3])
    return out


Maker = Callable[[Random, int, float], Signal]
_TRAINED: tuple[Maker, ...] = (noise, hum, babble, siren, wind, typing, footsteps, plucked, music, vacuum, jet, beeps)
_TRAINED += (pouring, diesel, meow, moo, thunder, knocking, glass, scraps)
_TRAINED += (creature, machine, strokes, buzz)
_UNHEARD: tuple[Maker, ...] = (applause, cricket, snore, telephone, drill, laughter, bleat, handsaw, flute)
KINDS: tuple[str, ...] = tuple(f.__name__ for f in _TRAINED)
HELD_OUT: tuple[str, ...] = tuple(f.__name__ for f in _UNHEARD)
_SYNTHESISERS: dict[str, Maker] = {f.__name__: f for f in _TRAINED + _UNHEARD}


def distractor(
    rate: int = 16000, seconds: float = 5.0, seed: int = 0, *, kind: str | None = None, held_out: bool = False
) -> NDArray[np.float32]:
    """A sound that is none of `things.AUDIBLE_WORDS`: (frames,) float32 in [-1, 1]; by default the seed picks the kind.

    Raises ValueError for an unknown kind.
    """
    kinds = HELD_OUT if held_out else KINDS
    kind = kind or kinds[seed % len(kinds)]
    if kind not in _SYNTHESISERS:
        raise ValueError(f"Got kind={kind!r}, which is not a distractor; choose one of {', '.join(KINDS + HELD_OUT)}")
    rng = np.random.default_rng([1000 + list(_SYNTHESISERS).index(kind), seed])
    return simulate_recorder(_SYNTHESISERS[kind](rng, rate, seconds), rate, rng)
