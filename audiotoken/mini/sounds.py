"""Sounds of the painted world, synthesised: one physical sketch per thing that can be heard.

`synthesise("bell", 16000, 5.0, seed=3)` gives a `(frames,) float32` signal in [-1, 1]. Every seed is another bell:
pitch, rhythm, material, room, level and noise floor are drawn from it. The same
arguments give the same sound. Sounds of other things: `experiments.world.distractors`.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

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
from audiotoken.mini.things import AUDIBLE_WORDS


def _silence(seconds: float, rate: int) -> Signal:
    return np.zeros(to_frames(seconds, rate))


def dog(rng: Random, rate: int, seconds: float) -> Signal:
    """Barks: a hoarse voice whose pitch jumps up and falls within a fifth of a second, in ones to threes."""
    size, hoarse = rng.uniform(0.6, 1.6), rng.uniform(0.2, 1.0)
    pitch, length = rng.uniform(280, 620) / size, rng.uniform(0.1, 0.24) * size**0.5
    out, at, gap = _silence(seconds, rate), rng.uniform(0, 0.4), rng.uniform(0.05, 0.35)
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
    base, stretch, out = rng.uniform(420, 620), rng.uniform(0.85, 1.25), _silence(seconds, rate)
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
    base, shake, out, at = rng.uniform(360, 560), rng.uniform(4, 8), _silence(seconds, rate), rng.uniform(-0.6, 0.4)
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


def clock(rng: Random, rate: int, seconds: float) -> Signal:
    """Ticking: an escapement's two or three clicks in quick succession ring the case; tick and tock differ."""
    period, out = (
        float(rng.choice([0.2, 0.25, 0.333, 0.5, 0.5, 1.0, 1.0])) * rng.uniform(0.96, 1.04),
        _silence(seconds, rate),
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


def person(rng: Random, rate: int, seconds: float) -> Signal:
    """A sneeze: one to three gasping "ah", then a burst of breath "tsh" with a voiced "oo" dying away in it."""
    voice, out = rng.uniform(130, 330), _silence(seconds, rate)
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
    tone, speed, out = rng.uniform(500, 1700), rng.uniform(22, 60), _silence(seconds, rate)
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
    out, base = _silence(seconds, rate), rng.uniform(2200, 5000)
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
    out = _silence(seconds, rate)
    for at in onsets(rng, seconds, 0.8 if church else 0.25, 2.6 if church else 1.4, 0.05):
        n = to_frames(min(seconds - at, 6 * ring), rate)
        blow = 0.3 * bandpass(coloured_noise(rng, n), rate, base, 8 * base, 1) * strike(n, rate, 0, 0.008)
        mix_at(out, modes(n, rate, parts, rng) + blow, at, rate, rng.uniform(0.7, 1.0))
    return out


def car(rng: Random, rate: int, seconds: float) -> Signal:
    """A car's horn: two reedy notes a third apart around 400 Hz, honked briefly or held; perhaps an engine idling."""
    low, interval = rng.uniform(310, 470), rng.uniform(1.17, 1.28)
    bright, out, at = rng.uniform(0.25, 0.8), _silence(seconds, rate), rng.uniform(0, 0.5)
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
    root, out = rng.uniform(230, 420), _silence(seconds, rate)
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


def drum(rng: Random, rate: int, seconds: float) -> Signal:
    """A struck membrane: modes at the zeros of Bessel functions above 60 to 220 Hz, the stick's click, in a rhythm."""
    base, beat, out = rng.uniform(60, 220), 60 / rng.uniform(80, 170), _silence(seconds, rate)
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


_SYNTHESISERS: dict[str, Callable[[Random, int, float], Signal]] = {
    f.__name__: f
    for f in (
        dog,
        rooster,
        baby,
        clock,
        helicopter,
        chainsaw,
        fire,
        rain,
        wave,
        person,
        frog,
        bird,
        bell,
        car,
        train,
        drum,
    )
}


def synthesise(word: str, rate: int = 16000, seconds: float = 5.0, seed: int = 0) -> NDArray[np.float32]:
    """The sound of `word` (one of `things.AUDIBLE_WORDS`) as recorded in a room: (frames,) float32 in [-1, 1].

    Raises ValueError for a word that has no sound.
    """
    if word not in _SYNTHESISERS:
        raise ValueError(f"no sound is known for {word!r}; choose one of {', '.join(AUDIBLE_WORDS)}")
    rng = np.random.default_rng([AUDIBLE_WORDS.index(word), seed])
    return simulate_recorder(_SYNTHESISERS[word](rng, rate, seconds), rate, rng)
