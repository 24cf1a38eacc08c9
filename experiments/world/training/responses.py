"""Impulse responses of many rooms to many stereo setups, measured heads among them: the bank that scenes are made from.

    python -m experiments.world.training.responses --heads ../shared/heads --rooms 300 --out runs/responses

Shoebox rooms by image sources (Allen and Berkley 1979). Late images are thinned at random and the rest made louder by
as much, which keeps the energy and the directions of the reverberation. Conventions: as in `spatial.scene`; a response
is (2, taps), left first; x is to the right of the setup, y ahead of it, z up, in metres.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import resample_poly

RATE = 24_000  # Hz
SPEED = 343.0  # m/s
EARLY = 0.012  # seconds before the direct sound at the middle of the setup
OVERSAMPLED = 8  # of the trains of images, so that their delays are fractions of a frame
KEPT = 0.05  # seconds after the direct sound during which every image is kept
POSITIONS = 12  # for each room
LOSSY = (0, 1, 2, 4, 8)  # numbers of reflections from which images lose more of their high frequencies
LOSS, EVEN = 3.0, 0.5  # dB an octave above 2 kHz that each of these loses at most; share of rooms without such a loss
DIRECTIONS = 160  # of a head, for late images

Responses = NDArray[np.float32]  # (positions, 2, taps)


@dataclass(frozen=True, eq=False)
class Images:
    """The images of one source: where they are seen from the setup, how loud, and after how many reflections."""

    offsets: NDArray[np.float64]  # (images, 3) metres from the setup
    gains: NDArray[np.float64]  # of the walls and of thinning, without distance
    reflections: NDArray[np.int64]

    def keep_direct(self) -> "Images":
        """The source itself, without its reflections."""
        return Images(self.offsets[:1], self.gains[:1], self.reflections[:1])


@dataclass(frozen=True, eq=False)
class Head:
    """Responses of a head to sounds from many directions, at `RATE`."""

    directions: NDArray[np.float64]  # (directions, 3), unit vectors
    responses: NDArray[np.float64]  # (directions, 2, taps)
    name: str

    def scale(self, size: float) -> "Head":
        """A head `size` times as large: all its responses are longer by that factor."""
        taps = self.responses.shape[2]
        at = np.arange(round(taps * size)) / size
        longer = np.apply_along_axis(lambda one: np.interp(at, np.arange(taps), one), 2, self.responses) / size
        return Head(self.directions, longer, f"{self.name} x {size:.2f}")


def read_head(path: Path) -> Head:
    """Read a SOFA file (SimpleFreeFieldHRIR), whose azimuths count to the left."""
    import h5py  # only to read measured heads

    with h5py.File(path, "r") as file:
        rate = int(np.ravel(file["Data.SamplingRate"][:])[0])
        responses, position = file["Data.IR"][:].astype(float), file["SourcePosition"][:]
    if rate != RATE:
        responses = resample_poly(responses, RATE, rate, axis=2)
    azimuth, elevation = -np.deg2rad(position[:, 0]), np.deg2rad(position[:, 1])
    unit = [np.sin(azimuth) * np.cos(elevation), np.cos(azimuth) * np.cos(elevation), np.sin(elevation)]
    level = np.sqrt((responses**2).sum(axis=(1, 2)).mean())
    return Head(np.stack(unit, axis=1), responses / level, path.stem)


@dataclass(frozen=True)
class Pair:
    """Two microphones: metres apart, aimed at azimuths, of patterns from 1 (omnidirectional) to 0 (figure of eight)."""

    name: str
    spacing: float = 0.0
    aims: tuple[float, float] = (0.0, 0.0)
    patterns: tuple[float, float] = (1.0, 1.0)
    middle: float = 0.0  # gain in both channels of a third microphone `ahead` of the two (Decca tree)
    ahead: float = 0.0


def draw_pair(name: str, rng: np.random.Generator) -> Pair:
    """Draw a pair of that kind, mostly with its standard spacing and angle."""
    if name == "spaced":
        usual = rng.random() < 0.5
        return Pair(name, 0.5 if usual else float(np.exp(rng.uniform(np.log(0.16), np.log(3.0)))))
    if name == "decca":
        return Pair("spaced", float(rng.uniform(1.5, 2.2)), middle=float(rng.uniform(0.3, 0.7)), ahead=1.2)
    off = rng.normal(0, 2.0) * (rng.random() < 0.5)
    if name == "ortf":
        return Pair(name, 0.17 + rng.normal(0, 0.004), (-55 - off, 55 + off), (0.5, 0.5))
    if name == "nos":
        return Pair(name, 0.30 + rng.normal(0, 0.006), (-45 - off, 45 + off), (0.5, 0.5))
    if name == "xy":
        aim = 45.0 if rng.random() < 0.5 else float(rng.uniform(40, 67))
        pattern = 0.5 if rng.random() < 0.8 else float(rng.uniform(0.25, 0.5))
        return Pair(name, 0.0, (-aim, aim), (pattern, pattern))
    return Pair("ms", 0.0, (0.0, -90.0), (0.5 if rng.random() < 0.8 else 1.0, 0.0))


def draw_living_room(rt60: float, far: float, rng: np.random.Generator) -> list[Images]:
    """Like `draw_images`, but regular: even walls, the setup near one, all images, sources at its height."""
    size = rng.uniform([5.5, 4.5, 2.6], [8.0, 7.0, 3.2]) * [far, far, 1]
    centre = size * [rng.uniform(0.42, 0.58), rng.uniform(0.2, 0.32), 0]
    centre[2] = rng.uniform(1.2, 1.6)
    surface = 2 * (size[0] * size[1] + size[0] * size[2] + size[1] * size[2])
    wall = np.sqrt(max(0.0, 1 - 0.161 * size.prod() / (surface * rt60))) if rt60 else 0.0
    edges, out = np.linspace(-80, 80, POSITIONS + 1), []
    for low, high in pairwise(edges):
        azimuth, away = np.deg2rad(rng.uniform(low, high)), rng.uniform(1.2, 1.8) * far
        point = centre + away * np.array([np.sin(azimuth), np.cos(azimuth), 0.0])
        point = np.clip(point, 0.1, size - 0.1)
        out.append(list_images(size, point, centre, np.full((3, 2), wall), 1.1 * rt60, rng, thin=False))
    return out


def draw_images(rt60: float, distances: tuple[float, float], far: float, rng: np.random.Generator) -> list[Images]:
    """Draw a room, a setup in it that may be turned, and sources around its front -> the images of each source."""
    size = rng.uniform([3.6, 3.6, 2.4], [9.0, 8.0, 3.5]) * max(1.0, far)
    centre = size * [rng.uniform(0.35, 0.65), rng.uniform(0.2, 0.45), 0.5]
    centre[2] = rng.uniform(1.1, 1.8)
    turn = rng.choice([0.0, np.pi / 2, np.pi, -np.pi / 2]) + rng.normal(0, 0.15)
    surface = 2 * (size[0] * size[1] + size[0] * size[2] + size[1] * size[2])
    absorbed = 1 - np.exp(-0.161 * size.prod() / (surface * rt60)) if rt60 else 1.0
    walls = np.sqrt(np.clip(1 - absorbed * rng.uniform(0.6, 1.4, (3, 2)), 0, 0.98)) if rt60 else np.zeros((3, 2))
    edges = np.linspace(-86, 86, POSITIONS + 1)
    out = []
    for low, high in pairwise(edges):
        azimuth, away = np.deg2rad(rng.uniform(low, high)), rng.uniform(*distances)
        offset = away * np.array([np.sin(azimuth), np.cos(azimuth), rng.normal(0, 0.12)])
        spun = np.array([[np.cos(turn), np.sin(turn), 0], [-np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
        point = np.clip(centre + spun @ offset, 0.15, size - 0.15)
        images = list_images(size, point, centre, walls, 1.1 * rt60, rng)
        out.append(Images(images.offsets @ spun, images.gains, images.reflections))
    return out


def list_images(
    size: NDArray, point: NDArray, centre: NDArray, walls: NDArray, longest: float, rng: np.random.Generator,
    thin: bool = True,
) -> Images:  # fmt: skip
    """The images within `longest` seconds, thinned where they are many; the first is the source itself."""
    axes, counts, gains = [], [], []
    for axis in range(3):
        most = int(np.ceil(SPEED * longest / size[axis] / 2)) + 1 if longest else 0
        n = np.arange(-most, most + 1)
        axes.append(np.concatenate([2 * n * size[axis] + point[axis], 2 * n * size[axis] - point[axis]]) - centre[axis])
        low, high = np.concatenate([np.abs(n), np.abs(n - 1)]), np.concatenate([np.abs(n), np.abs(n)])
        counts.append(low + high)
        gains.append(np.log(np.maximum(walls[axis, 0], 1e-6)) * low + np.log(np.maximum(walls[axis, 1], 1e-6)) * high)
    squared = axes[0][:, None, None] ** 2 + axes[1][None, :, None] ** 2 + axes[2][None, None, :] ** 2
    direct = np.linalg.norm(point - centre)
    full = direct + KEPT * SPEED
    chance = np.minimum(1.0, full**2 / squared) if thin else np.ones_like(squared)
    kept = (rng.random(squared.shape) < chance) & (squared <= max(float(direct) + 1e-3, SPEED * longest) ** 2)
    i, j, k = np.nonzero(kept)
    total = gains[0][i] + gains[1][j] + gains[2][k] - 0.5 * np.log(chance[kept])
    offsets = np.stack([axes[0][i], axes[1][j], axes[2][k]], axis=1)
    order = np.argsort(np.linalg.norm(offsets, axis=1))
    reflections = counts[0][i] + counts[1][j] + counts[2][k]
    return Images(offsets[order], np.exp(total)[order], reflections[order])


def respond_pair(images: Images, pair: Pair, seconds: float, loss: float = LOSS) -> NDArray:
    """(2, taps) at two microphones, with the wave front of each image as seen from each microphone.

    loss: of high frequencies, dB an octave above 2 kHz for each of `LOSSY`.
    """
    points = [np.array([side * pair.spacing / 2, 0, 0]) for side in (-1, 1)]
    out = [
        _collect(images, point, aim, pattern, seconds, loss)
        for point, aim, pattern in zip(points, pair.aims, pair.patterns, strict=True)
    ]
    if pair.middle:
        third = pair.middle * _collect(images, np.array([0, pair.ahead, 0]), 0.0, 1.0, seconds, loss)
        out = [one + third for one in out]
    return np.stack(out)


def _collect(images: Images, point: NDArray, aim: float, pattern: float, seconds: float, loss: float) -> NDArray:
    """(taps,) of one microphone at a point."""
    away = images.offsets - point
    distance = np.linalg.norm(away, axis=1)
    angle = np.deg2rad(aim)
    gain = pattern + (1 - pattern) * (away[:, 0] * np.sin(angle) + away[:, 1] * np.cos(angle)) / distance
    gain = gain * images.gains / np.maximum(distance, 0.1)
    start = np.linalg.norm(images.offsets[0]) / SPEED - EARLY
    length = next_fast_len(round(seconds * RATE), real=True)
    at = np.rint((distance / SPEED - start) * RATE * OVERSAMPLED).astype(int)
    inside = (at >= 0) & (at < length * OVERSAMPLED)
    group = np.searchsorted(LOSSY, images.reflections, side="right") - 1
    bins = length // 2 + 1
    octaves = np.log2(1 + np.arange(bins) * RATE / length / 2000)
    spectrum = np.zeros(bins, complex)
    for number in np.unique(group[inside]):
        here = inside & (group == number)
        train = np.bincount(at[here], gain[here], length * OVERSAMPLED).astype(np.float32)
        spectrum += rfft(train)[:bins] * 10 ** (-loss / 20 * number * octaves)
    return irfft(spectrum, length)


def respond_head(images: Images, head: Head, few: NDArray[np.int64], seconds: float) -> NDArray:
    """(2, taps) at the ears: early images by the nearest direction of all, late ones by the nearest of `few`."""
    distance = np.linalg.norm(images.offsets, axis=1)
    unit = images.offsets / distance[:, None]
    early = min(8, len(distance))
    nearest = np.empty(len(distance), int)
    nearest[:early] = (unit[:early] @ head.directions.T).argmax(axis=1)
    nearest[early:] = few[(unit[early:] @ head.directions[few].T).argmax(axis=1)]
    length = next_fast_len(round(seconds * RATE) + head.responses.shape[2], real=True)
    at = np.rint((distance - distance[0]) / SPEED * RATE).astype(int) + round(EARLY * RATE)
    inside = at < length - head.responses.shape[2]
    gain = images.gains / np.maximum(distance, 0.1)
    which, row = np.unique(nearest[inside], return_inverse=True)
    trains = np.bincount(row * length + at[inside], gain[inside], len(which) * length).reshape(len(which), length)
    spectra = rfft(trains.astype(np.float32), axis=1)
    heads = rfft(head.responses[which].astype(np.float32), length, axis=2)
    return irfft(np.einsum("df,dcf->cf", spectra, heads), length, axis=1)


def spread_directions(directions: NDArray, count: int) -> NDArray[np.int64]:
    """Indices of directions that are spread evenly over the sphere."""
    index = np.arange(count) + 0.5
    up, turn = 1 - 2 * index / count, np.pi * (1 + 5**0.5) * index
    level = np.sqrt(1 - up**2)
    wanted = np.stack([level * np.sin(turn), level * np.cos(turn), up], axis=1)
    return np.unique((wanted @ directions.T).argmax(axis=1))


def draw_room(
    kind: str, heads: list[Head], rng: np.random.Generator, living: bool = False
) -> tuple[dict, Responses, Responses]:
    """(facts, responses of all positions, their direct part) of one room and one setup of that kind."""
    rt60, pair = _draw_setup(kind, rng, living)
    far = max(1.0, pair.spacing / 0.7) if pair else 1.0
    images = (
        draw_living_room(rt60, far, rng) if living else draw_images(rt60, (0.9 * far, 2.4 * far), min(far, 1.6), rng)
    )
    recorder = pair or heads[rng.integers(len(heads))].scale(1.0 if living else rng.uniform(0.92, 1.08))
    loss = 0.0 if rng.random() < EVEN else float(rng.uniform(0, LOSS))
    respond = _make_responder(recorder, loss)
    full = [respond(each, EARLY + 0.02 + 1.1 * rt60 + 0.01 * far) for each in images]
    dry = [respond(each.keep_direct(), EARLY + 0.02 + 0.01 * far) for each in images]
    scale = np.sqrt([(one**2).sum() for one in dry])[:, None, None]
    azimuths = [float(np.rad2deg(np.arctan2(*each.offsets[0][:2]))) for each in images]
    facts = _list_facts(recorder) | {"rt60": rt60, "azimuths": azimuths}
    return facts, (np.stack(full) / scale).astype(np.float16), (np.stack(dry) / scale).astype(np.float16)


def _draw_setup(kind: str, rng: np.random.Generator, living: bool) -> tuple[float, Pair | None]:
    """(reverberation time, the microphones, or None for a head)."""
    rt60 = 0.0 if rng.random() < 0.25 else float(rng.choice([rng.uniform(0.15, 0.35), rng.uniform(0.3, 0.7)]))
    pair = None if kind == "binaural" else draw_pair(kind, rng)
    if living:
        rt60 = float(rng.choice([0.0, rng.uniform(0.25, 0.4), rng.uniform(0.5, 0.65)]))
        pair = BY_THE_BOOK.get(kind, pair)
    return rt60, pair


def _make_responder(recorder: Pair | Head, loss: float) -> Callable[[Images, float], NDArray]:
    """The function from the images of a source, and seconds, to the response (2, taps)."""
    if isinstance(recorder, Pair):
        return lambda images, seconds: respond_pair(images, recorder, seconds, loss)
    few = spread_directions(recorder.directions, DIRECTIONS)
    return lambda images, seconds: respond_head(images, recorder, few, seconds)


def _list_facts(recorder: Pair | Head) -> dict:
    """What is true of all positions."""
    if isinstance(recorder, Head):
        return {"setup": "binaural", "spacing": 0.0, "head": recorder.name, "usual": True, "decca": False}
    usual = recorder.name != "xy" or abs(recorder.aims[1] - 45) < 3
    decca = bool(recorder.middle)
    return {"setup": recorder.name, "spacing": recorder.spacing, "head": None, "usual": usual, "decca": decca}


def save_room(path: Path, facts: dict, full: Responses, dry: Responses) -> None:
    """Write the file of a room, whole or not at all."""
    with path.with_suffix(".part").open("wb") as file:
        np.savez(file, facts=json.dumps(facts), full=full, dry=dry)
    path.with_suffix(".part").replace(path)


BY_THE_BOOK = {
    "spaced": Pair("spaced", 0.5),
    "ortf": Pair("ortf", 0.17, (-55, 55), (0.5, 0.5)),
    "nos": Pair("nos", 0.30, (-45, 45), (0.5, 0.5)),
    "xy": Pair("xy", 0.0, (-45, 45), (0.5, 0.5)),
    "ms": Pair("ms", 0.0, (0, -90), (0.5, 0.0)),
}
KINDS = ("spaced", "spaced", "ortf", "ortf", "nos", "xy", "ms", "binaural", "binaural", "binaural", "decca")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--heads", nargs="*", type=Path, default=[], help="SOFA files of measured heads")
    parser.add_argument("--rooms", type=int, default=220)
    parser.add_argument("--living", action="store_true", help="living rooms and standard pairs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="folder, one file for each room")
    args = parser.parse_args()
    heads = [read_head(path) for path in args.heads]
    kinds = [kind for kind in KINDS if heads or kind != "binaural"]
    args.out.mkdir(parents=True, exist_ok=True)
    for number in range(args.rooms):
        path = args.out / f"{args.seed}-{number:04d}.npz"
        if path.exists():
            continue
        facts, full, dry = draw_room(
            kinds[number % len(kinds)], heads, np.random.default_rng([args.seed, number]), args.living
        )
        save_room(path, facts, full, dry)
        if number % 20 == 0:
            print(f"{number}/{args.rooms}", flush=True)


if __name__ == "__main__":
    main()
