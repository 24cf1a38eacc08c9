"""Simulated rooms: impulse responses of a shoebox room to two microphones or a head.

Conventions: as in `spatial.scene`; in the room x is to the right, y to the front, z up, in metres. Responses are
(2, taps), left first. The travel time from the source to the middle of the setup is left out, to the nearest sample:
the direct sound arrives there `EARLY` seconds after the start.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyroomacoustics as pra
from jaxtyping import Float
from pyroomacoustics.directivities import CardioidFamily, DirectionVector

from spatial.errors import SpatialError
from spatial.setups import SPEED_OF_SOUND, Setup, steering_vectors

EARLY = 0.04  # seconds: half the delay between microphones 20 m apart, and the ringing of fractional delays

Response = Float[np.ndarray, "2 taps"]


@dataclass(frozen=True, eq=False)
class Room:
    """A shoebox room with a setup in it, which faces y."""

    size: Float[np.ndarray, "3"]  # metres
    centre: Float[np.ndarray, "3"]  # of the setup, metres from the corner
    absorption: float = 0.99
    order: int = 0  # of reflections; 0: none, a free field
    duration: float = 2 * EARLY  # seconds of a response, until it is 72 dB down

    def point(self, azimuth: float, distance: float) -> Float[np.ndarray, "3"]:
        """The point at that azimuth in degrees and distance in metres, at the height of the setup."""
        angle = np.deg2rad(azimuth)
        return self.centre + distance * np.array([np.sin(angle), np.cos(angle), 0.0])


def distance_factor(setup: Setup) -> float:
    """Factor on all distances, so that sources stand in front of microphones far apart, not between them."""
    return max(1.0, setup.spacing / 0.7)


def draw_room(setup: Setup, rt60: float | None, random: np.random.Generator) -> Room:
    """A living room with a reverberation time of `rt60` seconds (60 dB), Sabine (1922); None or 0: a free field."""
    size = random.uniform([5.5, 4.5, 2.6], [8.0, 7.0, 3.2])
    size[:2] *= distance_factor(setup)
    centre = np.array([random.uniform(0.42, 0.58), random.uniform(0.2, 0.32), 0.0]) * size
    centre[2] = random.uniform(1.2, 1.6)
    if not rt60:
        return Room(size, centre)
    try:
        absorption, order = pra.inverse_sabine(rt60, size)
    except ValueError as error:
        room = " x ".join(f"{side:.1f}" for side in size)
        raise SpatialError(
            f"Got rt60={rt60:g}, too short for a room of {room} m, expected 0.2 or more; raise it."
        ) from error
    return Room(size, centre, absorption, order, EARLY + 1.2 * rt60)


def impulse_response(room: Room, setup: Setup, azimuth: float, distance: float, rate: int, order: int) -> Response:
    """From that azimuth in degrees and distance in metres, by image sources: Allen and Berkley (1979)."""
    respond = _respond_at_head if setup.name == "binaural" else _respond_at_microphones
    return respond(room, setup, azimuth, distance, rate, order)[:, : round(room.duration * rate)]


def _make_shoebox(room: Room, rate: int, order: int, point: Float[np.ndarray, "3"]) -> pra.ShoeBox:
    box = pra.ShoeBox(room.size, fs=rate, materials=pra.Material(room.absorption), max_order=order)
    box.add_source(point)
    return box


def _make_directivities(setup: Setup) -> list[CardioidFamily] | None:
    """Cardioids aimed outwards; for mid-side one ahead and a figure of eight to the left; None: omnidirectional."""

    def aim(azimuth: float, p: float) -> CardioidFamily:
        return CardioidFamily(DirectionVector(azimuth=90 - azimuth, colatitude=90, degrees=True), p=p)

    if setup.name == "ms":
        return [aim(0, 0.5), aim(-90, 0.0)]
    return None if setup.aim is None else [aim(side * setup.aim, 0.5) for side in (-1, 1)]


def _respond_at_microphones(
    room: Room, setup: Setup, azimuth: float, distance: float, rate: int, order: int
) -> Response:
    half = np.array([setup.spacing / 2, 0, 0])
    box = _make_shoebox(room, rate, order, room.point(azimuth, distance))
    microphones = np.stack([room.centre - half, room.centre + half], axis=1)
    box.add_microphone_array(pra.MicrophoneArray(microphones, rate, directivity=_make_directivities(setup)))
    box.compute_rir()
    latency = pra.constants.get("frac_delay_length") // 2  # samples that pyroomacoustics adds
    start = latency + round(distance / SPEED_OF_SOUND * rate) - round(EARLY * rate)
    taps = [box.rir[channel][0] for channel in range(2)]
    return np.stack([_shift(each, -start, max(map(len, taps)) - start) for each in taps])


def _shift(
    taps: Sequence[float] | Float[np.ndarray, " taps"], later: int, length: int
) -> Float[np.ndarray, " {length}"]:
    out = np.zeros(length)
    inside = taps[max(0, -later) :][: length - max(0, later)]
    out[max(0, later) : max(0, later) + len(inside)] = inside
    return out


def _respond_at_head(room: Room, setup: Setup, azimuth: float, distance: float, rate: int, order: int) -> Response:
    """Filter each image source by the head's response to its cone of confusion, to 2 degrees but for the direct one."""
    box = _make_shoebox(room, rate, order, room.point(azimuth, distance))
    box.add_microphone(room.centre)
    box.image_source_model()
    away = box.sources[0].images - room.centre[:, None]  # (3, images)
    far = np.linalg.norm(away, axis=0)
    delays = np.rint((far - distance) / SPEED_OF_SOUND * rate).astype(int) + round(EARLY * rate)
    length = round(room.duration * rate) + round(0.01 * rate)  # the head's response is longer
    cones = 2.0 * np.rint(np.rad2deg(np.arcsin(np.clip(away[0] / far, -1, 1))) / 2)  # (images,) degrees
    cones[np.argmin(far)] = azimuth
    gains = np.where(delays < round(room.duration * rate), box.sources[0].damping[0] / (4 * np.pi * far), 0.0)
    delays = np.minimum(delays, length - 1)
    frequencies = np.fft.rfftfreq(length, 1 / rate)
    spectrum = np.zeros((len(frequencies), 2), complex)
    for cone in np.unique(cones):
        train = np.bincount(delays[cones == cone], gains[cones == cone], minlength=length)
        spectrum += np.fft.rfft(train)[:, None] * steering_vectors(setup, cone, frequencies)[0]
    return np.fft.irfft(spectrum, length, axis=0).T
