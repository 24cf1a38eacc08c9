"""Render sounds as a stereo setup in a room records them, and as our separator leaves them, to train the audio encoder.

    python -m experiments.world.training.render_audio --esc10 ESC10 --folds 1,2,3 --bank runs/responses/train \
        --others runs/audio/others --scenes 300 --out runs/audio/rendered

A scene has one to three sources. It gives the true image of each source, the stem that `spatial.separate` makes of it
with directions that are off by a few degrees, and the mixture: both channels of each, unless one is far quieter.
With each spectrogram goes how much of it comes from each source (`levels`), so that a crop in which a source is silent
does not count as that source. `responses.py` makes the bank.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiotoken.encoders.mini_network import MelSpectrogram
from audiotoken.mini.sounds import synthesise
from audiotoken.mini.things import AUDIBLE_WORDS
from experiments.world.distractors import KINDS, distractor
from experiments.world.training.audio_mels import MELS, RATE, compute_mels, list_real_clips, read_wave
from experiments.world.training.places import MixingDesk, Room, choose_apart
from spatial.separation import separate
from spatial.setups import Setup

SECONDS = 3.0
APART = 18.0  # degrees between two sources of a scene at least
ASTRAY = 2.5  # degrees, standard deviation of the directions that are told to the separator
PANNED = 0.2  # share of the scenes from a mixing desk
MOST = 3  # sources
FAINT = 25.0  # dB below the louder channel from which the other is left out
SILENT = 0.01  # largest sample of a sound of RMS one that is none

Signal = NDArray[np.float32]
Image = NDArray[np.float32]  # (2, frames)


@dataclass(frozen=True, eq=False)
class Rendered:
    """One spectrogram, and what is in it."""

    mels: NDArray[np.float16]  # (columns, mels) dB
    levels: NDArray[np.float16]  # (MOST, columns) dB of each source in it; -100: none
    classes: NDArray[np.int8]  # (MOST,) indices into AUDIBLE_WORDS; -1: none of them
    own: int  # the source that it is a stem or an image of; -1: a mixture
    facts: dict  # kind (image, stem, mixture), setup, rt60


class Sounds:
    """Random sounds: real clips, synthesised things that have no real clips, and other things."""

    def __init__(self, esc10: Path, folds: list[int], others: Path | None, odd: bool = False):
        self.clips = list_real_clips(esc10, folds)
        self.others = sorted(others.iterdir()) if others else []
        real = {word for _, word in self.clips}
        self.made = [word for word in AUDIBLE_WORDS if word not in real]
        self.odd = odd  # seeds: even ones are for training

    def draw(self, rng: np.random.Generator) -> tuple[Signal, int]:
        """(a sound of `SECONDS` with RMS one, its class or -1); what falls into a silence of a clip is drawn again."""
        while True:
            sound, word = self._draw(rng)
            if np.abs(sound).max() > SILENT:
                return sound, word

    def _draw(self, rng: np.random.Generator) -> tuple[Signal, int]:
        which, seed = rng.random(), 2 * int(rng.integers(400)) + self.odd
        if which < 0.76:
            path, word = self.clips[rng.integers(len(self.clips))]
            wave = _read(path)
        elif which < 0.88:
            word = str(rng.choice(self.made))
            wave = synthesise(word, RATE, SECONDS, seed)
        else:
            word = ""
            if self.others and rng.random() < 0.5:
                wave = _read(self.others[rng.integers(len(self.others))])
            else:
                wave = distractor(RATE, SECONDS, seed, kind=str(rng.choice(KINDS)))
        return cut_sound(wave, rng), AUDIBLE_WORDS.index(word) if word else -1


@lru_cache(maxsize=500)
def _read(path: Path) -> Signal:
    return read_wave(path)


def cut_sound(wave: Signal, rng: np.random.Generator) -> Signal:
    """`SECONDS` of a signal, repeated if it is shorter or mostly silent, as RMS one."""
    frames, tick = round(SECONDS * RATE), RATE // 50
    wave = np.pad(wave, (0, max(0, tick - len(wave))))  # some are shorter
    level = np.sqrt(np.square(wave[: len(wave) // tick * tick].reshape(-1, tick)).mean(1))
    loud = np.flatnonzero(level > 0.04 * level.max())
    if len(loud) and rng.random() < 0.7:  # only its sounding part, with a pause, again and again
        wave = wave[max(0, loud[0] * tick - tick) : (loud[-1] + 2) * tick]
        wave = np.concatenate([wave, np.zeros(int(rng.uniform(0.1, 0.6) * RATE), np.float32)])
    wave = np.tile(wave, 1 + frames // len(wave))
    start = int(rng.integers(len(wave) - frames + 1))
    wave = wave[start : start + frames]
    return (wave / (np.sqrt(np.mean(wave**2)) + 1e-6)).astype(np.float32)


def draw_place(bank: list[Path], rng: np.random.Generator) -> MixingDesk | Room:
    """A mixing desk, dry or with reverberation, or one of the rooms."""
    if rng.random() < PANNED:
        return MixingDesk(float(rng.uniform(0.2, 0.7)) * (rng.random() < 0.4), RATE, rng)
    return Room(bank[rng.integers(len(bank))], RATE)


def render_scene(sounds: Sounds, bank: list[Path], count: int, rng: np.random.Generator) -> Iterator[Rendered]:
    """Yield the images, the stems (of two sources or more) and the mixture of a random scene."""
    place = draw_place(bank, rng)
    chosen = choose_apart(place.azimuths, count, rng, APART)
    classes, images = np.full(MOST, -1, np.int8), []
    for number, position in enumerate(chosen):
        signal, word = sounds.draw(rng)
        while word >= 0 and word in classes[:number]:
            signal, word = sounds.draw(rng)
        image = place.render(signal, position)
        images.append(image / np.sqrt(np.mean(image**2) + 1e-12) * 10 ** (rng.uniform(-5, 5) / 20))
        classes[number] = word
    noise = rng.standard_normal(images[0].shape) * 10 ** (-rng.uniform(15, 45) / 20) * (rng.random() < 0.4)
    recording = (np.sum(images, axis=0) + noise).astype(np.float32)
    gain = np.float32(0.5 / np.abs(recording).max())
    facts = {"setup": place.setup.name, "rt60": place.rt60, "sources": len(images)}
    told = [place.azimuths[k] + rng.normal(0, ASTRAY) for k in chosen]
    told = [float(np.clip(a, -place.setup.limit, place.setup.limit)) for a in told]
    yield from compute_spectrograms(np.stack(images) * gain, recording * gain, told, place.setup, classes, facts)


def compute_spectrograms(
    images: NDArray[np.float32], recording: Image, told: list[float], setup: Setup, classes: NDArray, facts: dict
) -> Iterator[Rendered]:
    """Yield the spectrograms of images (sources, 2, frames), stems and recording (2, frames)."""
    spectrogram = MelSpectrogram(RATE, MELS)

    def power(signal: Signal) -> NDArray[np.float64]:
        return 10 ** (compute_mels(signal, spectrogram).astype(float) / 10)

    for k, image in enumerate(images):
        for channel in find_audible_channels(image):
            mels = compute_mels(image[channel], spectrogram)
            levels = np.full((MOST, len(mels)), -100, np.float16)
            levels[k] = _level(10 ** (mels.astype(float) / 10))
            yield Rendered(mels, levels, classes, k, facts | {"kind": "image"})
    if len(images) < 2:
        return
    stems = separate(recording, RATE, told, setup=setup)
    wholes = [[power(image[channel]) for image in (recording, *images)] for channel in range(2)]
    for k, (stem, kind) in enumerate([*((s, "stem") for s in stems), (recording, "mixture")]):
        for channel in find_audible_channels(stem):
            mels, (whole, *parts) = compute_mels(stem[channel], spectrogram), wholes[channel]
            share = np.minimum(10 ** (mels.astype(float) / 10) / (whole + 1e-10), 1.0)  # of the recording's power
            levels = np.full((MOST, len(mels)), -100, np.float16)
            for j, part in enumerate(parts):
                linear = _fit_gains(stem[channel], images[:, channel], j) if kind == "stem" else 1.0
                levels[j] = _level(part * np.minimum(share, linear))
            yield Rendered(mels, levels, classes, k if kind == "stem" else -1, facts | {"kind": kind})


def find_audible_channels(image: Image) -> list[int]:
    """The channels that are at most `FAINT` dB below the louder one."""
    level = np.square(image, dtype=float).sum(1)
    return [channel for channel in range(2) if level[channel] >= level.max() * 10 ** (-FAINT / 10)]


def _fit_gains(stem: Signal, images: NDArray[np.float32], which: int, bands: int = 8) -> NDArray[np.float64]:
    """Power gain (mels,) with which one of the images is in a stem, if separation is linear: least squares in bands."""
    spectra = np.fft.rfft(np.concatenate([stem[None], images]), axis=1)
    mel = 1127 * np.log1p(np.fft.rfftfreq(len(stem), 1 / RATE) / 700)
    edges, out = np.linspace(0, mel[-1] + 1e-6, bands + 1), np.empty(bands)
    for b in range(bands):
        part = spectra[:, (mel >= edges[b]) & (mel < edges[b + 1])]
        gram = part[1:].conj() @ part[1:].T
        gram += 1e-6 * np.trace(gram).real * np.eye(len(gram))
        out[b] = np.abs(np.linalg.solve(gram, part[1:].conj() @ part[0])[which]) ** 2
    return np.interp(np.arange(MELS), (np.arange(bands) + 0.5) * MELS / bands, 2 * out)


def _level(power: NDArray[np.float64]) -> NDArray[np.float16]:
    """(columns, mels) -> (columns,) dB."""
    return (10 * np.log10(power.mean(1) + 1e-10)).astype(np.float16)


def save_spectrograms(rendered: list[Rendered], path: Path) -> None:
    """Write spectrograms of one length to a file."""
    with path.with_suffix(".part").open("wb") as file:
        np.savez(
            file,
            mels=np.stack([one.mels for one in rendered]),
            levels=np.stack([one.levels for one in rendered]),
            classes=np.stack([one.classes for one in rendered]),
            own=np.array([one.own for one in rendered], np.int8),
            facts=json.dumps([one.facts for one in rendered]),
        )
    path.with_suffix(".part").replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--esc10", type=Path, required=True, help="folder of real recordings with metadata.csv")
    parser.add_argument("--folds", default="1,2,3")
    parser.add_argument("--bank", type=Path, required=True, help="folder of responses.py")
    parser.add_argument("--others", type=Path, default=None, help="folder of recordings that are none of the things")
    parser.add_argument("--scenes", type=int, default=300)
    parser.add_argument("--first", type=int, default=0, help="number of the first scene")
    parser.add_argument("--alone", type=float, default=0.4, help="share of the scenes with one source")
    parser.add_argument("--odd", action="store_true", help="odd seeds of synthesised sounds, not those of training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="folder, one file for every 20 scenes")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    sounds = Sounds(args.esc10, [int(fold) for fold in args.folds.split(",")], args.others, args.odd)
    bank = sorted(args.bank.glob("*.npz"))
    kept: list[Any] = []
    for number in range(args.first, args.first + args.scenes):
        rng = np.random.default_rng([args.seed, number])
        count = 1 if rng.random() < args.alone else int(rng.choice([2, 2, 3]))
        kept += render_scene(sounds, bank, count, rng)
        if number % 20 == 19 or number + 1 == args.first + args.scenes:
            save_spectrograms(kept, args.out / f"{args.seed}-{number:05d}.npz")
            print(f"{number + 1} scenes, {len(kept)} spectrograms", flush=True)
            kept = []


if __name__ == "__main__":
    main()
