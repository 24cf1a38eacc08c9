"""The same generator gives the same sound; each change does what it says and no more."""

import numpy as np
import pytest

from audiotoken.data.augment import Augment, add_noise, lowpass, make_augment, mask
from audiotoken.errors import OptionError

RATE = 16_000
TONES = (0.2 * np.sin(np.arange(RATE) * 2 * np.pi * np.array([[200], [5000]]) / RATE)).sum(0).astype(np.float32)
ALL = Augment(gain_db=6, noise_db=(10, 30), lowpass_hz=(500, 4000), mask_seconds=0.3)


def decibels(signal) -> float:
    return 10 * np.log10(np.square(signal, dtype=np.float64).mean())


def test_off_by_default():
    assert Augment()(TONES, RATE, np.random.default_rng(0)) is TONES


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"gain_db": -1.0}, "augment.gain_db=-1.0, expected a number from 0"),
        ({"gain_db": float("nan")}, "augment.gain_db=nan"),
        ({"mask_seconds": 1e9}, "augment.mask_seconds"),
        ({"noise_db": [10]}, "augment.noise_db=.*expected two numbers"),
        ({"noise_db": [10, float("inf")]}, "augment.noise_db"),
        ({"lowpass_hz": [0, 4000]}, "augment.lowpass_hz=.*from 1 to"),
        ({"reverb": 1}, "Cannot use this augmentation: .*reverb"),
    ],
)
def test_what_cannot_be_varied_is_a_sentence(values, words):
    with pytest.raises(OptionError, match=words):
        make_augment(values)


def test_the_generator_alone_decides_and_the_sound_is_left_as_it_was():
    before = TONES.copy()
    one, again, other = (ALL(TONES, RATE, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, again) and not np.array_equal(one, other) and np.array_equal(TONES, before)
    assert one.shape == TONES.shape and one.dtype == np.float32


def test_gain_stays_between_its_limits_and_within_full_scale():
    gains = [
        decibels(Augment(gain_db=6)(TONES, RATE, np.random.default_rng(seed))) - decibels(TONES) for seed in range(100)
    ]
    assert -6 <= min(gains) < -5 and 5 < max(gains) <= 6
    loud = [np.abs(Augment(gain_db=40)(TONES, RATE, np.random.default_rng(seed))).max() for seed in range(20)]
    assert max(loud) == pytest.approx(1.0)


def test_noise_is_as_far_below_as_said():
    noise = add_noise(TONES, 20, np.random.default_rng(0)) - TONES
    assert decibels(noise) - decibels(TONES) == pytest.approx(-20, abs=0.2)


def test_the_low_pass_takes_the_high_tone_and_leaves_the_low_one():
    before, after = (np.abs(np.fft.rfft(each[RATE // 4 :])) for each in (TONES, lowpass(TONES, RATE, 1500.0)))
    low, high = (20 * np.log10(after[tone] / before[tone]) for tone in (150, 3750))  # 200 Hz and 5 kHz
    assert abs(low) < 0.5 and high < -30
    assert lowpass(TONES, RATE, 8000.0) is TONES


def test_the_mask_is_one_stretch_and_never_the_whole():
    masked = mask(np.ones(1000), 300, np.random.default_rng(0))
    silent = np.flatnonzero(masked == 0)
    assert len(silent) == 300 and np.ptp(silent) == 299
    assert mask(np.ones(10), 99, np.random.default_rng(0)).sum() == 5
