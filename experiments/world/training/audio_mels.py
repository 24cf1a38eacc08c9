"""Training data of the mini audio encoder: spectrograms of real and synthesised sounds, and their augmentation.

All augmentation works on mel power, where it is cheap to imitate speed, colour, level, a room, a second sound and the
artefacts of source separation. Conventions: a clip is `(columns, mels)` float16 dB of full scale, one column per 10 ms;
a batch is `(batch, columns, mels)`; targets are `(batch, classes)` in [0, 1].
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import resample_poly
from torch import Tensor
from torch.nn import functional as F

from audiotoken.audio import load_audio
from audiotoken.data import read_esc_rows
from audiotoken.encoders.mini_network import FLOOR, MelSpectrogram, normalise
from audiotoken.mini.sounds import synthesise
from audiotoken.mini.things import AUDIBLE_WORDS, WORD_OF_ESC10
from experiments.world.distractors import KINDS, distractor

FAVOUR = 8.0  # dB by which a stem's own source counts as louder in it
SPEEDS = (0.8, 0.9, 1.0, 1.12, 1.25)
RATE, MELS = 16000, 128
TONAL = ("dog", "rooster", "baby", "person", "chainsaw")  # upside down or out of step, these become other sounds


@dataclass
class Clips:
    """Clips of one origin, each with its spectrograms and its class (-1: none)."""

    mels: list[list[NDArray[np.float16]]] = field(default_factory=list)  # for each clip, one spectrogram per speed
    classes: list[int] = field(default_factory=list)

    def add(self, mels: list[NDArray[np.float16]], index: int) -> None:
        self.mels.append(mels)
        self.classes.append(index)


def read_wave(path: Path, rate: int = RATE) -> NDArray[np.float32]:
    """Read a recording as a mono signal (frames,) float32 at `rate`."""
    return np.asarray(load_audio(path, rate)[0], np.float32).mean(0)


def list_real_clips(folder: Path, folds: Iterable[int]) -> list[tuple[Path, str]]:
    """(file, word) of the ESC-10 clips in `folds`, in the order of its table."""
    return [(path, WORD_OF_ESC10[label]) for path, label, _ in read_esc_rows(folder, folds)]


def compute_mels(signal: NDArray[np.float32], spectrogram: MelSpectrogram) -> NDArray[np.float16]:
    """(frames,) -> (columns, mels) float16 dB."""
    with torch.inference_mode():
        return spectrogram(torch.from_numpy(np.ascontiguousarray(signal))[None])[0].numpy().astype(np.float16)


def load_real(folder: Path, folds: Iterable[int]) -> Clips:
    """Load the real recordings, each at five speeds."""
    spectrogram, clips = MelSpectrogram(RATE, MELS), Clips()
    for path, word in list_real_clips(folder, folds):
        wave, mels = read_wave(path), []
        for speed in SPEEDS:
            ratio = Fraction(1 / speed).limit_denominator(25)
            mels.append(
                compute_mels(resample_poly(wave, ratio.numerator, ratio.denominator).astype(np.float32), spectrogram)
            )
        clips.add(mels, AUDIBLE_WORDS.index(word))
    return clips


def synthesise_clips(per_word: int, per_kind: int) -> tuple[Clips, Clips]:
    """Synthesise sounds of every word, and distractors, with even seeds; odd seeds are reserved for evaluation."""
    spectrogram, words, others = MelSpectrogram(RATE, MELS), Clips(), Clips()
    for index, word in enumerate(AUDIBLE_WORDS):
        for seed in range(per_word):
            words.add([compute_mels(synthesise(word, RATE, 5.0, 2 * seed), spectrogram)], index)
    for kind in KINDS:
        for seed in range(per_kind):
            others.add([compute_mels(distractor(RATE, 5.0, 2 * seed, kind=kind), spectrogram)], -1)
    return words, others


def load_others(folder: Path) -> Clips:
    """Load recordings that are none of the things, at most five seconds each."""
    spectrogram, clips = MelSpectrogram(RATE, MELS), Clips()
    for path in sorted(p for p in folder.iterdir() if p.suffix in (".wav", ".flac", ".ogg", ".mp3")):
        wave = read_wave(path)[: 5 * RATE]
        clips.add([compute_mels(np.pad(wave, (0, max(0, RATE // 4 - len(wave)))), spectrogram)], -1)
    return clips


@dataclass
class Rendered:
    """Spectrograms of images, stems and mixtures of scenes, by `render_audio`, and what each of them holds."""

    mels: NDArray[np.float16]  # (spectrograms, columns, mels) dB
    levels: NDArray[np.float16]  # (spectrograms, sources, columns) dB; -100: not in it
    classes: NDArray[np.int8]  # (spectrograms, sources); -1: none of the things
    own: NDArray[np.int8]  # (spectrograms,) the source that it is the image or the stem of; -1: a mixture
    facts: list[dict[str, Any]]  # kind, setup, rt60, sources


def load_rendered(folder: Path, most: int | None = None) -> Rendered:
    """Load what `render_audio` wrote into a folder, at most that many files."""
    files = [np.load(path) for path in sorted(folder.glob("*.npz"))[:most]]
    mels, levels, classes, own = (
        np.concatenate([file[name] for file in files]) for name in ("mels", "levels", "classes", "own")
    )
    return Rendered(mels, levels, classes, own, [one for file in files for one in json.loads(str(file["facts"]))])


def compute_targets(levels: NDArray, classes: NDArray, own: int, stem: bool) -> tuple[NDArray, NDArray]:
    """Levels (sources, columns) in dB of the sources of a crop -> targets and shares (AUDIBLE_WORDS,).

    As in `mix_sounds`: a source 4 dB below another begins to be inaudible, 18 dB below it is. In a stem its own source
    is favoured by `FAVOUR` dB: a separator that leaves much of a neighbour should still be understood.
    """
    power = np.power(10.0, levels.astype(float) / 10).mean(1)
    level = 10 * np.log10(power + 1e-10)
    if stem:
        level[own] += FAVOUR
    here = level > max(level.max() - 30, -90)
    amplitude = 10 ** (level / 20) * here
    targets, shares = np.zeros(len(AUDIBLE_WORDS), np.float32), np.zeros(len(AUDIBLE_WORDS), np.float32)
    for k in np.flatnonzero(here & (classes >= 0)):
        louder = np.delete(level, k).max(initial=-100)
        targets[classes[k]] = max(targets[classes[k]], np.clip(1 - (louder - level[k] - 4) / 14, 0, 1))
        shares[classes[k]] += amplitude[k] / amplitude.sum()
    return targets, shares


def draw_rendered(
    clips: Rendered, count: int, columns: int, rng: np.random.Generator, kinds: dict[str, list[int]]
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw crops of images, stems and mixtures -> dB (count, columns, mels), targets and shares (count, classes)."""
    batch = np.empty((count, columns, MELS), np.float32)
    targets, shares = np.zeros((2, count, len(AUDIBLE_WORDS)), np.float32)
    for i in range(count):
        kind = str(rng.choice(["image", "stem", "mixture"], p=[0.35, 0.45, 0.2]))
        k = int(rng.choice(kinds[kind]))
        start = choose_crop(clips.mels[k], columns, rng)
        batch[i] = cut_clip(clips.mels[k], start, columns)
        inside = clips.levels[k][:, max(0, start) : start + columns]
        targets[i], shares[i] = compute_targets(inside, clips.classes[k], int(clips.own[k]), kind == "stem")
    return torch.from_numpy(batch), torch.from_numpy(targets), torch.from_numpy(shares)


