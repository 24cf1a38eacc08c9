"""Scenes of real recordings, and what is heard in them; the recordings here are made."""

import json

import numpy as np
import pytest
import soundfile

from audiotoken.errors import OptionError
from audiotoken.mini.sounds import synthesise
from experiments.benchmarks.end_to_end import bench_end_to_end
from experiments.benchmarks.hearing import separate_at
from experiments.benchmarks.real_sounds import choose_clips, find_clips, load_active
from spatial.setups import make_setup

RATE = 22_050


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two clips of a dog and one of rain in fold 4, one of a clock in fold 3."""
    path = tmp_path_factory.mktemp("clips")
    rows = ["path,label,fold"]
    for i, (label, word, fold) in enumerate(
        [("dog", "dog", 4), ("dog", "dog", 4), ("rain", "rain", 4), ("clock_tick", "clock", 3)]
    ):
        soundfile.write(path / f"{i}.wav", synthesise(word, 44_100, 3.0, 20_101 + i), 44_100)
        rows.append(f"{i}.wav,{label},{fold}")
    (path / "metadata.csv").write_text("\n".join(rows) + "\n")
    return path


def test_clips_are_those_of_the_folds(folder):
    clips = find_clips(folder, [4])
    assert {word: len(files) for word, files in clips.items()} == {"dog": 2, "rain": 1}
    assert len(set(choose_clips(clips, ("dog", "dog"), 3))) == 2  # two of a kind are two recordings
    assert choose_clips(clips, ("rain", "dog"), 5) == choose_clips(clips, ("rain", "dog"), 5)
    with pytest.raises(OptionError, match="sounds of 1 words"):
        find_clips(folder, [3])


def test_a_clip_is_heard_throughout(tmp_path):
    """A burst, four seconds of silence and another burst become bursts with short gaps, twice as long as the clip."""
    clip, random = np.zeros(5 * RATE), np.random.default_rng(0)
    for start in (0.5, 4.6):
        clip[round(start * RATE) :][: RATE // 10] = 0.05 * random.standard_normal(RATE // 10)
    soundfile.write(tmp_path / "clip.wav", clip, RATE)
    signal = load_active(tmp_path / "clip.wav", RATE, 6.0, seed=1)
    assert signal.shape == (6 * RATE,)
    loud = np.flatnonzero(np.abs(signal) > 0.5)
    assert loud[0] < 0.1 * RATE and len(signal) - loud[-1] < 0.6 * RATE
    assert np.diff(loud).max() < 0.6 * RATE
    assert np.mean(signal[round(0.04 * RATE) : round(0.12 * RATE)] ** 2) == pytest.approx(1.0, abs=0.3)
    assert not np.array_equal(signal, load_active(tmp_path / "clip.wav", RATE, 6.0, seed=2))


def test_silent_clips_are_refused(tmp_path):
    soundfile.write(tmp_path / "clip.wav", np.full(RATE, 0.2), RATE)  # an offset alone
    with pytest.raises((OptionError, ValueError), match="silent"):
        load_active(tmp_path / "clip.wav", RATE, 1.0, seed=0)


def test_a_listener_who_was_told_knows_how_far_apart_the_microphones_are():
    """Without that, a sound that is sought by its name in such a scene ended the benchmark."""
    noise = 0.1 * np.random.default_rng(0).standard_normal((2, RATE // 4))
    assert separate_at(noise, RATE, [-20.0, 30.0], "spaced").spacing == make_setup("spaced").spacing > 0


def test_listening_only_draws_nothing_and_keeps_recordings(tmp_path, folder):
    options = {"n": 1, "sounds": folder, "draw": False, "setups": ["panned"], "rt60": None, "out": tmp_path}
    text = bench_end_to_end(**options)
    (row,) = json.loads((tmp_path / "rows.json").read_text())
    assert "both heard with name and side" in text and (row["setup"], row["scenes"], row["rt60"]) == ("panned", 1, None)
    assert row["setup_right"] == row["counted"] == row["both_heard"] == row["both_matched"] == row["named"] == 1
    (saved,) = (tmp_path / "recordings").rglob("*.npz")
    assert not list(tmp_path.rglob("*.png"))
    with np.load(saved) as kept:
        middle, case = kept["recording"].mean(axis=0), str(kept["case"])
    np.savez(saved, recording=np.stack([middle, middle]), case=case)
    bench_end_to_end(**options)
    (row,) = json.loads((tmp_path / "rows.json").read_text())
    assert row["counted"] == row["both_heard"] == 0  # the file was read: both of its channels are the same
