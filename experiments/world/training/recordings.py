"""Scenes for training the listener: real and synthesised sounds, recorded in many ways, with what is true of them.

Conventions: as in `spatial.scene`; the responses are those of `responses`, at its rate. A *block* is `BLOCK` seconds.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, resample_poly, sosfilt

from audiotoken.audio import load_audio
from audiotoken.data import read_esc_rows
from audiotoken.mini.sounds import synthesise
from audiotoken.mini.things import AUDIBLE_WORDS
from experiments.world.distractors import KINDS as OTHER_KINDS
from experiments.world.distractors import distractor
from experiments.world.events import find_events, repeat_events
from experiments.world.training.places import MixingDesk, Room, choose_apart
from experiments.world.training.responses import RATE
from spatial.activity import compute_block_powers
from spatial.render import draw_diffuse_noise, draw_pink_noise
from spatial.setups import LAWS, make_setup

SECONDS = 5.0
BLOCK = 0.25  # seconds
APART = 15.0  # degrees between two sources at least
COUNTS = (0.26, 0.34, 0.28, 0.12)  # shares of scenes with one to four sources
KINDS = {  # shares of setups; "other": stereo that is none of these
    "panned": 0.22, "spaced": 0.16, "ortf": 0.14, "nos": 0.08, "xy": 0.10, "ms": 0.08, "binaural": 0.17, "other": 0.05,
}  # fmt: skip
HARD = {"spaced": 0.4, "binaural": 0.35, "ortf": 0.25}  # shares of setups in scenes that are hard
HARD_COUNTS = (0.13, 0.45, 0.36, 0.06)
ROOMS = (0.1, 1.0)  # seconds: reverberation times of their rooms
SPARSE = 0.35  # share of blocks with sound, at most, of a sound that dense ones cover
QUIETEST, COVERED = -28.0, -20.0  # dB of a source's loudest block, and of the block, below which it is not active


@dataclass(frozen=True, eq=False)
class TrueRecording:
    """A recording and what is true of it."""

    recording: NDArray[np.float32]  # (2, frames)
    setup: str
    spacing: float
    azimuths: tuple[float, ...]
    active: NDArray[np.bool_]  # (sources, blocks)
    images: NDArray[np.float32]  # (sources, 2, frames), with reverberation
    sounds: tuple[int, ...]  # index of each source's sound in the pool
    facts: dict = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class SoundPool:
    """Signals of `SECONDS` and more at `RATE`, with a label each ("" where it is none of the known things)."""

    signals: list[NDArray[np.float32]]
    labels: list[str]
    kinds: list[str]  # "real", "made" or "other"


def load_pool(esc10: Path, folds: Sequence[int], made: int = 10, other: int = 4, speeds: bool = True) -> SoundPool:
    """Load real clips, at three speeds; synthesise `made` sounds of each word and `other` ones of each other kind."""
    signals, labels, kinds = [], [], []
    for path, label, _ in read_esc_rows(esc10, folds):
        wave = np.asarray(load_audio(path, RATE)[0], np.float32).mean(axis=0)
        for up, down in ((1, 1), (9, 8), (8, 9)) if speeds else ((1, 1),):
            signals.append(resample_poly(wave, up, down).astype(np.float32) if up != down else wave)
            labels.append(label)
            kinds.append("real")
    for word in AUDIBLE_WORDS:
        for seed in range(made):
            signals.append(synthesise(word, RATE, SECONDS, 2 * seed))
            labels.append(word)
            kinds.append("made")
    for kind in OTHER_KINDS:
        for seed in range(other):
            signals.append(distractor(RATE, SECONDS, 2 * seed, kind=kind))
            labels.append("")
            kinds.append("other")
    return SoundPool([_clean(each) for each in signals], labels, kinds)


def save_pool(pool: SoundPool, path: Path) -> None:
    """Write the signals in half precision, end to end."""
    lengths = [len(one) for one in pool.signals]
    both = np.concatenate(pool.signals).astype(np.float16)
    np.savez(path, signals=both, lengths=lengths, labels=pool.labels, kinds=pool.kinds)


def read_pool(path: Path) -> SoundPool:
    """Read what `save_pool` wrote."""
    with np.load(path) as stored:
        parts = np.split(stored["signals"].astype(np.float32), np.cumsum(stored["lengths"])[:-1])
        return SoundPool(parts, [str(one) for one in stored["labels"]], [str(one) for one in stored["kinds"]])


def _clean(signal: NDArray[np.float32]) -> NDArray[np.float32]:
    high = sosfilt(butter(2, 20.0, "highpass", fs=RATE, output="sos"), signal)
    return (high / (np.abs(high).max() + 1e-9)).astype(np.float32)


def remove_silence(
    signal: NDArray[np.float32], rng: np.random.Generator, seconds: float = SECONDS
) -> NDArray[np.float32]:
    """The same sound present throughout: long silences are cut out, and a short event is repeated."""
    events = find_events(signal, RATE)
    first = int(rng.integers(len(events)))
    return repeat_events(events[first:] + events[:first], round(seconds * RATE), RATE, rng).astype(np.float32)


class Recorder:
    """Draws scenes from a pool of sounds and a bank of responses."""

    def __init__(self, pool: SoundPool, bank: Path, *, without: str = "", shares: Sequence[float] = (0.6, 0.2, 0.2)):
        """`without`: a head (part of its file's name) that is left out; `shares` of real, made and other sounds."""
        self.pool = pool
        self.rooms: dict[str, list[tuple[Path, dict]]] = {}
        self.by_kind = {kind: [i for i, k in enumerate(pool.kinds) if k == kind] for kind in ("real", "made", "other")}
        self.kinds = [(k, s) for k, s in zip(("real", "made", "other"), shares, strict=True) if s and self.by_kind[k]]
        self.sparse = [measure_density(one) < SPARSE for one in pool.signals]
        for path in sorted(bank.glob("*.npz")):
            facts = json.loads(str(np.load(path)["facts"]))
            if not (without and without in (facts["head"] or "")):
                self.rooms.setdefault(facts["setup"], []).append((path, facts))

    def record(
        self,
        rng: np.random.Generator,
        kind: str | None = None,
        count: int | None = None,
        *,
        plain: bool = False,
        rt60: tuple[float, float] | None = None,
        uneven: bool = False,
    ) -> TrueRecording:
        """Record a scene; kind: setup, drawn if None; plain: no noise and no faults; rt60: rooms of these only.

        uneven: sparse sounds beside dense ones.
        """
        kind = kind or str(rng.choice(list(KINDS), p=np.array(list(KINDS.values())) / sum(KINDS.values())))
        count = count or int(rng.choice(4, p=COUNTS)) + 1
        sounds = (self._draw_uneven_sounds if uneven else self._draw_sounds)(rng, count)
        wide = rng.random() < 0.25
        levels = 10 ** (rng.uniform(-8, 8, count) / 20) if wide else 10 ** (rng.uniform(-3, 3, count) / 20)
        whole = rng.random() < 0.7 or plain
        signals = [self._signal(i, rng, whole) * level for i, level in zip(sounds, levels, strict=True)]
        render = self._mix_at_desk if kind in ("panned", "other") else self._record_in_room
        setup, spacing, azimuths, images, direct, facts = render(kind, signals, rng, rt60)
        mixed = images.sum(axis=0)
        if not plain:
            mixed = add_faults(mixed, setup, spacing, rng, facts)
        scale = 10 ** (rng.uniform(-18, -1) / 20) / (np.abs(mixed).max() + 1e-9)
        active = find_active_blocks(direct, mixed)
        return TrueRecording((scale * mixed).astype(np.float32), setup, spacing, tuple(azimuths), active,
                    (scale * images).astype(np.float32), tuple(sounds), facts)  # fmt: skip

    def record_hard(self, rng: np.random.Generator) -> TrueRecording:
        """Record what is hard to count: pairs that stand apart and heads, in rooms, mostly two or three sounds."""
        kind = str(rng.choice(list(HARD), p=list(HARD.values())))
        count = int(rng.choice(4, p=HARD_COUNTS)) + 1
        return self.record(rng, kind, count, plain=rng.random() < 0.5, rt60=ROOMS, uneven=rng.random() < 0.5)

    def _draw_uneven_sounds(self, rng: np.random.Generator, count: int) -> list[int]:
        """Sounds of different labels, of several at least one sparse and one dense."""
        for _ in range(20):
            chosen = self._draw_sounds(rng, count)
            if len({self.sparse[index] for index in chosen}) > 1:
                break
        return chosen

    def _draw_sounds(self, rng: np.random.Generator, count: int) -> list[int]:
        """Sounds of different labels."""
        chosen: list[int] = []
        names, shares = zip(*self.kinds, strict=True)
        while len(chosen) < count:
            kind = str(rng.choice(names, p=np.array(shares) / sum(shares)))
            index = int(rng.choice(self.by_kind[kind]))
            label = self.pool.labels[index]
            if all(label != self.pool.labels[other] or not label for other in chosen) and index not in chosen:
                chosen.append(index)
        return chosen

    def _signal(self, index: int, rng: np.random.Generator, whole: bool) -> NDArray[np.float32]:
        """The sound at unit power while it is active; as it is, from a random moment on, unless `whole`."""
        signal = self.pool.signals[index]
        frames = round(SECONDS * RATE)
        out = (
            remove_silence(signal, rng)
            if whole
            else np.roll(np.resize(signal, max(frames, len(signal))), int(rng.integers(frames)))[:frames]
        )
        power = compute_block_powers(out, RATE)
        return out / np.sqrt(power[power > 0.0016 * power.max()].mean() + 1e-12)

    def _mix_at_desk(self, kind: str, signals: list, rng: np.random.Generator, rt60: tuple[float, float] | None):
        """Amplitude panning, dry or with reverb as a send; "other": panning by time, or sound without directions."""
        azimuths = draw_azimuths(len(signals), 45.0, rng)
        odd = kind == "other"
        law = LAWS[0] if rng.random() < 0.8 else LAWS[int(rng.integers(3))]
        direct = [pan_by_time(one, azimuth, rng) for one, azimuth in zip(signals, azimuths, strict=True)] if odd else []
        seconds = 0.0 if rng.random() < 0.4 else float(rng.uniform(0.2, 0.8))
        if rt60:
            seconds = float(rng.uniform(*rt60)) if rt60[1] else 0.0
        desk = MixingDesk(seconds, RATE, rng, law)
        direct = direct or [desk.pan(one, azimuth) for one, azimuth in zip(signals, azimuths, strict=True)]
        images = [pan + desk.reverberate(one) for pan, one in zip(direct, signals, strict=True)]
        return kind, 0.0, azimuths, np.stack(images), np.stack(direct), {"rt60": seconds, "head": None, "usual": True}

    def _record_in_room(self, kind: str, signals: list, rng: np.random.Generator, rt60: tuple[float, float] | None):
        rooms = self.rooms[kind]
        if rt60:
            rooms = [one for one in rooms if rt60[0] <= one[1]["rt60"] <= rt60[1]]
        room = Room(rooms[int(rng.integers(len(rooms)))][0])
        chosen = choose_apart(room.azimuths, len(signals), rng, APART)
        flip = kind != "ms" and rng.random() < 0.5  # a room and its mirror image
        azimuths = [room.azimuths[i] * (-1 if flip else 1) for i in chosen]
        images, direct = (
            np.stack(
                [room.render(one, i, dry=dry)[:: -1 if flip else 1] for one, i in zip(signals, chosen, strict=True)]
            )
            for dry in (False, True)
        )
        facts = {key: room.facts[key] for key in ("rt60", "head", "usual")}
        return kind, room.facts["spacing"], azimuths, images, direct, facts


def measure_density(signal: NDArray[np.float32]) -> float:
    """The share of blocks of activity whose power is at most 15 dB below the loudest."""
    power = compute_block_powers(signal, RATE)
    return float(np.mean(power > 10**-1.5 * power.max()))


def draw_azimuths(count: int, limit: float, rng: np.random.Generator) -> list[float]:
    """At least `APART` degrees apart."""
    slack = 2 * limit - APART * (count - 1)
    places = np.sort(rng.random(count)) * slack - limit + APART * np.arange(count)
    return [float(each) for each in rng.permutation(places)]


def pan_by_time(signal: NDArray, azimuth: float, rng: np.random.Generator) -> NDArray:
    """(2, frames): the far channel 5 to 15 ms later (Haas 1951) and hardly quieter."""
    late = round(rng.uniform(0.005, 0.015) * RATE)
    other = 10 ** (rng.uniform(-3, 0) / 20) * np.pad(signal, (late, 0))[: len(signal)]
    both = (signal, other) if azimuth < 0 else (other, signal)
    return np.stack(both)


def add_faults(mixed: NDArray, setup: str, spacing: float, rng: np.random.Generator, facts: dict) -> NDArray:
    """Noise around, in the microphones or of the wind, unequal gains, and a missing top."""
    frames, level = mixed.shape[1], float(np.sqrt(np.mean(mixed**2))) + 1e-9
    if rng.random() < 0.4:
        stereo = make_setup("panned" if setup == "other" else setup, spacing=spacing if setup == "spaced" else None)
        noise = draw_diffuse_noise(stereo, frames, RATE, rng)
        facts["snr"] = float(rng.uniform(6, 30))
        mixed = mixed + noise * level / np.sqrt(np.mean(noise**2)) * 10 ** (-facts["snr"] / 20)
    if rng.random() < 0.5:
        mixed = mixed + rng.standard_normal(mixed.shape) * level * 10 ** (-rng.uniform(25, 60) / 20)
    if rng.random() < 0.1:
        wind = sosfilt(
            butter(2, rng.uniform(60, 160), fs=RATE, output="sos"), draw_pink_noise(mixed.shape, RATE, rng), axis=1
        )
        mixed = mixed + wind * level / np.sqrt(np.mean(wind**2)) * 10 ** (rng.uniform(-10, 6) / 20)
    mixed = mixed * 10 ** (rng.normal(0, 2.0 if rng.random() < 0.05 else 0.3, (2, 1)) / 20)
    if rng.random() < 0.08:
        mixed = sosfilt(butter(6, rng.uniform(4000, 8000), fs=RATE, output="sos"), mixed, axis=1)
    return mixed


def find_active_blocks(direct: NDArray, mixed: NDArray) -> NDArray[np.bool_]:
    """(sources, blocks): where a source sounds and is not covered by the others."""
    size = round(BLOCK * RATE)
    blocks = mixed.shape[1] // size
    own = np.square(direct[:, :, : blocks * size]).reshape(len(direct), 2, blocks, size).mean(axis=(1, 3))
    total = np.square(mixed[:, : blocks * size]).reshape(2, blocks, size).mean(axis=(0, 2))
    loud = own > 10 ** (QUIETEST / 10) * own.max(axis=1, keepdims=True)
    return loud & (own > 10 ** (COVERED / 10) * total)