def choose_crop(mels: NDArray[np.float16], columns: int, rng: np.random.Generator) -> int:
    """First column of a crop around a random active moment (within 25 dB of the loudest); it may begin before 0."""
    level = mels.max(1)
    active = np.flatnonzero(level > level.max() - 25)
    start = (
        int(rng.choice(active)) - int(rng.integers(0, columns))
        if rng.random() < 0.9
        else int(rng.integers(-columns // 4, len(mels)))
    )
    return int(np.clip(start, 0, max(0, len(mels) - columns))) if rng.random() < 0.8 else start


def cut_clip(mels: NDArray[np.float16], start: int, columns: int) -> NDArray[np.float32]:
    """`columns` of a clip from `start`; silence where there is nothing."""
    out = np.full((columns, mels.shape[1]), -100.0, np.float32)
    first, last = max(0, start), min(len(mels), start + columns)
    if last > first:
        out[first - start : last - start] = mels[first:last]
    return out


def draw_crops(
    clips: Clips, count: int, columns: int, rng: np.random.Generator, choose: list[int]
) -> tuple[Tensor, Tensor]:
    """Draw `count` crops of the clips in `choose` -> dB (count, columns, mels) and targets (count, classes)."""
    batch, targets = np.empty((count, columns, MELS), np.float32), np.zeros((count, len(AUDIBLE_WORDS)), np.float32)
    for i in range(count):
        k = int(rng.choice(choose))
        speeds = clips.mels[k]
        which = int(rng.integers(len(speeds))) if len(speeds) > 1 and rng.random() < 0.6 else len(speeds) // 2
        batch[i] = cut_clip(speeds[which], choose_crop(speeds[which], columns, rng), columns)
        if clips.classes[k] >= 0:
            targets[i, clips.classes[k]] = 1
    return torch.from_numpy(batch), torch.from_numpy(targets)


def _random(rng: np.random.Generator, low: float, high: float, *shape: int) -> Tensor:
    return torch.from_numpy(rng.uniform(low, high, shape).astype(np.float32))


def _chance(rng: np.random.Generator, p: float, count: int) -> Tensor:
    return torch.from_numpy(rng.random(count) < p)[:, None, None]


def vary_spectrum(decibels: Tensor, rng: np.random.Generator) -> Tensor:
    """Shift by up to four mel bands, apply a smooth random equaliser of a few dB, and sometimes remove high bands."""
    count, _, mels = decibels.shape
    shifts = rng.integers(-4, 5, count) * (rng.random(count) < 0.6)
    decibels = torch.stack([torch.roll(d, int(s), 1) for d, s in zip(decibels, shifts, strict=True)])
    knots = torch.from_numpy(rng.normal(0, 4, (count, 1, 6)).astype(np.float32))
    decibels = decibels + F.interpolate(knots, mels, mode="linear", align_corners=True)
    band = torch.arange(mels)
    missing = (band > _random(rng, 70, 128, count, 1, 1)) & _chance(rng, 0.15, count)
    return decibels - 40.0 * missing


def add_reverberation(power: Tensor, rng: np.random.Generator) -> Tensor:
    """Add reverberation in power: every moment leaves an exponential decay."""
    count = len(power)
    fade = torch.exp(-torch.arange(30) / _random(rng, 1.5, 10, count, 1))  # (batch, lag)
    fade = fade * _random(rng, 0.02, 0.3, count, 1) * _chance(rng, 0.3, count)[:, :, 0]
    fade[:, 0] = 1.0
    x = F.pad(power.permute(2, 0, 1), (29, 0))  # one group per clip, mel bands as the batch
    return F.conv1d(x, fade.flip(1)[:, None], groups=count).permute(1, 2, 0)


def mix_sounds(
    power: Tensor, targets: Tensor, shares: Tensor, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Add a second sound at -12 to 12 dB to half of the clips, and separate some again with an imperfect ratio mask.

    Returns the power, the targets per class (is it audible?) and the shares of the amplitude per class (between-class
    learning, Tokozume et al. 2018).
    """
    count = len(power)
    other = torch.from_numpy(rng.permutation(count))
    gap = _random(rng, -12, 12, count, 1)  # dB by which the second sound is weaker
    level = power.mean((1, 2), keepdim=True).clamp(min=1e-9)
    second = power[other] / level[other] * level * 10 ** (-gap[:, :, None] / 10)
    both, alone = _chance(rng, 0.5, count)[:, :, 0], _chance(rng, 0.2, count)[:, :, 0]
    alone = alone & both
    mixed = both & ~alone
    heard_first = (1 - (-gap - 4).clamp(min=0) / 14).clamp(0.0, 1)
    heard_second = (1 - (gap - 4).clamp(min=0) / 14).clamp(0.0, 1)
    union = torch.maximum(targets * heard_first, targets[other] * heard_second)
    part = 1 / (1 + 10 ** (-gap / 20))
    shares = torch.where(mixed, shares * part + shares[other] * (1 - part), shares)
    out = torch.where(both[:, :, None], power + second, power)
    k = alone[:, 0]
    out[k] *= draw_separation_mask(power[k], second[k], rng)
    return out, torch.where(mixed, union, targets), shares


def draw_separation_mask(power: Tensor, second: Tensor, rng: np.random.Generator) -> Tensor:
    """The gain per cell with which an imperfect separator would extract the first sound from the mixture."""
    mask = power / (power + second + 1e-12)
    blurred = F.avg_pool2d(mask[:, None], (1, 5), 1, (0, 2))[:, 0]
    return (0.5 * mask + 0.5 * blurred).square() + _random(rng, 0.0, 0.1, len(power), 1, 1).square()


def add_noise(power: Tensor, rng: np.random.Generator) -> Tensor:
    """Add steady noise of a random colour, 10 to 70 dB below the loudest band of the clip."""
    count, columns, mels = power.shape
    slope = _random(rng, -0.25, 0.15, count, 1, 1) * (torch.arange(mels) - 64)
    level = power.amax((1, 2), keepdim=True) * 10 ** ((slope - _random(rng, 15, 75, count, 1, 1)) / 10)
    grain = torch.from_numpy(rng.gamma(2.0, 0.5, (columns, mels)).astype(np.float32))
    return power + level * grain * _chance(rng, 0.7, count)


def mask_spectrogram(spectrogram: Tensor, rng: np.random.Generator) -> Tensor:
    """SpecAugment, Park et al. (2019): blank up to two bands and two time spans of each clip."""
    count, columns, mels = spectrogram.shape
    keep = torch.ones_like(spectrogram, dtype=torch.bool)
    for axis, size, most in ((1, columns, 0.12), (2, mels, 0.14)):
        at = torch.arange(size)
        for _ in range(2):
            start, width = _random(rng, 0, size, count, 1), _random(rng, 0, most * size, count, 1)
            hole = (at >= start) & (at < start + width) & torch.from_numpy(rng.random((count, 1)) < 0.6)
            keep &= ~(hole[:, :, None] if axis == 1 else hole[:, None, :])
    return torch.where(keep, spectrogram, 2.0 - FLOOR / 20)


def distort_into_unknown(decibels: Tensor, rng: np.random.Generator) -> Tensor:
    """Make real recordings unknown: upside down, two octaves off, bands out of step, or far too slow."""
    out = []
    for clip in decibels:
        kind, columns = rng.integers(4), clip.shape[0]
        if kind == 0:
            clip = clip.flip(1)
        elif kind == 1:
            bands = int(rng.choice([-1, 1]) * rng.integers(28, 50))
            clip = torch.roll(clip, bands, 1)
            clip[:, slice(0, bands) if bands > 0 else slice(bands, None)] = -100.0
        elif kind == 2:
            edges = np.sort(rng.choice(np.arange(12, MELS - 12), 5, replace=False))
            parts = torch.tensor_split(clip, torch.from_numpy(edges), 1)
            clip = torch.cat([torch.roll(p, int(rng.integers(columns)), 0) for p in parts], 1)
        else:
            part = clip[: max(8, int(columns * rng.uniform(0.2, 0.35)))]
            clip = F.interpolate(part.T[None], columns, mode="linear")[0].T
        out.append(clip)
    return torch.stack(out)


@dataclass
class TrainingBatches:
    """Source of batches: `batch(step)` depends only on the seed and the step, so training resumes exactly."""

    real: Clips
    words: Clips
    others: Clips
    seed: int
    size: int = 32
    rendered: Rendered | None = None  # a third of each batch, instead of as many real clips

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Normalised spectrograms (batch, columns, mels), targets and shares (batch, classes)."""
        rng = np.random.default_rng([self.seed, step])
        columns = 16 * int(rng.choice([6, 8, 12, 16, 16, 20, 24, 26]))  # 1 to 4.2 s
        half, quarter, strange = self.size // 2, self.size // 4, self.size // 10
        scenes = 3 * self.size // 8 if self.rendered else 0
        if scenes:  # they are shorter
            columns, half = 16 * int(rng.choice([6, 8, 8, 10, 12, 16])), half - scenes * 2 // 3
            quarter -= scenes // 3
        real_words = set(self.real.classes)
        plain = [i for i, c in enumerate(self.words.classes) if c in real_words]
        only = [i for i, c in enumerate(self.words.classes) if c not in real_words]
        nothing = list(range(len(self.others.classes)))
        few = int(5 * quarter / 8 + rng.random())  # on average, or small batches have none
        parts = [draw_crops(self.real, half, columns, rng, list(range(len(self.real.classes))))]
        parts.append(draw_crops(self.words, few, columns, rng, plain))
        parts.append(draw_crops(self.words, quarter - few, columns, rng, only))
        parts.append(draw_crops(self.others, self.size - scenes - half - quarter - strange, columns, rng, nothing))
        tonal = [i for i, c in enumerate(self.real.classes) if AUDIBLE_WORDS[c] in TONAL]
        odd, _ = draw_crops(self.real, strange, columns, rng, tonal)
        parts.append((distort_into_unknown(odd, rng), torch.zeros(strange, len(AUDIBLE_WORDS))))
        decibels, targets = (torch.cat(x) for x in zip(*parts, strict=True))
        shares = targets
        if self.rendered and scenes:
            more = draw_rendered(self.rendered, scenes, columns, rng, self._kinds)
            decibels, targets, shares = (torch.cat(x) for x in zip((decibels, targets, shares), more, strict=True))
        power = 10 ** (vary_spectrum(decibels, rng) / 10)
        power, targets, shares = mix_sounds(add_reverberation(power, rng), targets, shares, rng)
        power = add_noise(power, rng)
        return mask_spectrogram(normalise(10 * torch.log10(power + 1e-10)), rng), targets, shares

    @cached_property
    def _kinds(self) -> dict[str, list[int]]:
        """Which of the rendered spectrograms are images, which stems and which mixtures."""
        kinds: dict[str, list[int]] = {}
        for k, fact in enumerate(self.rendered.facts if self.rendered else ()):
            kinds.setdefault(fact["kind"], []).append(k)
        return kinds
