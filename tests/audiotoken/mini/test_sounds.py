"""Synthesised sounds: the same seed is the same sound, every seed another one, all of them usable."""

import numpy as np
import pytest

from audiotoken.mini.sounds import synthesise
from audiotoken.mini.things import AUDIBLE_WORDS
from experiments.world.distractors import HELD_OUT, KINDS, distractor


@pytest.mark.parametrize("word", AUDIBLE_WORDS)
def test_every_word_has_a_sound_that_its_seed_decides(word):
    first, again, other = (synthesise(word, 16000, 1.5, seed) for seed in (3, 3, 4))
    assert first.shape == (24000,) and first.dtype == np.float32
    assert np.isfinite(first).all() and 0.1 < np.abs(first).max() <= 1.0
    assert np.array_equal(first, again)
    assert np.abs(np.corrcoef(first, other)[0, 1]) < 0.5


@pytest.mark.parametrize("kind", KINDS + HELD_OUT)
def test_every_distractor_is_a_usable_signal(kind):
    sound = distractor(16000, 1.0, 5, kind=kind)
    assert sound.shape == (16000,) and sound.dtype == np.float32
    assert np.isfinite(sound).all() and 0.1 < np.abs(sound).max() <= 1.0


def test_held_out_kinds_are_apart():
    assert not set(KINDS) & set(HELD_OUT) and len(HELD_OUT) >= 6
    drawn = distractor(16000, 0.5, 2, held_out=True)
    assert np.array_equal(drawn, distractor(16000, 0.5, 2, kind=HELD_OUT[2]))


def test_pitch_does_not_depend_on_the_rate():
    """The strongest partial of a seed's bell at 16 kHz is a strong one at 32 kHz too (room and noise differ)."""
    low, high = (np.abs(np.fft.rfft(synthesise("bell", rate, 2.0, 1)))[:8000] for rate in (16000, 32000))
    peak = low.argmax()  # in half hertz at both rates
    assert peak > 120 and high[peak - 2 : peak + 3].max() > 0.3 * high.max()


def test_length_follows_rate_and_seconds():
    assert len(synthesise("clock", 22050, 0.7, 0)) == 15435


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"no sound is known for 'cat'; choose one of dog, "):
        synthesise("cat")
    with pytest.raises(ValueError, match="Got kind='dog', which is not a distractor; choose one of noise, "):
        distractor(kind="dog")
