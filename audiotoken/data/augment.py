"""Random changes of training sounds, so that a small data set goes further.

Conventions: a signal is (frames,) float32 in [-1, 1]; every change keeps its length and stays within full scale.
All randomness comes from the generator that is passed in: the same generator gives the same sound.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from audiotoken.errors import OptionError

Signal = NDArray[np.float32]
MOST = 600  # dB, and seconds


@dataclass(frozen=True)
class Augment:
    """What is varied, and how much; everything is off by default and drawn anew for every sound.

    `crop` and `picture_crop` are applied by `fit_signal` and `fit_image` of `audiotoken.data`, the others here.
    """

    crop: bool = False  # a random part of a longer clip instead of its middle
    picture_crop: bool = False  # a random part of an oblong picture instead of its middle
    gain_db: float = 0.0  # up to this much louder or quieter
    noise_db: tuple[float, float] | None = None  # white noise this far below the sound, (least, most)
    lowpass_hz: tuple[float, float] | None = None  # low-pass filter with a cutoff between these two
    mask_seconds: float = 0.0  # one stretch of silence, up to this long

    def __post_init__(self) -> None:
        for name in ("gain_db", "mask_seconds"):
            value = getattr(self, name)
            if not _is_within(value, 0, MOST):
                raise OptionError(f"Got augment.{name}={value}, expected a number from 0 to {MOST}; change it.")
        for name, (low, high) in (("noise_db", (-MOST, MOST)), ("lowpass_hz", (1, 1_000_000))):
            pair = getattr(self, name)
            if pair is not None and not (len(pair) == 2 and all(_is_within(each, low, high) for each in pair)):
                raise OptionError(f"Got augment.{name}={pair}, expected two numbers from {low} to {high}; change it.")

    def __call__(self, signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
        """(frames,) at `rate` -> (frames,); the same array when everything is off."""
        changed = signal
        if self.lowpass_hz is not None:
            changed = lowpass(changed, rate, np.exp(rng.uniform(*np.log(self.lowpass_hz))))
        if self.noise_db is not None:
            changed = add_noise(changed, rng.uniform(*self.noise_db), rng)
        if self.mask_seconds:
            changed = mask(changed, round(rng.uniform(0, self.mask_seconds) * rate), rng)
        if self.gain_db:
            changed = changed * 10 ** (rng.uniform(-self.gain_db, self.gain_db) / 20)
        if changed is signal:
            return signal
        return (changed / max(1.0, float(np.abs(changed).max()))).astype(np.float32)


def make_augment(values: Mapping[str, Any] | None) -> Augment | None:
    """An `Augment` of these parameters, or None for None; OptionError for unknown ones and values out of range."""
    try:
        return None if values is None else Augment(**values)
    except TypeError as error:
        raise OptionError(f"Cannot use this augmentation: {error}; see audiotoken.data.augment.Augment.") from None


def _is_within(value: Any, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def lowpass(signal: Signal, rate: int, cutoff: float) -> Signal:
    """Butterworth of order 4, -3 dB at `cutoff` Hz; unchanged when that is at or above half the rate."""
    return signal if cutoff >= rate / 2 else sosfilt(butter(4, cutoff, fs=rate, output="sos"), signal)


def add_noise(signal: Signal, below: float, rng: np.random.Generator) -> Signal:
    """White noise whose power is `below` dB under the signal's mean power."""
    level = np.sqrt(np.square(signal, dtype=np.float64).mean()) * 10 ** (-below / 20)
    return signal + level * rng.standard_normal(len(signal))


def mask(signal: Signal, length: int, rng: np.random.Generator) -> Signal:
    """Silence `length` frames at a random place, at most half of the signal."""
    length = min(length, len(signal) // 2)
    start = int(rng.integers(0, len(signal) - length + 1))
    return np.concatenate([signal[:start], np.zeros(length, signal.dtype), signal[start + length :]])
