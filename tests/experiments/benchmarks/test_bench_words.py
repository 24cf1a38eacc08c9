"""The benchmark of words: its scenes, its scores, and a run."""

import numpy as np
import pytest

from audiotoken.errors import OptionError
from experiments.benchmarks import real_sounds
from experiments.benchmarks.words import ABSENT, APART, SYSTEMS, Tally, bench_words, format_tallies, make_scene

KNOWN = ("bell", "dog", "drum", "frog", "rain")


def make_noise(word, seconds, seed):
    return 0.05 * np.random.default_rng([len(word), seed]).standard_normal(16_000)


def test_a_folder_with_too_few_words_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(real_sounds, "find_clips", lambda folder, folds: {"dog": [], "rain": []})
    with pytest.raises(OptionError, match="Found sounds of 2 usable words in there"):
        bench_words(n=1, counts=[2], sounds="there", out=str(tmp_path))


def test_scenes_are_apart_and_have_words_that_are_not_there():
    made = make_scene(3, 7, 0.0, make_noise, KNOWN)
    azimuths = sorted(made.places.values())
    assert len(made.absent) == ABSENT and not set(made.absent) & set(made.places)
    assert min(np.diff(azimuths)) >= APART and made.recording.shape == (2, 16_000)
    again = make_scene(3, 7, 0.0, make_noise, KNOWN)
    assert again.places == made.places and np.array_equal(again.recording, made.recording)


def test_known_shares():
    """Four words, three heard, two of them where they are; one of two absent words is heard."""
    tally = Tally([True, True, False, False], [True, True, True, False], [True, False])
    text = format_tallies({(2, "words"): tally})
    cells = [cell.strip() for cell in text.splitlines()[-1].strip("|").split("|")]
    assert cells == ["2", "words", "75", "50", "50", "50"]  # F: 4 / (4 + 2 wrong + 2 not found)


def test_all_systems_answer(tmp_path):
    text = bench_words(n=1, counts=[2], rt60=0.0, seed=3, out=str(tmp_path))
    lines = text.strip().splitlines()[2:]
    assert [line.split("|")[2].strip() for line in lines] == list(SYSTEMS)
    assert (tmp_path / "table.md").read_text() == text
    with pytest.raises(OptionError, match="expected 1 or more scenes of 2 to 4"):
        bench_words(n=1, counts=[5], out=str(tmp_path))
