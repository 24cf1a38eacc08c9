"""Motors, mains and alarms."""

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
    to_frames,
    wander,
)


def hum(rng: Random, rate: int, seconds: float) -> Signal:
    """Mains hum with the air noise of a fan."""
    n = to_frames(seconds, rate)
    out = harmonics(np.full(n, rng.choice([50.0, 60.0, 100.0, 120.0])), rate, rng.uniform(0.6, 2), 30)
    return normalise(out) + rng.uniform(0.01, 0.5) * normalise(coloured_noise(rng, n, 1))


def siren(rng: Random, rate: int, seconds: float) -> Signal:
    """A wailing siren that sweeps slowly or yelps quickly."""
    n = to_frames(seconds, rate)
    sweep = np.sin(
        2 * np.pi * rng.choice([rng.uniform(0.1, 0.5), rng.uniform(2, 5)]) * np.arange(n) / rate + rng.uniform(0, 6)
    )
    return harmonics(rng.uniform(600, 1100) * 2 ** (rng.uniform(0.2, 0.6) * sweep), rate, rng.uniform(0.5, 1.5), 12)


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
    out, pitch, odd = silence(seconds, rate), rng.uniform(400, 3500), rng.random() < 0.5
    n = to_frames(rng.uniform(0.05, 0.5), rate)
    for at in onsets(rng, seconds, n / rate + 0.05, n / rate + 0.8, 0.0):
        mix_at(
            out, harmonics(np.full(n, pitch), rate, 1.0, 9 if odd else 1, odd) * hold(n, rate, 0.005, 0.005), at, rate
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
