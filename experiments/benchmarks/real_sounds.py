"""Sounds as sources of scenes: clips of a folder such as ESC-10, each heard throughout its scene, or mini's own.

Conventions: a *signal* is (frames,) float64, mono, with a root mean square of 1 while it is active.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from audiotoken.audio import load_audio, to_mono
from audiotoken.data import read_esc_rows
from audiotoken.errors import OptionError
from audiotoken.mini.sounds import synthesise
from audiotoken.mini.things import WORD_OF_ESC10
from experiments.world.events import find_active, find_events, repeat_events

Clips = dict[str, list[Path]]  # word -> its files
Signal = NDArray[np.float64]
Sound = Callable[[str, float, int], Signal]  # word, seconds, seed -> signal


def find_sounds(
    sounds: str, folds: Sequence[int], words: Iterable[str], rate: int, least: int
) -> tuple[list[str], Sound]:
    """(those of `words` that have a sound, what makes one of them); sounds: "mini", or a folder as of `find_clips`.

    mini's are as loud as they are synthesised. OptionError if fewer than `least` words have a sound.
    """
    if sounds == "mini":
        return list(words), lambda word, seconds, seed: synthesise(word, rate, seconds, seed).astype(float)
    clips = find_clips(Path(sounds), folds)
    known = [word for word in words if word in clips]
    if len(known) < least:
        raise OptionError(
            f"Found sounds of {len(known)} usable words in {sounds}, folds {list(folds)}, expected {least} or "
            "more; give a folder with more classes of ESC-10."
        )
    return known, lambda word, seconds, seed: load_active(choose_clips(clips, [word], seed)[0], rate, seconds, seed)


def find_clips(folder: Path, folds: Iterable[int]) -> Clips:
    """The files of each word in those folds; OptionError if there are fewer than two words."""
    clips: Clips = defaultdict(list)
    for path, label, _ in read_esc_rows(folder, folds):
        if label in WORD_OF_ESC10:
            clips[WORD_OF_ESC10[label]].append(path)
    if len(clips) < 2:
        raise OptionError(
            f"Found sounds of {len(clips)} words in {folder}, folds {list(folds)}, expected two or more; "
            "give a folder with the classes of ESC-10 and folds that it holds."
        )
    return dict(clips)


def choose_clips(clips: Clips, words: Sequence[str], seed: int) -> list[Path]:
    """A file for each word, different ones for a word that comes twice if there are any; the same for the same seed."""
    rng, chosen = random.Random(f"{seed}/{'/'.join(words)}"), list[Path]()
    for word in words:
        left = [path for path in clips[word] if path not in chosen] or clips[word]
        chosen.append(rng.choice(left))
    return chosen


def load_active(path: Path, rate: int, seconds: float, seed: int) -> Signal:
    """A clip that is heard throughout: long silences are shortened, and what is too short is repeated.

    As the scenes of `shared/bench_spatial` do it. OptionError for a silent clip.
    """
    events, random = _find_events(path, rate), np.random.default_rng(seed)
    signal = repeat_events(events, round(seconds * rate), rate, random)
    return signal / np.sqrt(np.mean(signal[find_active(signal, rate)] ** 2))


@lru_cache(maxsize=64)
def _find_events(path: Path, rate: int) -> tuple[Signal, ...]:
    """The events of a clip."""
    recording, _ = load_audio(path, rate)
    signal = sosfilt(butter(2, 20.0, "highpass", fs=rate, output="sos"), to_mono(recording).astype(float))
    events = find_events(signal, rate)
    if not events:
        raise OptionError(f"Got {path}, which is silent, expected a sound; leave it out of the table.")
    return events
