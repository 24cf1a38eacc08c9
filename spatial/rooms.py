"""Where simulated sounds stand: impulse responses of a shoebox room to two microphones or a head.

Conventions: as in `spatial.scene`; in the room x is to the right, y to the front, z up, in metres. Responses are
(2, taps), left first. The way from the source to the middle of the setup is left out, to the nearest sample: what comes
there directly stands `EARLY` seconds after the start.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyroomacoustics as pra
from numpy.typing import NDArray
from pyroomacoustics.directivities import CardioidFamily, DirectionVector

from spatial.errors import SpatialError
from spatial.setups import SPEED_OF_SOUND, Setup, steering

EARLY = 0.04  # seconds: half the way between microphones 20 m apart, and the ringing of fractional delays


@dataclass(frozen=True, eq=False)
class Room:
    """A shoebox, and where in it the setup stands, facing y."""

    size: NDArray[np.float64]  # (3,) metres
    centre: NDArray[np.float64]  # (3,) metres from the corner
    absorption: float = 0.99
    order: int = 0  # of reflections; 0: none, a free field
    longest: float = 2 * EARLY  # seconds of a response, 72 dB down

    def point(self, azimuth: float, distance: float) -> NDArray[np.float64]:
        """(3,): there, at the height of the setup."""
        angle = np.deg2rad(azimuth)
        return self.centre + distance * np.array([np.sin(angle), np.cos(angle), 0.0])


def widening(setup: Setup) -> float:
    """Times that all stands further away: in front of microphones more than 0.7 m apart, not between them."""
    return max(1.0, setup.spacing / 0.7)


def some_room(setup: Setup, rt60: float | None, random: np.random.Generator) -> Room:
    """A living room that takes `rt60` seconds to fall silent by 60 dB, Sabine (1922); None or 0: no walls."""
    size = random.uniform([5.5, 4.5, 2.6], [8.0, 7.0, 3.2])
    size[:2] *= widening(setup)
    centre = np.array([random.uniform(0.42, 0.58), random.uniform(0.2, 0.32), 0.0]) * size
    centre[2] = random.uniform(1.2, 1.6)
    if not rt60:
        return Room(size, centre)
    try:
        absorption, order = pra.inverse_sabine(rt60, size)
    except ValueError as error:
        room = " x ".join(f"{side:.1f}" for side in size)
        raise SpatialError(f"Got rt60={rt60:g}, too short for a room of {room} m; take 0.2 or more.") from error
    return Room(size, centre, absorption, order, EARLY + 1.2 * rt60)


def response(room: Room, setup: Setup, azimuth: float, distance: float, rate: int, order: int) -> NDArray[np.float64]:
    """(2, taps) from that azimuth and distance in metres: image sources, Allen and Berkley (1979)."""
    made = _at_head if setup.name == "binaural" else _at_microphones
    return made(room, setup, azimuth, distance, rate, order)[:, : round(room.longest * rate)]


def _shoebox(room: Room, rate: int, order: int, point: NDArray[np.float64]) -> Any:
    box = pra.ShoeBox(room.size, fs=rate, materials=pra.Material(room.absorption), max_order=order)
    box.add_source(point)
    return box


def _directivities(setup: Setup) -> list[CardioidFamily] | None:
    """Cardioids aimed outwards; of mid-side one ahead and a figure of eight to the left; None of omnis."""

    def aimed(azimuth: float, p: float) -> CardioidFamily:
        return CardioidFamily(DirectionVector(azimuth=90 - azimuth, colatitude=90, degrees=True), p=p)

    if setup.name == "ms":
        return [aimed(0, 0.5), aimed(-90, 0.0)]
    return None if setup.aim is None else [aimed(side * setup.aim, 0.5) for side in (-1, 1)]


def _at_microphones(
    room: Room, setup: Setup, azimuth: float, distance: float, rate: int, order: int
) -> NDArray[np.float64]:
    half = np.array([setup.spacing / 2, 0, 0])
    box = _shoebox(room, rate, order, room.point(azimuth, distance))
    places = np.stack([room.centre - half, room.centre + half], axis=1)
    box.add_microphone_array(pra.MicrophoneArray(places, rate, directivity=_directivities(setup)))
    box.compute_rir()
    delayed = pra.constants.get("frac_delay_length") // 2  # samples that pyroomacoustics adds
    start = delayed + round(distance / SPEED_OF_SOUND * rate) - round(EARLY * rate)
    taps = [box.rir[channel][0] for channel in range(2)]
    return np.stack([_shifted(each, -start, max(map(len, taps)) - start) for each in taps])


def _shifted(taps: NDArray, later: int, length: int) -> NDArray[np.float64]:
    out = np.zeros(length)
    kept = taps[max(0, -later) :][: length - max(0, later)]
    out[max(0, later) : max(0, later) + len(kept)] = kept
    return out


def _at_head(room: Room, setup: Setup, azimuth: float, distance: float, rate: int, order: int) -> NDArray[np.float64]:
    """Each image through the head's filter for the cone of confusion it lies on, all but the direct to 2 degrees."""
    box = _shoebox(room, rate, order, room.point(azimuth, distance))
    box.add_microphone(room.centre)
    box.image_source_model()
    away = box.sources[0].images - room.centre[:, None]  # (3, images)
    far = np.linalg.norm(away, axis=0)
    delays = np.rint((far - distance) / SPEED_OF_SOUND * rate).astype(int) + round(EARLY * rate)
    length = round(room.longest * rate) + round(0.01 * rate)  # the head's filter rings on
    cones = 2.0 * np.rint(np.rad2deg(np.arcsin(np.clip(away[0] / far, -1, 1))) / 2)  # (images,) degrees
    cones[np.argmin(far)] = azimuth
    gains = np.where(delays < round(room.longest * rate), box.sources[0].damping[0] / (4 * np.pi * far), 0.0)
    delays = np.minimum(delays, length - 1)
    frequencies = np.fft.rfftfreq(length, 1 / rate)
    spectrum = np.zeros((len(frequencies), 2), complex)
    for cone in np.unique(cones):
        train = np.bincount(delays[cones == cone], gains[cones == cone], minlength=length)
        spectrum += np.fft.rfft(train)[:, None] * steering(setup, cone, frequencies)[0]
    return np.fft.irfft(spectrum, length, axis=0).T
