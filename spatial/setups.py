"""Stereo setups: how each one records a sound from a direction.

A setup is a pair of microphones (spacing, aim), a mixing desk or a head. The rest of the package knows it by its
steering vectors: how a sound from an azimuth arrives in the two channels, at each frequency.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from jaxtyping import Complex, Float, Inexact
from numpy.typing import ArrayLike

from spatial.errors import SpatialError

SPEED_OF_SOUND = 343.0  # m/s at 20 degrees Celsius
DISTANCE = (
    2.0  # metres to a source, or the spacing if that is more; only levels of widely spaced microphones depend on it
)
NAMES = ("panned", "spaced", "ortf", "nos", "xy", "ms", "binaural")
LAWS = ("power", "-4.5dB", "-6dB")

# Interaural level and time differences: of MIT KEMAR (Gardner and Martin 1995) and the Neumann KU100 (Bernschuetz 2013)
# the mean, fitted by `experiments.world.training.fit_head` at third octaves as a sum of sin(a), sin(2a), sin(3a) of the
# azimuth: Hz, three weights in dB (positive: right louder), three in microseconds (positive: right earlier). A third
# head that the fit had not seen (CIPIC subject 003) is then off by 3 degrees on average.
# Above 5 kHz the delay is that of 5 kHz. Differences between the two ears of one head are left out.
HEAD = np.array(
    [
        (125, 1.3, 0.1, -0.0, 872, 16, -7),
        (250, 2.4, 0.4, -0.0, 880, 8, -8),
        (500, 5.3, -0.3, 0.7, 825, -20, 18),
        (750, 8.2, -1.0, 2.7, 694, 47, -31),
        (1000, 7.8, 1.6, 2.0, 642, 72, -79),
        (1250, 4.6, 6.6, -0.6, 592, 96, -110),
        (1500, -1.8, 15.2, -6.0, 633, 32, -81),
        (2000, -1.7, 17.6, -7.7, 742, -121, -0),
        (2500, 1.8, 13.4, -5.8, 758, -161, 26),
        (3000, 5.5, 8.6, -2.6, 768, -172, 34),
        (4000, 12.7, 3.0, 0.8, 759, -157, 17),
        (5000, 18.6, 0.3, 1.5, 753, -152, 10),
        (6500, 18.2, 6.1, -2.6, 753, -152, 10),
        (8000, 14.7, 11.8, -2.0, 753, -152, 10),
        (10000, 22.0, -1.1, 1.5, 753, -152, 10),
        (12500, 30.0, -7.9, 3.6, 753, -152, 10),
    ]
)


@dataclass(frozen=True)
class Setup:
    """A stereo setup; `make_setup` creates it from its name."""

    name: str
    spacing: float = 0.0  # metres between the microphones
    aim: float | None = None  # degrees from the front, outwards, of two cardioids; None: omnidirectional
    law: str = "power"  # panning law of a mixing desk, one of `LAWS`

    @property
    def limit(self) -> float:
        """The widest azimuth in degrees; for a mixing desk that of the loudspeakers."""
        return 45.0 if self.name == "panned" else 90.0

    @property
    def cues(self) -> tuple[str, ...]:
        """The cues that tell directions apart: "level", "time" or both."""
        if self.name == "spaced":
            return ("time",)
        return ("level",) if self.name in ("panned", "xy", "ms") else ("level", "time")

    @property
    def max_delay(self) -> float:
        """The largest delay between the channels in seconds."""
        return 0.00083 if self.name == "binaural" else self.spacing / SPEED_OF_SOUND


_SETUPS = {
    "panned": Setup("panned"),
    "spaced": Setup("spaced", spacing=0.5),
    "ortf": Setup("ortf", spacing=0.17, aim=55.0),
    "nos": Setup("nos", spacing=0.30, aim=45.0),
    "xy": Setup("xy", aim=45.0),
    "ms": Setup("ms"),
    "binaural": Setup("binaural", spacing=0.18),
}


def make_setup(name: str | Setup, *, spacing: float | None = None, law: str | None = None) -> Setup:
    """The setup of that name, such as "ortf" or "spaced"; `spacing` in metres, `law` one of `LAWS`.

    Panning laws: "power" keeps the sum of the powers (the centre is 3 dB lower), "-6dB" the sum of the voltages,
    "-4.5dB" is halfway. Raises SpatialError for an unknown name, spacing or law.
    """
    if isinstance(name, Setup):
        return name
    if name not in _SETUPS:
        raise SpatialError(f'Got setup="{name}", expected "auto" or one of {", ".join(NAMES)}; change it.')
    setup = _SETUPS[name]
    if spacing is not None:
        if name != "spaced":
            raise SpatialError(
                f'Got spacing={spacing:g} for setup="{name}", expected it for "spaced" only; leave it out or change '
                "the setup."
            )
        if not 0.01 <= spacing <= 20:
            raise SpatialError(f"Got spacing={spacing:g}, expected 0.01 to 20 metres; change it.")
        setup = replace(setup, spacing=float(spacing))
    if law is not None:
        if name != "panned" or law not in LAWS:
            raise SpatialError(
                f'Got law="{law}" for "{name}", expected one of {", ".join(LAWS)} for "panned"; change it.'
            )
        setup = replace(setup, law=law)
    return setup


def steering_vectors(
    setup: Setup, azimuths: ArrayLike, frequencies: ArrayLike
) -> Complex[np.ndarray, "azimuths frequencies 2"]:
    """The left and right channel of a sound from each azimuth (degrees) at each frequency (Hz), unit length, left real.

    complex64.
    """
    azimuth = np.deg2rad(np.atleast_1d(np.asarray(azimuths, float)))[:, None]
    frequency = np.atleast_1d(np.asarray(frequencies, float))[None]
    if setup.name == "panned":
        left, right = _pan(setup.law, azimuth)
        return _normalise(left + 0 * frequency, right + 0 * frequency)
    return _normalise(*_record(setup, np.sin(azimuth), np.cos(azimuth), frequency))


@lru_cache(maxsize=32)
def _sphere_directions(count: int = 400) -> tuple[Float[np.ndarray, " {count} 1"], Float[np.ndarray, " {count} 1"]]:
    """Components to the right and to the front of directions evenly spread over the sphere (Fibonacci lattice)."""
    index = np.arange(count) + 0.5
    up, turn = 1 - 2 * index / count, np.pi * (1 + 5**0.5) * index
    level = np.sqrt(1 - up**2)
    return (level * np.sin(turn))[:, None], (level * np.cos(turn))[:, None]


def diffuse_covariance(setup: Setup, frequencies: ArrayLike) -> Complex[np.ndarray, "frequencies 2 2"]:
    """Spatial covariance of a diffuse field, trace 1, complex64; for a mixing desk the channels are uncorrelated."""
    frequency = np.atleast_1d(np.asarray(frequencies, float))[None]
    if setup.name == "panned":
        return np.broadcast_to(np.eye(2, dtype=np.complex64) / 2, (frequency.size, 2, 2)).copy()
    vectors = np.stack(_record(setup, *_sphere_directions(), frequency), axis=-1)  # (directions, frequencies, 2)
    covariance = np.einsum("dfi,dfj->fij", vectors, vectors.conj())
    return (covariance / np.trace(covariance, axis1=1, axis2=2)[:, None, None]).astype(np.complex64)


def _record(
    setup: Setup,
    right: Float[np.ndarray, "azimuths 1"],
    front: Float[np.ndarray, "azimuths 1"],
    frequency: Float[np.ndarray, "1 frequencies"],
) -> tuple[Inexact[np.ndarray, "azimuths frequencies"], Inexact[np.ndarray, "azimuths frequencies"]]:
    """The left and right channel of a sound from directions with those components to the right and to the front."""
    if setup.name == "binaural":
        return _head_response(right, frequency)
    if setup.name == "ms":  # not decoded: a cardioid ahead, and a figure of eight whose positive side is left
        return 0.5 + 0.5 * front + 0j * frequency, -right + 0j * frequency
    half = setup.spacing / 2
    away = max(DISTANCE, setup.spacing)
    near, far = (np.sqrt(away**2 + half**2 + sign * 2 * away * half * right) for sign in (-1, 1))  # right, left
    gains = [1 / far, 1 / near]
    if setup.aim is not None:
        aim = np.deg2rad(setup.aim)
        gains = [
            g * (0.5 + 0.5 * (front * np.cos(aim) + side * right * np.sin(aim)))
            for g, side in zip(gains, (-1, 1), strict=True)
        ]
    delay = setup.spacing * right / SPEED_OF_SOUND
    return gains[0] + 0j * frequency, gains[1] * np.exp(2j * np.pi * frequency * delay)


def _pan(
    law: str, azimuth: Float[np.ndarray, "azimuths 1"]
) -> tuple[Float[np.ndarray, "azimuths 1"], Float[np.ndarray, "azimuths 1"]]:
    """(left, right) gains of a panning law."""
    angle = np.clip(azimuth, -np.pi / 4, np.pi / 4) + np.pi / 4  # 0 left, 90 degrees right
    power = np.cos(angle), np.sin(angle)
    across = angle * 2 / np.pi
    voltage = 1 - across, across
    if law == "power":
        return power
    return voltage if law == "-6dB" else (np.sqrt(power[0] * voltage[0]), np.sqrt(power[1] * voltage[1]))


def _head_response(
    right: Float[np.ndarray, "azimuths 1"], frequency: Float[np.ndarray, "1 frequencies"]
) -> tuple[Complex[np.ndarray, "azimuths frequencies"], Complex[np.ndarray, "azimuths frequencies"]]:
    """(left, right) ear; directions at the same angle to the ear axis are alike (the cone of confusion)."""
    azimuth = np.arcsin(np.clip(right, -1, 1))
    octaves = np.log2(np.maximum(frequency[0], 20.0))
    weights = [np.interp(octaves, np.log2(HEAD[:, 0]), HEAD[:, column]) for column in range(1, 7)]
    waves = [np.sin(azimuth), np.sin(2 * azimuth), np.sin(3 * azimuth)]
    decibels = sum(wave * weight for wave, weight in zip(waves, weights[:3], strict=True))
    delay = sum(wave * weight for wave, weight in zip(waves, weights[3:], strict=True)) * 1e-6
    ratio = 10 ** (decibels / 40)
    return 1 / ratio + 0j, ratio * np.exp(2j * np.pi * frequency * delay)


def _normalise(
    left: Inexact[np.ndarray, "azimuths frequencies"], right: Inexact[np.ndarray, "azimuths frequencies"]
) -> Complex[np.ndarray, "azimuths frequencies 2"]:
    length = np.sqrt(np.abs(left) ** 2 + np.abs(right) ** 2)
    return np.stack([left / length, right / length], axis=-1).astype(np.complex64)
